//! Rules of traffic (resources.md 8.1), of DomainMappings (9) and of the internal kinds (10).

use serde_json::{Value, json};

use super::{admitted, check_rows, object, refused, service, with};

fn route() -> Value {
    object("Route", json!({"traffic": [{"configurationName": "hello", "percent": 100}]}))
}

#[test]
fn rules_that_routes_and_services_share() {
    let pinned = |percent: Value| json!({"revisionName": "hello-00001", "percent": percent});
    let sum = |sum: i64| format!("spec.traffic: Invalid value: {sum}: Traffic targets sum to {sum}, want 100");
    for base in [route(), service()] {
        check_rows(
            &base,
            &[
                ("/spec/traffic", json!([pinned(json!(60)), pinned(json!(40))]), ""),
                ("/spec/traffic", json!([pinned(json!(100)), pinned(Value::Null)]), ""),
                ("/spec/traffic", json!([pinned(json!(60))]), &sum(60)),
                ("/spec/traffic", json!([pinned(json!(60)), pinned(json!(41))]), &sum(101)),
                (
                    "/spec/traffic/0",
                    with(pinned(json!(100)), "/latestRevision", json!(true)),
                    "spec.traffic[0].latestRevision: Invalid value: true: expected false next to revisionName",
                ),
                (
                    "/spec/traffic/0",
                    with(pinned(json!(100)), "/url", json!("http://a/")),
                    "must not set the field(s): spec.traffic[0].url: ",
                ),
                (
                    "/spec/traffic/0",
                    with(pinned(json!(100)), "/tag", json!("v_1")),
                    "spec.traffic[0].tag: Invalid value: \"v_1\": expected at most 63 lower case letters",
                ),
                (
                    "/spec/traffic",
                    json!([{"revisionName": "a", "percent": 100, "tag": "t"}, {"revisionName": "a", "tag": "t"}]),
                    "spec.traffic[1].tag: Invalid value: \"t\": Multiple definitions for \"t\"",
                ),
            ],
        );
    }
}

#[test]
fn each_share_is_a_percentage() {
    let traffic = json!([{"revisionName": "a", "percent": 101}, {"revisionName": "b", "percent": -1}]);
    let told = refused(with(route(), "/spec/traffic", traffic), None);
    let expected = "spec.traffic[0].percent: Invalid value: 101: expected 0 to 100\n\
                    spec.traffic[1].percent: Invalid value: -1: expected 0 to 100";
    assert_eq!(told, expected);
}

#[test]
fn target_of_a_route_is_a_revision_or_a_configuration() {
    check_rows(
        &route(),
        &[
            (
                "/spec/traffic/0/revisionName",
                json!("a"),
                "expected exactly one, got both: spec.traffic[0].revisionName, spec.traffic[0].configurationName",
            ),
            (
                "/spec/traffic/0/configurationName",
                json!(""),
                "expected exactly one, got neither: spec.traffic[0].revisionName, spec.traffic[0].configurationName",
            ),
            (
                "/spec/traffic/0/latestRevision",
                json!(false),
                "spec.traffic[0].latestRevision: Invalid value: false: expected true without revisionName",
            ),
            ("/spec/traffic", json!([]), "spec.traffic: Invalid value: 0: Traffic targets sum to 0, want 100"),
        ],
    );
}

#[test]
fn target_of_a_service_is_a_revision_or_the_latest() {
    check_rows(
        &service(),
        &[
            ("/spec/traffic", json!([{"percent": 100}]), ""),
            ("/spec/traffic", json!([{"percent": 100, "latestRevision": true}]), ""),
            ("/spec/traffic", json!([]), ""),
            (
                "/spec/traffic",
                json!([{"percent": 100, "configurationName": "hello"}]),
                "must not set the field(s): spec.traffic[0].configurationName: ",
            ),
            (
                "/spec/traffic",
                json!([{"percent": 100, "latestRevision": false}]),
                "spec.traffic[0].latestRevision: Invalid value: false: expected true without revisionName",
            ),
        ],
    );
}

#[test]
fn name_of_a_domain_mapping_is_the_domain() {
    let reference = json!({"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello"});
    let metadata = json!({"name": "www.example.com", "namespace": "shop"});
    let spec = json!({ "ref": reference });
    let mapping = json!({
        "apiVersion": "serving.knative.dev/v1beta1", "kind": "DomainMapping", "metadata": metadata, "spec": spec,
    });
    let under = "metadata.name: Invalid value: \"a.shop.svc.cluster.local\": must not be a subdomain of cluster local";
    check_rows(
        &mapping,
        &[
            ("/metadata/name", json!("notcluster.local"), ""),
            ("/metadata/name", json!("example"), "metadata.name: Invalid value: \"example\": the name is the domain"),
            ("/metadata/name", json!("a..b"), "metadata.name: Invalid value: \"a..b\": the name is the domain"),
            ("/metadata/name", json!("a.shop.svc.cluster.local"), under),
            ("/metadata/generateName", json!("a."), "must not set the field(s): metadata.generateName: "),
            ("/spec/ref/name", json!(""), "missing field(s): spec.ref.name"),
            ("/spec/ref/kind", json!(""), "missing field(s): spec.ref.kind"),
            ("/spec/ref/apiVersion", json!(""), "missing field(s): spec.ref.apiVersion"),
            ("/spec/ref/namespace", json!("shop"), ""),
            (
                "/spec/ref/namespace",
                json!("other"),
                "spec.ref.namespace: Invalid value: \"other\": expected the DomainM",
            ),
            ("/spec/ref/group", json!("a"), "must not set the field(s): spec.ref.group: "),
            ("/spec/tls", json!({"secretName": "cert"}), ""),
            ("/spec/tls", json!({}), "missing field(s): spec.tls.secretName"),
        ],
    );
    assert_eq!(admitted(mapping, None).object["spec"]["ref"]["namespace"], "shop");
}

fn internal(group: &str, kind: &str, spec: Value) -> Value {
    let metadata = json!({"name": "hello-00001", "namespace": "shop"});
    let api_version = format!("{group}.internal.knative.dev/v1alpha1");
    with(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}), "/spec", spec)
}

fn target() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello-00001-deployment"})
}

#[test]
fn rules_of_a_pod_autoscaler() {
    let spec = json!({"scaleTargetRef": target(), "protocolType": "http1", "containerConcurrency": 10});
    let autoscaler = internal("autoscaling", "PodAutoscaler", spec);
    check_rows(
        &autoscaler,
        &[
            ("/spec/protocolType", json!("h2c"), ""),
            ("/spec/protocolType", json!(""), "missing field(s): spec.protocolType"),
            ("/spec/protocolType", json!("grpc"), "spec.protocolType: Invalid value: \"grpc\": expected http1 or h2c"),
            ("/spec/reachability", json!(""), ""),
            ("/spec/reachability", json!("Unreachable"), ""),
            ("/spec/reachability", json!("Maybe"), "spec.reachability: Invalid value: \"Maybe\": expected Reachable"),
            (
                "/spec/containerConcurrency",
                json!(-1),
                "spec.containerConcurrency: Invalid value: -1: expected 0 to 1000",
            ),
            (
                "/spec/containerConcurrency",
                json!(1001),
                "spec.containerConcurrency: Invalid value: 1001: expected 0 to",
            ),
            ("/spec/scaleTargetRef/apiVersion", json!(""), "missing field(s): spec.scaleTargetRef.apiVersion"),
            ("/spec/scaleTargetRef/kind", json!(""), "missing field(s): spec.scaleTargetRef.kind"),
            ("/spec/scaleTargetRef/name", json!(""), "missing field(s): spec.scaleTargetRef.name"),
            (
                "/spec/scaleTargetRef/name",
                json!("a.b"),
                "spec.scaleTargetRef.name: Invalid value: \"a.b\": expected at most",
            ),
            (
                "/metadata/annotations",
                json!({"autoscaling.knative.dev/window": "1s"}),
                "metadata.annotations[autoscaling.knative.dev/window]: Invalid value: \"1s\": expected 6s to 1h",
            ),
        ],
    );
}

#[test]
fn pod_autoscaler_gets_class_and_metric() {
    let spec = json!({"scaleTargetRef": target(), "protocolType": "http1"});
    let autoscaler = internal("autoscaling", "PodAutoscaler", spec);
    let class = |class: Value| {
        let object = with(autoscaler.clone(), "/metadata/annotations", json!({"autoscaling.knative.dev/class": class}));
        admitted(object, None).object["metadata"]["annotations"]["autoscaling.knative.dev/metric"].take()
    };
    assert_eq!(class(json!("hpa.autoscaling.knative.dev")), "cpu");
    assert_eq!(class(json!("a.example.com")), Value::Null);
    let annotations = json!({
        "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev",
        "autoscaling.knative.dev/metric": "concurrency",
    });
    assert_eq!(admitted(autoscaler, None).object["metadata"]["annotations"], annotations);
}

#[test]
fn rules_of_a_metric() {
    let spec = json!({"stableWindow": 60_000_000_000_i64, "panicWindow": 6_000_000_000_i64, "scrapeTarget": ""});
    check_rows(
        &internal("autoscaling", "Metric", spec),
        &[
            ("/spec/scrapeTarget", json!("hello-00001-private"), ""),
            ("/spec/stableWindow", json!(0), "spec.stableWindow: Invalid value: 0: must be more than zero"),
            ("/spec/panicWindow", json!(-1), "spec.panicWindow: Invalid value: -1: must be more than zero"),
            ("/metadata/name", json!("a.b"), "metadata.name: Invalid value: \"a.b\": not a DNS-1035 label"),
        ],
    );
}

#[test]
fn rules_of_a_serverless_service() {
    let spec = json!({"mode": "Proxy", "objectRef": target(), "protocolType": "http1", "numActivators": 2});
    check_rows(
        &internal("networking", "ServerlessService", spec),
        &[
            ("/spec/mode", json!("Serve"), ""),
            ("/spec/mode", json!(""), "missing field(s): spec.mode"),
            ("/spec/mode", json!("Both"), "spec.mode: Invalid value: \"Both\": expected Serve or Proxy"),
            ("/spec/numActivators", json!(0), ""),
            ("/spec/numActivators", json!(-1), "spec.numActivators: Invalid value: -1: must be 0 or more"),
            ("/spec/objectRef/kind", json!(""), "missing field(s): spec.objectRef.kind"),
            ("/spec/protocolType", json!("udp"), "spec.protocolType: Invalid value: \"udp\": expected http1 or h2c"),
        ],
    );
}

#[test]
fn cluster_domain_claim_names_a_namespace() {
    let mut claim = internal("networking", "ClusterDomainClaim", json!({"namespace": "shop"}));
    claim["metadata"] = json!({"name": "www.example.com"});
    assert_eq!(admitted(claim.clone(), None).object, claim);
    assert_eq!(refused(with(claim, "/spec", json!({})), None), "missing field(s): spec.namespace");
}
