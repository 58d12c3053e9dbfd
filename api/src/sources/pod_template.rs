//! Pod templates inside a source's spec.
//!
//! They are kept as the client wrote them, so that nothing gets lost on the way to the workload, and decoded to be
//! checked. A CRD that spelt out a pod's schema would be larger than all others together; Knative's does not either.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use crate::validation::{FieldError, Path};

/// Any object, as in Knative's schema.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The template with its types. Adds what is wrong with it: a field of another type, or one that pods do not have
/// (the schema leaves that to us; Knative's webhook refuses it as well).
pub(super) fn decode(template: &Value, path: &Path, errors: &mut Vec<FieldError>) -> Option<PodTemplateSpec> {
    let decoded = match PodTemplateSpec::deserialize(template) {
        Ok(decoded) => decoded,
        Err(error) => {
            errors.push(FieldError::invalid(path.clone(), template, error));
            return None;
        }
    };
    let known = serde_json::to_value(&decoded).unwrap_or_default();
    refuse_unknown(template, &known, path, errors);
    Some(decoded)
}

/// Adds an error for each field of `written` that decoding has dropped.
fn refuse_unknown(written: &Value, known: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, written) in written.iter().filter(|(_, value)| !value.is_null()) {
                match known.get(key) {
                    Some(known) => refuse_unknown(written, known, &path.field(key), errors),
                    None => errors.push(FieldError::forbidden(path.field(key), "a pod template has no such field")),
                }
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            for (index, (written, known)) in written.iter().zip(known).enumerate() {
                refuse_unknown(written, known, &path.index(index), errors);
            }
        }
        _ => {}
    }
}

/// Gives containers without a name the name `<source>-<index>`.
pub(super) fn default_container_names(template: &mut Value, source: &ObjectMeta) {
    // The API server makes up the rest of a generated name only after admission.
    let generated = source.generate_name.as_deref().map(|prefix| prefix.trim_end_matches('-'));
    let source = source.name.as_deref().or(generated).unwrap_or("source");
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    for (index, container) in containers.into_iter().flatten().filter_map(Value::as_object_mut).enumerate() {
        if container.get("name").is_none_or(|name| name.is_null() || name == "") {
            container.insert("name".to_owned(), Value::String(format!("{source}-{index}")));
        }
    }
}
