//! References and destinations, which every older kind holds.

use serde_json::Value;

use super::notes::Notes;
use super::object::{Object, take, text, within};
use crate::validation::{FieldError, Path};

/// What a destination of sources v1alpha1 may say directly, without `ref` around it.
const FLAT: [&str; 4] = ["apiVersion", "kind", "name", "namespace"];

/// Brings the destination at `field` into its current form. See [`inline`].
pub(super) fn destination(holder: &mut Object, field: &str, at: &Path, notes: &mut Notes<'_>) {
    within(holder, field, |destination| inline(destination, &at.field(field), notes));
}

/// Brings `destination` (`ref`, `uri`, and other fields that are left alone) into its current form: flat fields become
/// `ref`, `dnsName` becomes `uri`, and what is referred to gets its current `apiVersion` and `kind`.
pub(super) fn inline(destination: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    let flat: Object = FLAT.iter().filter_map(|field| Some(((*field).to_owned(), take(destination, field)?))).collect();
    if !flat.is_empty() {
        let reference = match take(destination, "ref") {
            Some(Value::Object(reference)) => merged(reference, flat, at, notes),
            _ => flat,
        };
        destination.insert("ref".to_owned(), Value::Object(reference));
    }
    match take(destination, "dnsName") {
        None => {}
        Some(Value::String(name)) => {
            let uri = Value::String(format!("http://{name}"));
            notes.replace(destination, at, "dnsName", &Value::String(name), "uri", uri);
        }
        Some(other) => notes.refuse(FieldError::invalid(at.field("dnsName"), &other, "expected a host name")),
    }
    reference(destination, "ref");
}

/// The reference that `reference` and the `flat` one beside it come to.
fn merged(reference: Object, flat: Object, at: &Path, notes: &mut Notes<'_>) -> Object {
    if flat.iter().all(|(field, value)| reference.get(field) == Some(value)) {
        return reference;
    }
    let older: Vec<_> = flat.iter().map(|(field, value)| (at.field(field), value)).collect();
    let current = Value::Object(reference.clone());
    if !notes.older_wins(&older, &[(at.field("ref"), &current)]) {
        notes.unused(&at.field("name"), "ref is set beside it");
        return reference;
    }
    for field in ["apiVersion", "kind", "name"].into_iter().filter(|field| !flat.contains_key(*field)) {
        notes.refuse(FieldError::missing(at.field(field)));
    }
    flat
}

/// Gives the reference at `field`, or whatever else there has an `apiVersion` and a `kind`, the current ones.
pub(super) fn reference(holder: &mut Object, field: &str) {
    within(holder, field, |reference| {
        if let Some(legacy) = super::find(text(reference, "apiVersion"), text(reference, "kind")) {
            super::name_type(reference, legacy.becomes.0, legacy.becomes.1);
        }
    });
}

/// Brings the delivery options of `holder` into their current form.
pub(super) fn delivery(holder: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    let at = at.field("delivery");
    within(holder, "delivery", |delivery| destination(delivery, "deadLetterSink", &at, notes));
}

/// Shows the destination at `field` as a plain reference, if it is nothing else.
pub(super) fn flatten(holder: &mut Object, field: &str) {
    within(holder, field, |destination| {
        if destination.len() == 1
            && let Some(Value::Object(reference)) = destination.get("ref")
        {
            *destination = reference.clone();
        }
    });
}
