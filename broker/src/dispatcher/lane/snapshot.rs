//! What a lane shows of itself.

use std::sync::Arc;

use weir_api::resources::Trigger;
use weir_channels::Progress;

use super::{Downstream, Filter, Lane, Reading};

/// What became of a Trigger's events since the dispatcher took it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(in crate::dispatcher) matched: u64,
    pub(in crate::dispatcher) delivered: u64,
    pub(in crate::dispatcher) dead_lettered: u64,
    pub(in crate::dispatcher) expired: u64,
    pub(in crate::dispatcher) unmatched_later: u64,
}

/// What a lane shows of itself.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) trigger: Arc<Trigger>,
    pub(crate) filter: Arc<Filter>,
    pub(crate) counts: Counts,
    /// Deliveries that make an attempt.
    pub(crate) in_flight: usize,
    /// Deliveries that wait before another attempt.
    pub(crate) waiting: usize,
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
    /// Nothing is delivered: paused, or there is no address.
    pub(crate) held: bool,
    /// It could not follow the others and reads for itself.
    pub(crate) behind: bool,
    /// Per partition.
    pub(crate) progress: Vec<Progress>,
}

impl<D: Downstream> Lane<D> {
    /// As it stands; the shared readers are at these offsets.
    pub(in crate::dispatcher) fn snapshot(&self, shared_positions: &[u64]) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            trigger: Arc::clone(&state.orders.trigger),
            filter: Arc::clone(&state.orders.filter),
            counts: state.counts,
            in_flight: state.working,
            waiting: state.waiting,
            queued: state.queue.events().saturating_sub(state.working + state.waiting) + state.queue.parked(),
            queued_bytes: state.queue.bytes(),
            held: state.held,
            behind: state.cursors.iter().any(|cursor| cursor.reading == Reading::Behind),
            progress: state.cursors.iter().zip(shared_positions).map(|(cursor, at)| cursor.progress(*at)).collect(),
        }
    }
}
