//! Which kind of channel is made for a Channel, a Sequence or a Parallel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::any_object;
use crate::validation::{FieldError, Path, require};

/// Kind and spec of the channels to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelTemplateSpec {
    /// API version of the channels.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the channels.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Spec that each channel is made with, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub spec: Option<Value>,
}

impl ChannelTemplateSpec {
    /// What an object without a template gets: Knative's `default-ch-webhook`, as shipped.
    pub fn cluster_default() -> Self {
        Self { api_version: "messaging.knative.dev/v1".to_owned(), kind: "InMemoryChannel".to_owned(), spec: None }
    }

    /// Adds every rule this template breaks.
    pub fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("apiVersion", &self.api_version), ("kind", &self.kind)], path, errors);
    }
}
