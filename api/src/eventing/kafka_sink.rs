//! KafkaSink, `eventing.knative.dev/v1alpha1`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::Admit;
use crate::status::{AddressStatus, PolicyStatus, StatusHead};
use crate::validation::{FieldError, Path, in_range, one_of, require};

/// KafkaSink writes the events it gets to a topic of Apache Kafka.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1alpha1",
    kind = "KafkaSink",
    namespaced,
    status = "KafkaSinkStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    label("duck.knative.dev/addressable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSinkSpec {
    /// Topic that events are written to. Immutable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// NumPartitions of the topic, if the sink is to make it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_partitions: Option<i32>,
    /// ReplicationFactor of the topic, if the sink is to make it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i32>,
    /// BootstrapServers are the Kafka servers to begin with, as `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap_servers: Vec<String>,
    /// ContentMode of the records: `binary` or `structured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = BINARY))]
    pub content_mode: Option<String>,
    /// Auth says how to log in to Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<KafkaSinkAuth>,
}

const BINARY: &str = "binary";

/// How a KafkaSink logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSinkAuth {
    /// Secret with the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KafkaSinkSecret>,
}

/// The Secret of a KafkaSink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSinkSecret {
    /// Ref names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<KafkaSinkSecretReference>,
}

/// The name of a KafkaSink's Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSinkSecretReference {
    /// Name of a Secret in the sink's namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What is known of a KafkaSink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSinkStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Where events are taken.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// Who may send them.
    #[serde(flatten)]
    pub policy: PolicyStatus,
}

impl KafkaSink {
    /// Whether the sink makes its topic, and removes it with itself; otherwise the topic has to be there.
    pub fn owns_topic(&self) -> bool {
        self.spec.num_partitions.is_some() && self.spec.replication_factor.is_some()
    }

    fn validate_change(&self, old: &Self, spec: &Path, errors: &mut Vec<FieldError>) {
        if self.spec.topic != old.spec.topic {
            errors.push(FieldError::immutable(spec.field("topic"), &self.spec.topic, &old.spec.topic));
        }
        for (field, value, old) in [
            ("numPartitions", self.spec.num_partitions, old.spec.num_partitions),
            ("replicationFactor", self.spec.replication_factor, old.spec.replication_factor),
        ] {
            if value != old {
                errors.push(FieldError::immutable(spec.field(field), &value, &old));
            }
        }
    }
}

impl Admit for KafkaSink {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let mode = &mut self.spec.content_mode;
        if mode.as_deref().unwrap_or_default().is_empty() {
            *mode = Some(BINARY.to_owned());
        }
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let KafkaSinkSpec { topic, num_partitions, replication_factor, bootstrap_servers, content_mode, auth } =
            &self.spec;
        for (field, missing) in [("topic", topic.is_empty()), ("bootstrapServers", bootstrap_servers.is_empty())] {
            if missing {
                errors.push(FieldError::missing(spec.field(field)));
            }
        }
        for (field, value) in [("numPartitions", num_partitions), ("replicationFactor", replication_factor)] {
            in_range(*value, 1..=i64::MAX, &spec.field(field), &mut errors);
        }
        if let Some(mode) = content_mode {
            one_of(mode, &[BINARY, "structured"], &spec.field("contentMode"), &mut errors);
        }
        let secret = auth.as_ref().and_then(|auth| auth.secret.as_ref()).and_then(|secret| secret.r#ref.as_ref());
        if let Some(secret) = secret {
            let path = spec.field("auth").field("secret").field("ref");
            require([("name", &secret.name)], &path, &mut errors);
        }
        if let Some(old) = old {
            self.validate_change(old, &spec, &mut errors);
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        if self.spec.num_partitions.is_some() == self.spec.replication_factor.is_some() {
            return Vec::new();
        }
        vec!["spec.numPartitions and spec.replicationFactor work only together: the topic will not be made".to_owned()]
    }
}
