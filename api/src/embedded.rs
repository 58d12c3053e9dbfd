//! Objects of Kubernetes inside our own: pod templates, Jobs.
//!
//! They are kept as the client wrote them, so that nothing gets lost on the way to the workload, and decoded to be
//! checked. A CRD that spelt out a pod's schema would be larger than all others together; Knative's does not either.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::validation::{FieldError, Path, require};

/// The object with its types. Adds what is wrong with it: a field of another type, or one that such objects do not
/// have (the schema leaves that to us; Knative's webhook refuses it as well).
pub(crate) fn decode<T>(written: &Value, path: &Path, errors: &mut Vec<FieldError>) -> Option<T>
where
    T: DeserializeOwned + Serialize,
{
    match T::deserialize(written) {
        Ok(decoded) => {
            // What the type did not take in is what it does not have.
            refuse_unknown(written, &serde_json::to_value(&decoded).unwrap_or_default(), path, errors);
            Some(decoded)
        }
        Err(error) => {
            errors.push(FieldError::invalid(path.clone(), written, error));
            None
        }
    }
}

/// Adds an error for each field of `written` that decoding has dropped.
fn refuse_unknown(written: &Value, known: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, written) in written.iter().filter(|(_, value)| !value.is_null()) {
                match known.get(key) {
                    Some(known) => refuse_unknown(written, known, &path.field(key), errors),
                    None => errors.push(FieldError::forbidden(path.field(key), "no such field")),
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

/// Adds an error for what no pod can run without: containers, and a name and an image for each container.
pub(crate) fn validate_pod(pod: &PodSpec, path: &Path, errors: &mut Vec<FieldError>) {
    if pod.containers.is_empty() {
        errors.push(FieldError::missing(path.field("containers")));
    }
    validate_containers(&pod.containers, &path.field("containers"), errors);
    validate_containers(pod.init_containers.as_deref().unwrap_or_default(), &path.field("initContainers"), errors);
}

fn validate_containers(containers: &[Container], path: &Path, errors: &mut Vec<FieldError>) {
    for (index, container) in containers.iter().enumerate() {
        let image = container.image.as_deref().unwrap_or_default();
        require([("name", &container.name), ("image", image)], &path.index(index), errors);
    }
}
