//! What every kind of channel has in common, Knative's Channelable duck: subscribers, their delivery, their status.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Status;
use crate::delivery::{DeliverySpec, DeliveryStatus};
use crate::destination::validate_url;
use crate::status::{AddressStatus, AuthStatus, PolicyStatus, StatusHead};
use crate::validation::{FieldError, Path, Problem, one_of};

/// Annotation that names the version of this duck; admission sets it.
pub const SUBSCRIBABLE_ANNOTATION: &str = "messaging.knative.dev/subscribable";
/// Annotation `cluster` or `namespace`: where Knative runs a channel's dispatcher. Validated as Knative does, no effect:
/// Weir's dispatchers serve every namespace.
pub const SCOPE_ANNOTATION: &str = "eventing.knative.dev/scope";

/// The only users that may change `spec.subscribers` of a channel: Knative's controller, and ours under both its names.
pub const CHANNEL_CONTROLLERS: [&str; 3] = [
    "system:serviceaccount:knative-eventing:eventing-controller",
    "system:serviceaccount:knative-eventing:weir-controller",
    "weir-controller",
];

/// Who a channel delivers to, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelableSpec {
    /// Subscribers are written by the Subscription controller, one for each Subscription.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscribers: Vec<Subscriber>,
    /// Delivery options that Subscriptions without their own inherit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// One subscriber of a channel: a Subscription, resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscriber {
    /// Name of the Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// UID of the Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// SubscriberURI is where events go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_uri: Option<String>,
    /// CA certificates of the subscriber in PEM format.
    #[serde(default, rename = "subscriberCACerts", skip_serializing_if = "Option::is_none")]
    pub subscriber_ca_certs: Option<String>,
    /// OIDC audience of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_audience: Option<String>,
    /// ReplyURI is where the subscriber's answers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_uri: Option<String>,
    /// CA certificates of the reply's destination in PEM format.
    #[serde(default, rename = "replyCACerts", skip_serializing_if = "Option::is_none")]
    pub reply_ca_certs: Option<String>,
    /// OIDC audience of the reply's destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_audience: Option<String>,
    /// Delivery options of this subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
    /// Auth is the identity used towards the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SubscriberAuth>,
}

/// The identity used towards one subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberAuth {
    /// ServiceAccountName is the generated service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// What is known of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelableStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Where events are taken.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// Who may send them.
    #[serde(flatten)]
    pub policy: PolicyStatus,
    /// Where dead letters go.
    #[serde(flatten)]
    pub delivery: DeliveryStatus,
    /// Subscribers says for each subscriber whether it gets events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscribers: Vec<SubscriberStatus>,
}

/// Whether one subscriber gets events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberStatus {
    /// UID of the Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the Subscription that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `True`, `False` or `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Status>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Auth is the identity used towards the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
}

impl ChannelableSpec {
    pub(super) fn set_defaults(&mut self, namespace: &str) {
        if let Some(delivery) = &mut self.delivery {
            delivery.default_namespace(namespace);
        }
    }

    /// Adds every rule these fields break.
    ///
    /// Stricter than Knative, whose channel kinds do not look at URLs and delivery options: what nothing could be
    /// delivered with is refused here as it is in a Subscription.
    pub(super) fn validate(&self, spec: &Path, errors: &mut Vec<FieldError>) {
        let list = spec.field("subscribers");
        for (index, subscriber) in self.subscribers.iter().enumerate() {
            subscriber.validate(&list.index(index), errors);
        }
        if let Some(delivery) = &self.delivery {
            delivery.validate(&spec.field("delivery"), errors);
        }
    }

    /// The rule about who may change the subscribers. Only for changes: nobody subscribes to what is just created.
    pub(super) fn authorize(&self, old: Option<&Self>, user: &str) -> Vec<FieldError> {
        if old.is_none_or(|old| old.subscribers == self.subscribers) || CHANNEL_CONTROLLERS.contains(&user) {
            return Vec::new();
        }
        let why =
            format!("changed by user {user:?}, which is not the eventing controller; create a Subscription instead");
        vec![FieldError::forbidden(Path::new("spec").field("subscribers"), why)]
    }
}

impl Subscriber {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let (subscriber, reply) = (path.field("subscriberUri"), path.field("replyUri"));
        if self.subscriber_uri.is_none() && self.reply_uri.is_none() {
            errors.push(FieldError { path: subscriber.clone(), problem: Problem::NoneOf(reply.clone()) });
        }
        for (uri, path) in [(&self.subscriber_uri, subscriber), (&self.reply_uri, reply)] {
            if let Some(uri) = uri {
                validate_url(uri, &path, errors);
            }
        }
        if let Some(delivery) = &self.delivery {
            delivery.validate(&path.field("delivery"), errors);
        }
    }
}

/// Marks a channel as having this duck's version 1.
pub(super) fn mark_subscribable(annotations: &mut BTreeMap<String, String>) {
    annotations.entry(SUBSCRIBABLE_ANNOTATION.to_owned()).or_insert_with(|| "v1".to_owned());
}

/// Adds an error if [`SCOPE_ANNOTATION`] says neither of what it can say.
pub(super) fn validate_scope(annotations: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    if let Some(scope) = annotations.get(SCOPE_ANNOTATION) {
        one_of(scope, &["cluster", "namespace"], &Path::annotation(SCOPE_ANNOTATION), errors);
    }
}
