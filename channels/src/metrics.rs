//! Metrics of the channel backends. No labels: the number of series does not grow with Brokers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Metrics of all logs of one process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) appended_events: Counter,
    pub(crate) appended_bytes: Counter,
    pub(crate) deduplicated_events: Counter,
    pub(crate) refused_events: Counter,
    pub(crate) sync_duration: Histogram,
    pub(crate) corrupt_records: Counter,
    pub(crate) expired_segments: Counter,
    pub(crate) disk_bytes: Gauge,
    pub(crate) queued_events: Gauge,
}

impl Default for Metrics {
    /// Metrics that nobody sees.
    fn default() -> Self {
        Self {
            appended_events: Counter::default(),
            appended_bytes: Counter::default(),
            deduplicated_events: Counter::default(),
            refused_events: Counter::default(),
            sync_duration: Histogram::new(exponential_buckets(50e-6, 2.0, 16)),
            corrupt_records: Counter::default(),
            expired_segments: Counter::default(),
            disk_bytes: Gauge::default(),
            queued_events: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Metrics shown by `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("weir_channel");
        registry.register("appended_events", "Events stored durably", metrics.appended_events.clone());
        registry.register_with_unit("appended", "Bytes stored durably", Unit::Bytes, metrics.appended_bytes.clone());
        registry.register(
            "deduplicated_events",
            "Events acknowledged because they were stored before",
            metrics.deduplicated_events.clone(),
        );
        registry.register(
            "refused_events",
            "Events refused: over the write budget, storage full, or a failed write",
            metrics.refused_events.clone(),
        );
        registry.register_with_unit(
            "sync_duration",
            "How long the disk took to make a batch durable",
            Unit::Seconds,
            metrics.sync_duration.clone(),
        );
        registry.register("corrupt_records", "Damaged records met while reading", metrics.corrupt_records.clone());
        registry.register("expired_segments", "Segments removed by retention", metrics.expired_segments.clone());
        registry.register_with_unit("disk", "Bytes of events on the disk", Unit::Bytes, metrics.disk_bytes.clone());
        registry.register("queued_events", "Events waiting to be written", metrics.queued_events.clone());
        metrics
    }
}
