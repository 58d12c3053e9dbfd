//! The kinds of `flows.knative.dev`: several Subscriptions and the channels between them, written as one object.

use k8s_openapi::api::core::v1::ObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::messaging::ChannelTemplateSpec;
use crate::validation::{FieldError, Path};

mod parallel;
mod sequence;

pub use parallel::{Parallel, ParallelBranch, ParallelBranchStatus, ParallelSpec, ParallelStatus};
pub use sequence::{Sequence, SequenceSpec, SequenceStatus, SequenceStep};

/// One channel of a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowChannelStatus {
    /// Channel refers to the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ObjectReference>,
    /// Ready is the channel's readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Condition>,
}

/// One Subscription of a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowSubscriptionStatus {
    /// Subscription refers to the Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<ObjectReference>,
    /// Ready is the Subscription's readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Condition>,
}

/// The template of a flow that names none: the cluster's. Unlike a Channel's it may change, so the stored one is not
/// asked.
fn default_template(template: &mut Option<ChannelTemplateSpec>) {
    template.get_or_insert_with(ChannelTemplateSpec::cluster_default);
}

/// Adds every rule the template of a flow breaks.
fn validate_template(template: Option<&ChannelTemplateSpec>, spec: &Path, errors: &mut Vec<FieldError>) {
    let path = spec.field("channelTemplate");
    match template {
        Some(template) => template.validate(&path, errors),
        None => errors.push(FieldError::missing(path)),
    }
}

#[cfg(test)]
mod tests;
