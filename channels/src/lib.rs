//! Durable event logs behind one trait.
//!
//! A [`Channel`] is a partitioned log of events that many subscriptions read, each at its own pace. What a
//! subscription has settled, retries, order by key, pause and start position live above this seam, in the dispatcher,
//! and so behave the same on every backend. `conformance` (feature `conformance`) is the executable form of the promises
//! made here.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use weir_api::Event;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
pub mod error;
pub mod metrics;
pub mod progress;
pub mod registry;

pub use error::{AppendError, ConnectError, ProgressError, ReadError};
pub use progress::{Progress, SettledSet};
pub use registry::{ChannelName, Registry};

/// A place in a log. Ordered within a partition; once acknowledged it never names another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Partition, from 0.
    pub partition: u32,
    /// Place within the partition; grows by one per event, gaps allowed.
    pub offset: u64,
}

/// An event in a log.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub position: Position,
    /// When the log took it, by the server's clock.
    pub stored_at: Timestamp,
    /// The event as it was appended.
    pub event: Event,
}

/// What reading finds at the next positions.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An event.
    Event(Stored),
    /// A record that is no event (another program wrote it, or it is damaged): it goes raw to the dead-letter store.
    Undecodable {
        /// Where it is.
        position: Position,
        /// Its bytes, as far as they could be read.
        raw: Bytes,
        /// What is wrong with it.
        reason: String,
    },
    /// Positions that can no longer be read: expired, or lost with a damaged segment.
    Gap {
        /// First missing position.
        from: Position,
        /// Offset after the last missing one.
        until: u64,
        /// Why it is missing.
        reason: String,
    },
}

/// The ends of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Offset of the oldest event kept.
    pub earliest: u64,
    /// Offset the next event will get at the earliest.
    pub next: u64,
}

/// Names one subscription's progress: the UID of its Trigger or Subscription.
pub type SubscriptionId = std::sync::Arc<str>;

/// A durable, partitioned log of events that many subscriptions read, each at its own pace.
///
/// *Guarantees:* an appended event whose position was returned is read, unchanged, by every reader that starts at or
/// before it, until retention removes it; in one partition, of two appends of which one returned before the other
/// began, the first has the smaller offset. *Caveat:* an append that failed may have been stored.
#[async_trait]
pub trait Channel: Send + Sync {
    /// How many partitions the log has, numbered from 0.
    fn partitions(&self) -> u32;

    /// The largest event, by [`Event::size_bytes`], this backend takes.
    fn max_event_bytes(&self) -> usize;

    /// Returns once the backend has made `event` durable. After an error it may or may not be stored.
    /// Cancelling the future does not cancel the append.
    async fn append(&self, event: Event) -> Result<Position, AppendError>;

    /// Appends all of `events` or reports an error; after an error some may be stored.
    async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Position>, AppendError>;

    /// Reads one partition from `from` on, waiting at the tail. Any number of readers, anywhere: replay is a read.
    /// `from` may lie beyond the tail; a `from` before the oldest event yields a [`Entry::Gap`] first.
    async fn read(&self, from: Position) -> Result<Box<dyn Reader>, ReadError>;

    /// The ends of `partition` now.
    async fn bounds(&self, partition: u32) -> Result<Bounds, ReadError>;

    /// Position of the first event of `partition` stored at or after `time`; the tail if there is none.
    async fn seek(&self, partition: u32, time: Timestamp) -> Result<Position, ReadError>;

    /// Events with this `id` (and `source`, if given), oldest first, at most `limit`.
    async fn find(&self, id: &str, source: Option<&str>, limit: usize) -> Result<Vec<Stored>, ReadError>;

    /// Durable progress of one subscription, per partition; empty if none was ever saved.
    async fn load(&self, subscription: &SubscriptionId) -> Result<BTreeMap<u32, Progress>, ProgressError>;

    /// Saves progress of one partition; returns once it is durable. Saved progress never goes backward: a save that
    /// is behind what is stored keeps what is stored.
    async fn save(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError>;

    /// Saves progress unconditionally: for replay, which may go back.
    async fn reset(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError>;

    /// Forgets a subscription that no longer exists, so that it holds nothing back.
    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), ProgressError>;

    /// Every subscription with saved progress.
    async fn subscriptions(&self) -> Result<Vec<SubscriptionId>, ProgressError>;

    /// `Err` with the reason if the log can take no more events until somebody acts or time passes.
    fn health(&self) -> Result<(), String>;

    /// Returns, with the reason, once the log takes no more events until it is closed and opened again; until then,
    /// what is stored can be read and progress be saved. Never, if it recovers by itself whatever happens.
    async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Flushes and closes. Later appends fail with [`AppendError::Unavailable`]; readers end.
    async fn close(&self);
}

/// The reading end of one partition.
#[async_trait]
pub trait Reader: Send {
    /// The next entries in order, at least one, at most `max`; waits at the tail. Cancel safe: a dropped call loses
    /// nothing. [`ReadError::Closed`] once the channel is closed.
    async fn next(&mut self, max: usize) -> Result<Vec<Entry>, ReadError>;
}

/// How long a caller should wait before it tries an overloaded or unavailable log again, where the log cannot tell.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
