//! The kinds of `sources.knative.dev`, and `WebhookSource`, which is ours.

mod apiserver;
mod awssqs;
mod container;
mod github;
mod integration;
mod kafka;
mod ping;
mod pod_template;
pub mod schedule;
mod secret;
mod sinkbinding;
mod source;
mod subject;
mod webhook;

pub use apiserver::{
    ApiServerSource, ApiServerSourceSpec, ApiServerSourceStatus, SKIP_PERMISSIONS_ANNOTATION, WatchedKind,
    WatchedResource,
};
pub use awssqs::{AwsSqsSource, AwsSqsSourceSpec, LegacySink};
pub use container::{ContainerSource, ContainerSourceSpec};
pub use github::{EVENT_NAMES as GITHUB_EVENT_NAMES, GitHubSource, GitHubSourceSpec, GitHubSourceStatus};
pub use integration::{
    Aws, AwsAuth, AwsCommon, AwsDdbStreams, AwsS3, AwsSecret, AwsSecretRef, AwsSqs, IntegrationSource,
    IntegrationSourceSpec, Timer,
};
pub use kafka::{
    KEY_TYPE_LABEL as KAFKA_KEY_TYPE_LABEL, KafkaNet, KafkaPlacement, KafkaSasl, KafkaSource, KafkaSourceSpec,
    KafkaSourceStatus, KafkaSourceV1, KafkaSourceV1Spec, KafkaTls,
};
pub use ping::{PingSource, PingSourceSpec, PingSourceV1Beta2, PingSourceV1Beta2Spec};
pub use secret::SecretValueFrom;
pub use sinkbinding::{SinkBinding, SinkBindingSpec, SinkBindingStatus};
pub use source::{CloudEventAttributes, CloudEventOverrides, SourceSpec, SourceStatus};
pub use subject::Subject;
pub use webhook::{
    Algorithm, Encoding, EventIdSpec, EventTypeSpec, Signature, SignatureSpec, WebhookSource, WebhookSourceSpec,
};

#[cfg(test)]
mod tests;
