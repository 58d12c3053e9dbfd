//! Tells the controller what the data plane acts on.

use std::sync::Arc;

use tokio::sync::watch;
use weir_api::observed::{Observed, ObservedState};

/// The writing end of [`Observed`], shared by everything that acts on a Broker or Trigger.
#[derive(Clone, Debug)]
pub(crate) struct Observer(watch::Sender<Arc<Observed>>);

impl Observer {
    pub(crate) fn new(sender: watch::Sender<Arc<Observed>>) -> Self {
        Self(sender)
    }

    /// The resource is acted on in this generation.
    pub(crate) fn active(&self, uid: &Arc<str>, generation: i64) {
        self.set(uid, ObservedState::Active { generation });
    }

    /// The resource cannot be acted on in this generation; `message` is for people.
    pub(crate) fn failed(&self, uid: &Arc<str>, generation: i64, message: String) {
        self.set(uid, ObservedState::Failed { generation, message });
    }

    /// The Broker is being deleted and nothing uses its log any more.
    pub(crate) fn closed(&self, uid: &Arc<str>) {
        self.set(uid, ObservedState::Closed);
    }

    /// The resource is gone and nothing acts on it any more.
    pub(crate) fn gone(&self, uid: &str) {
        self.0.send_if_modified(|observed| observed.contains_key(uid) && Arc::make_mut(observed).remove(uid).is_some());
    }

    fn set(&self, uid: &Arc<str>, state: ObservedState) {
        self.0.send_if_modified(|observed| {
            // Two tasks may report on one resource; what is known of an older generation is no news.
            if observed.get(uid).is_some_and(|known| *known == state || generation(known) > generation(&state)) {
                return false;
            }
            Arc::make_mut(observed).insert(Arc::clone(uid), state);
            true
        });
    }
}

fn generation(state: &ObservedState) -> i64 {
    match state {
        ObservedState::Active { generation } | ObservedState::Failed { generation, .. } => *generation,
        // The end of a Broker: no generation comes after it.
        ObservedState::Closed => i64::MAX,
    }
}
