//! NatsJetStreamChannel, `messaging.knative.dev/v1alpha1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channelable::{ChannelableSpec, ChannelableStatus, mark_subscribable, validate_scope};
use crate::admission::Admit;
use crate::go_duration;
use crate::validation::{FieldError, Path, one_of};

mod consumer;
mod deployment;
mod stream;

pub use consumer::{ConsumerConfigTemplate, Wait};
pub use deployment::DeploymentSpecTemplate;
pub use stream::{Stream, StreamConfig, StreamPlacement, StreamSource};

/// NatsJetStreamChannel is a channel whose events are kept in a stream of NATS JetStream.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1alpha1",
    kind = "NatsJetStreamChannel",
    namespaced,
    status = "ChannelableStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "natsjsmc",
    category = "all",
    category = "knative",
    category = "messaging",
    category = "channel",
    label("duck.knative.dev/addressable", "true"),
    label("messaging.knative.dev/subscribable", "true"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NatsJetStreamChannelSpec {
    /// Stream is the stream that is made for the channel. Read once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// ConsumerConfigTemplate says how a new Subscription reads the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_config_template: Option<ConsumerConfigTemplate>,
    /// DeploymentSpecTemplate changes the Deployment of Knative's shared dispatcher. Weir has none: no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_spec_template: Option<DeploymentSpecTemplate>,
    /// Subscribers and delivery.
    #[serde(flatten)]
    pub channelable: ChannelableSpec,
}

impl Admit for NatsJetStreamChannel {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        mark_subscribable(self.annotations_mut());
        let namespace = self.namespace().unwrap_or_default();
        self.spec.channelable.set_defaults(&namespace);
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if let Some(config) = self.spec.stream.as_ref().and_then(|stream| stream.config.as_ref()) {
            config.validate(&spec.field("stream").field("config"), &mut errors);
        }
        if let Some(template) = &self.spec.consumer_config_template {
            template.validate(&spec.field("consumerConfigTemplate"), &mut errors);
        }
        if let Some(template) = &self.spec.deployment_spec_template {
            template.validate(&spec.field("deploymentSpecTemplate"), &mut errors);
        }
        self.spec.channelable.validate(&spec, &mut errors);
        validate_scope(self.annotations(), &mut errors);
        errors
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let template = self.spec.consumer_config_template.as_ref();
        if template.is_some_and(|template| template.max_deliver.is_some()) {
            let path = "spec.consumerConfigTemplate.maxDeliver";
            warnings
                .push(format!("{path} has no effect, as in Knative: spec.delivery.retry of a Subscription says it"));
        }
        if self.spec.deployment_spec_template.is_some() {
            warnings.push("spec.deploymentSpecTemplate has no effect: weir has no dispatcher per channel".to_owned());
        }
        warnings
    }
}

/// Adds an error if `value` is none of `allowed`. Knative takes any text and an unknown one for the default; a misspelt
/// `Interest` must not become a stream that drops what it should keep.
fn validate_choice(value: Option<&String>, allowed: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        one_of(value, allowed, path, errors);
    }
}

/// Adds an error if `text` is no duration as Go writes them.
fn validate_duration(text: Option<&String>, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(text) = text.filter(|text| go_duration::parse(text).is_none()) {
        let detail = "expected a duration such as 30s, 2m or 1h30m, not less than zero";
        errors.push(FieldError::invalid(path.clone(), text, detail));
    }
}

/// Adds an error if `text` is no time.
fn validate_time(text: Option<&String>, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(text) = text.filter(|text| text.parse::<jiff::Timestamp>().is_err()) {
        errors.push(FieldError::invalid(path.clone(), text, "expected a time such as 2026-01-31T12:00:00Z"));
    }
}

#[cfg(test)]
mod tests;
