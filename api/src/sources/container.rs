//! ContainerSource, `sources.knative.dev/v1`.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pod_template;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::embedded;
use crate::schema::any_object;
use crate::validation::{FieldError, FieldErrors, Path};

/// ContainerSource runs containers that send events to a sink.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1",
    kind = "ContainerSource",
    namespaced,
    status = "SourceStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "sources",
    label("duck.knative.dev/source", "true"),
    label("eventing.knative.dev/source", "true"),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Template of the pods to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub template: Option<Value>,
}

impl ContainerSourceSpec {
    /// The template with its types; empty if there is none.
    pub fn pod_template(&self) -> Result<PodTemplateSpec, FieldErrors> {
        let mut errors = Vec::new();
        let decoded = self.decode_template(&mut errors);
        FieldErrors::check(errors)?;
        Ok(decoded.unwrap_or_default())
    }

    fn decode_template(&self, errors: &mut Vec<FieldError>) -> Option<PodTemplateSpec> {
        let path = Path::new("spec").field("template");
        match &self.template {
            None => Some(PodTemplateSpec::default()),
            Some(template) => embedded::decode(template, &path, errors),
        }
    }
}

impl Admit for ContainerSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        if let Some(template) = &mut self.spec.template {
            pod_template::default_container_names(template, &self.metadata);
        }
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if let Some(template) = self.spec.decode_template(&mut errors) {
            let path = spec.field("template").field("spec");
            embedded::validate_pod(&template.spec.unwrap_or_default(), &path, &mut errors);
        }
        self.spec.source.validate(&spec, &mut errors);
        errors
    }
}
