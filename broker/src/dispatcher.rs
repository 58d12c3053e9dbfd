//! The dispatcher: every log is read once, and each Trigger gets the events it wants, at its own pace.
//!
//! One [`Fanout`] per open log follows the Broker's Triggers: it loads their progress, stores where a new one begins
//! before it counts as active, and saves what is settled. [`Lane`]s deliver.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_api::resources::{Start, Trigger};
use weir_channels::{Position, Progress, ProgressError, ReadError, Stored};

use crate::backoff::Backoff;
use crate::delivery::{Deliverer, Interrupted};
use crate::filter::Filter;
use crate::ledger::Ledger;
use crate::logs::{Log, Logs};
use crate::metrics::Metrics;
use crate::settings::{DispatcherSettings, Settings};

mod catch_up;
mod cursor;
pub(crate) mod engine;
mod fanout;
mod fetch;
pub(crate) mod lane;
mod queue;
mod saver;
mod view;

use engine::Engine;
use fanout::Fanout;
use lane::{Lane, Shared};
pub(crate) use view::{Refusal, TriggerView};

/// Lanes whose places are this near are served by the shared reader from the start; others catch up by themselves.
const NEAR: u64 = 10_000;

/// Where a matched event goes. The delivery engine in the product, a script in tests.
pub(crate) trait Downstream: Send + Sync + 'static {
    /// A Trigger, prepared for deliveries.
    type Route: Send + Sync;

    /// Prepares deliveries for a Trigger; the error is for people.
    fn route(&self, log: &Arc<Log>, trigger: &Trigger) -> Result<Self::Route, String>;

    /// Delivers an event until it is settled, waiting between attempts only through `patience`. `panics` is how often
    /// this has panicked with this event.
    fn deliver(
        &self,
        stored: &Stored,
        route: &Self::Route,
        patience: &dyn Patience,
        panics: u8,
    ) -> impl Future<Output = Ending> + Send;

    /// Stores a record that is no event with the dead letters; doing so again changes nothing.
    fn set_aside(
        &self,
        log: &Log,
        position: Position,
        raw: &Bytes,
        reason: &str,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// A Trigger is gone: what was kept of it can go.
    fn forget(&self, log: &Log, trigger: &Trigger);
}

/// Waits between attempts, for whoever makes them.
#[async_trait]
pub(crate) trait Patience: Send + Sync {
    /// Returns when the next attempt may be made. Interrupted, the delivery is to end with [`Ending::Unsettled`].
    async fn wait(&self, wait: Duration) -> Result<(), Interrupted>;
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The subscriber has it.
    Delivered,
    /// It is safe with the dead letters.
    DeadLettered,
    /// Neither: it stays in the log and is delivered again.
    Unsettled,
}

/// The dispatcher role: delivers what the logs hold.
pub struct Dispatching(Arc<Dispatcher<Engine>>);

impl Dispatching {
    /// Nothing is delivered until [`Dispatching::run`].
    pub fn new(settings: &Settings, logs: Logs, deliverer: Deliverer, ledger: Ledger, metrics: Arc<Metrics>) -> Self {
        let engine = Engine::new(deliverer, ledger, Arc::clone(&metrics), settings.ingress.max_ttl);
        Self(Dispatcher::new(settings.dispatcher.clone(), logs, engine, metrics))
    }

    /// Dispatches every open log until `shutdown`; then reads no more, lets deliveries in flight finish within the grace
    /// period, saves what is settled, and returns. The caller runs the logs, and closes them afterwards.
    pub async fn run(&self, shutdown: &CancellationToken) {
        self.0.run(shutdown).await;
    }

    /// What is answered under [`crate::admin::PREFIX`].
    pub fn admin(&self) -> axum::Router {
        crate::admin::router(Arc::clone(&self.0))
    }
}

/// The dispatcher of a process.
pub(crate) struct Dispatcher<D: Downstream> {
    logs: Logs,
    shared: Arc<Shared<D>>,
    /// By UID of the Broker.
    fanouts: RwLock<HashMap<Arc<str>, Arc<Fanout<D>>>>,
}

impl<D: Downstream> Dispatcher<D> {
    pub(crate) fn new(settings: DispatcherSettings, logs: Logs, downstream: D, metrics: Arc<Metrics>) -> Arc<Self> {
        let shared = Shared { settings, downstream, metrics, bytes: AtomicUsize::new(0), workers: TaskTracker::new() };
        Arc::new(Self { logs, shared: Arc::new(shared), fanouts: RwLock::default() })
    }

    pub(crate) async fn run(self: &Arc<Self>, shutdown: &CancellationToken) {
        let mut changes = self.logs.changes();
        let running = TaskTracker::new();
        let mut started: HashMap<Arc<str>, Arc<Log>> = HashMap::new();
        while !shutdown.is_cancelled() {
            changes.mark_unchanged();
            started.retain(|_, log| !log.closing.is_cancelled());
            for log in self.logs.open() {
                if !started.contains_key(&log.uid) && !log.closing.is_cancelled() {
                    started.insert(Arc::clone(&log.uid), Arc::clone(&log));
                    let (dispatcher, shutdown) = (Arc::clone(self), shutdown.clone());
                    // Holding this token keeps the log open.
                    let user = log.users.token();
                    running.spawn(async move {
                        dispatcher.serve(log, &shutdown).await;
                        drop(user);
                    });
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = changes.changed() => {}
            }
        }
        running.close();
        running.wait().await;
    }

    /// Serves one log until it is closing or `shutdown`.
    async fn serve(self: &Arc<Self>, log: Arc<Log>, shutdown: &CancellationToken) {
        let fanout = Fanout::new(Arc::clone(&log), Arc::clone(&self.shared));
        self.fanouts.write().insert(Arc::clone(&log.uid), Arc::clone(&fanout));
        for partition in 0..fanout.feeds.len() {
            fanout.readers.spawn(Arc::clone(&fanout).feed(partition));
        }
        let saver_stop = CancellationToken::new();
        let saver = async {
            saver::run(&fanout, &saver_stop).await;
        };
        let work = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = log.closing.cancelled() => {}
                () = self.follow(&fanout) => {}
            }
            self.drain(&fanout).await;
            saver_stop.cancel();
        };
        tokio::join!(saver, work);
        saver::finish(&fanout).await;
        self.fanouts.write().remove(&log.uid);
        if !shutdown.is_cancelled() {
            for lane in fanout.lanes() {
                self.logs.observer().gone(&lane.uid);
            }
        }
    }

    /// Reads no more, interrupts waits, and lets what is in flight finish.
    async fn drain(&self, fanout: &Fanout<D>) {
        fanout.stop.cancel();
        fanout.readers.close();
        fanout.readers.wait().await;
        let lanes = fanout.lanes();
        lanes.iter().for_each(|lane| lane.stop());
        let idle = async {
            for lane in &lanes {
                lane.idle().await;
            }
        };
        if tokio::time::timeout(self.shared.settings.grace_period, idle).await.is_err() {
            tracing::warn!(
                kn.broker.name = %fanout.log.broker.name, kn.broker.namespace = %fanout.log.broker.namespace,
                "Deliveries did not end within the grace period; they are repeated after the next start."
            );
            fanout.log.give_up.cancel();
            // Attempts end at their next step.
            for lane in &lanes {
                lane.idle().await;
            }
        }
    }

    /// Makes the lanes of `fanout` match the Triggers there are, for ever.
    async fn follow(&self, fanout: &Arc<Fanout<D>>) {
        let mut resources = self.logs.resources();
        let mut backoff = Backoff::new();
        let mut orphans_forgotten = false;
        loop {
            let (wanted, complete) = {
                let resources = resources.borrow_and_update();
                (resources.triggers.get(&fanout.log.broker).cloned().unwrap_or_default(), resources.complete)
            };
            if complete {
                self.remove_missing(fanout, &wanted);
            }
            let mut result = self.add_and_change(fanout, &wanted).await;
            if complete && !orphans_forgotten && result.is_ok() {
                result = forget_orphans(fanout, &wanted).await;
                orphans_forgotten = result.is_ok();
            }
            if result.is_ok() {
                backoff.reset();
                fanout.served.store(complete, Ordering::Relaxed);
            }
            tokio::select! {
                changed = resources.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = backoff.wait(), if result.is_err() => {}
            }
        }
    }

    fn remove_missing(&self, fanout: &Fanout<D>, wanted: &BTreeMap<Arc<str>, Arc<Trigger>>) {
        for lane in fanout.lanes() {
            if !wanted.contains_key(&lane.uid) {
                fanout.remove(&lane);
                self.shared.downstream.forget(&fanout.log, &lane.orders().trigger);
                self.logs.observer().gone(&lane.uid);
            }
        }
    }

    /// Adds lanes for new Triggers and changes those of others. An error means some have to be tried again.
    async fn add_and_change(
        &self,
        fanout: &Arc<Fanout<D>>,
        wanted: &BTreeMap<Arc<str>, Arc<Trigger>>,
    ) -> Result<(), StartError> {
        let mut starting = FuturesUnordered::new();
        for trigger in wanted.values() {
            let lane = fanout.lane(&trigger.uid);
            if lane.as_ref().is_some_and(|lane| Arc::ptr_eq(&lane.orders().trigger, trigger)) {
                continue;
            }
            let filter = match Filter::compile(trigger.filter.as_ref(), &trigger.filters) {
                Ok(filter) => filter,
                Err(error) => {
                    self.logs.observer().failed(&trigger.uid, trigger.generation, error.to_string());
                    // Whatever it meant, it does not mean what it did: nothing is delivered until it can be read.
                    if let Some(lane) = lane {
                        fanout.suspend(&lane);
                    }
                    continue;
                }
            };
            match lane {
                Some(lane) => {
                    fanout.change(&lane, trigger, filter);
                    self.report(&lane);
                }
                None => starting.push(async move { (trigger, filter, begin(&fanout.log, trigger).await) }),
            }
        }
        let mut result = Ok(());
        let mut lanes = Vec::new();
        while let Some((trigger, filter, progress)) = starting.next().await {
            match progress {
                Ok(progress) => lanes.push((progress.clone(), fanout.add(trigger, filter, progress))),
                Err(error) => {
                    tracing::warn!(kn.trigger.name = %trigger.name.name, kn.broker.namespace = %trigger.name.namespace, %error, "Cannot start the Trigger; trying again.");
                    self.logs.observer().failed(&trigger.uid, trigger.generation, error.to_string());
                    result = Err(error);
                }
            }
        }
        start_near_together(fanout, &mut lanes);
        lanes.iter().for_each(|(_, lane)| self.report(lane));
        result
    }

    fn report(&self, lane: &Lane<D>) {
        let orders = lane.orders();
        let trigger = &orders.trigger;
        match orders.failure() {
            Some(failure) => self.logs.observer().failed(&trigger.uid, trigger.generation, failure.to_owned()),
            None => self.logs.observer().active(&trigger.uid, trigger.generation),
        }
    }
}

/// Starts lanes from the rearmost on, so that the shared reader begins where all that are near each other can follow it;
/// then those that are too far behind for that.
fn start_near_together<D: Downstream>(fanout: &Arc<Fanout<D>>, lanes: &mut [(Vec<Progress>, Arc<Lane<D>>)]) {
    for partition in 0..fanout.feeds.len() {
        lanes.sort_by_key(|(progress, _)| progress[partition].next);
        let foremost = lanes.last().map_or(0, |(progress, _)| progress[partition].next);
        let far = lanes.partition_point(|(progress, _)| progress[partition].next.saturating_add(NEAR) < foremost);
        for (_, lane) in lanes[far..].iter().chain(&lanes[..far]) {
            fanout.begin(lane, partition, true);
        }
    }
}

/// Why a Trigger could not start: the log does not answer.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Progress(#[from] ProgressError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Where a Trigger goes on, per partition. Where it has no saved progress it begins where it says, and that is durable
/// when this returns.
async fn begin(log: &Log, trigger: &Trigger) -> Result<Vec<Progress>, StartError> {
    let mut saved = log.channel.load(&trigger.uid).await?;
    let mut progress = Vec::new();
    for partition in 0..log.channel.partitions() {
        progress.push(match saved.remove(&partition) {
            Some(progress) => progress,
            None => {
                let start = Progress::at(match trigger.start {
                    Start::Now => log.channel.bounds(partition).await?.next,
                    Start::Earliest => log.channel.bounds(partition).await?.earliest,
                    Start::Time(time) => log.channel.seek(partition, time).await?.offset,
                });
                log.channel.save(&trigger.uid, partition, &start).await?;
                start
            }
        });
    }
    Ok(progress)
}

/// Forgets Triggers that were deleted while nobody was looking.
async fn forget_orphans<D: Downstream>(
    fanout: &Fanout<D>,
    wanted: &BTreeMap<Arc<str>, Arc<Trigger>>,
) -> Result<(), StartError> {
    for subscription in fanout.log.channel.subscriptions().await? {
        if !wanted.contains_key(&subscription) {
            fanout.log.channel.forget(&subscription).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
