use super::*;

const VERSIONS: [&str; 2] = ["sources.knative.dev/v1beta1", "sources.knative.dev/v1"];

fn kafka(spec: &Value) -> Value {
    object(VERSIONS[0], "KafkaSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "bootstrapServers": ["kafka:9092"], "topics": ["orders"]})
}

fn secret(name: &str, key: &str) -> Value {
    json!({"secretKeyRef": {"name": name, "key": key}})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let mut cases = source_rules();
    cases.extend([
        (json!({"bootstrapServers": []}), "missing field(s): spec.bootstrapServers"),
        (json!({"bootstrapServers": ["a", ""]}), "missing field(s): spec.bootstrapServers[1]"),
        (json!({"topics": []}), "missing field(s): spec.topics"),
        (json!({"topics": [""]}), "missing field(s): spec.topics[0]"),
        (json!({"consumers": -1}), "spec.consumers: Invalid value: -1: must be 0 or more"),
        (json!({"initialOffset": "now"}), "spec.initialOffset: Invalid value: \"now\": expected earliest or latest"),
        (json!({"ordering": "sorted"}), "spec.ordering: Invalid value: \"sorted\": expected ordered or unordered"),
        (json!({"delivery": {"retry": -1}}), "spec.delivery.retry: Invalid value: -1: must be 0 or more"),
        (json!({"net": {"sasl": {"user": {}}}}), "missing field(s): spec.net.sasl.user.secretKeyRef"),
        (
            json!({"net": {"sasl": {"password": secret("", "k")}}}),
            "missing field(s): spec.net.sasl.password.secretKeyRef.name",
        ),
        (json!({"net": {"sasl": {"type": secret("s", "")}}}), "missing field(s): spec.net.sasl.type.secretKeyRef.key"),
        (json!({"net": {"sasl": {"tokenProvider": {}}}}), "missing field(s): spec.net.sasl.tokenProvider.secretKeyRef"),
        (json!({"net": {"sasl": {"roleARN": {}}}}), "missing field(s): spec.net.sasl.roleARN.secretKeyRef"),
        (json!({"net": {"tls": {"cert": {}}}}), "missing field(s): spec.net.tls.cert.secretKeyRef"),
        (json!({"net": {"tls": {"key": {}}}}), "missing field(s): spec.net.tls.key.secretKeyRef"),
        (json!({"net": {"tls": {"caCert": {}}}}), "missing field(s): spec.net.tls.caCert.secretKeyRef"),
    ]);
    for version in VERSIONS {
        assert_refused(|spec| object(version, "KafkaSource", spec), &base(), &cases);
        let labelled = |spec: &Value| {
            let mut object = object(version, "KafkaSource", spec);
            object["metadata"]["labels"] = json!({"kafkasources.sources.knative.dev/key-type": "bytes"});
            object
        };
        let expected = "metadata.labels[kafkasources.sources.knative.dev/key-type]: Invalid value: \"bytes\": expected \
                        string, int, float or byte-array";
        assert_refused(labelled, &base(), &[(json!({}), expected)]);
    }
}

#[test]
fn both_versions_have_the_same_fields() {
    let net = json!({
        "sasl": {
            "enable": true, "user": secret("s", "user"), "password": secret("s", "password"),
            "type": secret("s", "type"), "tokenProvider": secret("s", "provider"), "roleARN": secret("s", "role"),
        },
        "tls": {"enable": true, "cert": secret("t", "cert"), "key": secret("t", "key"), "caCert": secret("t", "ca")},
    });
    let spec = with(&base(), &json!({"net": net, "consumerGroup": "g", "consumers": 0, "initialOffset": "earliest"}));
    let admitted = VERSIONS.map(|version| admitted(object(version, "KafkaSource", &spec)).object["spec"].clone());
    assert_eq!(admitted[0]["net"], net);
    assert_eq!(admitted[0], admitted[1]);
    let kind = kinds::find(VERSIONS[0], "KafkaSource").expect("a kind");
    let schemas = kind.definition.spec.versions.iter().map(|version| {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.clone()).expect("a schema");
        let scale = version.subresources.as_ref().and_then(|sub| sub.scale.clone()).expect("scale");
        (schema.properties, scale)
    });
    let schemas: Vec<_> = schemas.collect();
    assert_eq!(schemas[0], schemas[1]);
    let scale = &schemas[0].1;
    let paths = [&scale.spec_replicas_path, &scale.status_replicas_path];
    assert_eq!(paths, [".spec.consumers", ".status.consumers"]);
    assert_eq!(scale.label_selector_path.as_deref(), Some(".status.selector"));
}

#[test]
fn defaults_are_those_of_knative() {
    let reference = json!({"ref": {"kind": "Service", "name": "s", "apiVersion": "v1"}});
    let change = json!({"sink": reference, "delivery": {"deadLetterSink": reference}});
    for version in VERSIONS {
        let admitted = admitted(object(version, "KafkaSource", &with(&base(), &change))).object;
        let spec = &admitted["spec"];
        let group = spec["consumerGroup"].as_str().and_then(|group| group.strip_prefix("knative-kafka-source-"));
        assert!(uuid::Uuid::parse_str(group.expect("a group")).is_ok(), "{spec}");
        assert_eq!((&spec["consumers"], &spec["initialOffset"]), (&json!(1), &json!("latest")));
        assert_eq!(spec["ordering"], "ordered");
        assert_eq!(spec["sink"]["ref"]["namespace"], "shop");
        assert_eq!(spec["delivery"]["deadLetterSink"]["ref"]["namespace"], "shop");
    }
}

#[test]
fn consumer_group_is_kept_and_cannot_change() {
    for version in VERSIONS {
        let kafka = |change: &Value| object(version, "KafkaSource", &with(&base(), change));
        let old = admitted(kafka(&json!({}))).object;
        let group = &old["spec"]["consumerGroup"];
        let new = updated(kafka(&json!({"topics": ["other"]})), &old);
        assert_eq!(&new["spec"]["consumerGroup"], group);
        let told = refused(kafka(&json!({"consumerGroup": "g"})), Some(&old));
        let expected = format!("spec.consumerGroup: Invalid value: \"g\": field is immutable (it is {group})");
        assert!(told.starts_with(&expected), "{told}");
    }
    // Stored before there were defaults.
    let new = with(&base(), &json!({"consumerGroup": "g"}));
    let new = updated(kafka(&new), &kafka(&base()));
    assert_eq!(new["spec"]["consumerGroup"], "g");
    let new = updated(kafka(&with(&base(), &json!({"topics": ["other"]}))), &kafka(&base()));
    assert!(new["spec"]["consumerGroup"].is_string());
}
