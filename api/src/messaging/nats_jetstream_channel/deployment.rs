//! What a NatsJetStreamChannel says about Knative's dispatcher.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::any_object;
use crate::validation::{FieldError, Path};

/// Changes to the Deployment of Knative's shared dispatcher. Taken, so that manifests work, and without effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpecTemplate {
    /// Annotations of the Deployment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of the Deployment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// NodeSelector of its pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Resources of its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub resources: Option<Value>,
    /// Affinity of its pods; required, as in Knative's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub affinity: Option<Value>,
}

impl DeploymentSpecTemplate {
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if self.affinity.is_none() {
            errors.push(FieldError::missing(path.field("affinity")));
        }
    }
}
