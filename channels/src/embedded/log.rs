//! The writing end of a log as a plain state machine: one thread drives it, the simulation does so step by step.
//!
//! A batch is written with one write and made durable with one sync; only then do readers see it and its senders get
//! their answer. What fails is either taken back completely, or the log is closed for good.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_api::Event;

use super::config::{Durability, Settings};
use super::cursors::{Change, Cursors};
use super::dedupe::Dedupe;
use super::faults::planted;
use super::fs::{File, Fs, write_all};
use super::record::{self, FLAG_SYNCED_BEFORE};
use super::segment::{self, DATA_START, Segment, SegmentHeader};
use super::space::{Space, says_full};
use super::tail::Published;
use crate::metrics::Metrics;
use crate::{Position, Stored};

/// A segment is finished at this many events, which bounds its index in memory.
const SEGMENT_EVENTS: usize = 1 << 20;

/// Events to be written together, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their records, as [`record::push`] leaves them.
    pub(crate) frames: Vec<u8>,
    /// The events themselves, for readers that keep up.
    pub(crate) events: Vec<Event>,
}

impl Batch {
    /// Adds an event. The caller has checked its size.
    pub(crate) fn push(&mut self, event: Event) {
        record::push(&mut self.frames, event.id(), event.source(), |frames| {
            weir_api::event::wire::encode(&event, frames);
        });
        self.events.push(event);
    }
}

/// Why a batch was not stored.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// No room; certainly not stored.
    Full,
    /// Taken back; the log goes on.
    Refused(io::Error),
    /// The log can no longer be trusted and is closed until it is opened again.
    Poisoned(String),
}

/// The writing end of a log.
pub(crate) struct Log {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) published: Arc<Published>,
    pub(super) space: Arc<Space>,
    pub(super) cursors: Cursors,
    pub(super) dedupe: Option<Dedupe>,
    pub(super) file: Arc<dyn File>,
    pub(super) segment: Arc<Segment>,
    /// End of the records of the growing segment, and of those of all finished ones together.
    pub(super) write_at: u64,
    pub(super) finished_bytes: u64,
    pub(super) next: u64,
    pub(super) last_stored_at_nanos: i64,
    /// Something was written since the last sync.
    pub(super) unsynced: bool,
    pub(super) poisoned: Option<String>,
    /// A segment was begun and not finished being created. Its file may exist, so the old one must not grow into its
    /// offsets: the next batch begins it again.
    pub(super) must_roll: bool,
    pub(super) salt: u32,
    /// Finished segments whose index is not written yet.
    pub(super) unindexed: Vec<Arc<Segment>>,
}

impl Log {
    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    pub(crate) fn space(&self) -> Arc<Space> {
        self.space.clone()
    }

    pub(crate) fn fs(&self) -> Arc<dyn Fs> {
        self.fs.clone()
    }

    pub(crate) fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    /// When the last event was stored.
    #[cfg(test)]
    pub(crate) fn last_stored_at(&self) -> i64 {
        self.last_stored_at_nanos
    }

    /// Bytes of its segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.finished_bytes + self.write_at
    }

    /// Why the log is closed for good, if it is.
    pub(crate) fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Whether something waits for [`Log::flush`].
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced && self.poisoned.is_none()
    }

    /// Stores a batch and leaves it empty. `offsets` gets the place of every event, in order; a duplicate's is that of
    /// the event it repeats. After an error none of the batch is visible.
    pub(crate) fn commit(&mut self, batch: &mut Batch, now: i64, offsets: &mut Vec<u64>) -> Result<(), CommitError> {
        offsets.clear();
        let stored = self.try_commit(batch, now, offsets);
        batch.frames.clear();
        batch.events.clear();
        if let Some(dedupe) = &mut self.dedupe {
            match &stored {
                Ok(()) => dedupe.keep(),
                Err(_) => dedupe.take_back(),
            }
        }
        stored
    }

    fn try_commit(&mut self, batch: &mut Batch, now: i64, offsets: &mut Vec<u64>) -> Result<(), CommitError> {
        if let Some(reason) = &self.poisoned {
            return Err(CommitError::Poisoned(reason.clone()));
        }
        if self.space.is_full() {
            return Err(CommitError::Full);
        }
        let now = now.max(self.last_stored_at_nanos);
        if self.must_roll || self.is_segment_finished(batch.frames.len()) {
            self.roll(now)?;
        }
        let stored = self.seal(batch, now, offsets).map_err(CommitError::Refused)?;
        if stored.is_empty() {
            return Ok(());
        }
        self.write(&batch.frames)?;
        if self.settings.durability == Durability::Fsync {
            self.flush()?;
        }
        self.publish(&batch.frames, stored);
        Ok(())
    }

    fn is_segment_finished(&self, more: usize) -> bool {
        let events = self.segment.index().read().as_ref().map_or(0, |index| index.len());
        self.write_at > DATA_START
            && (self.write_at + more as u64 > self.settings.segment_bytes || events >= SEGMENT_EVENTS)
    }

    /// Gives every event of the batch its place and drops duplicates from it.
    fn seal(&mut self, batch: &mut Batch, now: i64, offsets: &mut Vec<u64>) -> io::Result<Vec<Stored>> {
        if let Some(dedupe) = &mut self.dedupe {
            dedupe.expire(now);
        }
        let stored_at = timestamp(now);
        let (mut read, mut write) = (0, 0);
        let mut stored: Vec<Stored> = Vec::with_capacity(batch.events.len());
        for event in batch.events.drain(..) {
            let length = record::pushed_bytes(&batch.frames[read..]);
            let offset = self.next + stored.len() as u64;
            if let Some(dedupe) = &mut self.dedupe {
                let hashes = record::pushed_hashes(&batch.frames[read..]);
                if let Some(first) = dedupe.check(&event, hashes, offset, now, &stored, &self.published, &*self.fs)? {
                    offsets.push(first);
                    read += length;
                    self.metrics.deduplicated_events.inc();
                    continue;
                }
            }
            if write != read {
                batch.frames.copy_within(read..read + length, write);
            }
            let flags = if stored.is_empty() && !self.unsynced { FLAG_SYNCED_BEFORE } else { 0 };
            record::seal(&mut batch.frames[write..write + length], self.segment.header.salt, flags, offset, now);
            offsets.push(offset);
            stored.push(Stored { position: Position { partition: 0, offset }, stored_at, event });
            (read, write) = (read + length, write + length);
        }
        batch.frames.truncate(write);
        Ok(stored)
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), CommitError> {
        match write_all(&*self.file, frames, self.write_at) {
            Ok(()) => {
                self.unsynced = true;
                Ok(())
            }
            Err(error) => {
                if planted!(self.settings.faults, KeepFailedWrite) {
                    self.write_at = self.file.length().unwrap_or(self.write_at);
                } else {
                    self.cut_back()?;
                }
                Err(if says_full(&error) { CommitError::Full } else { CommitError::Refused(error) })
            }
        }
    }

    /// Takes back what a failed write left, before anything follows it.
    fn cut_back(&mut self) -> Result<(), CommitError> {
        match self.file.truncate(self.write_at).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.unsynced = false;
                Ok(())
            }
            Err(error) => Err(self.poison(&error)),
        }
    }

    /// Syncs what was written. A sync that fails is never repeated: afterwards the page cache proves nothing.
    pub(crate) fn flush(&mut self) -> Result<(), CommitError> {
        if let Some(reason) = &self.poisoned {
            return Err(CommitError::Poisoned(reason.clone()));
        }
        if !self.unsynced {
            return Ok(());
        }
        let started = Instant::now();
        let synced = if planted!(self.settings.faults, SkipSync) { Ok(()) } else { self.file.sync_data() };
        self.metrics.sync_duration.observe(started.elapsed().as_secs_f64());
        match synced {
            Err(error) if !planted!(self.settings.faults, IgnoreSyncError) => Err(self.poison(&error)),
            _ => {
                self.unsynced = false;
                Ok(())
            }
        }
    }

    fn poison(&mut self, error: &io::Error) -> CommitError {
        let path = self.segment.path.display();
        tracing::error!(%path, %error, "Could not make events durable; the log is closed until it is opened again");
        let reason = format!("cannot make {path} durable: {error}");
        self.poisoned = Some(reason.clone());
        CommitError::Poisoned(reason)
    }

    fn publish(&mut self, frames: &[u8], stored: Vec<Stored>) {
        if let Some(index) = &mut *self.segment.index().write() {
            let mut at = 0;
            for _ in 0..stored.len() {
                let header = record::header(&frames[at..]);
                index.add(&header, self.write_at + at as u64);
                at += header.record_bytes();
            }
        }
        self.write_at += frames.len() as u64;
        self.next += stored.len() as u64;
        if let Some(last) = stored.last() {
            self.last_stored_at_nanos = nanos(last.stored_at);
        }
        self.metrics.appended_events.inc_by(stored.len() as u64);
        self.metrics.appended_bytes.inc_by(frames.len() as u64);
        self.metrics.disk_bytes.inc_by(frames.len() as i64);
        self.segment.publish(self.write_at, self.last_stored_at_nanos);
        self.published.publish(stored);
    }

    /// Finishes the growing segment and begins another.
    pub(super) fn roll(&mut self, now: i64) -> Result<(), CommitError> {
        self.flush()?;
        self.salt = next_salt(self.salt);
        let header = SegmentHeader {
            base: self.next,
            previous_base: Some(self.segment.base()),
            created_at_nanos: now,
            salt: self.salt,
            previous_end: None,
        };
        self.must_roll = true;
        let sync_name = !planted!(self.settings.faults, SkipDirectorySync);
        let (path, file) = segment::create(&*self.fs, &self.dir, &header, sync_name)
            .map_err(|error| if says_full(&error) { CommitError::Full } else { CommitError::Refused(error) })?;
        self.must_roll = false;
        let begun = Segment::new(header, path, DATA_START, now);
        *begun.index().write() = Some(super::index::Index::default());
        self.finished_bytes += self.write_at;
        self.metrics.disk_bytes.inc_by(DATA_START as i64);
        let finished = std::mem::replace(&mut self.segment, begun.clone());
        (self.file, self.write_at) = (file, DATA_START);
        self.published.add_segment(begun);
        self.unindexed.push(finished);
        if let Err(error) = self.cursors.note_segment(header.base) {
            // Only serves to notice that somebody removed the newest segment.
            tracing::warn!(path = %self.dir.display(), %error, "Could not note a new segment beside the progress");
        }
        Ok(())
    }

    /// Makes changes of progress durable. Goes on when the disk is full and after the log was closed by a failed sync.
    pub(crate) fn save(&mut self, changes: &[Change]) -> io::Result<()> {
        self.cursors.commit(changes)
    }

    /// The finished segments whose index is to be written, away from the thread that drives the log.
    pub(crate) fn take_unindexed(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.unindexed)
    }

    /// Syncs, notes that the log was closed in order, and ends its readers.
    pub(crate) fn close(&mut self) {
        if self.flush().is_ok()
            && let Err(error) = self.cursors.close()
        {
            tracing::warn!(path = %self.dir.display(), %error, "Could not note that the log was closed in order");
        }
        self.published.close();
        self.metrics.disk_bytes.dec_by(self.bytes() as i64);
    }
}

/// The next value of a salt: unlike the ones before, not secret from who knows them.
pub(super) fn next_salt(salt: u32) -> u32 {
    let mixed = (salt ^ salt >> 16).wrapping_mul(0x7FEB_352D);
    (mixed ^ mixed >> 15).wrapping_add(0x9E37_79B9)
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX })
}

/// The time that many nanoseconds after 1970; every `i64` is one.
pub(crate) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A duration in nanoseconds, as far as they can be counted.
pub(super) fn nanos_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
