//! What a manifest may say about delivery, and the same resolved to numbers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::destination::{Destination, ResolvedDestination};

mod duration;

pub use duration::{DurationError, parse_iso8601};

/// Delivery options of a Broker, Channel, Trigger, Subscription or flow step, as written in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySpec {
    /// DeadLetterSink receives events that could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_sink: Option<Destination>,
    /// Retry is the minimum number of retries before an event goes to the dead letter sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<i32>,
    /// Timeout of one attempt, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// BackoffPolicy is `linear` or `exponential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_policy: Option<String>,
    /// BackoffDelay is the delay before a retry, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_delay: Option<String>,
    /// RetryAfterMax bounds how long a `Retry-After` answer is honoured, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_max: Option<String>,
    /// Format of the delivered event: `json` (structured) or `binary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// The delivery part of a status: where dead letters go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStatus {
    /// Resolved URI of the dead letter sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_sink_uri: Option<String>,
    /// CA certificates of the dead letter sink in PEM format.
    #[serde(default, rename = "deadLetterSinkCACerts", skip_serializing_if = "Option::is_none")]
    pub dead_letter_sink_ca_certs: Option<String>,
    /// OIDC audience of the dead letter sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_sink_audience: Option<String>,
}

/// How waits between attempts grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackoffPolicy {
    /// d, 2d, 3d …
    Linear,
    /// d, 2d, 4d …
    Exponential,
}

/// How an event is written to the subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Attributes in headers, data as the body.
    #[default]
    Binary,
    /// The JSON format as the body.
    Json,
}

/// Delivery options with every default applied and every text parsed: what the delivery engine runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Retries after the first attempt.
    pub retry: u32,
    /// How waits grow; `None` means no wait.
    pub backoff: Option<(BackoffPolicy, Duration)>,
    /// Limit of one attempt: connect, headers and body.
    pub timeout: Option<Duration>,
    /// Longest `Retry-After` to honour; `None` means it is ignored.
    pub retry_after_max: Option<Duration>,
    /// Encoding towards the subscriber.
    pub format: Format,
    /// Where undeliverable events go; `None` means the built-in dead-letter store.
    pub dead_letter_sink: Option<ResolvedDestination>,
}
