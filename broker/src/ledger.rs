//! Dead letters and the attempt ledger, in SQL (tables `dead_letters` and `exceptions` of `migrations/`).
//!
//! * A dead letter is durable before [`Ledger::put`] returns: only then its position on the log may be passed.
//! * Exceptions (failed attempts, drops, expiries) are best effort: written in batches within a second, bounded, and
//!   kept for a while. "Delivered" and "not matched" are not here; they are computed from log, progress and filter.
//!
//! One task writes; whatever waits for it goes into one transaction, so that many dead letters cost one sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

mod exception;
mod letter;
#[cfg(test)]
mod tests;
mod writer;

pub use exception::{Exception, ExceptionKind};
pub use letter::{Content, DeadLetter, Group, Letter, LetterQuery, Recipient};

use writer::{Note, Put, Writer};

/// Dead letters that wait to be written; more wait for room.
const PUTS: usize = 1_024;

/// How much the ledger remembers.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// How long exceptions are kept.
    pub keep: Duration,
    /// How many exceptions are kept at most.
    pub max_exceptions: u32,
    /// Exceptions that may wait to be written; more are counted and dropped.
    pub max_pending: usize,
    /// How long an exception waits for others to be written with.
    pub flush_interval: Duration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(7 * 24 * 60 * 60),
            max_exceptions: 200_000,
            max_pending: 16 << 10,
            flush_interval: Duration::from_millis(500),
        }
    }
}

/// Why the ledger could not answer, or could not write.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database did not do it: perhaps later. A letter may or may not be stored; putting it again does no harm.
    #[error("the ledger's database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A row this build cannot read.
    #[error("dead letter {id} cannot be read: {reason}")]
    Damaged {
        /// Its id.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// [`Ledger::close`] was called.
    #[error("the ledger is closed")]
    Closed,
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error)
    }
}

/// Where dead letters are kept.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Returns once `letter` is durable. Putting the same subscription and position again replaces what is stored:
    /// after a crash, or when a redriven event fails again.
    async fn put(&self, letter: &DeadLetter) -> Result<(), LedgerError>;
}

/// The ledger. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: AnyPool,
    puts: mpsc::Sender<Put>,
    notes: mpsc::Sender<Note>,
    dropped: AtomicU64,
    writer: parking_lot::Mutex<Option<tokio::task::JoinHandle<()>>>,
    closed: tokio_util::sync::CancellationToken,
}

impl Ledger {
    /// A ledger in `pool`, which `weir_migrations::open` made. Starts the task that writes; it ends with
    /// [`Ledger::close`], or when every clone is gone.
    pub fn start(pool: AnyPool, settings: &LedgerSettings) -> Self {
        let (puts, receive_puts) = mpsc::channel(PUTS);
        let (notes, receive_notes) = mpsc::channel(settings.max_pending.max(1));
        let closed = tokio_util::sync::CancellationToken::new();
        let writer =
            Writer { pool: pool.clone(), settings: settings.clone(), puts: receive_puts, notes: receive_notes };
        let task = tokio::spawn(writer.run(closed.clone()));
        let writer = parking_lot::Mutex::new(Some(task));
        Self(Arc::new(Shared { pool, puts, notes, dropped: AtomicU64::new(0), writer, closed }))
    }

    /// Notes an exception. Never waits; if too many are pending, this one is dropped and counted.
    pub fn record(&self, exception: Exception) {
        if self.0.notes.try_send(Note::Exception(Box::new(exception))).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns once every exception noted before is written, or could not be.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.notes.send(Note::Flush(done)).await.is_ok() {
            // A ledger that closes meanwhile has written what it had.
            let _closed = wait.await;
        }
    }

    /// Exceptions dropped so far because too many were pending.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is pending and ends. Later puts fail.
    pub async fn close(&self) {
        self.0.closed.cancel();
        let writer = self.0.writer.lock().take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the ledger's writer failed");
        }
    }

    /// Whether [`Ledger::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Dead letters that match `query`, oldest first.
    pub async fn letters(&self, query: &LetterQuery) -> Result<Vec<Letter>, LedgerError> {
        letter::select(&self.0.pool, query).await
    }

    /// The dead letter with this id.
    pub async fn letter(&self, id: &str) -> Result<Option<Letter>, LedgerError> {
        letter::by_id(&self.0.pool, id).await
    }

    /// Dead letters that match `query`, counted by Trigger and reason, most frequent first. The query's `after` counts,
    /// its `limit` is the number of groups.
    pub async fn groups(&self, query: &LetterQuery) -> Result<Vec<Group>, LedgerError> {
        letter::groups(&self.0.pool, query).await
    }

    /// How many dead letters match `query`, whatever its `limit`.
    pub async fn count(&self, query: &LetterQuery) -> Result<u64, LedgerError> {
        letter::count(&self.0.pool, query).await
    }

    /// Removes a dead letter for good; false if there is none with this id.
    pub async fn delete(&self, id: &str) -> Result<bool, LedgerError> {
        letter::delete(&self.0.pool, id).await
    }

    /// Notes that a dead letter was delivered after all at `at`; false if there is none with this id.
    pub async fn mark_redriven(&self, id: &str, at: Timestamp) -> Result<bool, LedgerError> {
        letter::mark_redriven(&self.0.pool, id, at).await
    }

    /// Exceptions of the event with this `id` (and `source`, if given), oldest first, at most `limit`:
    /// how it ended goes before single attempts. The newest of
    /// them may be half a second behind, unless [`Ledger::flush`] was called.
    pub async fn exceptions(&self, id: &str, source: Option<&str>, limit: u32) -> Result<Vec<Exception>, LedgerError> {
        exception::of_event(&self.0.pool, id, source, limit).await
    }
}

#[async_trait]
impl DeadLetterStore for Ledger {
    async fn put(&self, letter: &DeadLetter) -> Result<(), LedgerError> {
        let (done, wait) = oneshot::channel();
        self.0.puts.send(Put { letter: letter.clone(), done }).await.map_err(|_| LedgerError::Closed)?;
        wait.await.map_err(|_| LedgerError::Closed)?
    }
}

/// Microseconds since 1970, as the tables have them.
fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
