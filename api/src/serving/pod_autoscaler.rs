//! PodAutoscaler, `autoscaling.internal.knative.dev/v1alpha1`: how one Revision scales.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::autoscaling_annotations::{CLASS, HPA_CLASS, KPA_CLASS, METRIC};
use super::config::ServingConfig;
use super::metadata;
use super::reference::{TargetReference, validate_protocol};
use crate::admission::Admit;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path};

/// PodAutoscalerSpec is what scales, and by what. Annotations hold the rest, as on the Revision.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "autoscaling.internal.knative.dev",
    version = "v1alpha1",
    kind = "PodAutoscaler",
    namespaced,
    status = "PodAutoscalerStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "kpa",
    shortname = "pa",
    label("knative.dev/crd-install", "true"),
    printcolumn = r#"{"name":"DesiredScale","type":"integer","jsonPath":".status.desiredScale"}"#,
    printcolumn = r#"{"name":"ActualScale","type":"integer","jsonPath":".status.actualScale"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerSpec {
    /// ContainerConcurrency is how many requests a pod gets at once; 0 is no limit.
    #[serde(default)]
    pub container_concurrency: i64,
    /// ScaleTargetRef is the workload.
    #[serde(default)]
    pub scale_target_ref: TargetReference,
    /// Reachability says whether a Route leads to the Revision: `Reachable`, `Unreachable`, or empty if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachability: Option<String>,
    /// ProtocolType is what the containers speak: `http1` or `h2c`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub protocol_type: String,
}

/// What is known of a PodAutoscaler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// ServiceName is the Service that requests go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// MetricsServiceName is the Service that leads to the pods and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_service_name: Option<String>,
    /// DesiredScale is the number of pods there should be; -1 if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_scale: Option<i32>,
    /// ActualScale is the number of pods that are ready; -1 if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_scale: Option<i32>,
}

impl Admit for PodAutoscaler {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let annotations = self.annotations_mut();
        let class = annotations.entry(CLASS.to_owned()).or_insert_with(|| KPA_CLASS.to_owned());
        let metric = match class.as_str() {
            KPA_CLASS => "concurrency",
            HPA_CLASS => "cpu",
            // Somebody else's autoscaler has its own.
            _ => return,
        };
        annotations.entry(METRIC.to_owned()).or_insert_with(|| metric.to_owned());
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let config = ServingConfig::default();
        let (metadata, spec) = (Path::new("metadata"), Path::new("spec"));
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &metadata, &mut errors);
        let annotations = metadata.field("annotations");
        metadata::validate_running(self.annotations(), config.autoscaler, &annotations, &mut errors);
        let (limit, most) = (self.spec.container_concurrency, config.defaults.container_concurrency_max);
        if !(0..=most).contains(&limit) {
            let detail = format!("expected 0 to {most}");
            errors.push(FieldError::invalid(spec.field("containerConcurrency"), &limit, detail));
        }
        self.spec.scale_target_ref.validate(&spec.field("scaleTargetRef"), &mut errors);
        let reachability = self.spec.reachability.as_deref().unwrap_or_default();
        if !matches!(reachability, "" | "Reachable" | "Unreachable") {
            let detail = "expected Reachable, Unreachable or nothing";
            errors.push(FieldError::invalid(spec.field("reachability"), &reachability, detail));
        }
        validate_protocol(&self.spec.protocol_type, &spec.field("protocolType"), &mut errors);
        errors
    }

    fn records_user(&self) -> bool {
        false
    }
}
