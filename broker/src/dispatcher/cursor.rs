//! One Trigger's place on one partition: what was offered to it, and what of that is not settled yet.
//!
//! Only matched, unsettled offsets are kept. Whatever else lies below the place read to is settled, events that did not
//! match included, so a Trigger that matches nothing costs nothing per event.

use std::collections::VecDeque;

use weir_channels::{Progress, SettledSet};

/// Who reads for a Trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The log's shared reader: the Trigger is wherever that is.
    Shared,
    /// A reader of the Trigger's own, until it has caught up.
    Behind,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) reading: Reading,
    start: u64,
    /// Everything below was offered, or passed because it did not match. While the shared reader reads, what it has
    /// passed counts too.
    read: u64,
    /// Offered and not settled, in order.
    pending: VecDeque<u64>,
    /// Settled in an earlier life, at or beyond `read`.
    settled_before: SettledSet,
    /// What was last saved.
    saved_next: u64,
    /// Settlements since then.
    pub(super) unsaved: u64,
}

impl Cursor {
    /// Goes on from saved progress, which stays what is saved until the next save.
    pub(super) fn resume(progress: Progress) -> Self {
        Self {
            reading: Reading::Behind,
            start: progress.start,
            read: progress.next,
            pending: VecDeque::new(),
            saved_next: progress.next,
            unsaved: 0,
            settled_before: progress.settled,
        }
    }

    pub(super) fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn saved_next(&self) -> u64 {
        self.saved_next
    }

    /// Whether the event at `offset` was already dealt with.
    pub(super) fn has_passed(&self, offset: u64) -> bool {
        offset < self.read || self.settled_before.contains(offset)
    }

    /// Takes responsibility for the matching event at `offset`, the first not passed.
    pub(super) fn offer(&mut self, offset: u64) {
        debug_assert!(self.pending.back().is_none_or(|&last| last < offset), "offered out of order");
        self.pending.push_back(offset);
        self.read = offset + 1;
    }

    /// Nothing below `offset` is left to offer.
    pub(super) fn advance(&mut self, offset: u64) {
        self.read = self.read.max(offset);
        if self.settled_before.ranges().last().is_some_and(|&(_, until)| until <= self.read) {
            self.settled_before = SettledSet::default();
        }
    }

    /// Settles an offered event; false if it was not pending.
    pub(super) fn settle(&mut self, offset: u64) -> bool {
        let Ok(at) = self.pending.binary_search(&offset) else { return false };
        self.pending.remove(at);
        if self.pending.is_empty() {
            self.pending.shrink_to(IDLE_CAPACITY);
        }
        true
    }

    /// What is settled, given where the shared reader is.
    pub(super) fn progress(&self, shared_position: u64) -> Progress {
        let read = match self.reading {
            Reading::Shared => self.read.max(shared_position),
            Reading::Behind => self.read,
        };
        let mut progress = Progress::at(self.start);
        let mut from = 0;
        for &offset in &self.pending {
            progress.settle(from, offset);
            from = offset + 1;
        }
        progress.settle(from, read);
        for &(from, until) in self.settled_before.ranges() {
            progress.settle(from, until);
        }
        progress
    }

    /// `next` is durable.
    pub(super) fn saved(&mut self, next: u64) {
        self.saved_next = next;
    }
}

/// What an idle cursor may keep allocated.
const IDLE_CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a naive model: offsets below 40, some match, settled in any order.
        #[test]
        fn progress_is_exactly_what_did_not_match_or_is_settled(
            before in prop::collection::btree_set(5u64..40, 0..10),
            matching in prop::collection::btree_set(0u64..40, 0..30),
            read in 5u64..40,
            settling in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            shared in any::<bool>(),
        ) {
            let mut saved = Progress::at(5);
            before.iter().for_each(|&offset| saved.settle(offset, offset + 1));
            let mut cursor = Cursor::resume(saved.clone());
            let mut unsettled = BTreeSet::new();
            for offset in 5..read {
                if matching.contains(&offset) && !cursor.has_passed(offset) {
                    cursor.offer(offset);
                    unsettled.insert(offset);
                }
            }
            if shared {
                cursor.reading = Reading::Shared;
            } else {
                cursor.advance(read);
            }
            for at in settling {
                if unsettled.is_empty() { break; }
                let offset = *at.get(&unsettled.iter().copied().collect::<Vec<_>>());
                prop_assert!(cursor.settle(offset));
                prop_assert!(!cursor.settle(offset));
                unsettled.remove(&offset);
                let progress = cursor.progress(read);
                prop_assert_eq!(progress.start, 5);
                for offset in 0..50 {
                    let expected = saved.is_settled(offset) || (offset < read && !unsettled.contains(&offset));
                    prop_assert_eq!(progress.is_settled(offset), expected, "offset {}", offset);
                }
            }
        }
    }
}
