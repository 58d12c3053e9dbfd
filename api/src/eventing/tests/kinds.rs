//! EventType, EventPolicy and KafkaSink.

use serde_json::{Value, json};

use crate::admission::testing::{
    admitted, definitions_are, each_is_immutable, each_is_refused, object, refused, updated, with,
};
use crate::admission::{Context, admit};
use crate::kinds;

const V1: &str = "eventing.knative.dev/v1";
const V1ALPHA1: &str = "eventing.knative.dev/v1alpha1";
const V1BETA1: &str = "eventing.knative.dev/v1beta1";
const V1BETA2: &str = "eventing.knative.dev/v1beta2";
const V1BETA3: &str = "eventing.knative.dev/v1beta3";

fn sink() -> Value {
    json!({"topic": "t", "bootstrapServers": ["kafka:9092"], "numPartitions": 3, "replicationFactor": 2})
}

fn reference() -> Value {
    json!({"apiVersion": V1, "kind": "Broker", "name": "b"})
}

#[test]
fn definitions_are_knatives() {
    let older = "Type,Source,Schema,Reference Name,Reference Kind,Description,Ready,Reason";
    definitions_are([
        (V1, "Broker", "URL,Age,Ready,Reason,Class", "", "eventing", "addressable"),
        (V1, "Trigger", "Broker,Subscriber_URI,Age,Ready,Reason", "", "eventing", ""),
        (V1BETA1, "EventType", older, "", "eventing", ""),
        (V1BETA2, "EventType", older, "", "eventing", ""),
        (
            V1BETA3,
            "EventType",
            "Type,Source,Reference Name,Reference Kind,Description,Ready,Reason",
            "",
            "eventing",
            "",
        ),
        (V1ALPHA1, "EventPolicy", "Ready,Reason", "", "eventing", ""),
        (V1ALPHA1, "KafkaSink", "URL,Age,Ready,Reason", "", "eventing", "addressable"),
    ]);
}

#[test]
fn event_type_is_stored_as_v1beta2_and_v1beta1_is_deprecated() {
    let row = kinds::find(V1BETA1, "EventType").expect("served");
    let versions: Vec<_> = row.definition.spec.versions.iter().collect();
    let stored: Vec<_> = versions.iter().filter(|version| version.storage).map(|version| &version.name).collect();
    assert_eq!(stored, ["v1beta2"]);
    let deprecated: Vec<_> =
        versions.iter().filter(|version| version.deprecated == Some(true)).map(|version| &version.name).collect();
    assert_eq!(deprecated, ["v1beta1"]);
    assert!(row.conversion("v1beta3").is_some());
}

#[test]
fn reference_of_an_event_type_gets_its_namespace() {
    for api_version in [V1BETA1, V1BETA2] {
        let spec = json!({"type": "t", "reference": reference()});
        let admitted = admitted(object(api_version, "EventType", &spec));
        assert_eq!(admitted.object["spec"]["reference"]["namespace"], "shop", "{api_version}");
        assert!(admitted.warnings.is_empty());
    }
    let broker = admitted(object(V1BETA2, "EventType", &json!({"type": "t", "broker": "b"})));
    assert_eq!(broker.warnings, ["spec.broker is deprecated: use spec.reference"]);
}

#[test]
fn each_rule_of_an_event_type_is_told_with_its_path() {
    for api_version in [V1BETA1, V1BETA2] {
        each_is_refused(
            api_version,
            "EventType",
            &json!({"type": "t", "source": "/apps/{app}", "schema": "http://schema/", "schemaData": "{"}),
            [
                (json!({"type": null}), "missing field(s): spec.type"),
                (json!({"type": ""}), "missing field(s): spec.type"),
                (json!({"source": "a b"}), "spec.source: Invalid value: \"a b\": expected a URI"),
                (json!({"schema": "%"}), "spec.schema: Invalid value: \"%\": expected a URI"),
                (json!({"reference": {"kind": "Broker", "name": "b"}}), "missing field(s): spec.reference.apiVersion"),
            ],
        );
    }
    let empty = |field: &str| json!({"type": "t", field: ""});
    for field in ["source", "schema"] {
        let told = refused(object(V1BETA1, "EventType", &empty(field)), None);
        assert!(told.starts_with(&format!("spec.{field}: Invalid value: \"\": expected a URI")), "{told}");
        admitted(object(V1BETA2, "EventType", &empty(field)));
    }
}

#[test]
fn v1beta3_event_type_is_neither_defaulted_nor_validated_but_told_what_it_lacks() {
    let spec = json!({"reference": {"name": "b"}, "attributes": [{"name": "type", "required": true, "value": "t"}]});
    let written = object(V1BETA3, "EventType", &spec);
    let admitted = admit(written.clone(), None, Context { user: Some("ann") }).expect("admitted");
    assert_eq!(admitted.object, written);
    let warning = "spec.attributes does not describe source, specversion, id, which every event has";
    assert_eq!(admitted.warnings, [warning]);
}

#[test]
fn everything_in_an_event_type_may_change() {
    for api_version in [V1BETA1, V1BETA2] {
        let old = admitted(object(api_version, "EventType", &json!({"type": "t", "source": "/s"}))).object;
        let new = json!({"type": "u", "source": "/v", "reference": reference()});
        updated(object(api_version, "EventType", &new), &old);
    }
}

#[test]
fn sender_of_an_event_policy_gets_its_namespace_and_oidc_need_not_be_on() {
    let elsewhere = with(&reference(), &json!({"namespace": "elsewhere"}));
    let spec = json!({
        "to": [{"ref": reference()}],
        "from": [{"ref": reference()}, {"ref": elsewhere}, {"sub": "system:serviceaccount:shop:*"}],
        "filters": [{"exact": {"type": "a"}}],
    });
    let policy = admitted(object(V1ALPHA1, "EventPolicy", &spec)).object;
    assert_eq!(policy["spec"]["from"][0]["ref"]["namespace"], "shop");
    assert_eq!(policy["spec"]["from"][1]["ref"]["namespace"], "elsewhere");
    assert_eq!(policy["spec"]["to"], spec["to"]);
    updated(object(V1ALPHA1, "EventPolicy", &json!({})), &policy);
}

#[test]
fn each_rule_of_an_event_policy_is_told_with_its_path() {
    let to = |to: Value| json!({"to": [{"ref": reference()}, to]});
    let from = |from: Value| json!({"from": [{"sub": "*"}, from]});
    let without = |field: &str| with(&reference(), &json!({ field: null }));
    let selector = |change: Value| {
        let good = json!({"apiVersion": V1, "kind": "Broker", "matchLabels": {"a": "b"}});
        json!({"to": [{"selector": with(&good, &change)}]})
    };
    let expression = |key: &str, operator: &str, values: Value| {
        selector(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
    };
    let path = "spec.to[0].selector.matchExpressions[0]";
    let cases = [
        (to(json!({})), "expected exactly one, got neither: spec.to[1].ref, spec.to[1].selector".to_owned()),
        (
            to(json!({"ref": reference(), "selector": {"apiVersion": V1, "kind": "Broker"}})),
            "expected exactly one, got both: spec.to[1].ref, spec.to[1].selector".to_owned(),
        ),
        (to(json!({"ref": without("apiVersion")})), "missing field(s): spec.to[1].ref.apiVersion".to_owned()),
        (to(json!({"ref": without("kind")})), "missing field(s): spec.to[1].ref.kind".to_owned()),
        (to(json!({"ref": without("name")})), "missing field(s): spec.to[1].ref.name".to_owned()),
        (selector(json!({"kind": null})), "missing field(s): spec.to[0].selector.kind".to_owned()),
        (selector(json!({"apiVersion": null})), "missing field(s): spec.to[0].selector.apiVersion".to_owned()),
        (expression("", "Exists", json!([])), format!("missing field(s): {path}.key")),
        (
            selector(json!({"matchLabels": {"a b": "c"}})),
            "invalid key name \"a b\": spec.to[0].selector.matchLabels".to_owned(),
        ),
        (
            selector(json!({"matchLabels": {"a": "b c"}})),
            "spec.to[0].selector.matchLabels.a: Invalid value: \"b c\"".to_owned(),
        ),
        (expression("a b", "Exists", json!([])), format!("{path}.key: Invalid value: \"a b\": expected at most 63")),
        (expression("a", "In", json!(["b", "-"])), format!("{path}.values[1]: Invalid value: \"-\"")),
        (expression("a", "In", json!([])), format!("missing field(s): {path}.values")),
        (expression("a", "Exists", json!(["b"])), format!("must not set the field(s): {path}.values: Exists has no")),
        (expression("a", "Gt", json!(["1"])), format!("{path}.operator: Invalid value: \"Gt\": expected In, NotIn,")),
        (from(json!({})), "expected exactly one, got neither: spec.from[1].ref, spec.from[1].sub".to_owned()),
        (from(json!({"sub": ""})), "expected exactly one, got neither: spec.from[1].ref, spec.from[1].sub".to_owned()),
        (
            from(json!({"ref": reference(), "sub": "a"})),
            "expected exactly one, got both: spec.from[1].ref, spec.from[1].sub".to_owned(),
        ),
        (from(json!({"ref": without("apiVersion")})), "missing field(s): spec.from[1].ref.apiVersion".to_owned()),
        (from(json!({"ref": without("kind")})), "missing field(s): spec.from[1].ref.kind".to_owned()),
        (from(json!({"ref": without("name")})), "missing field(s): spec.from[1].ref.name".to_owned()),
        (
            from(json!({"sub": "a*b"})),
            "spec.from[1].sub: Invalid value: \"a*b\": '*' is only allowed as the last character".to_owned(),
        ),
        (from(json!({"sub": "**"})), "spec.from[1].sub: Invalid value: \"**\"".to_owned()),
        (json!({"filters": [{"suffix": {"A": "b"}}]}), "invalid key name \"A\": spec.filters[0].suffix".to_owned()),
    ];
    for (change, expected) in &cases {
        each_is_refused(V1ALPHA1, "EventPolicy", &json!({}), [(change.clone(), expected)]);
    }
    for (operator, values) in [("In", json!(["b"])), ("NotIn", json!(["b"])), ("DoesNotExist", Value::Null)] {
        admitted(object(V1ALPHA1, "EventPolicy", &expression("a", operator, values)));
    }
}

#[test]
fn kafka_sink_writes_binary_events_unless_told_otherwise() {
    let admitted_sink = admitted(object(V1ALPHA1, "KafkaSink", &sink()));
    assert_eq!(admitted_sink.object["spec"], with(&sink(), &json!({"contentMode": "binary"})));
    assert!(admitted_sink.warnings.is_empty());
    let half = with(&sink(), &json!({"numPartitions": null}));
    assert_eq!(admitted(object(V1ALPHA1, "KafkaSink", &half)).warnings.len(), 1);
}

#[test]
fn each_rule_of_a_kafka_sink_is_told_with_its_path() {
    each_is_refused(
        V1ALPHA1,
        "KafkaSink",
        &sink(),
        [
            (json!({"topic": null}), "missing field(s): spec.topic"),
            (json!({"topic": ""}), "missing field(s): spec.topic"),
            (json!({"bootstrapServers": null}), "missing field(s): spec.bootstrapServers"),
            (json!({"bootstrapServers": []}), "missing field(s): spec.bootstrapServers"),
            (json!({"numPartitions": 0}), "spec.numPartitions: Invalid value: 0: must be 1 or more"),
            (json!({"replicationFactor": -1}), "spec.replicationFactor: Invalid value: -1: must be 1 or more"),
            (
                json!({"contentMode": "json"}),
                "spec.contentMode: Invalid value: \"json\": expected binary or structured",
            ),
            (json!({"auth": {"secret": {"ref": {}}}}), "missing field(s): spec.auth.secret.ref.name"),
        ],
    );
    admitted(object(V1ALPHA1, "KafkaSink", &with(&sink(), &json!({"contentMode": "structured", "auth": {}}))));
}

#[test]
fn topic_of_a_kafka_sink_cannot_change_and_the_rest_can() {
    each_is_immutable(
        V1ALPHA1,
        "KafkaSink",
        &sink(),
        [
            ("topic", json!("other")),
            ("numPartitions", json!(4)),
            ("numPartitions", Value::Null),
            ("replicationFactor", json!(1)),
        ],
    );
    let old = admitted(object(V1ALPHA1, "KafkaSink", &sink())).object;
    let change = json!({"bootstrapServers": ["b:1"], "contentMode": "structured"});
    updated(object(V1ALPHA1, "KafkaSink", &with(&sink(), &change)), &old);
}
