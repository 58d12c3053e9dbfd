//! What may change, what a chosen Revision name asks for, and who is recorded (resources.md 5, 6.2, 6.7).

use serde_json::{Value, json};

use super::{admitted, check_rows, object, refused, service, with};
use crate::admission::{Context, admit};

const IMAGE: &str = "/spec/template/spec/containers/0/image";
const NAME: &str = "/spec/template/metadata/name";

#[test]
fn spec_of_a_revision_never_changes() {
    let old = admitted(object("Revision", json!({"containers": [{"image": "nginx:1"}]})), None).object;
    let told = refused(with(old.clone(), "/spec/containers/0/image", json!("nginx:2")), Some(&old));
    let change = r#"{"containers[0].image":{"new":"nginx:2","old":"nginx:1"}}"#;
    assert_eq!(told, format!("spec: Invalid value: {change}: immutable fields changed"));
    // Not even to what a default would say today.
    let bare = object("Revision", json!({"containers": [{"image": "nginx:1"}]}));
    assert!(refused(bare, Some(&old)).starts_with("spec: Invalid value: "));
    let labelled = with(old.clone(), "/metadata/labels", json!({"serving.knative.dev/routingState": "reserve"}));
    assert_eq!(admitted(labelled.clone(), Some(&old)).object, labelled);
}

#[test]
fn stored_revision_gets_no_newer_defaults() {
    let old = object("Revision", json!({"containers": [{"image": "nginx:1"}]}));
    let new = with(old.clone(), "/metadata/labels", json!({"a": "b"}));
    assert_eq!(admitted(new.clone(), Some(&old)).object, new);
}

#[test]
fn chosen_name_begins_with_that_of_the_parent() {
    let configuration = object("Configuration", service()["spec"].clone());
    for base in [service(), configuration] {
        let at = "spec.template.metadata.name: Invalid value: ";
        check_rows(
            &base,
            &[
                (NAME, json!("hello-one"), ""),
                (NAME, json!("hello"), &format!("{at}\"hello\": must have prefix \"hello-\"")),
                (NAME, json!("other-one"), &format!("{at}\"other-one\": must have prefix \"hello-\"")),
                (NAME, json!("hello-One"), &format!("{at}\"hello-One\": not a DNS-1035 label")),
                ("/spec/template/metadata/generateName", json!("hello-"), ""),
                (
                    "/spec/template/metadata/generateName",
                    json!("-a"),
                    "spec.template.metadata.generateName: Invalid value: \"-a\": not a DNS-1035 label prefix",
                ),
            ],
        );
        let generated = with(base, "/metadata", json!({"generateName": "hello-", "namespace": "shop"}));
        let expected = "must not set the field(s): spec.template.metadata.name: ";
        check_rows(&generated, &[(NAME, json!("hello-one"), expected), (IMAGE, json!("nginx"), "")]);
    }
}

#[test]
fn template_with_the_same_chosen_name_is_the_same() {
    let old = admitted(with(service(), NAME, json!("hello-one")), None).object;
    let told = refused(with(old.clone(), IMAGE, json!("nginx:2")), Some(&old));
    let expected = "spec.template.metadata.name: Invalid value: \"hello-one\": the template changed without a name \
                    change: {\"spec.containers[0].image\":{\"new\":\"nginx:2\",\"old\":\"nginx\"}}";
    assert_eq!(told, expected);
    let labelled = with(old.clone(), "/spec/template/metadata/labels", json!({"a": "b"}));
    assert!(refused(labelled, Some(&old)).starts_with("spec.template.metadata.name: Invalid value: \"hello-one\""));
    // A change beside the template is no change of it, another name or none makes another Revision.
    admitted(with(old.clone(), "/spec/traffic/0/tag", json!("now")), Some(&old));
    admitted(with(with(old.clone(), IMAGE, json!("nginx:2")), NAME, json!("hello-two")), Some(&old));
    admitted(with(with(old.clone(), IMAGE, json!("nginx:2")), NAME, Value::Null), Some(&old));
}

#[test]
fn template_with_the_same_chosen_name_gets_no_defaults() {
    let bare = with(service(), NAME, json!("hello-one"));
    let labelled = with(bare.clone(), "/metadata/labels", json!({"a": "b"}));
    let template = &admitted(labelled.clone(), Some(&bare)).object["spec"]["template"];
    assert_eq!(*template, labelled["spec"]["template"]);
}

#[test]
fn creator_and_last_modifier_are_not_for_clients() {
    let template = service()["spec"].clone();
    let domain = {
        let reference = json!({"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello"});
        let domain =
            with(object("DomainMapping", json!({ "ref": reference })), "/metadata/name", json!("a.example.com"));
        with(domain, "/apiVersion", json!("serving.knative.dev/v1beta1"))
    };
    let route = object("Route", json!({"traffic": [{"configurationName": "a", "percent": 100}]}));
    for new in [service(), object("Configuration", template), route, domain] {
        let old = admitted(new, None).object;
        assert_eq!(old["metadata"]["annotations"]["serving.knative.dev/creator"], "ann", "{old}");
        for user in ["creator", "lastModifier"] {
            let key = format!("serving.knative.dev/{user}");
            let forged = with(old.clone(), &format!("/metadata/annotations/serving.knative.dev~1{user}"), json!("bob"));
            let expected = format!("metadata.annotations[{key}]: Invalid value: \"bob\": field is immutable");
            assert!(refused(forged, Some(&old)).starts_with(&expected), "{key}");
        }
    }
}

#[test]
fn last_modifier_is_who_changed_the_spec() {
    let old = admitted(service(), None).object;
    let bob = Context { user: Some("bob") };
    let changed = admit(with(old.clone(), IMAGE, json!("nginx:2")), Some(&old), bob).expect("admitted").object;
    let annotations = &changed["metadata"]["annotations"];
    assert_eq!(annotations["serving.knative.dev/creator"], "ann");
    assert_eq!(annotations["serving.knative.dev/lastModifier"], "bob");
    let labelled = admit(with(old.clone(), "/metadata/labels", json!({"a": "b"})), Some(&old), bob).expect("admitted");
    assert_eq!(labelled.object["metadata"]["annotations"], old["metadata"]["annotations"]);
}

#[test]
fn update_from_a_manifest_keeps_who_is_recorded() {
    let old = admitted(service(), None).object;
    let labelled = with(service(), "/metadata/labels", json!({"a": "b"}));
    let new = admit(labelled, Some(&old), Context::default()).expect("admitted").object;
    assert_eq!(new["metadata"]["annotations"], old["metadata"]["annotations"]);
}

#[test]
fn controllers_say_themselves_who_made_what_they_own() {
    let owner = json!([{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello", "uid": "u"}]);
    let route = object("Route", json!({"traffic": [{"configurationName": "hello", "percent": 100}]}));
    let creator = json!({"serving.knative.dev/creator": "carl"});
    for owned in [object("Configuration", service()["spec"].clone()), route] {
        let owned =
            with(with(owned, "/metadata/ownerReferences", owner.clone()), "/metadata/annotations", creator.clone());
        let old = admitted(owned, None).object;
        assert_eq!(old["metadata"]["annotations"], creator);
        let annotations = json!({"serving.knative.dev/creator": "dora"});
        admitted(with(old.clone(), "/metadata/annotations", annotations), Some(&old));
    }
    let revision = object("Revision", service()["spec"]["template"]["spec"].clone());
    assert_eq!(admitted(revision, None).object["metadata"].get("annotations"), None);
}
