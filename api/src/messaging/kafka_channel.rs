//! KafkaChannel, `messaging.knative.dev/v1beta1`, the stored version; [`v1`] is the same under another name.

use std::collections::BTreeMap;

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channelable::{ChannelableSpec, ChannelableStatus, mark_subscribable, validate_scope};
use crate::admission::Admit;
use crate::delivery::parse_iso8601;
use crate::validation::{FieldError, Path, in_range};

pub mod v1;

/// Most replicas of a topic that Kafka's protocol can name.
const MAX_REPLICATION: i64 = 32_767;
/// How long events are kept unless the spec says so: seven days.
const DEFAULT_RETENTION: &str = "PT168H";

/// KafkaChannel is a channel whose events are kept in a topic of Apache Kafka.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "messaging.knative.dev",
    version = "v1beta1",
    kind = "KafkaChannel",
    namespaced,
    status = "ChannelableStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "kc",
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
pub struct KafkaChannelSpec {
    /// NumPartitions of the topic. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1))]
    pub num_partitions: Option<i32>,
    /// ReplicationFactor of the topic. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1))]
    pub replication_factor: Option<i32>,
    /// RetentionDuration is how long events are kept, as an ISO 8601 duration; PT168H unless set. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_duration: Option<String>,
    /// Subscribers and delivery.
    #[serde(flatten)]
    pub channelable: ChannelableSpec,
}

impl KafkaChannelSpec {
    fn retention(&self) -> Option<&str> {
        self.retention_duration.as_deref().filter(|retention| !retention.is_empty())
    }

    fn set_defaults(&mut self, old: Option<&Self>, namespace: &str) {
        self.num_partitions.get_or_insert(1);
        self.replication_factor.get_or_insert(1);
        if self.retention().is_none() {
            // An update that leaves it out does not mean to change it.
            self.retention_duration = Some(old.and_then(Self::retention).unwrap_or(DEFAULT_RETENTION).to_owned());
        }
        self.channelable.set_defaults(namespace);
    }

    fn validate(&self, old: Option<&Self>, annotations: &BTreeMap<String, String>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        in_range(self.num_partitions, 1..=i64::MAX, &spec.field("numPartitions"), &mut errors);
        for range in [1..=i64::MAX, i64::MIN..=MAX_REPLICATION] {
            in_range(self.replication_factor, range, &spec.field("replicationFactor"), &mut errors);
        }
        if let Some(Err(error)) = self.retention().map(parse_iso8601) {
            errors.push(FieldError::invalid(spec.field("retentionDuration"), &self.retention_duration, error));
        }
        self.channelable.validate(&spec, &mut errors);
        validate_scope(annotations, &mut errors);
        if let Some(old) = old {
            self.validate_change(old, &spec, &mut errors);
        }
        errors
    }

    fn validate_change(&self, old: &Self, spec: &Path, errors: &mut Vec<FieldError>) {
        for (field, value, old) in [
            ("numPartitions", self.num_partitions, old.num_partitions),
            ("replicationFactor", self.replication_factor, old.replication_factor),
        ] {
            if value != old {
                errors.push(FieldError::immutable(spec.field(field), &value, &old));
            }
        }
        // Channels older than the field have none, and may get one.
        if old.retention().is_some() && self.retention() != old.retention() {
            let path = spec.field("retentionDuration");
            errors.push(FieldError::immutable(path, &self.retention_duration, &old.retention_duration));
        }
    }
}

impl Admit for KafkaChannel {
    fn set_defaults(&mut self, old: Option<&Self>) {
        mark_subscribable(self.annotations_mut());
        let namespace = self.namespace().unwrap_or_default();
        self.spec.set_defaults(old.map(|old| &old.spec), &namespace);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        self.spec.validate(old.map(|old| &old.spec), self.annotations())
    }

    fn authorize(&self, old: Option<&Self>, user: &str) -> Vec<FieldError> {
        self.spec.channelable.authorize(old.map(|old| &old.spec.channelable), user)
    }
}
