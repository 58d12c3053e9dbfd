//! Events have two forms over one store: `v1` (which is stored; `kubectl describe` reads it) and `events.k8s.io/v1`
//! (which kube's recorder writes). They differ in the names of fields.

use serde_json::{Value, json};

/// Selectable fields of core events.
pub(crate) const CORE_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// The same, in the same order, by their names in `events.k8s.io`.
pub(crate) const NEW_FIELDS: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "source",
    "type",
];

/// Field names in `v1` and in `events.k8s.io/v1`.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("reportingComponent", "reportingController"),
];

/// A core event as `events.k8s.io` shows it.
pub(crate) fn to_new(event: Value) -> Value {
    rename(event, "events.k8s.io/v1", NAMES.iter().copied())
}

/// The reverse of [`to_new`].
pub(crate) fn to_core(event: Value) -> Value {
    rename(event, "v1", NAMES.iter().map(|(core, new)| (*new, *core)))
}

fn rename<'a>(mut event: Value, api_version: &str, names: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    event["apiVersion"] = json!(api_version);
    if let Some(fields) = event.as_object_mut() {
        for (from, to) in names {
            if let Some(value) = fields.remove(from) {
                fields.insert(to.to_owned(), value);
            }
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_the_same() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "m", "count": 2,
            "involvedObject": {"name": "t"}, "reportingComponent": "c", "reason": "R", "type": "Normal",
        });
        let new = to_new(core.clone());
        assert_eq!(
            (&new["note"], &new["regarding"]["name"], &new["deprecatedCount"]),
            (&json!("m"), &json!("t"), &json!(2))
        );
        assert_eq!(to_core(new), core);
        assert_eq!(CORE_FIELDS.len(), NEW_FIELDS.len());
    }
}
