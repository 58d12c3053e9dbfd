//! What a manifest may say about delivery, and the same resolved to numbers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::destination::{Destination, ResolvedDestination};
use crate::validation::{FieldError, FieldErrors, Path};

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

impl DeliverySpec {
    /// What a Broker without delivery options gets: Knative's `config-br-defaults`, as shipped.
    pub fn broker_default() -> Self {
        Self {
            retry: Some(10),
            backoff_policy: Some("exponential".to_owned()),
            backoff_delay: Some("PT0.2S".to_owned()),
            ..Self::default()
        }
    }

    /// Gives the dead letter sink's reference the namespace of the object that holds these options.
    pub fn default_namespace(&mut self, namespace: &str) {
        if let Some(sink) = &mut self.dead_letter_sink {
            sink.default_namespace(namespace);
        }
    }

    /// Adds every rule these options break.
    ///
    /// Knative guards `timeout` and `retryAfterMax` with feature flags because not all its data planes have them; ours
    /// does, so both are always accepted. It takes a negative `backoffDelay`, which means nothing; we refuse it.
    pub fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if let Err(mut found) = self.parse(path) {
            errors.append(&mut found.0);
        }
        if let Some(sink) = &self.dead_letter_sink {
            sink.validate(&path.field("deadLetterSink"), errors);
        }
    }

    /// The options as numbers. `dead_letter_sink` is what this spec's own, or an inherited one, resolved to.
    ///
    /// Policy and delay work only together, as in Knative: without either a retry follows at once.
    pub fn resolve(&self, dead_letter_sink: Option<ResolvedDestination>) -> Result<Delivery, FieldErrors> {
        Ok(Delivery { dead_letter_sink, ..self.parse(&Path::new("spec").field("delivery"))? })
    }

    fn parse(&self, path: &Path) -> Result<Delivery, FieldErrors> {
        let mut errors = Vec::new();
        let mut duration = |field: &str, text: &Option<String>, zero_allowed: bool| {
            let text = text.as_ref()?;
            let parsed = parse_iso8601(text).map_err(|error| error.to_string()).and_then(|duration| {
                let usable = zero_allowed || !duration.is_zero();
                usable.then_some(duration).ok_or_else(|| "must be more than zero".to_owned())
            });
            parsed.map_err(|detail| errors.push(FieldError::invalid(path.field(field), text, detail))).ok()
        };
        let timeout = duration("timeout", &self.timeout, false);
        let delay = duration("backoffDelay", &self.backoff_delay, true);
        let retry_after_max = duration("retryAfterMax", &self.retry_after_max, true);
        let retry = u32::try_from(self.retry.unwrap_or(0)).unwrap_or_else(|_| {
            errors.push(FieldError::invalid(path.field("retry"), &self.retry, "must be 0 or more"));
            0
        });
        let policy = self.backoff_policy.as_deref().and_then(|policy| match policy {
            "linear" => Some(BackoffPolicy::Linear),
            "exponential" => Some(BackoffPolicy::Exponential),
            _ => {
                let detail = "expected linear or exponential";
                errors.push(FieldError::invalid(path.field("backoffPolicy"), &policy, detail));
                None
            }
        });
        let format = match self.format.as_deref() {
            None | Some("binary") => Format::Binary,
            Some("json") => Format::Json,
            Some(other) => {
                errors.push(FieldError::invalid(path.field("format"), &other, "expected json or binary"));
                Format::Binary
            }
        };
        FieldErrors::check(errors)?;
        let backoff = policy.zip(delay);
        Ok(Delivery { retry, backoff, timeout, retry_after_max, format, dead_letter_sink: None })
    }
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
