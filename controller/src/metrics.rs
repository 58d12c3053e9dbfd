//! The controller's metrics. Labels are bounded by the number of kinds.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: &'static str,
    success: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What the controller counts; clones count into the same series.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    reconciles: Family<Reconcile, Counter>,
    status_writes: Family<Kind, Counter>,
}

impl Metrics {
    /// Metrics that `registry` exposes.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let reconciles = metrics.reconciles.clone();
        registry.register("weir_controller_reconciles", "Reconciles of one object, by outcome", reconciles);
        let writes = metrics.status_writes.clone();
        registry.register("weir_controller_status_writes", "Status writes that reached the API", writes);
        metrics
    }

    pub(crate) fn reconciled(&self, kind: &'static str, success: bool) {
        let success = if success { "true" } else { "false" };
        self.reconciles.get_or_create(&Reconcile { kind, success }).inc();
    }

    pub(crate) fn status_written(&self, kind: &'static str) {
        self.status_writes.get_or_create(&Kind { kind }).inc();
    }
}
