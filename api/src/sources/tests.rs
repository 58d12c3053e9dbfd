use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::admission::testing::{admitted, object, refused, updated, with};
use crate::kinds;

mod apiserver;
mod awssqs;
mod container;
mod github;
mod integration;
mod kafka;
mod ping;
mod sinkbinding;
mod webhook;

const VERSION: &str = "sources.knative.dev/v1";

/// Every case breaks one rule, and nothing else is told.
fn assert_refused(object: impl Fn(&Value) -> Value, base: &Value, cases: &[(Value, &str)]) {
    for (change, expected) in cases {
        let told = refused(object(&with(base, change)), None);
        assert!(told.starts_with(expected) && !told.contains('\n'), "{change}: {told}");
    }
}

fn assert_admitted(object: impl Fn(&Value) -> Value, base: &Value, changes: &[Value]) {
    for change in changes {
        admitted(object(&with(base, change)));
    }
}

fn sink() -> Value {
    json!({"uri": "http://example.com/"})
}

/// The rules of the part all sources have. AwsSqsSource and GitHubSource differ in the sink's.
fn source_rules() -> Vec<(Value, &'static str)> {
    let extensions = |extensions: Value| json!({"ceOverrides": {"extensions": extensions}});
    vec![
        (json!({"sink": {}}), "expected at least one, got none: spec.sink.ref, spec.sink.uri"),
        (json!({"sink": {"ref": {"kind": "Service", "name": "s"}}}), "missing field(s): spec.sink.ref.apiVersion"),
        (json!({"sink": {"uri": "/path"}}), "spec.sink.uri: Invalid value: \"/path\": expected an absolute URL"),
        (json!({"sink": {"uri": "http://a/", "CACerts": "x"}}), "spec.sink.CACerts: Invalid value: \"x\""),
        (extensions(json!({"": "x"})), "invalid key name \"\": spec.ceOverrides.extensions: expected letters"),
        (extensions(json!({"a-b": "x"})), "invalid key name \"a-b\": spec.ceOverrides.extensions: expected letters"),
        (
            extensions(json!({"Team": "x", "team": "y"})),
            "invalid key name \"team\": spec.ceOverrides.extensions: names",
        ),
    ]
}

#[test]
fn a_sink_that_is_null_is_refused_by_every_source() {
    for kind in kinds::all().iter().filter(|kind| kind.group().starts_with("sources.")) {
        for version in &kind.definition.spec.versions {
            let api_version = format!("{}/{}", kind.group(), version.name);
            let told = refused(object(&api_version, kind.kind(), &json!({"sink": null})), None);
            assert!(told.starts_with("spec: Invalid value: ") && !told.contains('\n'), "{api_version}: {told}");
        }
    }
}

/// What the reference says about each kind, in the order of the list.
#[test]
fn definitions_are_those_of_knative() {
    const SOURCE: [&str; 4] = ["Sink", "Age", "Ready", "Reason"];
    const KAFKA: [&str; 5] = ["Topics", "BootstrapServers", "Ready", "Reason", "Age"];
    let plain = ["all", "knative", "sources"].as_slice();
    let contrib = ["all", "knative", "eventing", "sources"].as_slice();
    type Row<'a> = (&'a str, &'a [(&'a str, bool)], &'a [&'a str], &'a [&'a str]);
    let rows: [Row<'_>; 9] = [
        ("PingSource", &[("v1", true), ("v1beta2", false)], plain, &["Sink", "Schedule", "Age", "Ready", "Reason"]),
        ("ApiServerSource", &[("v1", true)], plain, &SOURCE),
        ("ContainerSource", &[("v1", true)], plain, &SOURCE),
        ("SinkBinding", &[("v1", true)], &["all", "knative", "sources", "bindings"], &SOURCE),
        ("IntegrationSource", &[("v1alpha1", true)], plain, &SOURCE),
        ("KafkaSource", &[("v1beta1", true), ("v1", false)], contrib, &KAFKA),
        ("GitHubSource", &[("v1alpha1", true)], contrib, &["Ready", "Reason", "Sink", "Age"]),
        ("AwsSqsSource", &[("v1alpha1", true)], contrib, &SOURCE),
        ("WebhookSource", &[("v1alpha1", true)], &["sources", "weir"], &SOURCE),
    ];
    let ours: Vec<_> = kinds::all().iter().filter(|kind| kind.group().starts_with("sources.")).collect();
    assert_eq!(ours.len(), rows.len());
    for (kind, (name, versions, categories, columns)) in ours.into_iter().zip(rows) {
        assert_eq!(kind.kind(), name);
        assert!(!kind.reconciled, "{name}");
        let group = if name == "WebhookSource" { "sources.weir.dev" } else { "sources.knative.dev" };
        assert_eq!(kind.group(), group);
        let spec = &kind.definition.spec;
        assert_eq!(spec.names.categories.as_deref().unwrap_or_default(), categories, "{name}");
        assert_eq!(spec.names.short_names, None, "{name}");
        let stored: Vec<_> = spec.versions.iter().map(|version| (version.name.as_str(), version.storage)).collect();
        assert_eq!(stored, versions, "{name}");
        for version in &spec.versions {
            assert!(version.served && version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()), "{name}");
            let deprecated = (name, version.name.as_str()) == ("PingSource", "v1beta2");
            assert_eq!(version.deprecated.unwrap_or_default(), deprecated, "{name} {}", version.name);
            let named: Vec<_> =
                version.additional_printer_columns.iter().flatten().map(|column| column.name.as_str()).collect();
            assert_eq!(named, columns, "{name}");
        }
    }
}

#[test]
fn definitions_have_the_labels_and_event_types_others_look_for() {
    for kind in kinds::all().iter().filter(|kind| kind.group().starts_with("sources.")) {
        let name = kind.kind();
        let mut expected = BTreeMap::from([("duck.knative.dev/source", "true")]);
        if kind.group() == "sources.knative.dev" {
            expected.insert("eventing.knative.dev/source", "true");
        }
        if name == "SinkBinding" {
            expected.insert("duck.knative.dev/binding", "true");
        }
        let labels = kind.definition.metadata.labels.as_ref().expect("labels");
        let labels: BTreeMap<_, _> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(labels, expected, "{name}");

        let annotations = kind.definition.metadata.annotations.as_ref();
        let types = annotations.and_then(|annotations| annotations.get("registry.knative.dev/eventTypes"));
        // What a container sends is its own business.
        assert_eq!(types.is_none(), matches!(name, "ContainerSource" | "SinkBinding"), "{name}");
        let types: Vec<Value> = types.map(|types| serde_json::from_str(types).expect("JSON")).unwrap_or_default();
        assert!(types.iter().all(|entry| entry["type"].is_string()), "{name}: {types:?}");
    }
}

#[test]
fn status_is_flat_but_for_the_identity() {
    let status = json!({
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True"}],
        "annotations": {"a": "b"},
        "auth": {"serviceAccountName": "x-oidc"},
        "sinkUri": "http://example.com/",
        "sinkCACerts": "pem",
        "sinkAudience": "shop",
        "ceAttributes": [{"type": "t", "source": "s"}],
        "lastEventTime": "2026-01-31T12:00:00Z",
        "consumers": 2,
        "selector": "a=b",
        "claims": "0-5",
        "placements": [{"podName": "p", "vreplicas": 1}],
        "maxAllowedVReplicas": 4,
    });
    let read: super::KafkaSourceStatus = serde_json::from_value(status.clone()).expect("a status");
    assert_eq!(serde_json::to_value(read).expect("JSON"), status);
    let empty: super::SinkBindingStatus = serde_json::from_value(json!({})).expect("nothing is required");
    assert_eq!(serde_json::to_value(empty).expect("JSON"), json!({}));
}
