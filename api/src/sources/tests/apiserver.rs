use super::*;

fn apiserver(spec: &Value) -> Value {
    object(VERSION, "ApiServerSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "resources": [{"apiVersion": "v1", "kind": "Event"}]})
}

fn resource(change: &Value) -> Value {
    json!({"resources": [with(&json!({"apiVersion": "v1", "kind": "Event"}), change)]})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let expression = |expression: Value| resource(&json!({"selector": {"matchExpressions": [expression]}}));
    let mut cases = source_rules();
    cases.extend([
        (json!({"resources": []}), "missing field(s): spec.resources"),
        (resource(&json!({"apiVersion": ""})), "missing field(s): spec.resources[0].apiVersion"),
        (resource(&json!({"apiVersion": "a/b/c"})), "spec.resources[0].apiVersion: Invalid value: \"a/b/c\": expected"),
        (resource(&json!({"apiVersion": "apps/"})), "spec.resources[0].apiVersion: Invalid value: \"apps/\": expected"),
        (resource(&json!({"kind": " "})), "missing field(s): spec.resources[0].kind"),
        (
            resource(&json!({"selector": {"matchLabels": {"a b": "c"}}})),
            "invalid key name \"a b\": spec.resources[0].selector.matchLabels",
        ),
        (
            resource(&json!({"selector": {"matchLabels": {"a": "b c"}}})),
            "spec.resources[0].selector.matchLabels.a: Invalid value: \"b c\"",
        ),
        (
            expression(json!({"key": "a", "operator": "Equals"})),
            "spec.resources[0].selector.matchExpressions[0].operator: Invalid value: \"Equals\": expected In, NotIn",
        ),
        (
            expression(json!({"key": "a", "operator": "In"})),
            "missing field(s): spec.resources[0].selector.matchExpressions[0].values",
        ),
        (
            expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            "must not set the field(s): spec.resources[0].selector.matchExpressions[0].values",
        ),
        (
            expression(json!({"key": "a", "operator": "In", "values": ["b", "-"]})),
            "spec.resources[0].selector.matchExpressions[0].values[1]: Invalid value: \"-\"",
        ),
        (
            expression(json!({"key": "", "operator": "Exists"})),
            "missing field(s): spec.resources[0].selector.matchExpressions[0].key",
        ),
        (
            expression(json!({"key": "a b", "operator": "Exists"})),
            "spec.resources[0].selector.matchExpressions[0].key: Invalid value: \"a b\"",
        ),
        (json!({"owner": {"kind": "Deployment"}}), "missing field(s): spec.owner.apiVersion"),
        (json!({"owner": {"apiVersion": "apps/v1"}}), "missing field(s): spec.owner.kind"),
        (json!({"mode": "Ref"}), "spec.mode: Invalid value: \"Ref\": expected Reference or Resource"),
        (
            json!({"namespaceSelector": {"matchLabels": {"": "a"}}}),
            "invalid key name \"\": spec.namespaceSelector.matchLabels",
        ),
        (json!({"filters": [{"exact": {"A": "b"}}]}), "invalid key name \"A\": spec.filters[0].exact"),
    ]);
    assert_refused(apiserver, &base(), &cases);

    let with_annotation = |spec: &Value| {
        let mut object = apiserver(spec);
        let name = "features.knative.dev/apiserversource-skip-permissions-check";
        object["metadata"]["annotations"] = json!({ name: "yes" });
        object
    };
    let expected = "metadata.annotations[features.knative.dev/apiserversource-skip-permissions-check]: Invalid value: \
                    \"yes\": expected true or false";
    assert_refused(with_annotation, &base(), &[(json!({}), expected)]);
}

#[test]
fn what_knative_takes_is_taken() {
    let cases = [
        json!({"mode": "Resource", "owner": {"apiVersion": "apps/v1", "kind": "Deployment"}}),
        json!({"namespaceSelector": {}}),
        json!({"filters": [{"exact": {"type": "dev.knative.apiserver.ref.add"}}]}),
        resource(
            &json!({"selector": {"matchExpressions": [{"key": "a/b", "operator": "NotIn", "values": ["", "c"]}]}}),
        ),
    ];
    assert_admitted(apiserver, &base(), &cases);
}

#[test]
fn mode_and_service_account_have_defaults_and_may_change() {
    let old = admitted(apiserver(&base())).object;
    let defaults = json!({"mode": "Reference", "serviceAccountName": "default"});
    assert_eq!(old["spec"], with(&base(), &defaults));
    let new = with(&old["spec"], &json!({"mode": "Resource", "serviceAccountName": "reader"}));
    assert_eq!(updated(apiserver(&new), &old)["spec"], new);
}
