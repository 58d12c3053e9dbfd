//! Subscription, `messaging.knative.dev/v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::Admit;
use crate::delivery::{DeliverySpec, DeliveryStatus};
use crate::destination::{Destination, KReference};
use crate::eventing::{SubscriptionsApiFilter, validate_filters};
use crate::status::{AuthStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// Subscription sends the events of a channel to a subscriber, and the subscriber's answers to a reply.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1",
    kind = "Subscription",
    namespaced,
    status = "SubscriptionStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "sub",
    category = "all",
    category = "knative",
    category = "messaging",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionSpec {
    /// Channel refers to the channel, in the same namespace. Immutable.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub channel: KReference,
    /// Filters all have to match for an event to be delivered. An addition of Weir; Knative's Subscriptions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SubscriptionsApiFilter>,
    /// Subscriber receives the channel's events.
    #[serde(default, skip_serializing_if = "Destination::is_empty")]
    pub subscriber: Destination,
    /// Reply receives the events that the subscriber answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Destination>,
    /// Delivery options; if present at all they replace the channel's, except for the dead letter sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

fn is_unset(reference: &KReference) -> bool {
    *reference == KReference::default()
}

/// What is known of a Subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Auth is the identity used towards the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
    /// PhysicalSubscription is what the spec resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_subscription: Option<PhysicalSubscription>,
}

/// A Subscription's destinations, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhysicalSubscription {
    /// Resolved URI of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_uri: Option<String>,
    /// CA certificates of the subscriber in PEM format.
    #[serde(default, rename = "subscriberCACerts", skip_serializing_if = "Option::is_none")]
    pub subscriber_ca_certs: Option<String>,
    /// OIDC audience of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_audience: Option<String>,
    /// Resolved URI of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_uri: Option<String>,
    /// CA certificates of the reply's destination in PEM format.
    #[serde(default, rename = "replyCACerts", skip_serializing_if = "Option::is_none")]
    pub reply_ca_certs: Option<String>,
    /// OIDC audience of the reply's destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_audience: Option<String>,
    /// Where dead letters go.
    #[serde(flatten)]
    pub delivery: DeliveryStatus,
}

impl Admit for Subscription {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        let SubscriptionSpec { subscriber, reply, delivery, .. } = &mut self.spec;
        subscriber.default_namespace(&namespace);
        if let Some(reply) = reply {
            reply.default_namespace(&namespace);
        }
        if let Some(delivery) = delivery {
            delivery.default_namespace(&namespace);
        }
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        self.validate_channel(old, &spec.field("channel"), &mut errors);
        validate_filters(&self.spec.filters, &spec.field("filters"), &mut errors);
        if self.spec.subscriber.is_empty() {
            errors.push(FieldError::missing(spec.field("subscriber")));
        } else {
            self.spec.subscriber.validate(&spec.field("subscriber"), &mut errors);
        }
        // An empty reply is no reply, as in Knative.
        if let Some(reply) = self.spec.reply.as_ref().filter(|reply| !reply.is_empty()) {
            reply.validate(&spec.field("reply"), &mut errors);
        }
        if let Some(delivery) = &self.spec.delivery {
            delivery.validate(&spec.field("delivery"), &mut errors);
        }
        errors
    }
}

impl Subscription {
    fn validate_channel(&self, old: Option<&Self>, path: &Path, errors: &mut Vec<FieldError>) {
        let channel = &self.spec.channel;
        if is_unset(channel) {
            errors.push(FieldError::missing(path.clone()));
        } else {
            channel.validate(path, errors);
        }
        if channel.namespace.is_some() {
            let why = "a Subscription takes events from a channel of its own namespace";
            errors.push(FieldError::forbidden(path.field("namespace"), why));
        }
        if let Some(old) = old.filter(|old| old.spec.channel != *channel) {
            errors.push(FieldError::immutable(path.clone(), channel, &old.spec.channel));
        }
    }
}
