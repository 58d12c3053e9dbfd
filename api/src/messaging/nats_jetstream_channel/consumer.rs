//! How Subscriptions read the stream of a NatsJetStreamChannel.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{validate_choice, validate_duration, validate_time};
use crate::go_duration;
use crate::schema::int_or_string;
use crate::validation::{FieldError, Path, in_range};

/// How a new Subscription reads the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerConfigTemplate {
    /// DeliverPolicy says where reading begins: `All`, `Last`, `New`, `ByStartSequence` or `ByStartTime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_policy: Option<String>,
    /// OptStartSeq is the first sequence number, for `ByStartSequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_start_seq: Option<i64>,
    /// OptStartTime is the first time, RFC 3339, for `ByStartTime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_start_time: Option<String>,
    /// AckWait is how long a delivery may take, as a Go duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_wait: Option<String>,
    /// MaxDeliver has no effect, as in Knative: the Subscription's delivery says how often an event is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deliver: Option<i32>,
    /// FilterSubject reads only messages of this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_subject: Option<String>,
    /// ReplayPolicy is `Instant` or `Original`, the pace at which messages were stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_policy: Option<String>,
    /// RateLimitBPS bounds reading, in bits per second.
    #[serde(default, rename = "rateLimitBPS", skip_serializing_if = "Option::is_none")]
    pub rate_limit_bps: Option<i64>,
    /// SampleFrequency is the share of acknowledgements to sample, in per cent: `30` or `30%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_frequency: Option<String>,
    /// MaxAckPending is how many deliveries may be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ack_pending: Option<i32>,
    /// ConsumerType is `Push` or `Pull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_type: Option<String>,
    /// FetchMaxWait is how long a pull waits for its batch to fill: a Go duration, or a number of nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_string")]
    pub fetch_max_wait: Option<Wait>,
    /// FetchBatchSize is how many messages a pull asks for, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_batch_size: Option<i32>,
}

/// A time to wait, as a text or as a number: Knative's documentation has the one, its definition the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wait {
    /// In nanoseconds.
    Nanos(i64),
    /// As a Go duration.
    Text(String),
}

impl Wait {
    /// The time; none if it is no duration or less than zero.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Self::Nanos(nanos) => u64::try_from(*nanos).ok().map(Duration::from_nanos),
            Self::Text(text) => go_duration::parse(text),
        }
    }
}

impl ConsumerConfigTemplate {
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        const DELIVER: [&str; 5] = ["All", "Last", "New", "ByStartSequence", "ByStartTime"];
        let Self { deliver_policy, replay_policy, consumer_type, .. } = self;
        validate_choice(deliver_policy.as_ref(), &DELIVER, &path.field("deliverPolicy"), errors);
        validate_choice(replay_policy.as_ref(), &["Instant", "Original"], &path.field("replayPolicy"), errors);
        validate_choice(consumer_type.as_ref(), &["Push", "Pull"], &path.field("consumerType"), errors);
        in_range(self.opt_start_seq, 0..=i64::MAX, &path.field("optStartSeq"), errors);
        validate_time(self.opt_start_time.as_ref(), &path.field("optStartTime"), errors);
        validate_duration(self.ack_wait.as_ref(), &path.field("ackWait"), errors);
        in_range(self.rate_limit_bps, 0..=i64::MAX, &path.field("rateLimitBPS"), errors);
        self.validate_sample_frequency(path, errors);
        match &self.fetch_max_wait {
            Some(Wait::Nanos(nanos)) => in_range(Some(*nanos), 0..=i64::MAX, &path.field("fetchMaxWait"), errors),
            Some(Wait::Text(text)) => validate_duration(Some(text), &path.field("fetchMaxWait"), errors),
            None => {}
        }
        in_range(self.fetch_batch_size, 1..=i64::MAX, &path.field("fetchBatchSize"), errors);
    }

    fn validate_sample_frequency(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let Some(frequency) = self.sample_frequency.as_ref().filter(|frequency| !frequency.is_empty()) else { return };
        let share = frequency.strip_suffix('%').unwrap_or(frequency).parse::<u8>();
        if share.is_err() || share.is_ok_and(|share| share > 100) {
            let detail = "expected a share from 0 to 100, such as 30 or 30%";
            errors.push(FieldError::invalid(path.field("sampleFrequency"), frequency, detail));
        }
    }
}
