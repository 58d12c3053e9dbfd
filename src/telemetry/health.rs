//! Whether the process is ready, and why not: what `/readyz` answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The process's readiness: ready once nothing holds it back. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<State>);

#[derive(Default)]
struct State {
    reasons: Mutex<BTreeMap<&'static str, String>>,
    /// Parts that are asked each time.
    checks: Mutex<Vec<(&'static str, Box<Check>)>>,
}

type Check = dyn Fn() -> Result<(), String> + Send + Sync;

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
        let mut reasons = self.0.reasons.lock();
        match readiness {
            Readiness::Ready => reasons.remove(part),
            Readiness::NotReady(reason) => reasons.insert(part, reason),
        };
    }

    /// Asks `part` each time somebody wants to know.
    pub(crate) fn check(&self, part: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.0.checks.lock().push((part, Box::new(check)));
    }

    /// What holds readiness back, one line per part; empty when ready.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let told: Vec<_> = self.0.reasons.lock().iter().map(|(part, reason)| format!("{part}: {reason}")).collect();
        let checks = self.0.checks.lock();
        let found = checks.iter().filter_map(|(part, check)| Some(format!("{part}: {}", check().err()?)));
        told.into_iter().chain(found).collect()
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
        health.check("logs", || Err("disk full".to_owned()));
        assert_eq!(health.reasons(), ["logs: disk full"]);
    }
}
