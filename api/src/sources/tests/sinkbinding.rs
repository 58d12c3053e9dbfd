use super::*;

fn binding(spec: &Value) -> Value {
    object(VERSION, "SinkBinding", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "subject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}})
}

fn subject(change: &Value) -> Value {
    json!({"subject": with(&base()["subject"], change)})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let mut cases = source_rules();
    cases.extend([
        (subject(&json!({"apiVersion": ""})), "missing field(s): spec.subject.apiVersion"),
        (subject(&json!({"apiVersion": "a/b/c"})), "spec.subject.apiVersion: Invalid value: \"a/b/c\": expected"),
        (subject(&json!({"kind": null})), "missing field(s): spec.subject.kind"),
        (subject(&json!({"kind": "1st"})), "spec.subject.kind: Invalid value: \"1st\": expected letters, digits and _"),
        (subject(&json!({"kind": "A-B"})), "spec.subject.kind: Invalid value: \"A-B\""),
        (
            subject(&json!({"namespace": "other"})),
            "spec.subject.namespace: Invalid value: \"other\": the namespace has to be the binding's own, shop",
        ),
        (subject(&json!({"namespace": "A"})), "spec.subject.namespace: Invalid value: \"A\": expected at most 63"),
        (subject(&json!({"name": ""})), "expected exactly one, got neither: spec.subject.name, spec.subject.selector"),
        (subject(&json!({"selector": {}})), "expected exactly one, got both: spec.subject.name, spec.subject.selector"),
        (subject(&json!({"name": "a.b"})), "spec.subject.name: Invalid value: \"a.b\": expected at most 63 lower case"),
        (
            subject(&json!({"name": null, "selector": {"matchLabels": {"a": "-"}}})),
            "spec.subject.selector.matchLabels.a: Invalid value: \"-\"",
        ),
    ]);
    assert_refused(binding, &base(), &cases);

    let none = refused(binding(&json!({"sink": sink()})), None);
    let expected = [
        "missing field(s): spec.subject.apiVersion",
        "missing field(s): spec.subject.kind",
        "expected exactly one, got neither: spec.subject.name, spec.subject.selector",
    ];
    assert_eq!(none.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn subject_by_labels_is_taken() {
    let by_labels = json!({"name": null, "selector": {"matchLabels": {"app": "a"}}});
    assert_admitted(binding, &base(), &[subject(&by_labels), subject(&json!({"namespace": "shop"}))]);
}

#[test]
fn subject_and_sink_get_the_own_namespace_and_may_change() {
    let sink = json!({"ref": {"kind": "Broker", "name": "default", "apiVersion": "eventing.knative.dev/v1"}});
    let old = admitted(binding(&with(&base(), &json!({ "sink": sink })))).object;
    assert_eq!(old["spec"]["subject"]["namespace"], "shop");
    assert_eq!(old["spec"]["sink"]["ref"]["namespace"], "shop");
    let new = with(&old["spec"], &subject(&json!({"name": "other", "namespace": "shop"})));
    assert_eq!(updated(binding(&new), &old)["spec"], new);
}
