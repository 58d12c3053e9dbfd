//! EventType, `eventing.knative.dev/v1beta1`: the fields of v1beta2, a rule more.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EventTypeStatus;
use crate::admission::Admit;
use crate::validation::{FieldError, Path};

/// EventType describes a type of event that can be had from a Broker.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1beta1",
    kind = "EventType",
    namespaced,
    status = "EventTypeStatus",
    derive = "Default",
    derive = "PartialEq",
    deprecated = "eventing.knative.dev/v1beta1 EventType is deprecated: use eventing.knative.dev/v1beta2 EventType",
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"Source","type":"string","jsonPath":".spec.source"}"#,
    printcolumn = r#"{"name":"Schema","type":"string","jsonPath":".spec.schema"}"#,
    printcolumn = r#"{"name":"Reference Name","type":"string","jsonPath":".spec.reference.name"}"#,
    printcolumn = r#"{"name":"Reference Kind","type":"string","jsonPath":".spec.reference.kind"}"#,
    printcolumn = r#"{"name":"Description","type":"string","jsonPath":".spec.description"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(transparent)]
pub struct EventTypeSpec(pub super::EventTypeSpec);

impl Admit for EventType {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        self.spec.0.set_defaults(&namespace);
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = self.spec.0.validate();
        let spec = Path::new("spec");
        for (field, value) in [("source", &self.spec.0.source), ("schema", &self.spec.0.schema)] {
            if value.as_deref() == Some("") {
                errors.push(FieldError::invalid(spec.field(field), value, "expected a URI, or no such field"));
            }
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        self.spec.0.warnings()
    }
}
