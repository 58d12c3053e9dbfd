//! Broker, Trigger and EventType.

use serde_json::{Value, json};

use super::Form;
use super::destination::{delivery, destination, reference};
use super::notes::Notes;
use super::object::{Object, get, take, text, within};
use super::status::Rule;
use crate::validation::{FieldError, Path};

/// A Trigger's annotation that asks for a Broker `default`, under its old and its current name.
const INJECTION: [&str; 2] = ["knative-eventing-injection", "eventing.knative.dev/injection"];

pub(super) const BROKER: Form = Form { convert: broker, ..Form::SAME };
pub(super) const BROKER_V1ALPHA1: Form = Form { status: &[Rule::Hostname, Rule::TriggerChannel], ..BROKER };

pub(super) const TRIGGER: Form =
    Form { convert: trigger, present: present_trigger, annotations: injection, ..Form::SAME };
pub(super) const TRIGGER_V1ALPHA1: Form = Form { status: &[Rule::Field("subscriberURI", "subscriberUri")], ..TRIGGER };

pub(super) const EVENT_TYPE: Form = Form {
    convert: event_type,
    present: present_event_type,
    status: &[Rule::Condition("BrokerExists", "ReferenceExists")],
    ..Form::SAME
};

/// `channelTemplateSpec` becomes a ConfigMap that `config` refers to.
fn broker(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    delivery(spec, &at, notes);
    let Some(template) = take(spec, "channelTemplateSpec") else { return };
    let at_template = at.field("channelTemplateSpec");
    let broker = text(notes.metadata, "name");
    if broker.is_empty() {
        let why = "the ConfigMap it becomes is named after the Broker, which has no metadata.name";
        return notes.refuse(FieldError::forbidden(at_template, why));
    }
    let name = format!("{broker}-channel-template");
    let namespace = text(notes.metadata, "namespace");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name});
    if let Some(beside) = get(spec, "config").filter(|beside| !refers_to(beside, &config, namespace)) {
        let at_config = at.field("config");
        if !notes.older_wins(&[(at_template.clone(), &template)], &[(at_config.clone(), beside)]) {
            return notes.exclusive(at_template, at_config);
        }
    }
    let mut holder = Object::from_iter([("template".to_owned(), template)]);
    reference(&mut holder, "template");
    let mut metadata = json!({ "name": name });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    notes.companions.push(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        // JSON is YAML.
        "data": {"channel-template-spec": holder["template"].to_string()},
    }));
    spec.insert("config".to_owned(), config);
}

/// Whether `reference` says the same as `target`, which has no namespace: the own one is meant.
fn refers_to(reference: &Value, target: &Value, namespace: &str) -> bool {
    let own = reference.get("namespace").is_none_or(|named| named == namespace || named == "");
    own && ["apiVersion", "kind", "name"].iter().all(|field| reference.get(*field) == target.get(*field))
}

fn trigger(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    if text(spec, "broker").is_empty() && !spec.contains_key("brokerRef") {
        spec.insert("broker".to_owned(), "default".into());
    }
    within(spec, "filter", |filter| trigger_filter(filter, &at.field("filter"), notes));
    destination(spec, "subscriber", &at, notes);
    delivery(spec, &at, notes);
}

fn trigger_filter(filter: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    let attributes = at.field("attributes");
    let Some(written) = take(filter, "sourceAndType") else {
        if get(filter, "attributes").and_then(Value::as_object).is_some_and(Object::is_empty) {
            let detail = "At least one filtered attribute must be specified";
            notes.refuse(FieldError::invalid(attributes, &json!({}), detail));
        }
        return;
    };
    let at = at.field("sourceAndType");
    let Value::Object(mut pair) = written.clone() else {
        return notes.refuse(FieldError::invalid(at, &written, "expected an object with source and type"));
    };
    let [event_type, source] = ["type", "source"].map(|field| take(&mut pair, field).unwrap_or_else(|| "".into()));
    for field in pair.keys() {
        notes.unused(&at.field(field), "unknown field");
    }
    // Empty matches any value in both forms.
    let converted = json!({"type": event_type, "source": source});
    if let Some(beside) = get(filter, "attributes").filter(|beside| **beside != converted)
        && !notes.older_wins(&[(at.clone(), &written)], &[(attributes.clone(), beside)])
    {
        return notes.exclusive(at, attributes);
    }
    filter.insert("attributes".to_owned(), converted);
}

/// The older versions take no empty `attributes`; without any they match every event too.
fn present_trigger(spec: &mut Object, _: &str) {
    within(spec, "filter", |filter| {
        if get(filter, "attributes").and_then(Value::as_object).is_some_and(Object::is_empty) {
            filter.remove("attributes");
        }
    });
}

/// The older annotation stays where it is: only its current name is added.
fn injection(metadata: &Object) -> Vec<(&'static str, String)> {
    let [old, current] = INJECTION;
    let value = metadata.get("annotations").and_then(|annotations| annotations.get(old)?.as_str());
    value.map(|value| (current, value.to_owned())).into_iter().collect()
}

fn event_type(spec: &mut Object, notes: &mut Notes<'_>) {
    if let Some(broker) = take(spec, "broker") {
        let reference = json!({"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": broker});
        let namespace = text(notes.metadata, "namespace");
        if !get(spec, "reference").is_some_and(|beside| refers_to(beside, &reference, namespace)) {
            notes.replace(spec, &Path::new("spec"), "broker", &broker, "reference", reference);
        }
    }
    reference(spec, "reference");
}

fn present_event_type(spec: &mut Object, namespace: &str) {
    let Some(Value::Object(reference)) = spec.get("reference") else { return };
    let broker = text(reference, "apiVersion").starts_with("eventing.knative.dev/")
        && text(reference, "kind") == "Broker"
        && ["", namespace].contains(&text(reference, "namespace"))
        && reference.keys().all(|field| ["apiVersion", "kind", "name", "namespace"].contains(&field.as_str()));
    if broker && let Some(name) = take(spec, "reference.name") {
        spec.remove("reference");
        spec.insert("broker".to_owned(), name);
    }
}
