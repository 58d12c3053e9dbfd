//! What the dispatcher shows of its Triggers, and redrives to them: for [`crate::admin`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use weir_channels::{Bounds, Stored};

use super::Dispatcher;
use super::engine::{Engine, LastFailure};
use super::lane::Snapshot;
use crate::backoff::Backoff;
use crate::ledger::{Content, Ledger, LedgerError, Letter};
use crate::logs::{Found, Log};

/// A redrive has somebody waiting for it, whatever time-out the Trigger has.
const LONGEST_REDRIVE: Duration = Duration::from_secs(50);

/// A Trigger as it stands.
pub(crate) struct TriggerView {
    pub(crate) lane: Snapshot,
    pub(crate) last_failure: Option<LastFailure>,
}

impl TriggerView {
    /// Events of the log that are not settled for this Trigger, whether or not they will match. `bounds` are the log's,
    /// per partition.
    pub(crate) fn lag(&self, bounds: &[Bounds]) -> u64 {
        let partitions = self.lane.progress.iter().zip(bounds);
        let lag = |(progress, bounds): (&weir_channels::Progress, &Bounds)| {
            let from = progress.next.max(bounds.earliest);
            let ranges = progress.settled.ranges().iter();
            let settled: u64 = ranges.map(|&(start, end)| end.saturating_sub(start.max(from))).sum();
            bounds.next.saturating_sub(from).saturating_sub(settled)
        };
        partitions.map(lag).sum()
    }
}

/// Why a dead letter was not redriven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no dead letter {0}")]
    NoLetter(String),
    #[error("it was redriven at {0}")]
    Redriven(Timestamp),
    #[error("it is being redriven")]
    InProgress,
    #[error("it is no event, only a record that cannot be read")]
    NoEvent,
    #[error("broker {0} is not open")]
    NotOpen(String),
    #[error("trigger {0} is gone; one made anew under the name is another")]
    TriggerGone(String),
    #[error("trigger {0} is paused")]
    Paused(String),
    #[error("trigger {trigger} has no address to deliver to: {reason}")]
    NoRoute { trigger: String, reason: String },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Dispatcher<Engine> {
    pub(crate) fn ledger(&self) -> &Ledger {
        self.shared.downstream.ledger()
    }

    /// The open log of a Broker.
    pub(crate) fn find_log(&self, namespace: &str, name: &str) -> Found {
        self.logs.find(&format!("{namespace}/{name}"))
    }

    /// The Triggers of a log, by name; `None` while they are not served yet.
    pub(crate) fn triggers(&self, log: &Log) -> Option<Vec<TriggerView>> {
        let fanout = self.fanouts.read().get(&log.uid).cloned()?;
        if !fanout.served.load(Ordering::Relaxed) {
            return None;
        }
        // Where the readers are before where the lanes are: a lane that is further has settled nothing it was not given.
        let positions = fanout.positions();
        let mut views: Vec<_> = fanout
            .lanes()
            .iter()
            .map(|lane| TriggerView {
                lane: lane.snapshot(&positions),
                last_failure: lane.orders().route().ok().and_then(super::engine::EngineRoute::last_failure),
            })
            .collect();
        views.sort_by(|a, b| a.lane.trigger.name.name.cmp(&b.lane.trigger.name.name));
        Some(views)
    }

    /// Tries until the ledger has it: a letter that was delivered must not be redriven again.
    async fn note_redriven(&self, id: &str) {
        let mut backoff = Backoff::new();
        let at = Timestamp::now();
        while let Err(error) = self.ledger().mark_redriven(id, at).await {
            if self.ledger().is_closed() {
                tracing::warn!(%error, id, "Stopping: a dead letter that was redriven may be redriven again.");
                return;
            }
            tracing::warn!(%error, id, "Cannot note that a dead letter was redriven; trying again.");
            backoff.wait().await;
        }
    }

    /// Makes one attempt to deliver `letter` to the Trigger that failed, as that is now. If it fails, the error is for
    /// people and the letter stays. Not to be cancelled: the letter would not show that it was delivered.
    pub(crate) async fn redrive(&self, letter: &Letter) -> Result<Result<(), String>, Refusal> {
        let dead = &letter.letter;
        let recipient = &dead.recipient;
        let name = || format!("{}/{}", recipient.namespace, recipient.trigger);
        let Content::Event(event) = &dead.content else { return Err(Refusal::NoEvent) };
        if let Some(at) = letter.redriven_at {
            return Err(Refusal::Redriven(at));
        }
        let Found::Open(log) = self.find_log(&recipient.namespace, &recipient.broker) else {
            return Err(Refusal::NotOpen(format!("{}/{}", recipient.namespace, recipient.broker)));
        };
        let fanout = self.fanouts.read().get(&log.uid).cloned();
        let lane = fanout.and_then(|fanout| fanout.lane(&recipient.subscription));
        let orders = lane.ok_or_else(|| Refusal::TriggerGone(name()))?.orders();
        if orders.trigger.paused {
            return Err(Refusal::Paused(name()));
        }
        let route = orders.route().map_err(|reason| Refusal::NoRoute { trigger: name(), reason: reason.to_owned() })?;
        let stored = Stored { position: dead.position, stored_at: dead.stored_at, event: event.clone() };
        let attempt = self.shared.downstream.attempt_once(&stored, route, dead.attempts + 1);
        let result = match tokio::time::timeout(LONGEST_REDRIVE, attempt).await {
            Ok(result) => result,
            Err(_elapsed) => Err(format!("no answer within {} s", LONGEST_REDRIVE.as_secs())),
        };
        if result.is_ok() {
            self.note_redriven(&letter.id).await;
        }
        Ok(result)
    }
}
