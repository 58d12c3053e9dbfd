//! Values that live in a Secret of the source's namespace.

use k8s_openapi::api::core::v1::SecretKeySelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validation::{FieldError, Path, require};

/// Names the Secret that holds a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretValueFrom {
    /// SecretKeyRef is the Secret and the key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeySelector>,
}

impl SecretValueFrom {
    /// Adds every rule it breaks.
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let path = path.field("secretKeyRef");
        match &self.secret_key_ref {
            None => errors.push(FieldError::missing(path)),
            Some(selector) => validate_selector(selector, &path, errors),
        }
    }

    /// As [`validate`](Self::validate), for a field that has to be there.
    pub(super) fn validate_required(value: Option<&Self>, path: &Path, errors: &mut Vec<FieldError>) {
        match value {
            None => errors.push(FieldError::missing(path.clone())),
            Some(value) => value.validate(path, errors),
        }
    }
}

/// Adds an error for each part of `selector` that is missing.
pub(super) fn validate_selector(selector: &SecretKeySelector, path: &Path, errors: &mut Vec<FieldError>) {
    require([("name", &selector.name), ("key", &selector.key)], path, errors);
}
