//! A log in memory whose faults a test scripts, and the pieces around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::registry::Registry as Prometheus;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weir_api::Event;
use weir_api::event::Attributes;
use weir_api::observed::{Observed, ObservedState};
use weir_api::resources::{Broker, ChannelSpec, ObjectName, Resources};
use weir_channels::{
    AppendError, Bounds, Channel, ChannelName, ConnectError, Entry, Position, Progress, ProgressError, ReadError,
    Reader, Registry, Stored, SubscriptionId,
};

use crate::logs::Logs;
use crate::metrics::Metrics;

type Saved = BTreeMap<SubscriptionId, BTreeMap<u32, Progress>>;

/// A log of one partition. What it holds outlives its being closed, as a disk would.
#[derive(Default)]
pub(crate) struct MemoryLog {
    state: Mutex<State>,
    grown: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    saved: Saved,
    saves: u64,
    reads: u64,
    fail_appends: Option<fn() -> AppendError>,
    fail_saves: bool,
    /// Fires when the log of this life is to break.
    breaking: CancellationToken,
    fail_reads: u32,
    panic_on_append: bool,
}

impl MemoryLog {
    pub(crate) fn push(&self, event: Event) -> u64 {
        self.push_entry(|position| Entry::Event(Stored { position, stored_at: Timestamp::UNIX_EPOCH, event }))
    }

    pub(crate) fn push_entry(&self, entry: impl FnOnce(Position) -> Entry) -> u64 {
        let offset = {
            let mut state = self.state.lock();
            let offset = state.entries.len() as u64;
            state.entries.push(entry(Position { partition: 0, offset }));
            offset
        };
        self.grown.send_replace(offset + 1);
        offset
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let state = self.state.lock();
        let events = state.entries.iter().filter_map(|entry| match entry {
            Entry::Event(stored) => Some(stored.event.clone()),
            Entry::Undecodable { .. } | Entry::Gap { .. } => None,
        });
        events.collect()
    }

    pub(crate) fn progress(&self, uid: &str) -> Option<Progress> {
        self.state.lock().saved.get(uid).and_then(|saved| saved.get(&0)).cloned()
    }

    pub(crate) fn save_now(&self, uid: &str, progress: Progress) {
        self.state.lock().saved.entry(uid.into()).or_default().insert(0, progress);
    }

    pub(crate) fn saves(&self) -> u64 {
        self.state.lock().saves
    }

    /// Readers opened.
    pub(crate) fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    pub(crate) fn fail_appends(&self, error: Option<fn() -> AppendError>) {
        self.state.lock().fail_appends = error;
    }

    /// The log takes nothing more until it is opened again.
    pub(crate) fn break_now(&self) {
        let breaking = std::mem::take(&mut self.state.lock().breaking);
        breaking.cancel();
    }

    pub(crate) fn fail_saves(&self, fail: bool) {
        self.state.lock().fail_saves = fail;
    }

    /// The next so many readers cannot be opened.
    pub(crate) fn fail_reads(&self, times: u32) {
        self.state.lock().fail_reads = times;
    }

    pub(crate) fn panic_on_append(&self, panic: bool) {
        self.state.lock().panic_on_append = panic;
    }
}

/// An open [`MemoryLog`].
struct MemoryChannel {
    log: Arc<MemoryLog>,
    closed: CancellationToken,
}

fn unavailable() -> Box<dyn std::error::Error + Send + Sync> {
    "scripted".into()
}

#[async_trait]
impl Channel for MemoryChannel {
    fn partitions(&self) -> u32 {
        1
    }

    fn max_event_bytes(&self) -> usize {
        900 << 10
    }

    async fn append(&self, event: Event) -> Result<Position, AppendError> {
        tokio::task::yield_now().await;
        if self.closed.is_cancelled() {
            return Err(AppendError::Unavailable("closed".into()));
        }
        let (fail, panic) = {
            let state = self.log.state.lock();
            (state.fail_appends, state.panic_on_append)
        };
        assert!(!panic, "scripted");
        if let Some(error) = fail {
            return Err(error());
        }
        if event.size_bytes() > self.max_event_bytes() {
            return Err(AppendError::TooLarge { size_bytes: event.size_bytes(), limit_bytes: self.max_event_bytes() });
        }
        Ok(Position { partition: 0, offset: self.log.push(event) })
    }

    async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Position>, AppendError> {
        let mut positions = Vec::new();
        for event in events {
            positions.push(self.append(event).await?);
        }
        Ok(positions)
    }

    async fn read(&self, from: Position) -> Result<Box<dyn Reader>, ReadError> {
        let mut state = self.log.state.lock();
        state.reads += 1;
        if state.fail_reads > 0 {
            state.fail_reads -= 1;
            return Err(ReadError::Unavailable(unavailable()));
        }
        Ok(Box::new(MemoryReader {
            log: Arc::clone(&self.log),
            next: from.offset,
            grown: self.log.grown.subscribe(),
            closed: self.closed.clone(),
        }))
    }

    async fn bounds(&self, _partition: u32) -> Result<Bounds, ReadError> {
        Ok(Bounds { earliest: 0, next: self.log.state.lock().entries.len() as u64 })
    }

    async fn seek(&self, partition: u32, _time: Timestamp) -> Result<Position, ReadError> {
        Ok(Position { partition, offset: 0 })
    }

    async fn find(&self, id: &str, source: Option<&str>, limit: usize) -> Result<Vec<Stored>, ReadError> {
        let state = self.log.state.lock();
        let found = state.entries.iter().filter_map(|entry| match entry {
            Entry::Event(stored) => Some(stored.clone()),
            Entry::Undecodable { .. } | Entry::Gap { .. } => None,
        });
        let wanted =
            |stored: &Stored| stored.event.id() == id && source.is_none_or(|source| stored.event.source() == source);
        Ok(found.filter(wanted).take(limit).collect())
    }

    async fn load(&self, subscription: &SubscriptionId) -> Result<BTreeMap<u32, Progress>, ProgressError> {
        Ok(self.log.state.lock().saved.get(subscription).cloned().unwrap_or_default())
    }

    async fn save(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError> {
        tokio::task::yield_now().await;
        if self.closed.is_cancelled() {
            return Err(ProgressError::Closed);
        }
        let mut state = self.log.state.lock();
        state.saves += 1;
        if state.fail_saves {
            return Err(ProgressError::Unavailable(unavailable()));
        }
        let saved = state.saved.entry(Arc::clone(subscription)).or_default();
        if saved.get(&partition).is_none_or(|saved| saved.next <= progress.next) {
            saved.insert(partition, progress.clone());
        }
        Ok(())
    }

    async fn reset(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError> {
        let mut state = self.log.state.lock();
        state.saved.entry(Arc::clone(subscription)).or_default().insert(partition, progress.clone());
        Ok(())
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), ProgressError> {
        self.log.state.lock().saved.remove(subscription);
        Ok(())
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionId>, ProgressError> {
        Ok(self.log.state.lock().saved.keys().cloned().collect())
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    async fn failed(&self) -> String {
        let breaking = self.log.state.lock().breaking.clone();
        breaking.cancelled().await;
        "the disk failed".to_owned()
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}

struct MemoryReader {
    log: Arc<MemoryLog>,
    next: u64,
    grown: watch::Receiver<u64>,
    closed: CancellationToken,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Entry>, ReadError> {
        loop {
            let read: Vec<Entry> = {
                let state = self.log.state.lock();
                let from = usize::try_from(self.next).unwrap_or(usize::MAX);
                state.entries.get(from..).unwrap_or_default().iter().take(max).cloned().collect()
            };
            if !read.is_empty() {
                self.next += read.len() as u64;
                return Ok(read);
            }
            let next = self.next;
            tokio::select! {
                () = self.closed.cancelled() => return Err(ReadError::Closed),
                _ = self.grown.wait_for(|end| *end > next) => {}
            }
        }
    }
}

/// One Broker, `ns/b`, on a [`MemoryLog`], with everything it takes to run it.
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) resources: watch::Sender<Arc<Resources>>,
    pub(crate) observed: watch::Receiver<Arc<Observed>>,
    pub(crate) logs: Logs,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: CancellationToken,
    /// The process is gone: its log takes and gives nothing more.
    pub(crate) killed: CancellationToken,
}

impl World {
    /// Starts opening logs. The same `log` may be given to one world after the other, as a process is restarted.
    pub(crate) fn new(log: &Arc<MemoryLog>) -> Self {
        let opened = Arc::clone(log);
        let killed = CancellationToken::new();
        let alive = killed.clone();
        let registry = Registry::default().with(
            "memory",
            move |_name: ChannelName, _config: serde_json::Value| {
                let (log, closed) = (Arc::clone(&opened), alive.child_token());
                async move {
                    let channel = MemoryChannel { log, closed };
                    Ok::<Arc<dyn Channel>, ConnectError>(Arc::new(channel))
                }
            },
            |_name: ChannelName| async { Ok(()) },
        );
        let (resources, receiver) = watch::channel(Arc::new(Resources::default()));
        let (observing, observed) = watch::channel(Arc::new(Observed::default()));
        let logs = Logs::new(Arc::new(registry), receiver, observing);
        let metrics = Metrics::register(&mut Prometheus::default());
        let shutdown = CancellationToken::new();
        let world = Self { log: Arc::clone(log), resources, observed, logs, metrics, shutdown, killed };
        let (logs, shutdown) = (world.logs.clone(), world.shutdown.clone());
        tokio::spawn(async move { logs.run(&shutdown).await });
        world
    }

    /// Changes the resources; they are complete from then on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Resources)) {
        self.resources.send_modify(|resources| {
            let mut changed = Resources::clone(resources);
            changed.complete = true;
            change(&mut changed);
            *resources = Arc::new(changed);
        });
    }

    /// Adds the Broker and waits until its log is open.
    pub(crate) async fn with_broker(self) -> Self {
        self.change(|resources| {
            resources.brokers.insert(broker_name(), Arc::new(broker()));
        });
        self.observed("broker-uid", &ObservedState::Active { generation: 1 }).await;
        self
    }

    /// Waits until `uid` is observed as `state`.
    pub(crate) async fn observed(&self, uid: &str, state: &ObservedState) {
        let mut observed = self.observed.clone();
        observed.wait_for(|observed| observed.get(uid) == Some(state)).await.expect("observer gone");
    }
}

pub(crate) fn broker_name() -> ObjectName {
    ObjectName { namespace: "ns".into(), name: "b".into() }
}

pub(crate) fn broker() -> Broker {
    Broker {
        name: broker_name(),
        uid: "broker-uid".into(),
        generation: 1,
        channel: ChannelSpec { backend: "memory".to_owned(), config: serde_json::Value::Null },
        deleting: false,
    }
}

/// A valid event.
pub(crate) fn event(id: &str, ty: &str) -> Event {
    let attributes =
        Attributes { id: id.to_owned(), source: "/test".to_owned(), ty: ty.to_owned(), ..Attributes::default() };
    Event::new(attributes, Some(Bytes::from_static(b"data")))
}
