//! Sequence, `flows.knative.dev/v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FlowChannelStatus, FlowSubscriptionStatus, default_template, validate_template};
use crate::admission::Admit;
use crate::delivery::DeliverySpec;
use crate::destination::Destination;
use crate::messaging::ChannelTemplateSpec;
use crate::status::{AddressStatus, AuthStatus, PolicyStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// Sequence passes an event through its steps, each getting what the one before answered with.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flows.knative.dev",
    version = "v1",
    kind = "Sequence",
    namespaced,
    status = "SequenceStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "flows",
    label("duck.knative.dev/addressable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SequenceSpec {
    /// Steps, in order; at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<SequenceStep>,
    /// ChannelTemplate says which kind of channel stands before each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_template: Option<ChannelTemplateSpec>,
    /// Reply receives what the last step answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Destination>,
}

/// One step of a Sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SequenceStep {
    /// Who receives the events of this step.
    #[serde(flatten)]
    pub destination: Destination,
    /// Delivery options of this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// What is known of a Sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SequenceStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Where events are taken: the first channel's address.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// Who may send them.
    #[serde(flatten)]
    pub policy: PolicyStatus,
    /// Auth lists the identities of the Subscriptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
    /// ChannelStatuses, in the order of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channel_statuses: Vec<FlowChannelStatus>,
    /// SubscriptionStatuses, in the order of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscription_statuses: Vec<FlowSubscriptionStatus>,
}

impl Admit for Sequence {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        default_template(&mut self.spec.channel_template);
        for SequenceStep { destination, delivery } in &mut self.spec.steps {
            destination.default_namespace(&namespace);
            if let Some(delivery) = delivery {
                delivery.default_namespace(&namespace);
            }
        }
        if let Some(reply) = &mut self.spec.reply {
            reply.default_namespace(&namespace);
        }
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let steps = spec.field("steps");
        if self.spec.steps.is_empty() {
            errors.push(FieldError::missing(steps.clone()));
        }
        for (index, step) in self.spec.steps.iter().enumerate() {
            let path = steps.index(index);
            step.destination.validate(&path, &mut errors);
            if let Some(delivery) = &step.delivery {
                delivery.validate(&path.field("delivery"), &mut errors);
            }
        }
        validate_template(self.spec.channel_template.as_ref(), &spec, &mut errors);
        if let Some(reply) = &self.spec.reply {
            reply.validate(&spec.field("reply"), &mut errors);
        }
        errors
    }
}
