use super::*;
use crate::sources::GITHUB_EVENT_NAMES;

fn github(spec: &Value) -> Value {
    object("sources.knative.dev/v1alpha1", "GitHubSource", spec)
}

fn base() -> Value {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "github", "key": key}});
    json!({
        "sink": sink(),
        "ownerAndRepository": "octo/cat",
        "eventTypes": ["push"],
        "accessToken": secret("access"),
        "secretToken": secret("secret"),
    })
}

#[test]
fn each_rule_is_told_with_its_path() {
    let reference = json!({"kind": "Service", "name": "s", "apiVersion": "v1"});
    let repository = |name: &str| json!({"ownerAndRepository": name});
    let mut cases = source_rules();
    cases[0].1 = "expected exactly one, got neither: spec.sink.ref, spec.sink.uri";
    cases.extend([
        (
            json!({"sink": {"ref": reference, "uri": "/path"}}),
            "expected exactly one, got both: spec.sink.ref, spec.sink.uri",
        ),
        (repository(""), "missing field(s): spec.ownerAndRepository"),
        (json!({"ownerAndRepository": null}), "missing field(s): spec.ownerAndRepository"),
        (repository("a/b/c"), "spec.ownerAndRepository: Invalid value: \"a/b/c\": expected owner/repository or owner"),
        (repository("/b"), "spec.ownerAndRepository: Invalid value: \"/b\""),
        (repository("a/"), "spec.ownerAndRepository: Invalid value: \"a/\""),
        (repository("a b"), "spec.ownerAndRepository: Invalid value: \"a b\""),
        (json!({"eventTypes": []}), "missing field(s): spec.eventTypes"),
        (
            json!({"eventTypes": ["push", "pushed"]}),
            "spec.eventTypes[1]: Invalid value: \"pushed\": expected an event of GitHub: check_run, check_suite",
        ),
        (json!({"accessToken": null}), "missing field(s): spec.accessToken"),
        (json!({"secretToken": null}), "missing field(s): spec.secretToken"),
        (json!({"accessToken": {}}), "missing field(s): spec.accessToken.secretKeyRef"),
        (
            json!({"secretToken": {"secretKeyRef": {"name": "", "key": "k"}}}),
            "missing field(s): spec.secretToken.secretKeyRef.name",
        ),
        (
            json!({"githubAPIURL": "https://host/api"}),
            "spec.githubAPIURL: Invalid value: \"https://host/api\": expected",
        ),
        (json!({"githubAPIURL": "host/"}), "spec.githubAPIURL: Invalid value: \"host/\": expected an absolute URL"),
    ]);
    assert_refused(github, &base(), &cases);
}

#[test]
fn what_knative_takes_is_taken() {
    let cases = [
        json!({"ownerAndRepository": "octo", "eventTypes": GITHUB_EVENT_NAMES}),
        json!({"githubAPIURL": "https://host/api/v3/", "secure": true, "serviceAccountName": "hooks"}),
        json!({"sink": {"ref": {"kind": "Service", "name": "s", "apiVersion": "v1"}}}),
    ];
    assert_admitted(github, &base(), &cases);
}

#[test]
fn nothing_is_defaulted_and_everything_may_change() {
    let old = admitted(github(&base())).object;
    assert_eq!(old["spec"], base());
    let new = with(&base(), &json!({"ownerAndRepository": "other", "eventTypes": ["issues"]}));
    assert_eq!(updated(github(&new), &old)["spec"], new);
}

#[test]
fn schema_and_registry_list_the_events_of_github() {
    let kind = kinds::find("sources.knative.dev/v1alpha1", "GitHubSource").expect("a kind");
    let annotations = kind.definition.metadata.annotations.as_ref().expect("annotations");
    let types: Value = serde_json::from_str(&annotations["registry.knative.dev/eventTypes"]).expect("JSON");
    let expected: Vec<_> =
        GITHUB_EVENT_NAMES.iter().map(|name| json!({"type": format!("dev.knative.source.github.{name}")})).collect();
    assert_eq!(types, Value::Array(expected));
    let definition = serde_json::to_value(&kind.definition).expect("JSON");
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/eventTypes/items/enum";
    assert_eq!(definition.pointer(path), Some(&json!(GITHUB_EVENT_NAMES)));
}
