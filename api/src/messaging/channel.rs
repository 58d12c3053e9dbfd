//! Channel, `messaging.knative.dev/v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channelable::{ChannelableSpec, ChannelableStatus, mark_subscribable};
use super::template::ChannelTemplateSpec;
use crate::admission::Admit;
use crate::destination::KReference;
use crate::validation::{FieldError, Path};

/// Channel is an address whose events go to every Subscription on it, kept by a backing channel of its template's kind.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1",
    kind = "Channel",
    namespaced,
    status = "ChannelStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "ch",
    category = "all",
    category = "knative",
    category = "messaging",
    category = "channel",
    label("duck.knative.dev/addressable", "true"),
    label("messaging.knative.dev/subscribable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSpec {
    /// ChannelTemplate says which kind of channel backs this one. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_template: Option<ChannelTemplateSpec>,
    /// Delivery, which is immutable, and subscribers, which belong to the backing channel and must not be set here.
    #[serde(flatten)]
    pub channelable: ChannelableSpec,
}

/// What is known of a Channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// What every channel has, copied from the backing channel.
    #[serde(flatten)]
    pub channelable: ChannelableStatus,
    /// Channel refers to the backing channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<KReference>,
}

impl Admit for Channel {
    fn set_defaults(&mut self, old: Option<&Self>) {
        mark_subscribable(self.annotations_mut());
        let namespace = self.namespace().unwrap_or_default();
        if self.spec.channel_template.is_none() {
            // An update that leaves the template out does not mean to change it.
            let old = old.and_then(|old| old.spec.channel_template.clone());
            self.spec.channel_template = Some(old.unwrap_or_else(ChannelTemplateSpec::cluster_default));
        }
        self.spec.channelable.set_defaults(&namespace);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        match &self.spec.channel_template {
            Some(template) => template.validate(&spec.field("channelTemplate"), &mut errors),
            None => errors.push(FieldError::missing(spec.field("channelTemplate"))),
        }
        let ChannelableSpec { subscribers, delivery } = &self.spec.channelable;
        if !subscribers.is_empty() {
            let why = "subscribers belong to the backing channel; create a Subscription instead";
            errors.push(FieldError::forbidden(spec.field("subscribers"), why));
        }
        if let Some(delivery) = delivery {
            delivery.validate(&spec.field("delivery"), &mut errors);
        }
        if let Some(old) = old {
            let (template, old_template) = (&self.spec.channel_template, &old.spec.channel_template);
            if template != old_template {
                errors.push(FieldError::immutable(spec.field("channelTemplate"), template, old_template));
            }
            let old_delivery = &old.spec.channelable.delivery;
            if delivery != old_delivery {
                errors.push(FieldError::immutable(spec.field("delivery"), delivery, old_delivery));
            }
        }
        errors
    }
}
