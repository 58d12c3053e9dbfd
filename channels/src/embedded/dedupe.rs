//! Recognises events that were sent twice: the same `source` and `id` within a window.
//!
//! What is remembered are hashes and offsets; a hash that fits only leads to the event, which is compared. The memory
//! is rebuilt from the records when the log is opened.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use ahash::AHashMap;
use weir_api::Event;

use super::fs::Fs;
use super::log::nanos_of;
use super::tail::Published;
use crate::Stored;

/// Events remembered at most: beyond them the window is shorter than asked for, and memory stays bounded.
pub(crate) const MAX_REMEMBERED: usize = 1 << 20;

type Hashes = (u32, u32);

/// The events of the last minutes.
#[derive(Debug)]
pub(crate) struct Dedupe {
    window_nanos: i64,
    seen: AHashMap<Hashes, u64>,
    /// In the order they came: when, which, where.
    order: VecDeque<(i64, Hashes, u64)>,
    /// Entries of `order`, at its end, whose batch is not stored yet; with what they replaced.
    pending: Vec<(Hashes, Option<u64>)>,
}

impl Dedupe {
    pub(crate) fn new(window: Duration) -> Self {
        let (seen, order, pending) = (AHashMap::new(), VecDeque::new(), Vec::new());
        Self { window_nanos: nanos_of(window), seen, order, pending }
    }

    /// The oldest time that still matters at `now`.
    pub(crate) fn horizon(&self, now: i64) -> i64 {
        now.saturating_sub(self.window_nanos)
    }

    /// Forgets what is older than the window.
    pub(crate) fn expire(&mut self, now: i64) {
        let horizon = self.horizon(now);
        while let Some(&(stored_at, hashes, offset)) = self.order.front()
            && (stored_at < horizon || self.order.len() > MAX_REMEMBERED)
        {
            self.order.pop_front();
            if self.seen.get(&hashes) == Some(&offset) {
                self.seen.remove(&hashes);
            }
        }
    }

    /// Remembers a stored event.
    pub(crate) fn remember(&mut self, hashes: Hashes, offset: u64, stored_at: i64) {
        self.seen.insert(hashes, offset);
        self.order.push_back((stored_at, hashes, offset));
    }

    /// Where `event` is stored already, perhaps among the `batch` before it; otherwise remembers it at `offset`. Fails if
    /// the event it may repeat cannot be read just now: storing it again would be a guess.
    #[expect(clippy::too_many_arguments, reason = "the places an event may be found in")]
    pub(crate) fn check(
        &mut self,
        event: &Event,
        hashes: Hashes,
        offset: u64,
        now: i64,
        batch: &[Stored],
        published: &Published,
        fs: &dyn Fs,
    ) -> io::Result<Option<u64>> {
        if let Some(&first) = self.seen.get(&hashes) {
            let in_batch = batch.first().and_then(|b| batch.get(first.checked_sub(b.position.offset)? as usize));
            let same = match in_batch {
                Some(stored) => is_same(&stored.event, event),
                // An event that is damaged cannot be proven to be the same: it is stored again.
                None => published.event_at(fs, first)?.is_some_and(|stored| is_same(&stored, event)),
            };
            if same {
                return Ok(Some(first));
            }
        }
        self.pending.push((hashes, self.seen.get(&hashes).copied()));
        self.remember(hashes, offset, now);
        Ok(None)
    }

    /// The last batch is stored.
    pub(crate) fn keep(&mut self) {
        self.pending.clear();
    }

    /// The last batch is not stored.
    pub(crate) fn take_back(&mut self) {
        for (hashes, before) in self.pending.drain(..).rev() {
            self.order.pop_back();
            match before {
                Some(offset) => self.seen.insert(hashes, offset),
                None => self.seen.remove(&hashes),
            };
        }
    }
}

fn is_same(stored: &Event, event: &Event) -> bool {
    stored.id() == event.id() && stored.source() == event.source()
}
