//! Sources that differ from their current form by a few fields. ContainerSource has a module of its own.

use serde_json::{Value, json};

use super::destination::{destination, flatten, reference};
use super::notes::Notes;
use super::object::{Object, each, get, rename, take, text};
use super::{EVENT_SOURCE, EVENT_TYPE, Form};
use crate::validation::{FieldError, Path};

const JSON: &str = "application/json";

/// SinkBinding, and what differs in its sink only.
pub(super) const SINK: Form = Form { convert: sink, ..Form::SAME };
/// Of the time when a sink was a plain reference.
pub(super) const SINK_FLAT: Form = Form { present: |spec, _| flatten(spec, "sink"), ..SINK };

pub(super) const PING: Form = Form { convert: ping, present: present_ping, ..Form::SAME };

/// `sources.eventing.knative.dev/v1alpha1`; a PingSource whose events keep their `type` and `source`.
pub(super) const CRON_JOB: Form =
    Form { convert: cron_job, present: present_cron_job, annotations: cron_job_events, ..Form::SAME };

pub(super) const API_SERVER: Form = Form { convert: api_server, ..Form::SAME };
pub(super) const API_SERVER_V1ALPHA1: Form = Form { present: present_api_server, ..API_SERVER };

fn sink(spec: &mut Object, notes: &mut Notes<'_>) {
    destination(spec, "sink", &Path::new("spec"), notes);
    reference(spec, "subject");
}

/// What the older adapters sent: the text itself if it is a JSON object, else an object around it.
fn payload(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => text.to_owned(),
        _ => json!({ "body": text }).to_string(),
    }
}

fn ping(spec: &mut Object, notes: &mut Notes<'_>) {
    sink(spec, notes);
    let at = Path::new("spec");
    let Some(written) = take(spec, "jsonData") else { return };
    let Some(text) = written.as_str() else {
        return notes.refuse(FieldError::invalid(at.field("jsonData"), &written, "expected a string"));
    };
    let data = Value::String(payload(text));
    for current in ["data", "dataBase64"] {
        if let Some(beside) = get(spec, current).filter(|beside| **beside != data) {
            if !notes.older_wins(&[(at.field("jsonData"), &written)], &[(at.field(current), beside)]) {
                return notes.unused(&at.field("jsonData"), &format!("{current} is set beside it"));
            }
            spec.remove(current);
        }
    }
    spec.insert("data".to_owned(), data);
    spec.insert("contentType".to_owned(), JSON.into());
}

fn present_ping(spec: &mut Object, _: &str) {
    if text(spec, "contentType") == JSON && get(spec, "data").is_some() {
        rename(spec, "data", "jsonData");
        spec.remove("contentType");
    }
}

fn cron_job(spec: &mut Object, notes: &mut Notes<'_>) {
    sink(spec, notes);
    let at = Path::new("spec");
    for field in ["serviceAccountName", "resources"] {
        if spec.remove(field).is_some() {
            notes.unused(&at.field(field), "a PingSource has no Pod of its own");
        }
    }
    if get(spec, "contentType").is_some_and(|written| written != JSON) || get(spec, "dataBase64").is_some() {
        // Somebody made of the PingSource what a CronJobSource has no word for; so it was shown, so it stays.
        return;
    }
    match get(spec, "data").map(|data| data.as_str().map(payload)) {
        Some(None) => {
            notes.refuse(FieldError::invalid(at.field("data"), &spec.get("data"), "expected a string"));
        }
        Some(Some(data)) => drop(spec.insert("data".to_owned(), data.into())),
        None => drop(spec.insert("data".to_owned(), payload("").into())),
    }
    spec.insert("contentType".to_owned(), JSON.into());
}

/// A CronJobSource without `contentType` sends JSON; a PingSource without sends bytes.
fn present_cron_job(spec: &mut Object, _: &str) {
    if text(spec, "contentType") == JSON && get(spec, "dataBase64").is_none() {
        spec.remove("contentType");
    } else {
        spec.entry("contentType").or_insert_with(|| "".into());
    }
}

fn cron_job_events(metadata: &Object) -> Vec<(&'static str, String)> {
    let mut annotations = vec![(EVENT_TYPE, "dev.knative.cronjob.event".to_owned())];
    let (namespace, name) = (text(metadata, "namespace"), text(metadata, "name"));
    if !namespace.is_empty() && !name.is_empty() {
        annotations.push((EVENT_SOURCE, format!("/apis/v1/namespaces/{namespace}/cronjobsources/{name}")));
    }
    annotations
}

fn api_server(spec: &mut Object, notes: &mut Notes<'_>) {
    sink(spec, notes);
    let at = Path::new("spec");
    if text(spec, "mode") == "Ref" {
        spec.insert("mode".to_owned(), "Reference".into());
    }
    let every = take(spec, "selector").filter(says_something);
    let mut owners = Vec::new();
    each(spec, "resources", |i, resource| {
        let at_resource = at.field("resources").index(i);
        // Older releases wrote what they did not set as empty.
        if !get(resource, "labelSelector").is_some_and(says_something) {
            resource.remove("labelSelector");
        }
        notes.rename(resource, &at_resource, "labelSelector", "selector");
        if let Some(every) = &every {
            match get(resource, "selector") {
                Some(own) if own != every => {
                    notes.exclusive(at.field("selector"), at_resource.field("labelSelector"));
                }
                _ => drop(resource.insert("selector".to_owned(), every.clone())),
            }
        }
        if take(resource, "controller") == Some(Value::Bool(true)) {
            let why = "events are about the resource itself, no longer about its controller";
            notes.refuse(FieldError::forbidden(at_resource.field("controller"), why));
        }
        let owner = take(resource, "controllerSelector").and_then(|selector| match selector {
            Value::Object(mut selector) => {
                selector.retain(|field, value| ["apiVersion", "kind"].contains(&field.as_str()) && *value != "");
                (!selector.is_empty()).then_some(Value::Object(selector))
            }
            other => Some(other),
        });
        owners.push((at_resource.field("controllerSelector"), owner));
    });
    one_owner(spec, &owners, notes);
}

/// There is one `owner` for all resources now.
fn one_owner(spec: &mut Object, owners: &[(Path, Option<Value>)], notes: &mut Notes<'_>) {
    let Some(owner) = owners.iter().find_map(|(_, owner)| owner.clone()) else { return };
    let detail = "expected the same for every resource, and for spec.owner if that is set: it is one for all now";
    let beside = get(spec, "owner").unwrap_or(&owner);
    for (at, other) in owners.iter().filter(|(_, other)| other.as_ref() != Some(beside)) {
        notes.refuse(FieldError::invalid(at.clone(), other, detail));
    }
    spec.insert("owner".to_owned(), owner);
}

fn says_something(selector: &Value) -> bool {
    selector.as_object().is_none_or(|selector| !selector.is_empty())
}

fn present_api_server(spec: &mut Object, _: &str) {
    if text(spec, "mode") == "Reference" {
        spec.insert("mode".to_owned(), "Ref".into());
    }
    each(spec, "resources", |_, resource| rename(resource, "selector", "labelSelector"));
}
