//! Defaults of resources.md 6.3, and of traffic.

use serde_json::{Value, json};

use super::super::config::{Features, SecurePodDefaults, ServingConfig, ServingDefaults};
use super::super::defaults::apply;
use super::super::revision::RevisionSpec;
use super::{admitted, object, service, with};

/// A Revision's spec with its defaults.
fn defaulted(spec: Value, config: &ServingConfig) -> Value {
    let mut spec: RevisionSpec = serde_json::from_value(spec).expect("RevisionSpec");
    apply(&mut spec, config, true);
    serde_json::to_value(spec).expect("JSON")
}

/// As shipped, the containers only.
fn containers(containers: Value) -> Value {
    defaulted(with(json!({}), "/containers", containers), &ServingConfig::default())["containers"].take()
}

#[test]
fn smallest_service_gets_everything_it_leaves_out() {
    let admitted = admitted(service(), None).object;
    let probe = json!({"successThreshold": 1, "tcpSocket": {"port": 0}});
    let container = json!({"name": "user-container", "image": "nginx", "readinessProbe": probe, "resources": {}});
    // No responseStartTimeoutSeconds: its default, 300, is not below timeoutSeconds.
    let spec = json!({
        "containers": [container],
        "containerConcurrency": 0,
        "timeoutSeconds": 300,
        "enableServiceLinks": false,
    });
    assert_eq!(admitted["spec"]["template"]["spec"], spec);
    assert_eq!(admitted["spec"]["traffic"], json!([{"latestRevision": true, "percent": 100}]));
    let stamps = json!({"serving.knative.dev/creator": "ann", "serving.knative.dev/lastModifier": "ann"});
    assert_eq!(admitted["metadata"]["annotations"], stamps);
}

#[test]
fn timeouts_that_are_below_the_whole_one_are_filled_in() {
    let spec = |change: Value| with(json!({"containers": [{"image": "nginx"}]}), "/timeoutSeconds", change);
    let defaults = ServingDefaults { idle_timeout_seconds: 60, ..ServingDefaults::default() };
    let config = ServingConfig { defaults, ..ServingConfig::default() };
    let long = defaulted(spec(json!(500)), &config);
    assert_eq!((&long["responseStartTimeoutSeconds"], &long["idleTimeoutSeconds"]), (&json!(300), &json!(60)));
    let short = defaulted(spec(json!(60)), &config);
    assert_eq!((short.get("responseStartTimeoutSeconds"), short.get("idleTimeoutSeconds")), (None, None));
    assert_eq!(defaulted(spec(json!(0)), &config)["timeoutSeconds"], 300);
    let written = with(spec(json!(500)), "/idleTimeoutSeconds", json!(7));
    assert_eq!(defaulted(written, &config)["idleTimeoutSeconds"], 7);
}

#[test]
fn service_links_are_decided_only_at_creation() {
    let old = admitted(service(), None).object;
    let new = admitted(with(service(), "/spec/template/spec/timeoutSeconds", json!(10)), Some(&old)).object;
    assert_eq!(new["spec"]["template"]["spec"].get("enableServiceLinks"), None);
    assert_eq!(new["spec"]["template"]["spec"]["containerConcurrency"], 0);
    let config = ServingConfig {
        defaults: ServingDefaults { enable_service_links: None, ..ServingDefaults::default() },
        ..ServingConfig::default()
    };
    assert_eq!(defaulted(json!({"containers": []}), &config).get("enableServiceLinks"), None);
}

#[test]
fn containers_without_a_name_get_the_first_free_one() {
    let names = |spec: Value, list: &str| {
        let spec = defaulted(spec, &ServingConfig::default());
        let named = spec[list].as_array().expect("a list").iter();
        named.map(|container| container["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let of = |given: &[&str]| json!({"containers": given.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    assert_eq!(names(of(&[""]), "containers"), ["user-container"]);
    assert_eq!(names(of(&["", ""]), "containers"), ["user-container-0", "user-container-1"]);
    assert_eq!(names(of(&["user-container-0", ""]), "containers"), ["user-container-0", "user-container-1"]);
    let clash = with(of(&[""]), "/initContainers", json!([{"name": "user-container"}, {"name": ""}, {"name": ""}]));
    assert_eq!(names(clash.clone(), "containers"), ["user-container-0"]);
    assert_eq!(names(clash, "initContainers"), ["user-container", "init-container-0", "init-container-1"]);
    assert_eq!(names(with(of(&["a"]), "/initContainers", json!([{}])), "initContainers"), ["init-container"]);
}

#[test]
fn resources_are_filled_in_where_configured_and_absent() {
    let amounts = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), serde_json::from_value(json!(amount)).expect("amount")))
            .collect()
    };
    let defaults = ServingDefaults {
        requests: amounts(&[("cpu", "400m"), ("ephemeral-storage", "500M")]),
        limits: amounts(&[("memory", "200M")]),
        ..ServingDefaults::default()
    };
    let config = ServingConfig { defaults, ..ServingConfig::default() };
    let written = json!({"requests": {"cpu": "1"}});
    let spec = defaulted(json!({"containers": [{"resources": written}]}), &config);
    let expected = json!({"requests": {"cpu": "1", "ephemeral-storage": "500M"}, "limits": {"memory": "200M"}});
    assert_eq!(spec["containers"][0]["resources"], expected);
}

#[test]
fn readiness_probe_is_for_the_container_that_serves() {
    let both = containers(json!([{"name": "a"}, {"name": "b", "ports": [{"containerPort": 80}]}]));
    assert_eq!(both[0].get("readinessProbe"), None);
    assert_eq!(both[1]["readinessProbe"], json!({"successThreshold": 1, "tcpSocket": {"port": 0}}));

    let probe = |probe: Value| containers(json!([{"name": "a", "readinessProbe": probe}]))[0]["readinessProbe"].take();
    let often = probe(json!({"httpGet": {"path": "/", "port": 0}, "periodSeconds": 0}));
    assert_eq!(often, json!({"httpGet": {"path": "/", "port": 0}, "periodSeconds": 0, "successThreshold": 1}));
    let slow = probe(json!({"exec": {"command": ["true"]}, "periodSeconds": 5}));
    let exec = json!({"command": ["true"]});
    let expected = json!({
        "exec": exec, "periodSeconds": 5, "successThreshold": 1, "failureThreshold": 3, "timeoutSeconds": 1,
    });
    assert_eq!(slow, expected);
    assert_eq!(probe(json!({"grpc": {"port": 80}}))["grpc"], json!({"port": 80, "service": ""}));

    let others = containers(json!([{"name": "a", "livenessProbe": {"grpc": {"port": 1}, "periodSeconds": 5}}]));
    let liveness = json!({"grpc": {"port": 1, "service": ""}, "periodSeconds": 5});
    assert_eq!(others[0]["livenessProbe"], liveness);
}

#[test]
fn mounts_are_read_only_unless_the_volume_can_be_written_to() {
    let mount = |name: &str| json!({"name": name, "mountPath": format!("/{name}")});
    let volumes = json!([
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "own", "ephemeral": {}},
    ]);
    let mounts = ["secret", "scratch", "claim", "own"].map(mount);
    let spec = json!({"containers": [{"name": "a", "volumeMounts": mounts}], "volumes": volumes});
    let spec = defaulted(spec, &ServingConfig::default());
    let read_only: Vec<_> = spec["containers"][0]["volumeMounts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|mount| mount.get("readOnly").is_some())
        .collect();
    assert_eq!(read_only, [true, false, false, false]);
}

#[test]
fn secure_pod_defaults_fill_in_what_the_restricted_profile_asks_for() {
    let with_level = |level, spec: Value| {
        let features = Features { secure_pod_defaults: level, ..Features::default() };
        defaulted(spec, &super::config(features))["containers"][0]["securityContext"].take()
    };
    let spec = json!({"containers": [{"name": "a"}]});
    assert_eq!(with_level(SecurePodDefaults::Disabled, spec.clone()), Value::Null);
    let bounded = json!({
        "allowPrivilegeEscalation": false,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(with_level(SecurePodDefaults::AllowRootBounded, spec.clone()), bounded);
    let enabled = with(bounded, "/runAsNonRoot", json!(true));
    assert_eq!(with_level(SecurePodDefaults::Enabled, spec.clone()), enabled);
    let low = with(spec.clone(), "/containers/0/ports", json!([{"containerPort": 80}]));
    let capabilities = json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]});
    assert_eq!(with_level(SecurePodDefaults::Enabled, low)["capabilities"], capabilities);
    let of_pod = json!({"runAsNonRoot": false, "seccompProfile": {"type": "Unconfined"}});
    let decided = with_level(SecurePodDefaults::Enabled, with(spec, "/securityContext", of_pod));
    assert_eq!((decided.get("runAsNonRoot"), decided.get("seccompProfile")), (None, None));
}

#[test]
fn traffic_targets_get_their_share_and_their_sense() {
    let traffic = json!([{"revisionName": "hello-00001", "percent": 100}, {"tag": "next"}]);
    let service = admitted(with(service(), "/spec/traffic", traffic), None).object;
    let expected = json!([
        {"revisionName": "hello-00001", "percent": 100, "latestRevision": false},
        {"tag": "next", "percent": 0, "latestRevision": true},
    ]);
    assert_eq!(service["spec"]["traffic"], expected);
    let route = object("Route", json!({"traffic": [{"configurationName": "hello", "percent": 100}]}));
    let expected = json!([{"configurationName": "hello", "percent": 100, "latestRevision": true}]);
    assert_eq!(admitted(route, None).object["spec"]["traffic"], expected);
}
