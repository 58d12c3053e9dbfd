//! How much may be under way at once: requests, and the bytes received of them. Beyond that a sender is asked to wait
//! before anything is stored. The gauges people watch are the counters that decide.

use std::sync::Arc;

use super::error::IngressError;
use crate::metrics::Metrics;

/// The budget of all requests together.
pub(super) struct Admission {
    max_requests: i64,
    max_bytes: i64,
    metrics: Arc<Metrics>,
}

/// One request's share; returned when dropped.
pub(super) struct Permit<'a> {
    admission: &'a Admission,
    bytes: i64,
}

impl Admission {
    pub(super) fn new(max_requests: usize, max_bytes: usize, metrics: Arc<Metrics>) -> Self {
        let bound = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        Self { max_requests: bound(max_requests), max_bytes: bound(max_bytes), metrics }
    }

    pub(super) fn request(&self) -> Result<Permit<'_>, IngressError> {
        let before = self.metrics.pending_requests.inc();
        let permit = Permit { admission: self, bytes: 0 };
        if before < self.max_requests { Ok(permit) } else { Err(IngressError::Busy) }
    }
}

impl Permit<'_> {
    /// Counts `bytes` more. What is counted is what was received, not what was announced: a sender that announces
    /// much and sends little takes nothing from the others.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), IngressError> {
        let bytes = i64::try_from(bytes).map_err(|_beyond_any_budget| IngressError::Busy)?;
        let before = self.admission.metrics.pending_bytes.inc_by(bytes);
        self.bytes += bytes;
        if before + bytes <= self.admission.max_bytes { Ok(()) } else { Err(IngressError::Busy) }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.admission.metrics.pending_bytes.dec_by(self.bytes);
        self.admission.metrics.pending_requests.dec();
    }
}
