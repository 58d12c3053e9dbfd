//! Route, `serving.knative.dev/v1`: an address, and the Revisions its requests go to.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metadata::{self, SERVICE_LABEL};
use super::traffic::{self, Owner, TrafficTarget};
use crate::admission::Admit;
use crate::status::{AddressStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// RouteSpec is who gets which share of the requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serving.knative.dev",
    version = "v1",
    kind = "Route",
    namespaced,
    status = "RouteStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "rt",
    category = "all",
    category = "knative",
    category = "serving",
    label("knative.dev/crd-install", "true"),
    label("duck.knative.dev/addressable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
pub struct RouteSpec {
    /// Traffic lists the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficTarget>,
}

/// What is known of a Route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Address inside the cluster.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// URL for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Traffic as it is now, with a Revision for every target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficTarget>,
}

impl Admit for Route {
    fn set_defaults(&mut self, old: Option<&Self>) {
        if let Some(old) = old
            && self.records_user()
        {
            metadata::keep_user(&mut self.metadata, &old.metadata);
        }
        traffic::set_defaults(&mut self.spec.traffic, Owner::Route);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &Path::new("metadata"), &mut errors);
        metadata::validate_owner(&self.metadata, SERVICE_LABEL, "Service", &mut errors);
        metadata::refuse_autoscaling(&self.metadata, &mut errors);
        metadata::validate_rollout(&self.metadata, &mut errors);
        traffic::validate(&self.spec.traffic, Owner::Route, &Path::new("spec").field("traffic"), &mut errors);
        if let Some(old) = old.filter(|_| self.records_user()) {
            metadata::validate_user(&self.metadata, &old.metadata, self.spec == old.spec, &mut errors);
        }
        errors
    }

    fn records_user(&self) -> bool {
        !metadata::is_owned(&self.metadata)
    }
}
