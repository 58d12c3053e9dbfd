//! InMemoryChannel, `messaging.knative.dev/v1`. In Weir its events are kept in the same durable log as all others.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channelable::{ChannelableSpec, ChannelableStatus, mark_subscribable, validate_scope};
use crate::admission::Admit;
use crate::validation::{FieldError, Path};

/// InMemoryChannel is a channel that needs no further system: its events are kept by Weir itself.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1",
    kind = "InMemoryChannel",
    namespaced,
    status = "ChannelableStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "imc",
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
pub struct InMemoryChannelSpec {
    /// Subscribers and delivery.
    #[serde(flatten)]
    pub channelable: ChannelableSpec,
}

impl Admit for InMemoryChannel {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        mark_subscribable(self.annotations_mut());
        let namespace = self.namespace().unwrap_or_default();
        self.spec.channelable.set_defaults(&namespace);
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.spec.channelable.validate(&Path::new("spec"), &mut errors);
        validate_scope(self.annotations(), &mut errors);
        errors
    }

    fn authorize(&self, old: Option<&Self>, user: &str) -> Vec<FieldError> {
        self.spec.channelable.authorize(old.map(|old| &old.spec.channelable), user)
    }
}
