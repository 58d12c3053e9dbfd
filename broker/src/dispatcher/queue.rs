//! What a Trigger holds in memory: events ready to be delivered, and events that wait for another of their key.
//!
//! Bounded by count and bytes. Of events whose key is busy only the position is kept once they are many, so that one
//! failing key does not fill the queue for the others; the log is read again when their turn comes.

use std::collections::VecDeque;

use ahash::AHashMap;
use weir_api::Event;
use weir_api::resources::Order;
use weir_channels::{Position, Stored};

use crate::filter::{Attribute, Seen};

/// A matched event on its way to the subscriber.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) stored: Stored,
    /// Hash of its key, if it has one. Two keys of one hash wait for each other, which breaks no promise.
    pub(super) key: Option<u64>,
    bytes: usize,
    /// How often delivering it hit a bug of ours.
    pub(super) panics: u8,
}

/// What a worker is to do next.
#[derive(Debug)]
pub(super) enum Job {
    /// Deliver an event.
    Deliver(Offer),
    /// Read events again that a key left behind, and hand them in with [`Queue::fetched`].
    Fetch { key: u64, positions: Vec<Position> },
}

/// Most events a key fetches at once.
const FETCH: usize = 16;

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) parked: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    keying: Keying,
    ready: VecDeque<Job>,
    /// Every key with an event that is ready or being delivered.
    keys: AHashMap<u64, Behind>,
    /// Events in memory, those being delivered included.
    events: usize,
    bytes: usize,
    /// Of `events`, those that wait for another of their key.
    behind: usize,
    parked: usize,
}

/// What waits for the event of its key that is ready or being delivered, in log order: first `waiting`, then `parked`.
#[derive(Debug, Default)]
struct Behind {
    waiting: VecDeque<Offer>,
    parked: VecDeque<Position>,
}

/// How the key of an event is found.
#[derive(Debug)]
struct Keying {
    ordered: bool,
    attribute: Option<Attribute>,
    hasher: ahash::RandomState,
}

impl Keying {
    fn new(order: &Order) -> Self {
        let (ordered, attribute) = match order {
            Order::Unordered => (false, None),
            Order::ByKey { attribute } => (true, attribute.as_deref().map(Attribute::named)),
        };
        Self { ordered, attribute, hasher: ahash::RandomState::with_seeds(1, 2, 3, 4) }
    }

    fn key(&self, event: &Event) -> Option<u64> {
        if !self.ordered {
            return None;
        }
        let own = event.extension("partitionkey").map(Seen::from).filter(|seen| *seen != Seen::Text(""));
        let seen = own.or_else(|| self.attribute.as_ref()?.lookup(event).filter(|seen| *seen != Seen::Text("")))?;
        Some(match seen {
            Seen::Text(text) => self.hasher.hash_one(text),
            Seen::Boolean(value) => self.hasher.hash_one(value.to_string().as_str()),
            Seen::Integer(value) => self.hasher.hash_one(value.to_string().as_str()),
        })
    }
}

impl Queue {
    pub(super) fn new(order: &Order, limits: Limits) -> Self {
        Self {
            limits,
            keying: Keying::new(order),
            ready: VecDeque::new(),
            keys: AHashMap::new(),
            events: 0,
            bytes: 0,
            behind: 0,
            parked: 0,
        }
    }

    /// Nothing can be taken now, though events may be in delivery or wait for their key.
    pub(super) fn nothing_ready(&self) -> bool {
        self.ready.is_empty()
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Events in memory, those being delivered included.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// Bytes of the events in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Events and bytes there is room for; no room at all once too many wait for busy keys.
    pub(super) fn room(&self) -> (usize, usize) {
        if self.parked >= self.limits.parked {
            return (0, 0);
        }
        (self.limits.events.saturating_sub(self.events), self.limits.bytes.saturating_sub(self.bytes))
    }

    /// Takes an event, the newest so far; gives it back if there is no room.
    pub(super) fn add(&mut self, stored: Stored, crowded: bool) -> Result<(), Stored> {
        let key = self.keying.key(&stored.event);
        let bytes = stored.event.size_bytes();
        if let Some(behind) = key.and_then(|key| self.keys.get_mut(&key)) {
            let full = self.behind >= self.limits.events / 2 || self.bytes + bytes > self.limits.bytes / 2 || crowded;
            if behind.parked.is_empty() && !full {
                behind.waiting.push_back(Offer { stored, key, bytes, panics: 0 });
                self.behind += 1;
                self.count(bytes);
            } else if self.parked < self.limits.parked {
                behind.parked.push_back(stored.position);
                self.parked += 1;
            } else {
                return Err(stored);
            }
            return Ok(());
        }
        // One event always fits, however large.
        let full = self.events >= self.limits.events || self.bytes + bytes > self.limits.bytes || crowded;
        if full && self.events > 0 {
            return Err(stored);
        }
        if let Some(key) = key {
            self.keys.insert(key, Behind::default());
        }
        self.count(bytes);
        self.ready.push_back(Job::Deliver(Offer { stored, key, bytes, panics: 0 }));
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
    }

    /// The next job. An event stays counted, and its key busy, until it is settled or given back.
    pub(super) fn take(&mut self) -> Option<Job> {
        let job = self.ready.pop_front();
        if self.ready.is_empty() {
            self.ready.shrink_to(IDLE_CAPACITY);
        }
        job
    }

    /// The event is settled: what waits for its key has its turn.
    pub(super) fn settled(&mut self, offer: &Offer) {
        self.forget(offer);
        if let Some(key) = offer.key {
            self.release(key);
        }
    }

    fn forget(&mut self, offer: &Offer) {
        self.events -= 1;
        self.bytes -= offer.bytes;
    }

    /// The event is not settled: it is to be delivered again, before others.
    pub(super) fn give_back(&mut self, offer: Offer) {
        self.ready.push_front(Job::Deliver(offer));
    }

    fn release(&mut self, key: u64) {
        let Some(behind) = self.keys.get_mut(&key) else { return };
        if let Some(next) = behind.waiting.pop_front() {
            self.behind -= 1;
            self.ready.push_back(Job::Deliver(next));
        } else if behind.parked.is_empty() {
            self.keys.remove(&key);
            if self.keys.is_empty() {
                self.keys.shrink_to_fit();
            }
        } else {
            let positions = behind.parked.iter().take(FETCH).copied().collect();
            self.ready.push_back(Job::Fetch { key, positions });
        }
    }

    /// The events a [`Job::Fetch`] found, in order, and how many of its positions it dealt with: those without an event
    /// can no longer be read.
    pub(super) fn fetched(&mut self, key: u64, found: Vec<Stored>, positions: usize) {
        let Some(behind) = self.keys.get_mut(&key) else { return };
        behind.parked.drain(..positions);
        self.parked -= positions;
        for stored in found {
            let bytes = stored.event.size_bytes();
            behind.waiting.push_back(Offer { stored, key: Some(key), bytes, panics: 0 });
            self.behind += 1;
            self.events += 1;
            self.bytes += bytes;
        }
        self.release(key);
    }

    /// A [`Job::Fetch`] is to be done later.
    pub(super) fn fetch_later(&mut self, key: u64, positions: Vec<Position>) {
        self.ready.push_front(Job::Fetch { key, positions });
    }

    /// Gives up what is not being delivered and `wanted` no longer; yields the positions.
    pub(super) fn drop_unwanted(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Position> {
        let mut dropped = Vec::new();
        let (mut keep, all) = (VecDeque::new(), std::mem::take(&mut self.ready));
        let mut released = Vec::new();
        for job in all {
            match job {
                Job::Deliver(offer) if !wanted(&offer.stored.event) => {
                    dropped.push(offer.stored.position);
                    self.forget(&offer);
                    released.extend(offer.key);
                }
                job => keep.push_back(job),
            }
        }
        self.ready = keep;
        for behind in self.keys.values_mut() {
            behind.waiting.retain(|offer| {
                let stays = wanted(&offer.stored.event);
                if !stays {
                    dropped.push(offer.stored.position);
                    self.events -= 1;
                    self.bytes -= offer.bytes;
                    self.behind -= 1;
                }
                stays
            });
        }
        released.into_iter().for_each(|key| self.release(key));
        dropped
    }

    /// Goes on under another order, for what is not being delivered yet. Events that only their position is kept of
    /// stay behind their key.
    pub(super) fn reorder(&mut self, order: &Order) {
        self.keying = Keying::new(order);
        let mut offers = Vec::new();
        let mut fetches = VecDeque::new();
        for job in std::mem::take(&mut self.ready) {
            match job {
                Job::Deliver(offer) => offers.push(offer),
                fetch @ Job::Fetch { .. } => fetches.push_back(fetch),
            }
        }
        let mut freed = Vec::new();
        offers.iter().filter_map(|offer| offer.key).for_each(|key| freed.push(key));
        for behind in self.keys.values_mut() {
            offers.extend(behind.waiting.drain(..));
        }
        self.behind = 0;
        self.ready = fetches;
        freed.into_iter().for_each(|key| self.release(key));
        offers.sort_by_key(|offer| offer.stored.position);
        for mut offer in offers {
            offer.key = self.keying.key(&offer.stored.event);
            match offer.key {
                Some(key) => match self.keys.get_mut(&key) {
                    Some(behind) => {
                        behind.waiting.push_back(offer);
                        self.behind += 1;
                    }
                    None => {
                        self.keys.insert(key, Behind::default());
                        self.ready.push_back(Job::Deliver(offer));
                    }
                },
                None => self.ready.push_back(Job::Deliver(offer)),
            }
        }
    }

    /// Events that wait for their key without being in memory.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }
}

/// What an idle queue may keep allocated.
const IDLE_CAPACITY: usize = 16;
