//! Parallel, `flows.knative.dev/v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FlowChannelStatus, FlowSubscriptionStatus, default_template, validate_template};
use crate::admission::Admit;
use crate::delivery::DeliverySpec;
use crate::destination::Destination;
use crate::eventing::{SubscriptionsApiFilter, validate_filters};
use crate::messaging::ChannelTemplateSpec;
use crate::status::{AddressStatus, AuthStatus, PolicyStatus, StatusHead};
use crate::validation::{FieldError, Path, Problem};

/// Parallel offers each event to all its branches; a branch takes those that pass its filter.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flows.knative.dev",
    version = "v1",
    kind = "Parallel",
    namespaced,
    status = "ParallelStatus",
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
pub struct ParallelSpec {
    /// Branches, at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<ParallelBranch>,
    /// ChannelTemplate says which kind of channel stands before the branches and in each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_template: Option<ChannelTemplateSpec>,
    /// Reply receives what a branch without a reply of its own answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Destination>,
}

/// One branch of a Parallel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelBranch {
    /// Filter is asked about each event; the branch gets the event that it answers with, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Destination>,
    /// Filters all have to match for the branch to get an event; exactly one of filter and filters may be set.
    /// An addition of Weir; Knative's branches have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SubscriptionsApiFilter>,
    /// Subscriber receives the branch's events.
    #[serde(default, skip_serializing_if = "Destination::is_empty")]
    pub subscriber: Destination,
    /// Reply receives what the subscriber answers with, in place of the Parallel's reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Destination>,
    /// Delivery options towards the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// What is known of a Parallel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Where events are taken: the ingress channel's address.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// Who may send them.
    #[serde(flatten)]
    pub policy: PolicyStatus,
    /// Auth lists the identities of the Subscriptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
    /// IngressChannelStatus is the channel before the branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_channel_status: Option<FlowChannelStatus>,
    /// BranchStatuses, in the order of the branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branch_statuses: Vec<ParallelBranchStatus>,
}

/// What is known of one branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelBranchStatus {
    /// FilterSubscriptionStatus is the Subscription of the filter to the ingress channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_subscription_status: Option<FlowSubscriptionStatus>,
    /// FilterChannelStatus is the branch's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_channel_status: Option<FlowChannelStatus>,
    /// SubscriberSubscriptionStatus is the Subscription of the subscriber to the branch's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_subscription_status: Option<FlowSubscriptionStatus>,
}

impl Admit for Parallel {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        default_template(&mut self.spec.channel_template);
        for ParallelBranch { filter, filters: _, subscriber, reply, delivery } in &mut self.spec.branches {
            for destination in filter.iter_mut().chain([subscriber]).chain(reply) {
                destination.default_namespace(&namespace);
            }
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
        let branches = spec.field("branches");
        if self.spec.branches.is_empty() {
            errors.push(FieldError::missing(branches.clone()));
        }
        for (index, branch) in self.spec.branches.iter().enumerate() {
            branch.validate(&branches.index(index), &mut errors);
        }
        validate_template(self.spec.channel_template.as_ref(), &spec, &mut errors);
        if let Some(reply) = &self.spec.reply {
            reply.validate(&spec.field("reply"), &mut errors);
        }
        errors
    }
}

impl ParallelBranch {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if self.filter.is_some() && !self.filters.is_empty() {
            let problem = Problem::Both(path.field("filters"));
            errors.push(FieldError { path: path.field("filter"), problem });
        }
        if let Some(filter) = &self.filter {
            filter.validate(&path.field("filter"), errors);
        }
        validate_filters(&self.filters, &path.field("filters"), errors);
        self.subscriber.validate(&path.field("subscriber"), errors);
        if let Some(reply) = &self.reply {
            reply.validate(&path.field("reply"), errors);
        }
        if let Some(delivery) = &self.delivery {
            delivery.validate(&path.field("delivery"), errors);
        }
    }
}
