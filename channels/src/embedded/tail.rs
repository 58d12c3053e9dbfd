//! The recent end of a log in memory, shared by all its readers.
//!
//! A reader that keeps up takes events from here: two reference counts per event, no copy and no disk. One that falls
//! further behind than the tail reaches reads the segments instead, and comes back.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use super::segment::Segment;
use crate::{Entry, Stored};

/// What an event costs beyond what it says itself.
const EVENT_OVERHEAD_BYTES: usize = 512;

/// Where the log ends for its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The offset the next event will get at the earliest.
    pub(crate) next: u64,
    /// No further event will come.
    pub(crate) closed: bool,
}

/// What a reader finds in memory.
pub(crate) enum Recent {
    /// Entries, and the position after them.
    Entries(Vec<Entry>, u64),
    /// Nothing yet: the reader is at the end, or beyond it.
    AtEnd,
    /// Nothing any more: it has to read the segments.
    Behind,
}

/// What the writer of a log shares with its readers.
pub(crate) struct Published {
    /// Every segment, oldest first; the last one grows. Never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    tail: RwLock<Tail>,
    end: watch::Sender<End>,
}

struct Tail {
    batches: VecDeque<Arc<[Stored]>>,
    bytes: usize,
    limit_bytes: usize,
    /// The first offset the batches hold, and the one after the last.
    first: u64,
    next: u64,
}

impl Published {
    pub(crate) fn new(segments: Vec<Arc<Segment>>, next: u64, tail_bytes: usize) -> Arc<Self> {
        let tail = Tail { batches: VecDeque::new(), bytes: 0, limit_bytes: tail_bytes, first: next, next };
        let (end, _) = watch::channel(End { next, closed: false });
        Arc::new(Self { segments: RwLock::new(segments), tail: RwLock::new(tail), end })
    }

    /// Shows a durable batch to the readers. It follows the one before without a hole.
    pub(crate) fn publish(&self, batch: Vec<Stored>) {
        let Some(last) = batch.last() else { return };
        let next = last.position.offset + 1;
        self.tail.write().push(batch.into(), next);
        self.end.send_modify(|end| end.next = next);
    }

    /// Ends all readers.
    pub(crate) fn close(&self) {
        self.end.send_modify(|end| end.closed = true);
    }

    pub(crate) fn end(&self) -> End {
        *self.end.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// At most `max` entries from `from` on, as far as they are in memory.
    pub(crate) fn recent(&self, from: u64, max: usize) -> Recent {
        self.tail.read().read(from, max)
    }

    /// The event at `offset`, if it is still in memory.
    pub(crate) fn recent_event(&self, offset: u64) -> Option<Stored> {
        self.tail.read().find(offset).cloned()
    }

    /// The segments there are now.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().clone()
    }

    /// The segment that holds `offset`, or would, and the one after it. `None` before the oldest.
    pub(crate) fn segment_of(&self, offset: u64) -> Option<(Arc<Segment>, Option<Arc<Segment>>)> {
        let segments = self.segments.read();
        let at = segments.partition_point(|segment| segment.base() <= offset).checked_sub(1)?;
        Some((segments[at].clone(), segments.get(at + 1).cloned()))
    }

    /// Offset from which on events may be read.
    pub(crate) fn earliest(&self) -> u64 {
        self.segments.read().first().map_or(0, |segment| segment.base())
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().push(segment);
    }

    pub(crate) fn drop_first_segment(&self) {
        self.segments.write().remove(0);
    }
}

impl Tail {
    fn push(&mut self, batch: Arc<[Stored]>, next: u64) {
        self.bytes += cost(&batch);
        self.batches.push_back(batch);
        self.next = next;
        while self.bytes > self.limit_bytes
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= cost(&oldest);
        }
        self.first = self.batches.front().and_then(|batch| batch.first()).map_or(next, |first| first.position.offset);
    }

    fn read(&self, from: u64, max: usize) -> Recent {
        if from >= self.next {
            return Recent::AtEnd;
        }
        if from < self.first {
            return Recent::Behind;
        }
        let at = self.batch_of(from);
        let mut entries = Vec::with_capacity(max.min((self.next - from) as usize));
        for batch in self.batches.range(at..) {
            let skip = from.saturating_sub(batch[0].position.offset) as usize;
            let room = max - entries.len();
            entries.extend(batch.iter().skip(skip).take(room).cloned().map(Entry::Event));
            if entries.len() == max {
                break;
            }
        }
        let next = from + entries.len() as u64;
        Recent::Entries(entries, next)
    }

    fn find(&self, offset: u64) -> Option<&Stored> {
        if offset < self.first || offset >= self.next {
            return None;
        }
        let batch = self.batches.get(self.batch_of(offset))?;
        batch.get((offset - batch[0].position.offset) as usize)
    }

    /// Which batch holds `offset`, which is known to be here.
    fn batch_of(&self, offset: u64) -> usize {
        self.batches.partition_point(|batch| batch[0].position.offset <= offset).saturating_sub(1)
    }
}

fn cost(batch: &[Stored]) -> usize {
    batch.iter().map(|stored| stored.event.size_bytes() + EVENT_OVERHEAD_BYTES).sum()
}
