use serde_json::{Value, json};

use super::*;

fn object(annotations: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "eventing.knative.dev/any", "kind": "EventType",
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": spec,
        "status": {"observedGeneration": 1},
    });
    if !annotations.is_null() {
        object["metadata"]["annotations"] = annotations.clone();
    }
    object
}

fn plain(spec: &Value) -> Value {
    object(&Value::Null, spec)
}

fn broker(name: &str) -> Value {
    json!({"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": name})
}

fn attribute(name: &str, required: bool) -> Value {
    json!({"name": name, "required": required})
}

fn valued(name: &str, required: bool, value: &str) -> Value {
    json!({"name": name, "required": required, "value": value})
}

/// `type`, `source` and what has to stand before them.
fn core() -> Vec<Value> {
    vec![attribute("specversion", true), attribute("id", true), valued("type", true, "t"), valued("source", true, "/s")]
}

#[test]
fn fields_become_attributes_and_back() {
    let stored = json!({
        "type": "t", "source": "/s", "schema": "http://schema/", "description": "d", "reference": broker("b"),
    });
    let mut attributes = core();
    attributes.push(valued("schemadata", false, "http://schema/"));
    let served = json!({"attributes": attributes, "description": "d", "reference": broker("b")});
    assert_eq!((V1BETA3.from_stored)(plain(&stored)), plain(&served));
    assert_eq!((V1BETA3.to_stored)(plain(&served)), plain(&stored));
}

#[test]
fn broker_becomes_a_reference_in_v1beta3() {
    let stored = json!({"type": "t", "source": "/s", "broker": "b"});
    let served = json!({"attributes": core(), "reference": broker("b")});
    assert_eq!((V1BETA3.from_stored)(plain(&stored)), plain(&served));
    let both = json!({"type": "t", "source": "/s", "broker": "b", "reference": broker("other")});
    assert_eq!((V1BETA3.from_stored)(plain(&both))["spec"]["reference"], broker("other"), "the reference wins");
}

#[test]
fn broker_of_v1beta1_becomes_a_reference_and_can_be_edited() {
    let served = |broker: &str| plain(&json!({"type": "t", "broker": broker}));
    let mut reference = broker("b");
    reference["namespace"] = json!("shop");
    let stored = (V1BETA1.to_stored)(served("b"));
    assert_eq!(stored, plain(&json!({"type": "t", "broker": "b", "reference": reference})));
    let mut read = (V1BETA1.from_stored)(stored);
    assert_eq!(read, served("b"));
    read["spec"]["broker"] = json!("c");
    assert_eq!((V1BETA1.to_stored)(read)["spec"]["reference"]["name"], "c");
}

#[test]
fn reference_of_v1beta1_is_kept() {
    for spec in [
        json!({"type": "t"}),
        json!({"type": "t", "reference": broker("b")}),
        json!({"type": "t", "broker": "a", "reference": broker("b")}),
    ] {
        assert_eq!((V1BETA1.to_stored)(plain(&spec)), plain(&spec));
        assert_eq!((V1BETA1.from_stored)(plain(&spec)), plain(&spec));
    }
}

#[test]
fn what_the_stored_version_has_no_field_for_survives_it() {
    let mut more = core();
    more.push(valued("tenant", true, "{tenant}"));
    for attributes in [
        json!(more),
        json!([]),
        json!([attribute("type", false)]),
        json!([valued("type", true, "t")]),
        json!([valued("id", true, "1"), valued("schemadata", true, "http://schema/"), valued("type", false, "t")]),
        json!([valued("type", true, "twice"), valued("type", true, "t")]),
    ] {
        let mut served = object(&json!({"other": "stays"}), &json!({ "attributes": attributes }));
        let stored = (V1BETA3.to_stored)(served.clone());
        if attributes == json!([]) {
            served["spec"] = json!({});
        }
        assert_eq!((V1BETA3.from_stored)(stored.clone()), served, "by way of {stored}");
    }
}

#[test]
fn change_in_the_stored_version_shows_among_the_kept_attributes() {
    let attributes =
        json!([valued("type", true, "t"), valued("tenant", true, "a"), valued("schemadata", true, "http://b/")]);
    let mut stored = (V1BETA3.to_stored)(plain(&json!({ "attributes": attributes })));
    stored["spec"] = json!({"type": "new", "source": "/s"});
    let expected = json!([
        valued("type", true, "new"),
        valued("tenant", true, "a"),
        attribute("schemadata", true),
        valued("source", true, "/s"),
    ]);
    assert_eq!((V1BETA3.from_stored)(stored)["spec"]["attributes"], expected);
}

#[test]
fn schema_data_survives_an_edit_in_v1beta3() {
    let stored = plain(&json!({"type": "t", "source": "/s", "schemaData": "{}"}));
    let served = (V1BETA3.from_stored)(stored.clone());
    assert_eq!(served["metadata"]["annotations"], json!({"weir.dev/event-type-schema-data": "{}"}));
    assert_eq!((V1BETA3.to_stored)(served), stored);
}

#[test]
fn what_is_no_event_type_is_left_as_it_is() {
    for spec in [json!({"attributes": 1}), json!("text")] {
        assert_eq!((V1BETA3.to_stored)(plain(&spec)), plain(&spec));
    }
    assert_eq!((V1BETA3.from_stored)(json!({})), json!({}));
}
