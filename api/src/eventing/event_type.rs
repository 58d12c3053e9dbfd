//! EventType, `eventing.knative.dev/v1beta2`, the stored version; [`v1beta1`] and [`v1beta3`] are served too.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::Admit;
use crate::destination::KReference;
use crate::event::is_uri_reference;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path};

pub(crate) mod convert;
pub mod v1beta1;
pub mod v1beta3;

/// EventType describes a type of event that can be had from a Broker, a channel or a source.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1beta2",
    kind = "EventType",
    namespaced,
    status = "EventTypeStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"Source","type":"string","jsonPath":".spec.source"}"#,
    printcolumn = r#"{"name":"Schema","type":"string","jsonPath":".spec.schema"}"#,
    printcolumn = r#"{"name":"Reference Name","type":"string","jsonPath":".spec.reference.name"}"#,
    printcolumn = r#"{"name":"Reference Kind","type":"string","jsonPath":".spec.reference.kind"}"#,
    printcolumn = r#"{"name":"Description","type":"string","jsonPath":".spec.description"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeSpec {
    /// Type is the events' `type`.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub ty: String,
    /// Source is the events' `source`, a URI; it may have `{placeholders}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Schema is a URI of the data's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// SchemaData is the data's schema itself, for people and tools; never looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_data: Option<String>,
    /// Broker that has the events. Deprecated: use reference, which wins where both are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// Reference names what has the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<KReference>,
    /// Description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is known of an EventType.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
}

impl EventTypeSpec {
    /// What has the events, by whichever field names it.
    pub fn target(&self) -> Option<KReference> {
        let broker = || self.broker.as_deref().filter(|broker| !broker.is_empty());
        self.reference.clone().or_else(|| {
            Some(KReference {
                kind: "Broker".to_owned(),
                name: broker()?.to_owned(),
                api_version: Some("eventing.knative.dev/v1".to_owned()),
                ..KReference::default()
            })
        })
    }

    fn set_defaults(&mut self, namespace: &str) {
        if let Some(reference) = &mut self.reference {
            reference.default_namespace(namespace);
        }
    }

    /// Every rule of this version. Nothing is immutable: Knative has rules for it and does not ask them.
    fn validate(&self) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if self.ty.is_empty() {
            errors.push(FieldError::missing(spec.field("type")));
        }
        for (field, value) in [("source", &self.source), ("schema", &self.schema)] {
            // What a placeholder stands for is no concern of the syntax.
            if let Some(value) = value
                && !is_uri_reference(&value.replace(['{', '}'], ""))
            {
                errors.push(FieldError::invalid(spec.field(field), value, "expected a URI"));
            }
        }
        if let Some(reference) = &self.reference {
            reference.validate(&spec.field("reference"), &mut errors);
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        let deprecated = self.broker.as_ref().map(|_| "spec.broker is deprecated: use spec.reference".to_owned());
        deprecated.into_iter().collect()
    }
}

impl Admit for EventType {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        self.spec.set_defaults(&namespace);
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        self.spec.validate()
    }

    fn warnings(&self) -> Vec<String> {
        self.spec.warnings()
    }
}
