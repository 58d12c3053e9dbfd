//! KafkaChannel, `messaging.knative.dev/v1`: served, not stored.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::Admit;
use crate::messaging::channelable::{ChannelableStatus, mark_subscribable};
use crate::validation::FieldError;

/// KafkaChannel is a channel whose events are kept in a topic of Apache Kafka.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1",
    kind = "KafkaChannel",
    namespaced,
    status = "ChannelableStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(transparent)]
pub struct KafkaChannelSpec(pub super::KafkaChannelSpec);

impl Admit for KafkaChannel {
    fn set_defaults(&mut self, old: Option<&Self>) {
        mark_subscribable(self.annotations_mut());
        let namespace = self.namespace().unwrap_or_default();
        self.spec.0.set_defaults(old.map(|old| &old.spec.0), &namespace);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        self.spec.0.validate(old.map(|old| &old.spec.0), self.annotations())
    }

    fn authorize(&self, old: Option<&Self>, user: &str) -> Vec<FieldError> {
        self.spec.0.channelable.authorize(old.map(|old| &old.spec.0.channelable), user)
    }
}
