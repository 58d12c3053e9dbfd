use serde_json::{Value, json};

use super::*;

fn trigger(spec: Value) -> Value {
    object("Trigger", json!({}), spec)
}

fn object(kind: &str, annotations: Value, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "eventing.knative.dev/v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "shop"},
    });
    object["metadata"]["annotations"] = annotations;
    object["spec"] = spec;
    object
}

/// A Trigger spec that is fine but for what `change` merges into it.
fn spec(change: Value) -> Value {
    let mut spec = json!({"broker": "default", "subscriber": {"uri": "http://example.com/"}});
    merge(&mut spec, change);
    spec
}

fn merge(into: &mut Value, change: Value) {
    let Value::Object(change) = change else { panic!("not an object: {change}") };
    for (key, value) in change {
        into[key] = value;
    }
}

fn errors(object: Value, old: Option<&Value>) -> String {
    admit(object, old, Context::default()).expect_err("has to be refused").to_string()
}

#[test]
fn broker_without_spec_gets_class_and_delivery() {
    let broker = json!({"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "default"}});
    let admitted = admit(broker, None, Context::default()).expect("admitted").object;
    assert_eq!(admitted["metadata"]["annotations"]["eventing.knative.dev/broker.class"], "MTChannelBasedBroker");
    let delivery = json!({"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"});
    assert_eq!(admitted["spec"], json!({ "delivery": delivery }));
}

#[test]
fn trigger_gets_label_filter_and_namespaces() {
    let dead = json!({"ref": {"kind": "Service", "name": "dead", "apiVersion": "v1"}});
    let subscriber = json!({"ref": {"kind": "Service", "name": "shop", "apiVersion": "v1"}});
    let change = json!({"subscriber": subscriber, "delivery": {"deadLetterSink": dead}});
    let admitted = admit(trigger(spec(change)), None, Context { user: Some("ann") }).expect("admitted").object;
    assert_eq!(admitted["metadata"]["labels"], json!({"eventing.knative.dev/broker": "default"}));
    assert_eq!(admitted["spec"]["filter"], json!({}));
    assert_eq!(admitted["spec"]["subscriber"]["ref"]["namespace"], "shop");
    assert_eq!(admitted["spec"]["delivery"]["deadLetterSink"]["ref"]["namespace"], "shop");
    let stamps = json!({"eventing.knative.dev/creator": "ann", "eventing.knative.dev/lastModifier": "ann"});
    assert_eq!(admitted["metadata"]["annotations"], stamps);
}

#[test]
fn defaulting_leaves_the_rest_of_the_object_as_written() {
    let mut written = trigger(spec(json!({"delivery": {"retry": 3, "oneDay": 1.50}})));
    written["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]);
    let admitted = admit(written.clone(), None, Context::default()).expect("admitted").object;
    assert_eq!(admitted["spec"]["delivery"], written["spec"]["delivery"]);
    assert_eq!(admitted["metadata"]["managedFields"], written["metadata"]["managedFields"]);
}

#[test]
fn each_rule_of_a_trigger_is_told_with_its_path() {
    let reference = json!({"kind": "Broker", "name": "b", "apiVersion": "eventing.knative.dev/v1"});
    let uri = |uri: &str| json!({"subscriber": {"uri": uri}});
    let cases = [
        (json!({"broker": null}), "expected exactly one, got neither: spec.broker, spec.brokerRef"),
        (json!({ "brokerRef": reference }), "expected exactly one, got both: spec.broker, spec.brokerRef"),
        (json!({"subscriber": {}}), "expected at least one, got none: spec.subscriber.ref, spec.subscriber.uri"),
        (
            json!({"subscriber": {"ref": {"kind": "Service", "name": "s"}}}),
            "missing field(s): spec.subscriber.ref.apiVersion",
        ),
        (uri("/path"), "spec.subscriber.uri: Invalid value: \"/path\": expected an absolute URL"),
        (uri("ftp://host/"), "spec.subscriber.uri: Invalid value: \"ftp://host/\": expected an absolute URL"),
        (
            json!({"subscriber": {"uri": "http://a/", "ref": {"kind": "Service", "name": "s", "apiVersion": "v1"}}}),
            "spec.subscriber.uri: Invalid value: \"http://a/\": next to ref",
        ),
        (json!({"subscriber": {"uri": "http://a/", "CACerts": "nonsense"}}), "spec.subscriber.CACerts: Invalid value"),
        (
            json!({"filter": {"attributes": {"dataContentType": "x"}}}),
            "invalid key name \"dataContentType\": spec.filter.attributes",
        ),
        (
            json!({"filters": [{"all": [{"exact": {"A": "b"}}]}]}),
            "invalid key name \"A\": spec.filters[0].all[0].exact",
        ),
        (
            json!({"filters": [{"exact": {"a": "b"}, "not": {}}]}),
            "spec.filters[0]: Invalid value: [\"not\",\"exact\"]: multiple dialects found",
        ),
        (json!({"filters": [{"not": {"cesql": "x = 1"}}]}), "spec.filters[0].not.cesql: Invalid value: \"x = 1\""),
        (
            json!({"delivery": {"backoffDelay": "5s"}}),
            "spec.delivery.backoffDelay: Invalid value: \"5s\": expected an ISO 8601 duration",
        ),
        (json!({"delivery": {"retry": -1}}), "spec.delivery.retry: Invalid value: -1: must be 0 or more"),
        (
            json!({"delivery": {"timeout": "PT0S"}}),
            "spec.delivery.timeout: Invalid value: \"PT0S\": must be more than zero",
        ),
        (json!({"delivery": {"backoffPolicy": "x"}}), "spec.delivery.backoffPolicy: Invalid value: \"x\""),
        (json!({"delivery": {"format": "xml"}}), "spec.delivery.format: Invalid value: \"xml\""),
        (
            json!({"delivery": {"deadLetterSink": {}}}),
            "expected at least one, got none: spec.delivery.deadLetterSink.ref",
        ),
    ];
    for (change, expected) in cases {
        let told = errors(trigger(spec(change.clone())), None);
        assert!(told.starts_with(expected) && !told.contains('\n'), "{change}: {told}");
    }
}

#[test]
fn annotations_are_checked_with_their_path() {
    let dependency = r#"{"kind":"PingSource","name":"p","apiVersion":"v1","namespace":"other"}"#;
    for (kind, name, value) in [
        ("Trigger", "weir.dev/delivery-order", "sorted"),
        ("Trigger", "kafka.eventing.knative.dev/delivery.order", "sorted"),
        ("Trigger", "weir.dev/ordering-key", "Customer"),
        ("Trigger", "weir.dev/max-in-flight", "0"),
        ("Trigger", "weir.dev/paused", "yes"),
        ("Trigger", "weir.dev/start", "yesterday"),
        ("Trigger", "knative.dev/dependency", "{"),
        ("Trigger", "knative.dev/dependency", dependency),
        ("Trigger", "eventing.knative.dev/injection", "maybe"),
        ("Broker", "weir.dev/durability", "none"),
        ("Broker", "weir.dev/retention", "7d"),
        ("Broker", "weir.dev/retention-bytes", "0"),
        ("Broker", "weir.dev/dedupe", "on"),
    ] {
        let spec = if kind == "Trigger" { spec(json!({})) } else { json!({}) };
        let told = errors(object(kind, json!({ name: value }), spec), None);
        assert!(told.starts_with(&format!("metadata.annotations[{name}]: Invalid value: ")), "{told}");
    }
}

#[test]
fn broker_and_class_and_config_cannot_change() {
    let admitted = |object| admit(object, None, Context::default()).expect("admitted").object;
    let old = admitted(trigger(spec(json!({}))));
    let told = errors(trigger(spec(json!({"broker": "other"}))), Some(&old));
    assert!(
        told.starts_with("spec.broker: Invalid value: \"other\": field is immutable (it is \"default\")"),
        "{told}"
    );

    let old = admitted(object("Broker", json!({}), json!({})));
    let class = json!({"eventing.knative.dev/broker.class": "Kafka"});
    let told = errors(object("Broker", class, json!({})), Some(&old));
    assert!(
        told.starts_with("metadata.annotations[eventing.knative.dev/broker.class]: Invalid value: \"Kafka\""),
        "{told}"
    );
    let config = json!({"config": {"kind": "ConfigMap", "name": "c", "apiVersion": "v1"}});
    let told = errors(object("Broker", json!({}), config), Some(&old));
    assert!(told.starts_with("spec.config: Invalid value: "), "{told}");
}

#[test]
fn update_without_the_class_keeps_it() {
    let class = json!({"eventing.knative.dev/broker.class": "Weir"});
    let old = admit(object("Broker", class, json!({})), None, Context::default()).expect("admitted").object;
    let new = admit(object("Broker", json!({}), json!({})), Some(&old), Context::default()).expect("admitted").object;
    assert_eq!(new["metadata"]["annotations"]["eventing.knative.dev/broker.class"], "Weir");
}

#[test]
fn stored_object_that_breaks_a_newer_rule_can_lose_its_finalizers() {
    let mut old = trigger(spec(json!({"delivery": {"retry": -1}})));
    old["metadata"]["finalizers"] = json!(["a"]);
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!([]);
    assert_eq!(admit(new.clone(), Some(&old), Context::default()).map(|admitted| admitted.object), Ok(new));
}

#[test]
fn nesting_is_bounded() {
    let nested = (0..70).fold(json!({"exact": {"a": "b"}}), |inner, _| json!({ "not": inner }));
    assert!(errors(trigger(spec(json!({"filters": [nested]}))), None).contains("at most 64 levels of nesting"));
}

#[test]
fn a_spec_written_again_without_its_defaults_is_nobodys_change() {
    let step = json!({"ref": {"kind": "Service", "name": "s", "apiVersion": "v1"}});
    let mut written = object("Sequence", json!({}), json!({ "steps": [step] }));
    written["apiVersion"] = "flows.knative.dev/v1".into();
    let admitted = |object, old, user| admit(object, old, Context { user: Some(user) }).expect("admitted").object;
    let first = admitted(written.clone(), None, "ann");
    assert_eq!(first["spec"]["steps"][0]["ref"]["namespace"], "shop");
    written["metadata"]["annotations"] = first["metadata"]["annotations"].clone();
    assert_eq!(admitted(written.clone(), Some(&first), "bob"), first);
    written["spec"]["steps"][0]["ref"]["name"] = "t".into();
    let changed = admitted(written, Some(&first), "bob");
    let stamps = json!({"flows.knative.dev/creator": "ann", "flows.knative.dev/lastModifier": "bob"});
    assert_eq!(changed["metadata"]["annotations"], stamps);
}
