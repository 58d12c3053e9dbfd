//! Which events were sent, acknowledged and received: what "lost" and "duplicate" are counted from.
//!
//! Every measurement is a [`Phase`]. Its events are numbered from 0, so one bit per event and side says everything;
//! a million events cost 128 KiB a side.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::stats;

const PAGE_WORDS: usize = 4096;
const PAGE_BITS: u64 = PAGE_WORDS as u64 * 64;
const PAGES: usize = 4096;

/// The number of events a phase can tell apart.
pub(super) const CAPACITY: u64 = PAGES as u64 * PAGE_BITS;

/// Nanoseconds since the bench began, on the monotonic clock: what sender and sink, one process, agree on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ns(self) -> u64 {
        // 584 years fit.
        self.0.elapsed().as_nanos() as u64
    }

    /// The instant that is `ns` on this clock.
    pub(super) fn instant(self, ns: u64) -> Instant {
        self.0 + std::time::Duration::from_nanos(ns)
    }
}

/// A set of event numbers: one bit each, in pages that exist once touched. Shared by any number of threads.
pub(super) struct Bitmap {
    pages: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

/// What [`Bitmap::mark`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The number was not in the set before.
    First,
    /// The number was in the set already.
    Again,
    /// No set can hold this number.
    OutOfRange,
}

impl Bitmap {
    pub(super) fn new() -> Self {
        Self { pages: (0..PAGES).map(|_| OnceLock::new()).collect() }
    }

    /// Adds `number` to the set.
    pub(super) fn mark(&self, number: u64) -> Mark {
        if number >= CAPACITY {
            return Mark::OutOfRange;
        }
        let page = self.pages[(number / PAGE_BITS) as usize]
            .get_or_init(|| (0..PAGE_WORDS).map(|_| AtomicU64::new(0)).collect());
        let bit = 1 << (number % 64);
        let before = page[(number % PAGE_BITS / 64) as usize].fetch_or(bit, Ordering::AcqRel);
        if before & bit == 0 { Mark::First } else { Mark::Again }
    }

    /// The size of the set.
    pub(super) fn len(&self) -> u64 {
        self.words().map(|(_, word)| u64::from(word.count_ones())).sum()
    }

    /// How many numbers are in this set and not in `other`.
    pub(super) fn missing_from(&self, other: &Self) -> u64 {
        self.words().map(|((page, at), word)| u64::from((word & !other.word(page, at)).count_ones())).sum()
    }

    fn words(&self) -> impl Iterator<Item = ((usize, usize), u64)> + '_ {
        self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.get()?))).flat_map(
            |(number, page)| {
                page.iter().enumerate().map(move |(at, word)| ((number, at), word.load(Ordering::Acquire)))
            },
        )
    }

    fn word(&self, page: usize, at: usize) -> u64 {
        self.pages[page].get().map_or(0, |page| page[at].load(Ordering::Acquire))
    }
}

/// What an event says about itself in its id: `<phase>-<number>-<intended send time in ns>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The phase that sent it.
    pub(super) phase: u64,
    /// Its number in that phase.
    pub(super) number: u64,
    /// When it was meant to leave, on the bench's [`Clock`].
    pub(super) intended_ns: u64,
}

impl Stamp {
    /// The event's id.
    pub(super) fn to_id(self) -> String {
        format!("{}-{}-{}", self.phase, self.number, self.intended_ns)
    }

    /// Reads an id; `None` if it is not one of the bench's.
    pub(super) fn from_id(id: &str) -> Option<Self> {
        let mut parts = id.split('-').map(|part| part.parse().ok());
        let stamp = Self { phase: parts.next()??, number: parts.next()??, intended_ns: parts.next()?? };
        parts.next().is_none().then_some(stamp)
    }
}

/// One measurement: the events of one load, followed from sender to every Trigger that has to deliver them.
pub(super) struct Phase {
    /// Tells this phase's events from late ones of an earlier phase.
    pub(super) number: u64,
    pub(super) clock: Clock,
    acknowledged: Bitmap,
    inboxes: Vec<Inbox>,
    unexpected: AtomicU64,
    latency: Mutex<Histogram<u64>>,
    first_delivery_ns: AtomicU64,
    last_delivery_ns: AtomicU64,
}

/// What one Trigger delivered.
struct Inbox {
    received: Bitmap,
    delivered: AtomicU64,
    duplicates: AtomicU64,
}

/// The account of a phase, taken at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Events acknowledged with a 2xx.
    pub(super) acknowledged: u64,
    /// First deliveries, over all inboxes.
    pub(super) delivered: u64,
    /// Acknowledged events missing from an inbox, over all inboxes.
    pub(super) lost: u64,
    /// Deliveries beyond the first.
    pub(super) duplicates: u64,
    /// Deliveries nobody asked for: to a Trigger whose filter does not match, of another phase, or not of the bench.
    pub(super) unexpected: u64,
}

impl Phase {
    /// A phase whose events are to reach `inboxes` Triggers each.
    pub(super) fn new(number: u64, clock: Clock, inboxes: usize) -> Self {
        let inbox = || Inbox { received: Bitmap::new(), delivered: AtomicU64::new(0), duplicates: AtomicU64::new(0) };
        Self {
            number,
            clock,
            acknowledged: Bitmap::new(),
            inboxes: (0..inboxes).map(|_| inbox()).collect(),
            unexpected: AtomicU64::new(0),
            latency: Mutex::new(stats::histogram()),
            first_delivery_ns: AtomicU64::new(u64::MAX),
            last_delivery_ns: AtomicU64::new(0),
        }
    }

    /// The sender saw a 2xx for event `number`.
    pub(super) fn acknowledge(&self, number: u64) {
        self.acknowledged.mark(number);
    }

    /// A delivery arrived at `inbox`.
    pub(super) fn receive(&self, inbox: usize, stamp: Option<Stamp>) {
        let now_ns = self.clock.now_ns();
        let (Some(inbox), Some(stamp)) = (self.inboxes.get(inbox), stamp.filter(|stamp| stamp.phase == self.number))
        else {
            self.unexpected.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match inbox.received.mark(stamp.number) {
            Mark::First => {
                inbox.delivered.fetch_add(1, Ordering::Relaxed);
                self.latency.lock().saturating_record(now_ns.saturating_sub(stamp.intended_ns));
                self.first_delivery_ns.fetch_min(now_ns, Ordering::Relaxed);
                self.last_delivery_ns.fetch_max(now_ns, Ordering::Relaxed);
            }
            Mark::Again => {
                inbox.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            Mark::OutOfRange => {
                self.unexpected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The counts so far.
    pub(super) fn account(&self) -> Account {
        Account {
            acknowledged: self.acknowledged.len(),
            delivered: self.delivered(),
            lost: self.inboxes.iter().map(|inbox| self.acknowledged.missing_from(&inbox.received)).sum(),
            duplicates: self.inboxes.iter().map(|inbox| inbox.duplicates.load(Ordering::Relaxed)).sum(),
            unexpected: self.unexpected.load(Ordering::Relaxed),
        }
    }

    /// First deliveries so far, over all inboxes.
    pub(super) fn delivered(&self) -> u64 {
        self.inboxes.iter().map(|inbox| inbox.delivered.load(Ordering::Relaxed)).sum()
    }

    /// When the first event arrived.
    pub(super) fn first_delivery_ns(&self) -> Option<u64> {
        Some(self.first_delivery_ns.load(Ordering::Relaxed)).filter(|&at| at != u64::MAX)
    }

    /// When the last event arrived for the first time.
    pub(super) fn last_delivery_ns(&self) -> Option<u64> {
        Some(self.last_delivery_ns.load(Ordering::Relaxed)).filter(|&at| at != 0)
    }

    /// Intended send to first delivery, of every event so far.
    pub(super) fn latency(&self) -> Histogram<u64> {
        self.latency.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_first_once_on_any_page_and_out_of_range_beyond_the_last() {
        let set = Bitmap::new();
        for number in [0, 63, 64, PAGE_BITS - 1, PAGE_BITS, CAPACITY - 1] {
            assert_eq!(set.mark(number), Mark::First, "{number}");
            assert_eq!(set.mark(number), Mark::Again, "{number}");
        }
        assert_eq!(set.mark(CAPACITY), Mark::OutOfRange);
        assert_eq!(set.len(), 6);
    }

    #[test]
    fn missing_counts_across_pages_the_other_set_never_touched() {
        let (sent, received) = (Bitmap::new(), Bitmap::new());
        for number in [1, 2, PAGE_BITS * 2 + 5] {
            sent.mark(number);
        }
        received.mark(2);
        received.mark(PAGE_BITS + 1);
        assert_eq!(sent.missing_from(&received), 2);
    }

    #[test]
    fn ids_carry_the_stamp_and_foreign_ids_are_none() {
        let stamp = Stamp { phase: 7, number: 123, intended_ns: 456 };
        assert_eq!(Stamp::from_id(&stamp.to_id()), Some(stamp));
        for id in ["", "7-123", "7-123-456-1", "7--456", "7-x-456", "f1f0a0e2-aaaa"] {
            assert_eq!(Stamp::from_id(id), None, "{id}");
        }
    }

    #[test]
    fn lost_duplicate_and_unexpected_are_told_apart() {
        let phase = Phase::new(3, Clock::start(), 2);
        let stamp = |number| Some(Stamp { phase: 3, number, intended_ns: 0 });
        for number in 0..4 {
            phase.acknowledge(number);
        }
        for number in [0, 1, 2, 3, 3, 3] {
            phase.receive(0, stamp(number));
        }
        // The second Trigger misses 1 and 3; 9 was received but never acknowledged, which is no fault.
        for number in [0, 2, 9] {
            phase.receive(1, stamp(number));
        }
        phase.receive(2, stamp(0));
        phase.receive(0, Some(Stamp { phase: 2, number: 0, intended_ns: 0 }));
        phase.receive(0, None);
        phase.receive(0, stamp(CAPACITY));
        let expected = Account { acknowledged: 4, delivered: 7, lost: 2, duplicates: 2, unexpected: 4 };
        assert_eq!(phase.account(), expected);
        assert_eq!(phase.latency().len(), 7, "only first deliveries have a latency");
    }
}
