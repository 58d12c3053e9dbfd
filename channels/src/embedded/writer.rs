//! The thread that drives a log, and the queue in front of it.
//!
//! Whoever appends encodes its event straight into the batch that is being collected, and waits. The thread takes
//! everything collected, stores it at once, answers everyone, and finds the next batch collected meanwhile: the slower
//! the disk, the larger the batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};
use weir_api::Event;

use super::config::{Durability, Settings};
use super::cursors::Change;
use super::index;
use super::log::{Batch, CommitError, Log, nanos};
use super::space::Space;
use crate::metrics::Metrics;
use crate::{AppendError, ProgressError};

/// How long, with `durability: os`, an acknowledged event may be without a sync.
const BACKGROUND_SYNC: Duration = Duration::from_millis(100);
/// How often retention is looked after: always, and while it keeps new events out.
const HOUSEKEEPING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1));
/// A batch in progress for this long means that the disk, or the thread, hangs.
const STALLED: Duration = Duration::from_secs(10);
/// Buffers that grew beyond this are given back when the rush is over.
const KEPT_BUFFER_BYTES: usize = 1 << 20;
/// A waiting caller is told to come back after a time that a batch usually takes several times over.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const STACK_BYTES: usize = 256 << 10;

type Appended = Result<u64, AppendError>;
type AllAppended = Result<Vec<u64>, AppendError>;

/// Who waits for a batch, and for how many of its events.
enum Waiter {
    One(oneshot::Sender<Appended>),
    Many(usize, oneshot::Sender<AllAppended>),
}

#[derive(Default)]
struct Pending {
    batch: Batch,
    waiters: Vec<Waiter>,
    changes: Vec<Change>,
    savers: Vec<oneshot::Sender<Result<(), ProgressError>>>,
}

struct Queue {
    pending: Pending,
    closing: bool,
}

/// The queue in front of a log's thread.
pub(crate) struct Writer {
    queue: Mutex<Queue>,
    arrived: Condvar,
    space: Arc<Space>,
    settings: Settings,
    metrics: Metrics,
    /// Why the log is closed for good.
    poisoned: watch::Sender<Option<String>>,
    started: Instant,
    /// When the batch in progress was begun, in milliseconds since `started`, plus one; 0 for none.
    busy_since: AtomicU64,
    done: watch::Sender<bool>,
}

impl Writer {
    /// Starts the thread of `log`.
    pub(crate) fn start(log: Log, settings: Settings, metrics: Metrics, name: &str) -> std::io::Result<Arc<Self>> {
        let writer = Arc::new(Self {
            queue: Mutex::new(Queue { pending: Pending::default(), closing: false }),
            arrived: Condvar::new(),
            space: log.space(),
            settings,
            metrics,
            poisoned: watch::Sender::new(None),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            done: watch::Sender::new(false),
        });
        let driven = writer.clone();
        thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
            // A log that panicked half way through a batch knows nothing for certain any more, and everybody waits for it.
            let guard = AbortOnPanic;
            Drive { writer: driven, log, spare: Pending::default(), offsets: Vec::new(), sync_due: None }.run();
            std::mem::forget(guard);
        })?;
        Ok(writer)
    }

    /// Queues one event.
    pub(crate) fn append(&self, event: Event) -> Result<oneshot::Receiver<Appended>, AppendError> {
        let (sender, receiver) = oneshot::channel();
        self.enqueue(std::iter::once(event), 1, |pending| pending.waiters.push(Waiter::One(sender)))?;
        Ok(receiver)
    }

    /// Queues events to be stored together.
    pub(crate) fn append_all(&self, events: Vec<Event>) -> Result<oneshot::Receiver<AllAppended>, AppendError> {
        let (sender, receiver) = oneshot::channel();
        let count = events.len();
        self.enqueue(events.into_iter(), count, |pending| pending.waiters.push(Waiter::Many(count, sender)))?;
        Ok(receiver)
    }

    fn enqueue(
        &self,
        events: impl Iterator<Item = Event>,
        count: usize,
        wait: impl FnOnce(&mut Pending),
    ) -> Result<(), AppendError> {
        if self.space.is_full() {
            self.metrics.refused_events.inc_by(count as u64);
            return Err(AppendError::Full);
        }
        let mut queue = self.queue.lock();
        if queue.closing {
            drop(queue);
            return Err(AppendError::Unavailable(self.why_closed().into()));
        }
        let batch = &queue.pending.batch;
        // What is too large for an empty queue would never fit, so it is let in.
        let is_over = !batch.events.is_empty()
            && (batch.events.len() + count > self.settings.queue_events
                || batch.frames.len() > self.settings.queue_bytes);
        if is_over {
            drop(queue);
            self.metrics.refused_events.inc_by(count as u64);
            return Err(AppendError::Overloaded { retry_after: RETRY_AFTER });
        }
        let was_idle = queue.pending.is_empty();
        for event in events {
            queue.pending.batch.push(event);
        }
        wait(&mut queue.pending);
        drop(queue);
        self.metrics.queued_events.inc_by(count as i64);
        if was_idle {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Queues a change of progress.
    pub(crate) fn change(&self, change: Change) -> Result<oneshot::Receiver<Result<(), ProgressError>>, ProgressError> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.queue.lock();
        if queue.closing {
            return Err(ProgressError::Closed);
        }
        let was_idle = queue.pending.is_empty();
        queue.pending.changes.push(change);
        queue.pending.savers.push(sender);
        drop(queue);
        if was_idle {
            self.arrived.notify_one();
        }
        Ok(receiver)
    }

    /// `Err` with the reason while no event can be stored.
    pub(crate) fn health(&self) -> Result<(), String> {
        if let Some(reason) = &*self.poisoned.borrow() {
            return Err(reason.clone());
        }
        if self.queue.lock().closing {
            return Err(CLOSED.to_owned());
        }
        let since = self.busy_since.load(Ordering::Relaxed);
        let busy_for = (self.started.elapsed().as_millis() as u64 + 1).saturating_sub(since);
        if since != 0 && busy_for > STALLED.as_millis() as u64 {
            return Err(format!("the disk has not answered for {} s", busy_for / 1000));
        }
        if self.space.is_full() {
            return Err("storage is full: free some space or shorten retention".to_owned());
        }
        Ok(())
    }

    /// Waits until the log is closed for good; why.
    pub(crate) async fn failed(&self) -> String {
        let mut poisoned = self.poisoned.subscribe();
        // The sender lives in `self`.
        let reason = poisoned.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| CLOSED.to_owned())
    }

    /// Why an append got no answer.
    pub(crate) fn why_closed(&self) -> String {
        self.poisoned.borrow().clone().unwrap_or_else(|| CLOSED.to_owned())
    }

    /// Stores what is queued, refuses what comes later, and ends the thread. Does not wait for it.
    pub(crate) fn begin_closing(&self) {
        self.queue.lock().closing = true;
        self.arrived.notify_one();
    }

    /// Whether it takes nothing new.
    pub(crate) fn is_closing(&self) -> bool {
        self.queue.lock().closing
    }

    /// Whether the thread is done.
    pub(crate) fn is_closed(&self) -> bool {
        *self.done.borrow()
    }

    /// Waits for the thread to be done.
    pub(crate) async fn closed(&self) {
        let mut done = self.done.subscribe();
        // The sender lives in `self`.
        let _ = done.wait_for(|done| *done).await;
    }
}

const CLOSED: &str = "the log is closed";

impl Pending {
    fn is_empty(&self) -> bool {
        self.batch.events.is_empty() && self.changes.is_empty()
    }
}

/// Ends the process if the thread panics: better than requests that wait for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        tracing::error!("The writer of a log panicked; the process ends so that it can be started again");
        std::process::abort();
    }
}

/// The thread's side.
struct Drive {
    writer: Arc<Writer>,
    log: Log,
    spare: Pending,
    offsets: Vec<u64>,
    sync_due: Option<Instant>,
}

impl Drive {
    fn run(mut self) {
        let mut housekeeping_due = Instant::now() + HOUSEKEEPING.1;
        loop {
            self.index_finished();
            let deadline = self.sync_due.map_or(housekeeping_due, |due| due.min(housekeeping_due));
            let closing = self.collect(deadline);
            if !self.spare.is_empty() {
                let now = self.writer.started.elapsed().as_millis() as u64 + 1;
                self.writer.busy_since.store(now, Ordering::Relaxed);
                self.store();
                self.save();
                self.writer.busy_since.store(0, Ordering::Relaxed);
            } else if closing {
                break;
            }
            let now = Instant::now();
            if self.sync_due.is_some_and(|due| due <= now) {
                self.sync_due = None;
                if self.log.flush().is_err() {
                    self.note_poison();
                }
            }
            if housekeeping_due <= now || !self.log.unindexed.is_empty() {
                let more = self.retain();
                housekeeping_due = now + if more { HOUSEKEEPING.1 } else { HOUSEKEEPING.0 };
            }
        }
        self.index_finished();
        self.log.close();
        self.writer.done.send_replace(true);
    }

    /// Takes everything queued into `spare`, waiting until `deadline` for something; whether the log is to be closed.
    fn collect(&mut self, deadline: Instant) -> bool {
        let mut queue = self.writer.queue.lock();
        while queue.pending.is_empty() && !queue.closing {
            if self.writer.arrived.wait_until(&mut queue, deadline).timed_out() {
                break;
            }
        }
        let linger = self.writer.settings.linger;
        if !linger.is_zero() && !queue.pending.batch.events.is_empty() && !queue.closing {
            drop(queue);
            thread::sleep(linger);
            queue = self.writer.queue.lock();
        }
        std::mem::swap(&mut queue.pending, &mut self.spare);
        queue.closing
    }

    fn store(&mut self) {
        let count = self.spare.batch.events.len();
        if count == 0 {
            return;
        }
        let stored = self.log.commit(&mut self.spare.batch, nanos(Timestamp::now()), &mut self.offsets);
        match &stored {
            Ok(()) => self.answer(),
            Err(error) => {
                self.writer.metrics.refused_events.inc_by(count as u64);
                if let CommitError::Refused(error) = error {
                    tracing::warn!(%error, events = count, "Could not write events; they were refused");
                }
                self.note_poison();
                for waiter in self.spare.waiters.drain(..) {
                    // Whoever stopped waiting does not want to know.
                    let _ = match waiter {
                        Waiter::One(sender) => sender.send(Err(refusal(error))).is_ok(),
                        Waiter::Many(_, sender) => sender.send(Err(refusal(error))).is_ok(),
                    };
                }
            }
        }
        self.writer.metrics.queued_events.dec_by(count as i64);
        if self.log.is_unsynced() && self.writer.settings.durability == Durability::Os {
            self.sync_due.get_or_insert_with(|| Instant::now() + BACKGROUND_SYNC);
        }
        self.spare.shrink();
    }

    fn answer(&mut self) {
        let mut offsets = self.offsets.iter().copied();
        for waiter in self.spare.waiters.drain(..) {
            let _ = match waiter {
                Waiter::One(sender) => offsets.next().is_some_and(|offset| sender.send(Ok(offset)).is_ok()),
                Waiter::Many(count, sender) => sender.send(Ok(offsets.by_ref().take(count).collect())).is_ok(),
            };
        }
    }

    fn save(&mut self) {
        if self.spare.changes.is_empty() {
            return;
        }
        let saved = self.log.save(&self.spare.changes);
        if let Err(error) = &saved {
            tracing::warn!(%error, "Could not save progress; events may be delivered again after a restart");
        }
        self.spare.changes.clear();
        for saver in self.spare.savers.drain(..) {
            let result = saved.as_ref().copied().map_err(|error| ProgressError::Unavailable(error.to_string().into()));
            // Whoever stopped waiting does not want to know.
            let _ = saver.send(result);
        }
    }

    fn note_poison(&self) {
        if let Some(reason) = self.log.poisoned() {
            self.writer.poisoned.send_if_modified(|poisoned| {
                let is_new = poisoned.is_none();
                poisoned.get_or_insert_with(|| reason.to_owned());
                is_new
            });
        }
    }

    /// Removes what retention lets go; whether to look again soon.
    fn retain(&mut self) -> bool {
        loop {
            let removed = self.log.retain(nanos(Timestamp::now()));
            self.note_poison();
            match removed {
                Ok(true) => {}
                Ok(false) => return self.writer.space.is_over_quota(),
                Err(error) => {
                    tracing::warn!(%error, "Could not remove an old segment");
                    return true;
                }
            }
        }
    }

    /// Writes the indexes of finished segments on a thread that comes and goes, so that appends need not wait.
    fn index_finished(&mut self) {
        let finished = self.log.take_unindexed();
        if finished.is_empty() {
            return;
        }
        let fs = self.log.fs();
        let work = move || {
            for segment in finished {
                if let Err(error) = index::store(&*fs, &segment) {
                    // It stays in memory.
                    tracing::warn!(path = %segment.index_path().display(), %error, "Could not write an index");
                }
            }
        };
        let spawned = thread::Builder::new().name("weir-index".to_owned()).stack_size(STACK_BYTES).spawn(work);
        if let Err(error) = spawned {
            tracing::warn!(%error, "Could not start a thread to write an index");
        }
    }
}

impl Pending {
    fn shrink(&mut self) {
        if self.batch.frames.capacity() > KEPT_BUFFER_BYTES {
            self.batch.frames = Vec::new();
        }
    }
}

fn refusal(error: &CommitError) -> AppendError {
    match error {
        CommitError::Full => AppendError::Full,
        CommitError::Refused(error) => AppendError::Unavailable(format!("cannot write: {error}").into()),
        CommitError::Poisoned(reason) => AppendError::Unavailable(reason.clone().into()),
    }
}
