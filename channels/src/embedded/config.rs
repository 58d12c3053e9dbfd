//! What a person may set for one embedded log, and what the code receives.

use std::time::Duration;

use serde::Deserialize;

use super::faults::Faults;
use super::record::MAX_PAYLOAD_BYTES;

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Durability {
    /// After its record was synced to the disk: survives power loss.
    #[default]
    Fsync,
    /// After its record was given to the operating system: survives the end of this process. A power loss takes what was
    /// stored in the last 100 ms.
    Os,
}

/// How long events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Events older than this are removed, settled or not. In seconds; 7 days by default.
    pub age_seconds: u64,
    /// Beyond this many bytes the oldest events that every subscription has settled are removed. While there is nothing
    /// of that kind left, new events are refused; none is dropped to make room. No limit by default.
    pub bytes: Option<u64>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { age_seconds: 7 * 24 * 60 * 60, bytes: None }
    }
}

/// Recognising events that were sent twice: the same `source` and `id` within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DedupeConfig {
    /// Whether to.
    pub enabled: bool,
    /// How long an event is remembered, by the server's clock. In seconds; 2 minutes by default.
    pub window_seconds: u64,
}

impl Default for DedupeConfig {
    fn default() -> Self {
        Self { enabled: false, window_seconds: 120 }
    }
}

/// Settings of one embedded log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmbeddedConfig {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// How long events are kept.
    pub retention: RetentionConfig,
    /// Recognising duplicates.
    pub dedupe: DedupeConfig,
    /// A segment is finished when it reaches this size; 64 MiB by default.
    pub segment_bytes: u64,
    /// The largest event taken; 1 MiB by default.
    pub max_event_bytes: usize,
    /// How long an append may wait for others to share its sync. In microseconds, at most 2,000; none by default.
    pub linger_micros: u64,
    /// Free space that new events leave alone, so that deliveries and progress can go on; 32 MiB by default.
    pub reserve_bytes: u64,
    /// Appends waiting to be written, beyond which more are refused.
    pub queue_events: usize,
    /// Bytes waiting to be written, beyond which more are refused; 16 MiB by default.
    pub queue_bytes: usize,
    /// Recent events kept in memory for readers that keep up; 2 MiB by default.
    pub tail_bytes: usize,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            retention: RetentionConfig::default(),
            dedupe: DedupeConfig::default(),
            segment_bytes: 64 << 20,
            max_event_bytes: 1 << 20,
            linger_micros: 0,
            reserve_bytes: 32 << 20,
            queue_events: 8192,
            queue_bytes: 16 << 20,
            tail_bytes: 2 << 20,
        }
    }
}

/// What the log works with: checked, in types that say their unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) durability: Durability,
    pub(crate) retention_age: Duration,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) dedupe_window: Option<Duration>,
    pub(crate) segment_bytes: u64,
    pub(crate) max_event_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) reserve_bytes: u64,
    pub(crate) queue_events: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) tail_bytes: usize,
    pub(crate) faults: Faults,
}

impl EmbeddedConfig {
    /// Checks the values; the error says which one is wrong and what would be right.
    pub(crate) fn check(&self) -> Result<Settings, String> {
        let within = |name: &str, value: u64, from: u64, to: u64| {
            if (from..=to).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}; it must be from {from} to {to}"))
            }
        };
        within("segmentBytes", self.segment_bytes, 1 << 16, 1 << 30)?;
        within("maxEventBytes", self.max_event_bytes as u64, 1 << 10, MAX_PAYLOAD_BYTES as u64 / 4)?;
        within("lingerMicros", self.linger_micros, 0, 2_000)?;
        within("queueEvents", self.queue_events as u64, 1, 1 << 20)?;
        within("queueBytes", self.queue_bytes as u64, self.max_event_bytes as u64, 1 << 30)?;
        within("tailBytes", self.tail_bytes as u64, 0, 1 << 30)?;
        within("retention.ageSeconds", self.retention.age_seconds, 1, 100 * 365 * 24 * 60 * 60)?;
        within("dedupe.windowSeconds", self.dedupe.window_seconds, 1, 24 * 60 * 60)?;
        // A quota is kept by removing whole segments, so they must be small beside it.
        let quota_segment_bytes = self.retention.bytes.map_or(u64::MAX, |bytes| (bytes / 8).max(1 << 16));
        Ok(Settings {
            durability: self.durability,
            retention_age: Duration::from_secs(self.retention.age_seconds),
            retention_bytes: self.retention.bytes,
            dedupe_window: self.dedupe.enabled.then(|| Duration::from_secs(self.dedupe.window_seconds)),
            segment_bytes: self.segment_bytes.min(quota_segment_bytes),
            max_event_bytes: self.max_event_bytes,
            linger: Duration::from_micros(self.linger_micros),
            reserve_bytes: self.reserve_bytes,
            queue_events: self.queue_events,
            queue_bytes: self.queue_bytes,
            tail_bytes: self.tail_bytes,
            faults: Faults::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_or_a_value_out_of_range_is_refused_by_name() {
        let misspelt = serde_json::from_str::<EmbeddedConfig>(r#"{"durabilty": "os"}"#).unwrap_err();
        assert!(misspelt.to_string().contains("durabilty"), "{misspelt}");
        let config: EmbeddedConfig = serde_json::from_str(r#"{"durability": "os", "segmentBytes": 5}"#).unwrap();
        assert!(config.check().unwrap_err().contains("segmentBytes"));
        let config: EmbeddedConfig = serde_json::from_str(r#"{"retention": {"ageSeconds": 60}}"#).unwrap();
        assert_eq!(config.check().unwrap().retention_age, Duration::from_secs(60));
    }
}
