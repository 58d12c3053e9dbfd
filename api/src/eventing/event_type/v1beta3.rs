//! EventType, `eventing.knative.dev/v1beta3`: any attribute can be described.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EventTypeStatus;
use crate::admission::Admit;
use crate::destination::KReference;
use crate::validation::FieldError;

/// EventType describes a type of event that can be had from a Broker, a channel or a source.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1beta3",
    kind = "EventType",
    namespaced,
    status = "EventTypeStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".spec.attributes[?(@.name==\"type\")].value"}"#,
    printcolumn = r#"{"name":"Source","type":"string","jsonPath":".spec.attributes[?(@.name==\"source\")].value"}"#,
    printcolumn = r#"{"name":"Reference Name","type":"string","jsonPath":".spec.reference.name"}"#,
    printcolumn = r#"{"name":"Reference Kind","type":"string","jsonPath":".spec.reference.kind"}"#,
    printcolumn = r#"{"name":"Description","type":"string","jsonPath":".spec.description"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeSpec {
    /// Reference names what has the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<KReference>,
    /// Description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Attributes of the events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<EventAttributeDefinition>,
}

/// One attribute of the events of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventAttributeDefinition {
    /// Name of the attribute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Required says whether every event has it.
    #[serde(default)]
    pub required: bool,
    /// Value of the attribute; it may have `{placeholders}`. Empty if there is nothing to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// What every event has, and so every EventType should describe.
const CORE: [&str; 4] = ["type", "source", "specversion", "id"];

impl EventTypeSpec {
    /// The definition of an attribute; the last one counts if there are several.
    pub(super) fn attribute(&self, name: &str) -> Option<&EventAttributeDefinition> {
        self.attributes.iter().rev().find(|attribute| attribute.name == name)
    }
}

/// Knative neither defaults nor validates this version, so neither do we; what its unused rules would refuse is told.
impl Admit for EventType {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<String> {
        let missing: Vec<&str> = CORE.into_iter().filter(|name| self.spec.attribute(name).is_none()).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        vec![format!("spec.attributes does not describe {}, which every event has", missing.join(", "))]
    }

    fn records_user(&self) -> bool {
        false
    }
}
