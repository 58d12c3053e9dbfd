//! The spec as it was written: how it is kept, and whether it still says what the object is.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Value, json};

use super::Legacy;
use super::object::{Object, pointer, take_object, text};
use crate::kinds;
use crate::validation::Path;

/// The value of [`super::WRITTEN_SPEC`].
pub(super) fn record(legacy: &Legacy, spec: &Object) -> String {
    json!({"apiVersion": legacy.api_version(), "kind": legacy.kind, "spec": spec}).to_string()
}

/// `spec` without the fields at `stale`.
pub(super) fn without(spec: &Object, stale: &[Path]) -> Object {
    let mut object = json!({ "spec": spec });
    for path in stale {
        let pointer = pointer(path);
        if let Some((holder, field)) = pointer.rsplit_once('/')
            && let Some(Value::Object(holder)) = object.pointer_mut(holder)
        {
            holder.remove(field);
        }
    }
    object.as_object_mut().map(|object| take_object(object, "spec")).unwrap_or_default()
}

/// The spec in a value of [`super::WRITTEN_SPEC`], if it was written in the form `legacy`.
pub(super) fn read(legacy: &Legacy, recorded: &str) -> Option<Object> {
    let Ok(Value::Object(mut recorded)) = serde_json::from_str(recorded) else { return None };
    let ours = text(&recorded, "apiVersion") == legacy.api_version() && text(&recorded, "kind") == legacy.kind;
    match recorded.remove("spec") {
        Some(Value::Object(spec)) if ours => Some(spec),
        _ => None,
    }
}

/// The schema of a current kind's spec; none for a kind that is not in this build.
pub(super) fn spec_schema(api_version: &str, kind: &str) -> Option<&'static JSONSchemaProps> {
    let (_, version) = api_version.split_once('/')?;
    let versions = &kinds::find(api_version, kind)?.definition.spec.versions;
    let schema = &versions.iter().find(|row| row.name == version)?.schema.as_ref()?.open_api_v3_schema;
    schema.as_ref()?.properties.as_ref()?.get("spec")
}

/// Compares a stored spec with what is expected of it, on behalf of an object in `namespace`.
pub(super) struct Comparison<'a> {
    pub(super) namespace: &'a str,
}

impl Comparison<'_> {
    /// Whether the two mean the same: equal, but for fields that say nothing (`null`, the object's own namespace in a
    /// reference), fields that the schema fills in, and fields that it does not know and so were dropped.
    pub(super) fn same_object(&self, current: &Object, expected: &Object, schema: Option<&JSONSchemaProps>) -> bool {
        let left_out = |field: &String, value: &Value| {
            let known = schema.map(|schema| property(schema, field));
            let default = known.flatten().and_then(|property| property.default.as_ref());
            self.says_nothing(field, value, expected) || default.is_some_and(|default| default.0 == *value)
        };
        let dropped = |field: &String| schema.is_some_and(|schema| prunes(schema, field));
        current.iter().all(|(field, value)| match expected.get(field) {
            Some(expected) => self.same(value, expected, schema.and_then(|schema| property(schema, field))),
            None => left_out(field, value),
        }) && expected.iter().all(|(field, value)| {
            current.contains_key(field) || self.says_nothing(field, value, current) || dropped(field)
        })
    }

    fn same(&self, current: &Value, expected: &Value, schema: Option<&JSONSchemaProps>) -> bool {
        match (current, expected) {
            (Value::Object(current), Value::Object(expected)) => self.same_object(current, expected, schema),
            (Value::Array(current), Value::Array(expected)) => {
                let item = schema.and_then(|schema| match schema.items.as_ref()? {
                    JSONSchemaPropsOrArray::Schema(item) => Some(item.as_ref()),
                    JSONSchemaPropsOrArray::Schemas(_) => None,
                });
                current.len() == expected.len()
                    && current.iter().zip(expected).all(|(current, expected)| self.same(current, expected, item))
            }
            _ => current == expected,
        }
    }

    fn says_nothing(&self, field: &str, value: &Value, beside: &Object) -> bool {
        let refers = ["kind", "name"].iter().all(|field| beside.contains_key(*field));
        value.is_null() || field == "namespace" && value == self.namespace && refers
    }
}

fn property<'a>(schema: &'a JSONSchemaProps, field: &str) -> Option<&'a JSONSchemaProps> {
    let listed = schema.properties.as_ref().and_then(|properties| properties.get(field));
    listed.or(match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(every)) => Some(every.as_ref()),
        _ => None,
    })
}

/// Whether an API server drops `field` from an object with this schema.
fn prunes(schema: &JSONSchemaProps, field: &str) -> bool {
    let open = schema.x_kubernetes_preserve_unknown_fields == Some(true)
        || matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Bool(true)));
    schema.type_.as_deref() == Some("object") && !open && property(schema, field).is_none()
}
