use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

use super::super::written::Comparison;
use super::*;

#[test]
fn two_specs_are_the_same_but_for_what_says_nothing_and_what_the_schema_does() {
    let schema: JSONSchemaProps = serde_json::from_value(json!({
        "type": "object",
        "properties": {
            "retry": {"type": "integer", "default": 3},
            "steps": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "template": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }))
    .expect("a schema");
    let reference = |namespace: &str| json!({"ref": {"kind": "Service", "name": "s", "namespace": namespace}});
    let bare = json!({"ref": {"kind": "Service", "name": "s"}});
    for (current, expected, same) in [
        (json!({"a": 1}), json!({"a": 1}), true),
        (json!({"a": 1}), json!({"a": 2}), false),
        (reference("shop"), bare.clone(), true),
        (bare.clone(), reference("shop"), true),
        (reference("other"), bare.clone(), false),
        (bare, reference("other"), false),
        (json!({"namespace": "shop"}), json!({}), false),
        (json!({}), json!({"retry": null}), true),
        (json!({"retry": 3}), json!({}), true),
        (json!({"retry": 4}), json!({}), false),
        (json!({}), json!({"retry": 3}), false),
        (json!({}), json!({"unknown": {"a": 1}}), true),
        (json!({"unknown": {"a": 1}}), json!({}), false),
        (json!({"steps": [{"name": "a"}]}), json!({"steps": [{"name": "a", "unknown": 1}]}), true),
        (json!({"steps": [{}]}), json!({"steps": [{"name": "a"}]}), false),
        (json!({"steps": [{}, {}]}), json!({"steps": [{}]}), false),
        (json!({"labels": {}}), json!({"labels": {"a": "b"}}), false),
        (json!({"template": {}}), json!({"template": {"a": "b"}}), false),
        (json!({}), json!({"labels": {}}), false),
    ] {
        let object = |value: &Value| value.as_object().expect("object").clone();
        let found = Comparison { namespace: "shop" }.same_object(&object(&current), &object(&expected), Some(&schema));
        assert_eq!(found, same, "{current} for {expected}");
    }
    let unknown = Object::from_iter([("unknown".to_owned(), json!(1))]);
    let found = Comparison { namespace: "shop" }.same_object(&Object::new(), &unknown, None);
    assert!(!found, "without a schema nothing was dropped");
}
