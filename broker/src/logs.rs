//! The Brokers' logs: each is opened once per process, retried until it opens, and closed when its Broker is gone.
//!
//! Ingress and dispatcher share one [`Logs`]. Which Brokers there are comes from [`Resources`]; how far each is goes to
//! the controller as [`Observed`]: a Broker is active once its log is open, and leaves once its log is closed, so that
//! whoever removes the log's data afterwards disturbs nobody.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_api::observed::Observed;
use weir_api::resources::{Broker, ChannelSpec, ObjectName, Resources};
use weir_api::sink::Sink;
use weir_channels::{Channel, ChannelName, Registry};

use crate::backoff::Backoff;
use crate::metrics::{DispatchLabels, Metrics};
use crate::observer::Observer;
use crate::sink::NamedBrokerSink;

/// How long deliveries may go on from a log that is broken.
const DRAIN_BROKEN: Duration = Duration::from_secs(1);
/// A log that was open for so long has recovered from what broke it before.
const HELD: Duration = Duration::from_secs(60);

/// `namespace/name`, as it stands in a request's path.
type Address = Box<str>;

/// Every Broker's log. Cloning shares them.
#[derive(Clone)]
pub struct Logs(Arc<Shared>);

struct Shared {
    registry: Arc<Registry>,
    resources: watch::Receiver<Arc<Resources>>,
    observer: Observer,
    /// Read by every request, so that finding a Broker takes no lock and no allocation.
    table: ArcSwap<Table>,
    /// Serialises changes of `table`.
    changing: Mutex<()>,
    changes: watch::Sender<()>,
    keepers: TaskTracker,
    closing: CancellationToken,
}

#[derive(Clone, Default)]
struct Table {
    open: HashMap<Address, Arc<Log>, ahash::RandomState>,
    /// Every Broker there is, open or not.
    known: Arc<HashSet<Address, ahash::RandomState>>,
    /// Whether a Broker that is not known does not exist.
    complete: bool,
}

/// What stands at an address.
pub(crate) enum Found {
    Open(Arc<Log>),
    /// A Broker whose log is not open, or perhaps a Broker: the world is not known yet.
    NotOpen,
    Unknown,
}

/// One Broker's open log.
pub(crate) struct Log {
    pub(crate) broker: ObjectName,
    pub(crate) uid: Arc<str>,
    pub(crate) channel: Arc<dyn Channel>,
    /// Fires when the Broker is gone or its log is to be reopened: let go of it.
    pub(crate) closing: CancellationToken,
    /// Fires when even deliveries in progress are to be broken off, to be repeated.
    pub(crate) give_up: CancellationToken,
    /// The log stays open until everyone who holds a token of this has let go.
    pub(crate) users: TaskTracker,
    /// Kept here so that an accepted event needs no look-up.
    accepted: OnceLock<Histogram>,
}

impl Log {
    /// Time it took to store events that were accepted.
    pub(crate) fn accepted(&self, metrics: &Metrics) -> &Histogram {
        self.accepted.get_or_init(|| metrics.dispatch(&DispatchLabels::ingress(Some(&self.broker), 202)))
    }
}

/// The task that opens, keeps and closes one log.
struct Keeper {
    channel: ChannelSpec,
    generation: Arc<AtomicI64>,
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Logs {
    /// No log is open until [`Logs::run`] runs.
    pub fn new(
        registry: Arc<Registry>,
        resources: watch::Receiver<Arc<Resources>>,
        observed: watch::Sender<Arc<Observed>>,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            resources,
            observer: Observer::new(observed),
            table: ArcSwap::default(),
            changing: Mutex::default(),
            changes: watch::Sender::new(()),
            keepers: TaskTracker::new(),
            closing: CancellationToken::new(),
        }))
    }

    /// Opens and closes logs as Brokers come and go, until `shutdown`. The logs stay open then, for those who still
    /// work with them: see [`Logs::close`].
    pub async fn run(&self, shutdown: &CancellationToken) {
        let mut resources = self.0.resources.clone();
        let mut keepers: HashMap<Arc<str>, Keeper> = HashMap::new();
        loop {
            let wanted = Arc::clone(&resources.borrow_and_update());
            self.reconcile(&wanted, &mut keepers);
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = resources.changed() => if changed.is_err() {
                    return shutdown.cancelled().await;
                },
            }
        }
    }

    /// Closes every log, once nobody uses it any more.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.keepers.close();
        self.0.keepers.wait().await;
    }

    /// The Broker `name` as a sink, for whoever is in this process; it need not be open yet. Events enter as through the
    /// ingress, one without a TTL with `max_ttl`.
    pub fn sink(&self, name: ObjectName, max_ttl: i32) -> Arc<dyn Sink> {
        Arc::new(NamedBrokerSink::new(self.clone(), name, max_ttl))
    }

    /// Why events cannot be stored, of the first Broker whose log is open but takes none.
    ///
    /// # Errors
    /// The Broker and its log's reason.
    pub fn health(&self) -> Result<(), String> {
        let table = self.0.table.load();
        table
            .open
            .values()
            .try_for_each(|log| log.channel.health().map_err(|reason| format!("broker {}: {reason}", log.broker)))
    }

    /// Until it is known which Brokers there are, and the log of each is open.
    pub async fn opened(&self) {
        let mut changes = self.changes();
        loop {
            {
                let table = self.0.table.load();
                if table.complete && table.known.iter().all(|address| table.open.contains_key(address)) {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// What stands at `namespace/name`.
    pub(crate) fn find(&self, address: &str) -> Found {
        let table = self.0.table.load();
        match table.open.get(address) {
            Some(log) => Found::Open(Arc::clone(log)),
            None if table.complete && !table.known.contains(address) => Found::Unknown,
            None => Found::NotOpen,
        }
    }

    /// Every open log.
    pub(crate) fn open(&self) -> Vec<Arc<Log>> {
        self.0.table.load().open.values().cloned().collect()
    }

    /// Fires whenever a log was opened or is about to be closed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    pub(crate) fn resources(&self) -> watch::Receiver<Arc<Resources>> {
        self.0.resources.clone()
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.0.observer
    }

    /// One keeper per Broker that should have a log. A Broker whose channel changed gets a new one, which begins when
    /// the old one has closed the log.
    fn reconcile(&self, wanted: &Resources, keepers: &mut HashMap<Arc<str>, Keeper>) {
        if wanted.complete {
            let there: HashSet<&str> = wanted.brokers.values().map(|broker| &*broker.uid).collect();
            keepers.retain(|uid, keeper| {
                let stays = there.contains(&**uid);
                if !stays {
                    keeper.stop.cancel();
                }
                stays
            });
        }
        for broker in wanted.brokers.values() {
            match keepers.get_mut(&broker.uid) {
                Some(keeper) if broker.deleting => keeper.stop.cancel(),
                Some(keeper) if keeper.channel == broker.channel => {
                    if keeper.generation.swap(broker.generation, Ordering::Relaxed) != broker.generation {
                        self.observe_if_open(broker);
                    }
                }
                Some(keeper) => {
                    keeper.stop.cancel();
                    self.keep(broker, keepers);
                }
                None if broker.deleting => self.0.observer.closed(&broker.uid),
                None => self.keep(broker, keepers),
            }
        }
        let there = wanted.brokers.values().filter(|broker| !broker.deleting);
        let known = Arc::new(there.map(|broker| address(&broker.name)).collect());
        self.change(|table| {
            table.known = known;
            table.complete = wanted.complete;
        });
    }

    fn observe_if_open(&self, broker: &Broker) {
        if let Found::Open(log) = self.find(&address(&broker.name))
            && log.uid == broker.uid
        {
            self.0.observer.active(&broker.uid, broker.generation);
        }
    }

    fn keep(&self, broker: &Arc<Broker>, keepers: &mut HashMap<Arc<str>, Keeper>) {
        let previous = keepers.remove(&broker.uid).map(|keeper| keeper.done);
        let generation = Arc::new(AtomicI64::new(broker.generation));
        let stop = self.0.closing.child_token();
        let task = {
            let (logs, broker, generation, stop) =
                (self.clone(), Arc::clone(broker), Arc::clone(&generation), stop.clone());
            async move {
                if let Some(previous) = previous {
                    let _ended_either_way = previous.await;
                }
                logs.keep_open(&broker, &generation, &stop).await;
            }
        };
        let done = self.0.keepers.spawn(task);
        keepers.insert(Arc::clone(&broker.uid), Keeper { channel: broker.channel.clone(), generation, stop, done });
    }

    /// Keeps the log open until `stop`; one that breaks is opened again.
    async fn keep_open(&self, broker: &Broker, generation: &AtomicI64, stop: &CancellationToken) {
        // Of all rounds: a disk that fails with every first write is not to be asked again and again at once.
        let mut backoff = Backoff::new();
        while let Some(log) = self.open_log(broker, generation, stop, &mut backoff).await {
            let key = address(&broker.name);
            self.change(|table| {
                // Stopped while it opened: its address may be that of a Broker created anew.
                if !stop.is_cancelled() {
                    table.open.insert(key.clone(), Arc::clone(&log));
                }
            });
            self.0.observer.active(&broker.uid, generation.load(Ordering::Relaxed));
            tracing::info!(kn.broker.name = %broker.name.name, kn.broker.namespace = %broker.name.namespace, "Broker is open.");

            let opened = Instant::now();
            let broken = tokio::select! {
                () = stop.cancelled() => None,
                reason = log.channel.failed() => Some(reason),
            };
            let held = opened.elapsed() > HELD;
            if let Some(reason) = &broken {
                tracing::error!(kn.broker.name = %broker.name.name, kn.broker.namespace = %broker.name.namespace, reason, "The Broker's log is broken; opening it again.");
                self.0.observer.failed(&broker.uid, generation.load(Ordering::Relaxed), reason.clone());
            }
            log.closing.cancel();
            self.change(|table| {
                // A Broker created anew may have taken the address.
                if table.open.get(&key).is_some_and(|current| Arc::ptr_eq(current, &log)) {
                    table.open.remove(&key);
                }
            });
            log.users.close();
            // New events wait for the log to be opened again: a slow subscriber must not hold that up.
            if broken.is_some() && tokio::time::timeout(DRAIN_BROKEN, log.users.wait()).await.is_err() {
                log.give_up.cancel();
            }
            log.users.wait().await;
            log.channel.close().await;
            tracing::info!(kn.broker.name = %broker.name.name, kn.broker.namespace = %broker.name.namespace, "Broker is closed.");
            if broken.is_none() {
                break;
            }
            if held {
                backoff.reset();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = backoff.wait() => {}
            }
        }
        self.observe_closed(broker);
    }

    fn observe_closed(&self, broker: &Broker) {
        match self.0.resources.borrow().brokers.get(&broker.name) {
            Some(current) if current.uid == broker.uid && current.deleting => self.0.observer.closed(&broker.uid),
            Some(current) if current.uid == broker.uid => {}
            Some(_) | None => self.0.observer.gone(&broker.uid),
        }
    }

    /// Tries until the log opens; `None` if `stop` came first.
    async fn open_log(
        &self,
        broker: &Broker,
        generation: &AtomicI64,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Option<Arc<Log>> {
        let ObjectName { namespace, name } = &broker.name;
        let channel =
            ChannelName { namespace: Arc::clone(namespace), name: Arc::clone(name), uid: Arc::clone(&broker.uid) };
        while !stop.is_cancelled() {
            // Not raced against `stop`: a log that is half open could not be closed.
            match self.0.registry.open(&broker.channel.backend, channel.clone(), broker.channel.config.clone()).await {
                Ok(channel) => {
                    return Some(Arc::new(Log {
                        broker: broker.name.clone(),
                        uid: Arc::clone(&broker.uid),
                        channel,
                        closing: CancellationToken::new(),
                        give_up: CancellationToken::new(),
                        users: TaskTracker::new(),
                        accepted: OnceLock::new(),
                    }));
                }
                Err(error) => {
                    tracing::warn!(kn.broker.name = %name, kn.broker.namespace = %namespace, %error, "Cannot open the Broker's log; trying again.");
                    self.0.observer.failed(&broker.uid, generation.load(Ordering::Relaxed), error.to_string());
                }
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = backoff.wait() => {}
            }
        }
        None
    }

    fn change(&self, edit: impl FnOnce(&mut Table)) {
        {
            let _one_at_a_time = self.0.changing.lock();
            let mut table = Table::clone(&self.0.table.load());
            edit(&mut table);
            self.0.table.store(Arc::new(table));
        }
        self.0.changes.send_replace(());
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").field("open", &self.0.table.load().open.len()).finish_non_exhaustive()
    }
}

fn address(name: &ObjectName) -> Address {
    name.to_string().into_boxed_str()
}
