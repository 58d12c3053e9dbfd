//! One stored object: its JSON as bytes, and the little of it that is looked at without parsing.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Revision;

/// Namespace (empty if the object has none) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// What selectors look at: labels, and the kind's selectable fields in their declared order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    pub(crate) fields: Box<[Box<str>]>,
}

impl Marks {
    pub(super) fn of(object: &Value, fields: &[&str]) -> Self {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        Self {
            labels: labels.filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into()))).collect(),
            fields: fields.iter().map(|path| field(object, path).into()).collect(),
        }
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| label.as_ref() == key);
        found.map(|(_, value)| value.as_ref())
    }

    pub(super) fn to_json(&self) -> String {
        json!([self.labels, self.fields]).to_string()
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        let (labels, fields) = serde_json::from_str(text).ok()?;
        Some(Self { labels, fields })
    }
}

/// The text a field selector compares with: empty if the field is absent.
fn field<'a>(object: &'a Value, path: &str) -> &'a str {
    // Core events: the reporting component is `source.component` in what older recorders write.
    let found = match path {
        "source" => object.pointer("/source/component"),
        _ => path.split('.').try_fold(object, |value, name| value.get(name)),
    };
    match (found.and_then(Value::as_str), path) {
        (Some(text), _) if !text.is_empty() => text,
        (_, "reportingComponent") => object.pointer("/source/component").and_then(Value::as_str).unwrap_or_default(),
        _ => "",
    }
}

/// An object at one revision.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: Key,
    pub(crate) uid: Box<str>,
    pub(crate) revision: Revision,
    pub(crate) marks: Arc<Marks>,
    /// Uids of the owners.
    pub(crate) owners: Box<[Box<str>]>,
    /// Whether `deletionTimestamp` is set.
    pub(crate) deleting: bool,
    /// The whole object at the storage version, compact, with its resourceVersion.
    pub(crate) json: Bytes,
}

impl Object {
    /// `value` becomes the state of `key` at `revision`. Marks equal to `previous` are shared with it.
    pub(super) fn new(
        key: Key,
        mut value: Value,
        revision: Revision,
        fields: &[&str],
        previous: Option<&Arc<Marks>>,
    ) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let marks = Marks::of(&value, fields);
        let marks = previous.filter(|previous| ***previous == marks).cloned().unwrap_or_else(|| Arc::new(marks));
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        Self {
            uid: text("/metadata/uid").unwrap_or_default().into(),
            revision,
            marks,
            owners: owners.filter_map(|owner| owner.get("uid")?.as_str().map(Into::into)).collect(),
            deleting: text("/metadata/deletionTimestamp").is_some(),
            json: Bytes::from(value.to_string()),
            key,
        }
    }

    /// The object as a tree, for those who change it.
    pub(crate) fn value(&self) -> Value {
        // Written by `new` from a tree, so it parses; null would be refused by every reader.
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}
