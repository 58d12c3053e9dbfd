use super::*;

fn sqs(spec: &Value) -> Value {
    object("sources.knative.dev/v1alpha1", "AwsSqsSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "queueUrl": "https://sqs.us-west-2.amazonaws.com/123456789012/orders"})
}

fn flat(name: &str) -> Value {
    json!({"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": name})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let mut cases = source_rules();
    cases.extend([
        (json!({"queueUrl": null}), "missing field(s): spec.queueUrl"),
        (json!({"queueUrl": "orders"}), "spec.queueUrl: Invalid value: \"orders\": expected an absolute URL such as"),
        (json!({"awsCredsSecret": {"name": "", "key": "k"}}), "missing field(s): spec.awsCredsSecret.name"),
        (json!({"awsCredsSecret": {"name": "aws"}}), "missing field(s): spec.awsCredsSecret.key"),
        (json!({"annotations": {"a b": "c"}}), "invalid key name \"a b\": spec.annotations: expected"),
        (json!({"sink": {"kind": "Channel", "name": "c"}}), "missing field(s): spec.sink.ref.apiVersion"),
        (
            json!({"sink": with(&flat("c"), &sink())}),
            "spec.sink.uri: Invalid value: \"http://example.com/\": next to ref",
        ),
    ]);
    assert_refused(sqs, &base(), &cases);
}

#[test]
fn what_knative_takes_is_taken() {
    let cases = [
        json!({"awsCredsSecret": {"name": "aws", "key": "credentials"}, "serviceAccountName": "sqs"}),
        json!({"annotations": {"iam.Amazonaws.com/role": "reader"}}),
        json!({"queueUrl": "http://localhost:4566/000000000000/orders"}),
    ];
    assert_admitted(sqs, &base(), &cases);
}

#[test]
fn older_form_of_the_sink_becomes_a_reference() {
    let sink = |sink: Value| admitted(sqs(&with(&base(), &json!({ "sink": sink })))).object["spec"]["sink"].clone();
    assert_eq!(sink(flat("c")), json!({"ref": flat("c")}));
    let elsewhere = with(&flat("c"), &json!({"namespace": "other"}));
    assert_eq!(sink(elsewhere.clone()), json!({ "ref": elsewhere }));
    assert_eq!(sink(with(&flat("c"), &json!({"uri": "/path"}))), json!({"ref": flat("c"), "uri": "/path"}));
    // Both: the reference counts.
    assert_eq!(sink(with(&flat("c"), &json!({"ref": flat("d")}))), json!({"ref": flat("d")}));
}

#[test]
fn manifest_of_the_older_form_can_be_changed_and_applied_again() {
    let with_sink = |sink: Value| sqs(&with(&base(), &json!({ "sink": sink })));
    let old = admitted(with_sink(flat("c"))).object;
    // What `kubectl apply` sends: the manifest laid over the stored object.
    let applied = with_sink(with(&flat("d"), &json!({"ref": flat("c")})));
    let new = updated(applied, &old);
    assert_eq!(new["spec"]["sink"], json!({"ref": flat("d")}));
}
