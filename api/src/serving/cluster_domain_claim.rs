//! ClusterDomainClaim, `networking.internal.knative.dev/v1alpha1`: which namespace a domain belongs to. The name of the
//! object is the domain.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::Admit;
use crate::validation::{FieldError, Path};

/// ClusterDomainClaimSpec is whose the domain is.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "networking.internal.knative.dev",
    version = "v1alpha1",
    kind = "ClusterDomainClaim",
    derive = "Default",
    derive = "PartialEq",
    shortname = "cdc",
    label("knative.dev/crd-install", "true")
)]
pub struct ClusterDomainClaimSpec {
    /// Namespace that may use the domain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl Admit for ClusterDomainClaim {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.spec.namespace.is_empty() {
            errors.push(FieldError::missing(Path::new("spec").field("namespace")));
        }
        errors
    }

    fn records_user(&self) -> bool {
        false
    }
}
