//! Configuration, `serving.knative.dev/v1`: makes a Revision of each change of its template.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::ServingConfig;
use super::metadata::{self, SERVICE_LABEL};
use super::revision_template::RevisionTemplateSpec;
use crate::admission::Admit;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path};

/// ConfigurationSpec is what the next Revision will be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serving.knative.dev",
    version = "v1",
    kind = "Configuration",
    namespaced,
    status = "ConfigurationStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "config",
    shortname = "cfg",
    category = "all",
    category = "knative",
    category = "serving",
    label("knative.dev/crd-install", "true"),
    label("duck.knative.dev/podspecable", "true"),
    printcolumn = r#"{"name":"LatestCreated","type":"string","jsonPath":".status.latestCreatedRevisionName"}"#,
    printcolumn = r#"{"name":"LatestReady","type":"string","jsonPath":".status.latestReadyRevisionName"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
pub struct ConfigurationSpec {
    /// Template of the Revisions.
    #[serde(default)]
    pub template: RevisionTemplateSpec,
}

/// What is known of a Configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// LatestCreatedRevisionName is the newest Revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_created_revision_name: Option<String>,
    /// LatestReadyRevisionName is the newest Revision that is, or was, Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ready_revision_name: Option<String>,
}

impl Admit for Configuration {
    fn set_defaults(&mut self, old: Option<&Self>) {
        if let Some(old) = old
            && self.records_user()
        {
            metadata::keep_user(&mut self.metadata, &old.metadata);
        }
        self.spec.template.set_defaults(old.map(|old| &old.spec.template), &ServingConfig::default());
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let template = Path::new("spec").field("template");
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &Path::new("metadata"), &mut errors);
        metadata::validate_owner(&self.metadata, SERVICE_LABEL, "Service", &mut errors);
        metadata::refuse_autoscaling(&self.metadata, &mut errors);
        self.spec.template.validate(&self.metadata, &ServingConfig::default(), &template, &mut errors);
        if let Some(old) = old {
            self.spec.template.validate_change(&old.spec.template, &template, &mut errors);
            if self.records_user() {
                metadata::validate_user(&self.metadata, &old.metadata, self.spec == old.spec, &mut errors);
            }
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        self.spec.template.warnings(&Path::new("spec").field("template"))
    }

    fn records_user(&self) -> bool {
        !metadata::is_owned(&self.metadata)
    }
}
