//! How the versions of EventType become one another.
//!
//! Knative's conversion loses three things, each of which an edit in another version would then remove for good: the
//! reference of an EventType that names a `broker` (v1beta2 to v1beta3, it is built too late), `schemaData` (v1beta3
//! has no field for it) and attributes other than `type`, `source` and `schemadata` (v1beta2 has no fields for them).
//! Here the reference is built in time, and the others stay in annotations of the version that has no field.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::v1beta3::EventAttributeDefinition;
use super::{EventTypeSpec, v1beta3};
use crate::kinds::Conversion;

/// v1beta1: `broker` becomes a reference too.
pub(crate) const V1BETA1: Conversion = Conversion { to_stored: from_v1beta1, from_stored: to_v1beta1 };
/// v1beta3: fields become attributes.
pub(crate) const V1BETA3: Conversion = Conversion { to_stored: from_v1beta3, from_stored: to_v1beta3 };

/// On stored objects: `spec.attributes` of v1beta3, as JSON, if v1beta2's fields do not say all of it.
const ATTRIBUTES: &str = "weir.dev/event-type-attributes";
/// On v1beta3 objects: `spec.schemaData` of v1beta2.
const SCHEMA_DATA: &str = "weir.dev/event-type-schema-data";

fn from_v1beta1(object: Value) -> Value {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    with_spec(object, |mut spec: EventTypeSpec, _| {
        if spec.reference.is_none() {
            spec.reference = spec.target();
            spec.set_defaults(&namespace);
        }
        spec
    })
}

/// Leaves out the reference that `broker` says already, so that an edit of `broker` is an edit of the reference.
fn to_v1beta1(object: Value) -> Value {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    with_spec(object, |mut spec: EventTypeSpec, _| {
        let mut implied = EventTypeSpec { reference: None, ..spec.clone() };
        implied.reference = implied.target();
        implied.set_defaults(&namespace);
        if implied.reference == spec.reference {
            spec.reference = None;
        }
        spec
    })
}

fn from_v1beta3(object: Value) -> Value {
    with_spec(object, |spec: v1beta3::EventTypeSpec, annotations| {
        let value = |name| spec.attribute(name).map(|attribute| attribute.value.clone()).filter(|v| !v.is_empty());
        let stored = EventTypeSpec {
            ty: value("type").unwrap_or_default(),
            source: value("source"),
            schema: value("schemadata"),
            schema_data: annotations.take(SCHEMA_DATA),
            broker: None,
            reference: spec.reference.clone(),
            description: spec.description.clone(),
        };
        annotations.take(ATTRIBUTES);
        if attributes_of(&stored) != spec.attributes
            && let Ok(attributes) = serde_json::to_string(&spec.attributes)
        {
            annotations.put(ATTRIBUTES, attributes);
        }
        stored
    })
}

fn to_v1beta3(object: Value) -> Value {
    with_spec(object, |spec: EventTypeSpec, annotations| {
        let kept = annotations.take(ATTRIBUTES).and_then(|text| serde_json::from_str(&text).ok());
        let mut attributes = kept.unwrap_or_else(|| attributes_of(&spec));
        // The fields may have changed since the attributes were kept.
        set(&mut attributes, "type", true, &spec.ty);
        set(&mut attributes, "source", true, spec.source.as_deref().unwrap_or_default());
        set(&mut attributes, "schemadata", false, spec.schema.as_deref().unwrap_or_default());
        let reference = spec.target();
        if let Some(schema_data) = spec.schema_data {
            annotations.put(SCHEMA_DATA, schema_data);
        }
        v1beta3::EventTypeSpec { reference, description: spec.description, attributes }
    })
}

/// The attributes that v1beta2's fields say.
fn attributes_of(spec: &EventTypeSpec) -> Vec<EventAttributeDefinition> {
    let attribute = |name: &str, required, value: &str| EventAttributeDefinition {
        name: name.to_owned(),
        required,
        value: value.to_owned(),
    };
    let source = spec.source.as_deref().unwrap_or_default();
    let core = [("specversion", ""), ("id", ""), ("type", spec.ty.as_str()), ("source", source)];
    let core = core.into_iter().map(|(name, value)| attribute(name, true, value));
    let schema = spec.schema.iter().map(|schema| attribute("schemadata", false, schema));
    core.chain(schema).collect()
}

/// Gives an attribute a value; adds it if there is a value and no such attribute.
fn set(attributes: &mut Vec<EventAttributeDefinition>, name: &str, required: bool, value: &str) {
    match attributes.iter_mut().rev().find(|attribute| attribute.name == name) {
        Some(attribute) => value.clone_into(&mut attribute.value),
        None if value.is_empty() => {}
        None => {
            attributes.push(EventAttributeDefinition { name: name.to_owned(), required, value: value.to_owned() });
        }
    }
}

/// The annotations of an object while its spec is converted.
struct Annotations(Map<String, Value>);

impl Annotations {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).and_then(|value| value.as_str().map(str::to_owned))
    }

    fn put(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), Value::String(value));
    }
}

/// Replaces the spec of `object`. One that is none of `From`'s is left as it is: its version's schema refuses it.
fn with_spec<From: DeserializeOwned, To: Serialize>(
    mut object: Value,
    convert: impl FnOnce(From, &mut Annotations) -> To,
) -> Value {
    let Some(spec) = object.get("spec").and_then(|spec| From::deserialize(spec).ok()) else { return object };
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.and_then(|metadata| metadata.remove("annotations"));
    let mut annotations = Annotations(match annotations {
        Some(Value::Object(annotations)) => annotations,
        _ => Map::new(),
    });
    let spec = serde_json::to_value(convert(spec, &mut annotations)).unwrap_or_default();
    if let Value::Object(object) = &mut object {
        object.insert("spec".to_owned(), spec);
        if !annotations.0.is_empty() {
            let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(metadata) = metadata {
                metadata.insert("annotations".to_owned(), Value::Object(annotations.0));
            }
        }
    }
    object
}

#[cfg(test)]
mod tests;
