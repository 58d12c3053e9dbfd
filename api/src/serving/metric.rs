//! Metric, `autoscaling.internal.knative.dev/v1alpha1`: what is to be measured of one Revision.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metadata;
use crate::admission::Admit;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path};

/// MetricSpec is where to measure, and over which windows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "autoscaling.internal.knative.dev",
    version = "v1alpha1",
    kind = "Metric",
    namespaced,
    status = "MetricStatus",
    derive = "Default",
    derive = "PartialEq",
    label("knative.dev/crd-install", "true"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct MetricSpec {
    /// StableWindow is how far back decisions look in calm times, in nanoseconds.
    #[serde(default)]
    pub stable_window: i64,
    /// PanicWindow is how far back they look when load rises fast, in nanoseconds.
    #[serde(default)]
    pub panic_window: i64,
    /// ScrapeTarget is the Service whose pods are asked; empty if all requests are counted on their way anyway.
    #[serde(default)]
    pub scrape_target: String,
}

/// What is known of a Metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
}

impl Admit for Metric {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &Path::new("metadata"), &mut errors);
        for (field, window) in [("stableWindow", self.spec.stable_window), ("panicWindow", self.spec.panic_window)] {
            if window <= 0 {
                errors.push(FieldError::invalid(spec.field(field), &window, "must be more than zero"));
            }
        }
        errors
    }

    fn records_user(&self) -> bool {
        false
    }
}
