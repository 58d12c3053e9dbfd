#![expect(clippy::needless_pass_by_value, reason = "rows of values read better")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

mod channels;
mod containers;
mod eventing;
mod flows;
mod merges;
mod serving;
mod sources;
mod written;

/// An object `x` in the namespace `shop`.
fn object(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": spec,
    })
}

fn form(api_version: &str, kind: &str) -> &'static Legacy {
    find(api_version, kind).unwrap_or_else(|| panic!("no form {api_version} {kind}"))
}

fn convert(api_version: &str, kind: &str, spec: Value) -> Result<Converted, FieldErrors> {
    form(api_version, kind).to_current(object(api_version, kind, spec), None)
}

fn converted(api_version: &str, kind: &str, spec: Value) -> Converted {
    convert(api_version, kind, spec.clone()).unwrap_or_else(|error| panic!("{api_version} {kind} {spec}: {error}"))
}

/// `written` becomes `current`, without a warning of its own, and is shown as it was written.
fn becomes(api_version: &str, kind: &str, written: Value, current: Value) {
    let converted = converted(api_version, kind, written.clone());
    let legacy = form(api_version, kind);
    assert_eq!(converted.object["spec"], current, "{api_version} {kind}");
    assert_eq!(converted.object["apiVersion"], legacy.becomes.0);
    assert_eq!(converted.object["kind"], legacy.becomes.1);
    assert_eq!(converted.warnings.len(), 1, "{:?}", converted.warnings);
    let shown = legacy.from_current(converted.object);
    assert_eq!(shown, object(api_version, kind, written));
}

/// What `written` becomes, and the warnings beside the one that it did.
fn becomes_with_warnings(api_version: &str, kind: &str, written: Value, current: Value, warnings: &[&str]) {
    let converted = converted(api_version, kind, written);
    assert_eq!(converted.object["spec"], current, "{api_version} {kind}");
    assert_eq!(converted.warnings[1..], *warnings);
}

/// `current` and `shown` are each other, although nobody wrote `shown`: no annotation is needed for it.
fn computed(api_version: &str, kind: &str, current: Value, shown: Value) {
    let legacy = form(api_version, kind);
    let found = legacy.from_current(object(legacy.becomes.0, legacy.becomes.1, current.clone()));
    assert_eq!(found["spec"], shown, "{api_version} {kind}");
    let back = converted(api_version, kind, shown).object;
    assert_eq!(back["spec"], current, "{api_version} {kind}");
    assert_eq!(back.pointer("/metadata/annotations/weir.dev~1written-spec"), None);
}

fn refused(api_version: &str, kind: &str, written: Value, error: &str) {
    match convert(api_version, kind, written.clone()) {
        Ok(converted) => panic!("{api_version} {kind} {written} became {converted:?}"),
        Err(errors) => assert_eq!(errors.to_string(), error, "{api_version} {kind} {written}"),
    }
}

/// `old` and `current` are the same status, both ways.
fn status(api_version: &str, kind: &str, old: Value, current: Value) {
    let legacy = form(api_version, kind);
    let mut stored = object(legacy.becomes.0, legacy.becomes.1, json!({}));
    stored["status"] = current.clone();
    assert_eq!(legacy.from_current(stored)["status"], old, "{api_version} {kind}");
    let mut written = object(api_version, kind, json!({"template": {}}));
    written["status"] = old;
    let converted = legacy.to_current(written, None).expect("converted");
    assert_eq!(converted.object["status"], current, "{api_version} {kind}");
}

fn conditions(types: &[&str]) -> Value {
    types.iter().map(|name| json!({"type": name, "status": "True"})).collect()
}

fn reference(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name})
}

fn service(name: &str) -> Value {
    reference("v1", "Service", name)
}

#[test]
fn every_row_leads_to_a_kind_that_is_not_legacy_and_none_shadows_a_current_one() {
    let mut kinds = BTreeSet::new();
    let mut resources = BTreeSet::new();
    for row in all() {
        assert!(kinds.insert((row.group, row.version, row.kind)), "twice: {row:?}");
        assert!(resources.insert((row.group, row.version, row.plural)), "twice: {row:?}");
        assert!(find(row.becomes.0, row.becomes.1).is_none(), "{row:?} becomes another legacy form");
        assert!(crate::kinds::find(&row.api_version(), row.kind).is_none(), "{row:?} is served as current");
        assert!(row.name().len() <= 63, "{} is no label value", row.name());
    }
}

#[test]
fn the_rows_are_those_that_have_been_and_the_mixtures_people_have() {
    let versions = |group: &str, kind: &str| {
        let rows = all().iter().filter(|row| row.group == group && row.kind == kind);
        rows.map(|row| row.version).collect::<Vec<_>>().join(" ")
    };
    let mixed = "v1alpha1 v1alpha2 v1beta1";
    for (group, kinds, expected) in [
        ("eventing.knative.dev", "Broker Trigger Channel Subscription Sequence Parallel", mixed),
        ("eventing.knative.dev", "EventType", "v1alpha1 v1alpha2"),
        ("messaging.knative.dev", "Channel InMemoryChannel Subscription Sequence Parallel", mixed),
        ("messaging.knative.dev", "Choice KafkaChannel", "v1alpha1"),
        ("messaging.knative.dev", "NatsJetStreamChannel", ""),
        ("flows.knative.dev", "Sequence Parallel", "v1alpha1 v1beta1"),
        ("sources.knative.dev", "PingSource", "v1alpha1 v1alpha2 v1beta1"),
        ("sources.knative.dev", "ApiServerSource ContainerSource SinkBinding", "v1alpha1 v1alpha2 v1beta1 v1beta2"),
        ("sources.knative.dev", "CronJobSource", "v1alpha2"),
        ("sources.knative.dev", "KafkaSource AwsSqsSource", ""),
        ("sources.eventing.knative.dev", "CronJobSource ContainerSource ApiServerSource AwsSqsSource", "v1alpha1"),
        ("serving.knative.dev", "Service Configuration Revision Route", "v1alpha1 v1beta1"),
        ("serving.knative.dev", "DomainMapping", ""),
    ] {
        for kind in kinds.split(' ') {
            assert_eq!(versions(group, kind), expected, "{group} {kind}");
        }
    }
    assert!(find("eventing.knative.dev/v1", "Trigger").is_none());
    assert!(find("v1", "Service").is_none());
}

#[test]
fn only_objects_of_another_kind_are_labelled_and_shown_only_in_the_form_they_were_written_in() {
    let own: Vec<String> = all().iter().filter(|row| row.only_own()).map(Legacy::name).collect();
    let expected = [
        "Choice.v1alpha1.messaging.knative.dev",
        "CronJobSource.v1alpha1.sources.eventing.knative.dev",
        "CronJobSource.v1alpha2.sources.knative.dev",
    ];
    assert_eq!(own, expected);
    for row in all().iter().filter(|row| row.only_own()) {
        let mut written = object(&row.api_version(), row.kind, json!({"template": {}}));
        written["metadata"]["labels"] = json!({"app": "a"});
        let converted = row.to_current(written.clone(), None).expect("converted").object;
        assert_eq!(converted["metadata"]["labels"], json!({"app": "a", CONVERTED_FROM: row.name()}));
        assert_eq!(row.from_current(converted), written);
    }
}

/// The manifests of `examples/legacy`, as people have them, and those of `examples/current`, as they should be.
const EXAMPLES: [(&str, &str); 6] = [
    (
        include_str!("../../../examples/legacy/cronjobsource.yaml"),
        include_str!("../../../examples/current/containersource.yaml"),
    ),
    (
        include_str!("../../../examples/legacy/channel.yaml"),
        include_str!("../../../examples/current/channel.yaml"), //
    ),
    (
        include_str!("../../../examples/legacy/subscription.yaml"),
        include_str!("../../../examples/current/subscription.yaml"),
    ),
    (
        include_str!("../../../examples/legacy/sequence.yaml"),
        include_str!("../../../examples/current/sequence.yaml"), //
    ),
    (
        include_str!("../../../examples/legacy/parallel.yaml"),
        include_str!("../../../examples/current/parallel.yaml"), //
    ),
    (
        include_str!("../../../examples/legacy/trigger.yaml"),
        include_str!("../../../examples/current/trigger.yaml"), //
    ),
];

#[test]
fn manifests_as_people_still_have_them_become_current_ones_and_are_shown_as_written() {
    for (legacy, current) in EXAMPLES {
        let written: Value = serde_yaml_ng::from_str(legacy).expect("YAML");
        let current: Value = serde_yaml_ng::from_str(current).expect("YAML");
        let text = |object: &Value, field: &str| object[field].as_str().expect("text").to_owned();
        let row = form(&text(&written, "apiVersion"), &text(&written, "kind"));
        let mut converted = row.to_current(written.clone(), None).expect("converted");
        assert_eq!(converted.warnings.len(), 1, "{:?}", converted.warnings);
        assert_eq!(converted.companions, [Value::Null; 0]);
        assert_eq!(row.from_current(converted.object.clone()), written);
        for field in ["annotations", "labels"] {
            converted.object["metadata"].as_object_mut().expect("metadata").remove(field);
        }
        assert_eq!(converted.object, current);
        assert!(find(&text(&current, "apiVersion"), &text(&current, "kind")).is_none());
    }
}

#[test]
fn the_warning_says_what_to_write_instead() {
    let converted = converted("sources.knative.dev/v1alpha2", "CronJobSource", json!({"template": {}}));
    let warning = "sources.knative.dev/v1alpha2 CronJobSource \"x\" became sources.knative.dev/v1 ContainerSource \
                   \"x\": update the manifest";
    assert_eq!(converted.warnings, [warning]);
    let unnamed = json!({"metadata": {"generateName": "y-"}});
    let warnings =
        form("eventing.knative.dev/v1beta1", "Broker").to_current(unnamed, None).expect("converted").warnings;
    let expected = "eventing.knative.dev/v1beta1 Broker \"y-\" became eventing.knative.dev/v1 Broker \"y-\": \
                    update the manifest";
    assert_eq!(warnings, [expected]);
}

#[test]
fn what_is_not_of_the_spec_is_kept() {
    let mut written = object("eventing.knative.dev/v1beta1", "Trigger", json!({"broker": "b", "surprise": [1]}));
    written["metadata"]["annotations"] = json!({"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"});
    written["metadata"]["finalizers"] = json!(["f"]);
    written["extra"] = json!(1.50);
    let row = form("eventing.knative.dev/v1beta1", "Trigger");
    let converted = row.to_current(written.clone(), None).expect("converted");
    let mut expected = written;
    expected["apiVersion"] = "eventing.knative.dev/v1".into();
    assert_eq!(converted.object, expected);
}

#[test]
fn objects_of_no_shape_at_all_are_left_to_the_schema() {
    let row = form("eventing.knative.dev/v1alpha1", "Broker");
    let type_of = |object: &Value| object["apiVersion"].clone();
    for spec in [json!("text"), json!([1])] {
        let converted = convert("eventing.knative.dev/v1alpha1", "Broker", spec.clone()).expect("converted").object;
        assert_eq!(converted["spec"], spec);
        assert_eq!(row.from_current(converted)["spec"], spec);
    }
    for bare in [json!({"metadata": {"name": "x"}}), json!({"metadata": {"name": "x"}, "spec": null})] {
        let converted = row.to_current(bare, None).expect("converted").object;
        assert_eq!(converted.get("spec"), None);
        assert_eq!(type_of(&converted), "eventing.knative.dev/v1");
    }
    assert_eq!(row.to_current(json!("text"), None).expect("converted").object, "text");
    assert_eq!(row.from_current(json!("text")), "text");
}
