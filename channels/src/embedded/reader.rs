//! The reading end: from memory while it keeps up, from the segments when it has fallen behind.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};

use super::faults::Faults;
use super::fs::Fs;
use super::tail::{End, Published, Recent};
use super::walk::Walk;
use crate::metrics::Metrics;
use crate::{Entry, ReadError, Reader};

/// Bytes read at once, at most and at least.
const CHUNK_BYTES: (usize, usize) = (16 << 10, 256 << 10);
/// What an event is guessed to take when a caller wants few.
const GUESSED_EVENT_BYTES: usize = 2 << 10;

/// What readers of one log share.
pub(crate) struct Source {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) published: Arc<Published>,
    pub(crate) metrics: Metrics,
    pub(crate) faults: Faults,
    /// Bounds the reads of files at any one time, and so their memory.
    pub(crate) reads: Semaphore,
}

/// A reader of an embedded log.
pub(crate) struct LogReader {
    source: Arc<Source>,
    end: watch::Receiver<End>,
    next: u64,
    /// Where it is in the segments, while it reads those. Lost with a dropped call, and then found again.
    walk: Option<Walk>,
}

impl LogReader {
    pub(crate) fn new(source: Arc<Source>, from: u64) -> Self {
        let end = source.published.subscribe();
        Self { source, end, next: from, walk: None }
    }

    /// Reads the segments up to `until`.
    async fn read_segments(&mut self, until: u64, max: usize) -> Result<Vec<Entry>, ReadError> {
        let source = self.source.clone();
        let _permit = source.reads.acquire().await.map_err(|_| ReadError::Closed)?;
        let mut walk = match self.walk.take() {
            Some(walk) if walk.next == self.next => walk,
            _ => Walk::from(self.next, source.faults),
        };
        let chunk_bytes = max.saturating_mul(GUESSED_EVENT_BYTES).clamp(CHUNK_BYTES.0, CHUNK_BYTES.1);
        let shared = self.source.clone();
        let read = tokio::task::spawn_blocking(move || {
            let entries = walk.read(&*shared.fs, &shared.published, &shared.metrics, until, max, chunk_bytes);
            (walk, entries)
        });
        let (walk, entries) = read.await.map_err(|error| ReadError::Unavailable(error.into()))?;
        let entries = entries.map_err(|error| ReadError::Unavailable(error.into()))?;
        self.next = walk.next;
        self.walk = Some(walk);
        Ok(entries)
    }
}

#[async_trait]
impl Reader for LogReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Entry>, ReadError> {
        let max = max.max(1);
        loop {
            let End { next: until, closed } = *self.end.borrow_and_update();
            if closed {
                return Err(ReadError::Closed);
            }
            match self.source.published.recent(self.next, max) {
                Recent::Entries(entries, next) => {
                    (self.next, self.walk) = (next, None);
                    return Ok(entries);
                }
                Recent::Behind => {
                    let entries = self.read_segments(until, max).await?;
                    if !entries.is_empty() {
                        return Ok(entries);
                    }
                }
                Recent::AtEnd => {
                    self.end.changed().await.map_err(|_| ReadError::Closed)?;
                }
            }
        }
    }
}
