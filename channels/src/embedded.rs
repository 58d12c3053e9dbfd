//! The embedded backend: a log in a directory of this machine, durable before it answers, with nothing else to run.
//!
//! ```text
//! <dir>/<namespace>/<name>/<uid>/
//!     format                         which format this is
//!     00000000000000000000.log       segments: the events
//!     00000000000000000000.idx       where in a finished segment an offset, a time or an id is
//!     00000000000000000000.cursors   progress of the subscriptions
//! ```
//!
//! One thread per log writes: everything that was queued with one write and one sync (`writer`). Readers follow in
//! memory (`tail`) or catch up from the files (`walk`). Opening reads the growing segment only (`recovery`). The log has
//! one partition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use weir_api::Event;

mod backend;
mod config;
mod cursors;
mod dedupe;
mod faults;
mod fs;
mod index;
mod log;
mod lookup;
mod reader;
mod record;
mod recovery;
mod retention;
mod scan;
mod segment;
mod space;
mod state;
mod tail;
mod walk;
mod writer;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

pub use backend::{Embedded, backend};
pub use config::{DedupeConfig, Durability, EmbeddedConfig, RetentionConfig};
#[cfg(any(test, feature = "planted-faults"))]
pub use faults::Fault;

use config::Settings;
use cursors::{Change, Saved};
use fs::Fs;
use log::nanos;
use reader::{LogReader, Source};
use recovery::{OpenError, Opening};
use writer::Writer;

use crate::metrics::Metrics;
use crate::{
    AppendError, Bounds, Channel, ConnectError, Position, Progress, ProgressError, ReadError, Reader, Stored,
    SubscriptionId,
};

/// Readers of one log that may read files at the same time.
const CONCURRENT_READS: usize = 4;
const PARTITIONS: u32 = 1;

/// An open embedded log.
pub(crate) struct EmbeddedLog {
    writer: Arc<Writer>,
    source: Arc<Source>,
    saved: Arc<RwLock<Saved>>,
    max_event_bytes: usize,
}

impl EmbeddedLog {
    /// Opens, and creates if need be, the log in `dir`. Reads and syncs: not for an async thread.
    fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        settings: Settings,
        metrics: &Metrics,
        name: &str,
    ) -> Result<Self, ConnectError> {
        let opening = Opening {
            fs: fs.clone(),
            dir: dir.to_owned(),
            settings,
            metrics: metrics.clone(),
            now: nanos(Timestamp::now()),
            salt: ahash::RandomState::new().hash_one(dir) as u32,
        };
        let log = opening.open().map_err(connect_error)?;
        let (published, saved) = (log.published(), log.cursors().saved());
        let writer = Writer::start(log, settings, metrics.clone(), name)
            .map_err(|error| ConnectError::Unavailable(error.into()))?;
        let (reads, metrics, faults) = (Semaphore::new(CONCURRENT_READS), metrics.clone(), settings.faults);
        let source = Arc::new(Source { fs, published, metrics, faults, reads });
        Ok(Self { writer, source, saved, max_event_bytes: settings.max_event_bytes })
    }

    fn check_size(&self, event: &Event) -> Result<(), AppendError> {
        let (size_bytes, limit_bytes) = (event.size_bytes(), self.max_event_bytes);
        if size_bytes > limit_bytes { Err(AppendError::TooLarge { size_bytes, limit_bytes }) } else { Ok(()) }
    }

    fn check_partition(partition: u32) -> Result<(), ReadError> {
        if partition < PARTITIONS {
            Ok(())
        } else {
            Err(ReadError::NoSuchPartition { partition, partitions: PARTITIONS })
        }
    }

    /// Runs something that reads files where waiting for a disk disturbs nobody.
    async fn read_files<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Source) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let _permit = self.source.reads.acquire().await.map_err(|_| ReadError::Closed)?;
        let source = self.source.clone();
        let result = tokio::task::spawn_blocking(move || read(&source)).await;
        result
            .map_err(|error| ReadError::Unavailable(error.into()))?
            .map_err(|error| ReadError::Unavailable(error.into()))
    }

    async fn change(&self, change: Change) -> Result<(), ProgressError> {
        let saved = self.writer.change(change)?;
        saved.await.unwrap_or(Err(ProgressError::Closed))
    }
}

#[async_trait]
impl Channel for EmbeddedLog {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    fn max_event_bytes(&self) -> usize {
        self.max_event_bytes
    }

    async fn append(&self, event: Event) -> Result<Position, AppendError> {
        self.check_size(&event)?;
        match self.writer.append(event)?.await {
            Ok(offset) => Ok(Position { partition: 0, offset: offset? }),
            Err(_) => Err(AppendError::Unavailable(self.writer.why_closed().into())),
        }
    }

    async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Position>, AppendError> {
        events.iter().try_for_each(|event| self.check_size(event))?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        match self.writer.append_all(events)?.await {
            Ok(offsets) => Ok(offsets?.into_iter().map(|offset| Position { partition: 0, offset }).collect()),
            Err(_) => Err(AppendError::Unavailable(self.writer.why_closed().into())),
        }
    }

    async fn read(&self, from: Position) -> Result<Box<dyn Reader>, ReadError> {
        Self::check_partition(from.partition)?;
        if self.source.published.end().closed {
            return Err(ReadError::Closed);
        }
        Ok(Box::new(LogReader::new(self.source.clone(), from.offset)))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, ReadError> {
        Self::check_partition(partition)?;
        let next = self.source.published.end().next;
        Ok(Bounds { earliest: self.source.published.earliest(), next })
    }

    async fn seek(&self, partition: u32, time: Timestamp) -> Result<Position, ReadError> {
        Self::check_partition(partition)?;
        let offset = self.read_files(move |source| source.published.seek(&*source.fs, nanos(time))).await?;
        Ok(Position { partition, offset })
    }

    async fn find(&self, id: &str, source: Option<&str>, limit: usize) -> Result<Vec<Stored>, ReadError> {
        let (id, from) = (id.to_owned(), source.map(str::to_owned));
        self.read_files(move |source| source.published.find(&*source.fs, &id, from.as_deref(), limit)).await
    }

    async fn load(&self, subscription: &SubscriptionId) -> Result<BTreeMap<u32, Progress>, ProgressError> {
        let saved = self.saved.read();
        match saved.subscriptions.get(subscription) {
            Some(partitions) => Ok(partitions.clone()),
            // It may have been here before the damage: what it missed it gets again, rather than not at all.
            None if saved.lossy => Ok(BTreeMap::from([(0, Progress::at(self.source.published.earliest()))])),
            None => Ok(BTreeMap::new()),
        }
    }

    async fn save(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError> {
        self.change(Change::Save(subscription.clone(), partition, progress.clone())).await
    }

    async fn reset(
        &self,
        subscription: &SubscriptionId,
        partition: u32,
        progress: &Progress,
    ) -> Result<(), ProgressError> {
        self.change(Change::Reset(subscription.clone(), partition, progress.clone())).await
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), ProgressError> {
        self.change(Change::Forget(subscription.clone())).await
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionId>, ProgressError> {
        Ok(self.saved.read().subscriptions.keys().cloned().collect())
    }

    fn health(&self) -> Result<(), String> {
        self.writer.health()
    }

    async fn failed(&self) -> String {
        self.writer.failed().await
    }

    async fn close(&self) {
        self.writer.begin_closing();
        self.writer.closed().await;
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.writer.begin_closing();
    }
}

fn connect_error(error: OpenError) -> ConnectError {
    match error {
        OpenError::Newer { path, found } => {
            ConnectError::UnknownFormat { path: path.display().to_string(), found, supported: segment::FORMAT }
        }
        OpenError::Damaged { .. } => ConnectError::Unavailable(error.into()),
        OpenError::Io { path, source } => {
            ConnectError::Unavailable(format!("cannot open the log {}: {source}", path.display()).into())
        }
    }
}

/// A text as one name in a directory, without clashes: what Kubernetes allows in names stays as it is.
fn escape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(byte.into()),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

/// Where under `root` a log lives.
fn dir_of(root: &Path, channel: &crate::ChannelName) -> PathBuf {
    root.join(escape(&channel.namespace)).join(escape(&channel.name)).join(escape(&channel.uid))
}
