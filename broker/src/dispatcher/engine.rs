//! The delivery engine as the dispatcher uses it: what it reports goes to metrics and ledger.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio_util::sync::CancellationToken;
use weir_api::resources::{ObjectName, Trigger};
use weir_channels::{Position, Stored};

use super::{Downstream, Ending, Patience};
use crate::delivery::{Attempt, Deliverer, Home, Interrupted, Observer, Outcome, Route, RouteError};
use crate::ledger::{DeadLetter, DeadLetterStore, Exception, ExceptionKind, Ledger, Recipient};
use crate::logs::Log;
use crate::metrics::{DispatchLabels, Metrics};
use crate::sink::BrokerSink;

/// A delivery that hits a bug this often is given up.
const MOST_PANICS: u8 = 3;
/// Of the attempts that succeed, one in this many seconds is noted for its timing, per Trigger.
const SAMPLE_SECONDS: i64 = 10;

/// See the module.
pub(crate) struct Engine {
    deliverer: Deliverer,
    ledger: Ledger,
    metrics: Arc<Metrics>,
    max_ttl: i32,
}

/// A Trigger's route, where its replies go, and what is observed of its deliveries.
pub(crate) struct EngineRoute {
    route: Route,
    replies: BrokerSink,
    /// Of the log: fires when even attempts in progress are to be given up.
    give_up: CancellationToken,
    trigger: ObjectName,
    broker: ObjectName,
    /// The series of the status seen first, as a rule the only one.
    usual: OnceLock<(u16, Histogram)>,
    last_sample: AtomicI64,
    last_failure: Mutex<Option<LastFailure>>,
}

/// The last attempt that failed.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct LastFailure {
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) detail: String,
}

impl Engine {
    pub(crate) fn new(deliverer: Deliverer, ledger: Ledger, metrics: Arc<Metrics>, max_ttl: i32) -> Self {
        Self { deliverer, ledger, metrics, max_ttl }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The `number`-th attempt, outside of any lane: for redrive. The error is for people.
    pub(super) async fn attempt_once(&self, stored: &Stored, route: &EngineRoute, number: u32) -> Result<(), String> {
        let watcher = Watcher { engine: self, route, patience: &NoPatience };
        let attempt = self.deliverer.attempt(stored, &route.route, Some(&route.replies), &watcher, number);
        attempt.await.map_err(|failure| failure.detail)
    }

    /// Gives up an event that makes our own code fail.
    async fn give_up_on(&self, stored: &Stored, route: &EngineRoute, patience: &dyn Patience) -> Ending {
        let mut letter =
            DeadLetter::expired(route.route.recipient().clone(), stored, "delivering it hit a bug in weir");
        "internal-error".clone_into(&mut letter.kind);
        letter.attempts = u32::from(MOST_PANICS);
        while let Err(error) = self.ledger.put(&letter).await {
            tracing::warn!(%error, "The dead-letter store takes nothing; the event stays where it is.");
            if patience.wait(Duration::from_secs(1)).await.is_err() {
                return Ending::Unsettled;
            }
        }
        Ending::DeadLettered
    }
}

impl EngineRoute {
    pub(super) fn last_failure(&self) -> Option<LastFailure> {
        self.last_failure.lock().clone()
    }

    fn observe(&self, metrics: &Metrics, status: u16, took: Duration) {
        let usual = self.usual.get_or_init(|| {
            let labels = DispatchLabels::trigger(&self.broker, &self.trigger, status);
            (status, metrics.dispatch(&labels))
        });
        if usual.0 == status {
            usual.1.observe(took.as_secs_f64());
        } else {
            metrics.observe(&DispatchLabels::trigger(&self.broker, &self.trigger, status), took);
        }
    }

    /// Whether it is time to note a success.
    fn is_sample(&self, now: Timestamp) -> bool {
        let last = self.last_sample.load(Ordering::Relaxed);
        now.as_second() - last >= SAMPLE_SECONDS
            && self.last_sample.compare_exchange(last, now.as_second(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Downstream for Engine {
    type Route = EngineRoute;

    fn route(&self, log: &Arc<Log>, trigger: &Trigger) -> Result<EngineRoute, String> {
        Ok(EngineRoute {
            route: self.deliverer.route(&log.broker, trigger).map_err(|error: RouteError| error.to_string())?,
            replies: BrokerSink::new(Arc::clone(log), self.max_ttl),
            give_up: log.give_up.clone(),
            trigger: trigger.name.clone(),
            broker: log.broker.clone(),
            usual: OnceLock::new(),
            last_sample: AtomicI64::new(0),
            last_failure: Mutex::new(None),
        })
    }

    async fn deliver(&self, stored: &Stored, route: &EngineRoute, patience: &dyn Patience, panics: u8) -> Ending {
        if panics >= MOST_PANICS {
            return self.give_up_on(stored, route, patience).await;
        }
        let watcher = Watcher { engine: self, route, patience };
        let outcome =
            self.deliverer.deliver(stored, &route.route, Some(&route.replies), &watcher, &route.give_up).await;
        match outcome {
            Outcome::Delivered { .. } => Ending::Delivered,
            Outcome::DeadLettered { home, failure, attempts, duration } => {
                let kind = match home {
                    Home::Sink => ExceptionKind::DeadLetterSink,
                    Home::Store => ExceptionKind::DeadLetterStore,
                };
                self.ledger.record(Exception {
                    attempt: attempts,
                    destination: failure.destination.to_string(),
                    code: Some(failure.code),
                    detail: failure.detail,
                    duration,
                    ..Exception::now(kind, route.route.recipient(), stored)
                });
                Ending::DeadLettered
            }
            Outcome::Interrupted => Ending::Unsettled,
        }
    }

    async fn set_aside(&self, log: &Log, position: Position, raw: &Bytes, reason: &str) -> Result<(), String> {
        let recipient = Recipient {
            subscription: Arc::clone(&log.uid),
            namespace: Arc::clone(&log.broker.namespace),
            broker: Arc::clone(&log.broker.name),
            trigger: Arc::default(),
        };
        let letter = DeadLetter::undecodable(recipient, position, Timestamp::now(), raw.clone(), reason);
        self.ledger.put(&letter).await.map_err(|error| error.to_string())
    }

    fn forget(&self, log: &Log, trigger: &Trigger) {
        self.metrics.forget_trigger(&log.broker, &trigger.name);
    }
}

/// Follows one delivery of a lane.
struct Watcher<'a> {
    engine: &'a Engine,
    route: &'a EngineRoute,
    patience: &'a dyn Patience,
}

#[async_trait]
impl Observer for Watcher<'_> {
    fn attempt(&self, stored: &Stored, route: &Route, attempt: &Attempt<'_>) {
        let Self { engine, route: ours, .. } = self;
        let (kind, status) = match attempt.result {
            Ok(status) => {
                ours.observe(&engine.metrics, status.as_u16(), attempt.duration);
                if !ours.is_sample(Timestamp::now()) {
                    return;
                }
                (ExceptionKind::Sample, status.as_u16())
            }
            Err(failure) => {
                ours.observe(&engine.metrics, failure.code, attempt.duration);
                if attempt.retry_in.is_some() {
                    engine.metrics.retries.inc();
                }
                *ours.last_failure.lock() = Some(LastFailure {
                    at: Timestamp::now(),
                    reason: failure.reason(),
                    detail: failure.detail.clone(),
                });
                (ExceptionKind::FailedAttempt, failure.code)
            }
        };
        let asked = if attempt.dead_letter { route.dead_letter_sink().unwrap_or_default() } else { route.subscriber() };
        engine.ledger.record(Exception {
            attempt: attempt.number,
            destination: asked.to_owned(),
            code: Some(status),
            detail: attempt.result.err().map(|failure| failure.detail.clone()).unwrap_or_default(),
            duration: attempt.duration,
            ..Exception::now(kind, route.recipient(), stored)
        });
    }

    async fn wait(&self, wait: Duration) -> Result<(), Interrupted> {
        self.patience.wait(wait).await
    }
}

/// For attempts that have no next one.
struct NoPatience;

#[async_trait]
impl Patience for NoPatience {
    async fn wait(&self, _: Duration) -> Result<(), Interrupted> {
        Err(Interrupted)
    }
}
