//! Whether the process is ready, and why not: what `/readyz` answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The process's readiness: ready once nothing holds it back. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    reasons: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

/// One part's word on readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// This part is ready.
    Ready,
    /// This part is not, and why.
    NotReady(String),
}

impl Health {
    /// Records what `part` says.
    pub(crate) fn set(&self, part: &'static str, readiness: Readiness) {
        let mut reasons = self.reasons.lock();
        match readiness {
            Readiness::Ready => reasons.remove(part),
            Readiness::NotReady(reason) => reasons.insert(part, reason),
        };
    }

    /// What holds readiness back, one line per part; empty when ready.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.reasons.lock().iter().map(|(part, reason)| format!("{part}: {reason}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_nothing_holds_it_back() {
        let health = Health::default();
        health.set("start", Readiness::NotReady("opening".to_owned()));
        health.set("store", Readiness::NotReady("disk full".to_owned()));
        assert_eq!(health.reasons(), ["start: opening", "store: disk full"]);
        health.set("store", Readiness::Ready);
        health.set("start", Readiness::Ready);
        assert!(health.reasons().is_empty());
    }
}
