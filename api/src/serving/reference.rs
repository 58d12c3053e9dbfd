//! What internal kinds say about the workload they are for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{DNS1123_LABEL, is_dns1123_label};
use crate::validation::{FieldError, Path, one_of, require};

/// A workload in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetReference {
    /// API version of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl TargetReference {
    /// Adds every rule this reference breaks.
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("apiVersion", &self.api_version), ("kind", &self.kind), ("name", &self.name)], path, errors);
        if !self.name.is_empty() && !is_dns1123_label(&self.name) {
            errors.push(FieldError::invalid(path.field("name"), &self.name, DNS1123_LABEL));
        }
    }
}

/// Adds an error unless `protocol` is one a container can speak.
pub(super) fn validate_protocol(protocol: &str, path: &Path, errors: &mut Vec<FieldError>) {
    match protocol {
        "" => errors.push(FieldError::missing(path.clone())),
        protocol => one_of(protocol, &["http1", "h2c"], path, errors),
    }
}
