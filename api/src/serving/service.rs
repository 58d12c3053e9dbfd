//! Service, `serving.knative.dev/v1`: a Configuration and a Route in one.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::ServingConfig;
use super::metadata;
use super::revision_template::RevisionTemplateSpec;
use super::traffic::{self, Owner, TrafficTarget};
use crate::admission::Admit;
use crate::status::{AddressStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// ServiceSpec is what to run, and which of its Revisions get which share of the requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serving.knative.dev",
    version = "v1",
    kind = "Service",
    namespaced,
    status = "ServiceStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "kservice",
    shortname = "ksvc",
    category = "all",
    category = "knative",
    category = "serving",
    label("knative.dev/crd-install", "true"),
    label("duck.knative.dev/addressable", "true"),
    label("duck.knative.dev/podspecable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"LatestCreated","type":"string","jsonPath":".status.latestCreatedRevisionName"}"#,
    printcolumn = r#"{"name":"LatestReady","type":"string","jsonPath":".status.latestReadyRevisionName"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
pub struct ServiceSpec {
    /// Template of the Revisions.
    #[serde(default)]
    pub template: RevisionTemplateSpec,
    /// Traffic lists the targets; all of it goes to the latest Revision unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficTarget>,
}

/// What is known of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Address inside the cluster.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// LatestCreatedRevisionName is the newest Revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_created_revision_name: Option<String>,
    /// LatestReadyRevisionName is the newest Revision that is, or was, Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ready_revision_name: Option<String>,
    /// URL for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Traffic as it is now, with a Revision for every target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficTarget>,
}

impl Admit for Service {
    fn set_defaults(&mut self, old: Option<&Self>) {
        if let Some(old) = old {
            metadata::keep_user(&mut self.metadata, &old.metadata);
        }
        self.spec.template.set_defaults(old.map(|old| &old.spec.template), &ServingConfig::default());
        traffic::set_defaults(&mut self.spec.traffic, Owner::Service);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let template = spec.field("template");
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &Path::new("metadata"), &mut errors);
        metadata::refuse_autoscaling(&self.metadata, &mut errors);
        metadata::validate_rollout(&self.metadata, &mut errors);
        self.spec.template.validate(&self.metadata, &ServingConfig::default(), &template, &mut errors);
        traffic::validate(&self.spec.traffic, Owner::Service, &spec.field("traffic"), &mut errors);
        if let Some(old) = old {
            self.spec.template.validate_change(&old.spec.template, &template, &mut errors);
            metadata::validate_user(&self.metadata, &old.metadata, self.spec == old.spec, &mut errors);
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        self.spec.template.warnings(&Path::new("spec").field("template"))
    }
}
