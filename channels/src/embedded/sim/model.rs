//! What the log promised, kept beside it: everything sent, acknowledged, refused and read. Finds the broken promise.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weir_api::Event;
use weir_api::event::Attributes;

use crate::embedded::cursors::Change;
use crate::embedded::state::Subscriptions;
use crate::{Entry, Progress, SubscriptionId};

/// A promise that was broken, in words.
pub(super) type Violation = String;

/// What is known of the event at an offset.
#[derive(Clone, Copy, Debug)]
struct Held {
    number: u64,
    stored_at: i64,
    /// Acknowledged, or read after a restart: it must stay.
    firm: bool,
    /// Was not firm when the power failed: it may be gone, and nobody can tell.
    lost: bool,
}

/// Everything that was promised.
#[derive(Default)]
pub(super) struct Model {
    sent: u64,
    /// Events whose sender was told that they are not stored.
    refused: BTreeSet<u64>,
    held: BTreeMap<u64, Held>,
    /// Offsets below may have been removed by retention.
    expired_before: u64,
    /// Offsets that may be unreadable since bits were flipped or files removed.
    excused: BTreeSet<u64>,
    /// What each subscription's saved progress may be; one value unless a save failed.
    progress: BTreeMap<SubscriptionId, Vec<BTreeMap<u32, Progress>>>,
}

/// The event with a number: the same one every time, with data no disk would have by itself.
pub(super) fn event(number: u64) -> Event {
    let attributes = Attributes {
        id: format!("id-{}", number % 100_000),
        source: format!("/source/{}", number / 100_000),
        ty: "simulated".to_owned(),
        subject: number.is_multiple_of(3).then(|| format!("subject {number}")),
        ..Attributes::default()
    };
    let length = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize;
    let length = if number.is_multiple_of(17) { length * 8 } else { length };
    // Nine bytes over and over: no two sectors of an event are alike.
    let word = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 0x0101_0101_0101_0101).to_le_bytes();
    let mut data = [&word[..], b"."].concat().repeat(length / 9 + 1);
    data.truncate(length);
    Event::new(attributes, (!number.is_multiple_of(11)).then(|| Bytes::from(data)))
}

/// The number of an event made by [`event`].
fn number_of(event: &Event) -> Option<u64> {
    let id: u64 = event.id().strip_prefix("id-")?.parse().ok()?;
    let source: u64 = event.source().strip_prefix("/source/")?.parse().ok()?;
    Some(source * 100_000 + id)
}

impl Model {
    /// The number of a new event.
    pub(super) fn send(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// An acknowledged event of the last `window` nanoseconds, by number, with its offset.
    pub(super) fn recent(&self, now: i64, window: i64, nth: usize) -> Option<(u64, u64)> {
        let kept = |(offset, held): (&u64, &Held)| {
            let readable = *offset >= self.expired_before && !self.excused.contains(offset);
            (held.firm && readable && now - held.stored_at < window).then_some((held.number, *offset))
        };
        let recent: Vec<_> = self.held.iter().rev().take(50).filter_map(kept).collect();
        (!recent.is_empty()).then(|| recent[nth % recent.len()])
    }

    pub(super) fn acknowledged(&mut self, number: u64, offset: u64, now: i64, firm: bool) -> Result<(), Violation> {
        if let Some(held) = self.held.get(&offset) {
            if held.number != number {
                return Err(format!("offset {offset} named event {} and now names {number}", held.number));
            }
        } else if let Some((last, _)) = self.held.last_key_value()
            && *last > offset
        {
            return Err(format!("event {number} got offset {offset} after {last} had been given out"));
        }
        self.held.insert(offset, Held { number, stored_at: now, firm, lost: false });
        Ok(())
    }

    pub(super) fn refused(&mut self, number: u64) {
        self.refused.insert(number);
    }

    /// What was acknowledged is durable now.
    pub(super) fn synced(&mut self) {
        self.held.values_mut().filter(|held| !held.lost).for_each(|held| held.firm = true);
    }

    /// What was acknowledged without a sync may be gone; its offsets stay taken.
    pub(super) fn power_lost(&mut self) {
        self.held.values_mut().for_each(|held| held.lost |= !held.firm);
    }

    /// These offsets may be unreadable from now on.
    pub(super) fn excuse(&mut self, offsets: std::ops::Range<u64>) {
        let known: Vec<u64> = self.held.range(offsets).map(|(offset, _)| *offset).collect();
        self.excused.extend(known);
    }

    /// Retention removed what lies before `earliest`.
    pub(super) fn expired(&mut self, earliest: u64, now: i64, age: i64, over_quota: bool) -> Result<(), Violation> {
        for (offset, held) in self.held.range(self.expired_before..earliest.max(self.expired_before)) {
            let settled = |states: &Vec<BTreeMap<u32, Progress>>| {
                states.iter().any(|state| state.get(&0).is_none_or(|progress| progress.is_settled(*offset)))
            };
            let nobody_needs_it = over_quota && self.progress.values().all(settled);
            let was_there = held.firm && !self.excused.contains(offset);
            if was_there && held.stored_at >= now - age && !nobody_needs_it {
                return Err(format!("offset {offset} was removed although it is young and somebody needs it"));
            }
        }
        self.expired_before = self.expired_before.max(earliest);
        Ok(())
    }

    pub(super) fn changed(&mut self, changes: &[Change], succeeded: bool) {
        for change in changes {
            let (Change::Save(id, ..) | Change::Reset(id, ..) | Change::Forget(id)) = change;
            let before = self.progress.get(id).cloned().unwrap_or_else(|| vec![BTreeMap::new()]);
            let mut after: Vec<_> = before.iter().map(|state| apply(state, change)).collect();
            if !succeeded {
                after.extend(before);
                after.sort_by_key(|state| format!("{state:?}"));
                after.dedup();
            }
            self.progress.insert(id.clone(), after);
        }
    }

    /// Checks the progress found after a restart. After damage it may be older, never further.
    pub(super) fn check_progress(
        &mut self,
        found: &Subscriptions,
        damaged: bool,
        lossy: bool,
    ) -> Result<(), Violation> {
        for (id, states) in &mut self.progress {
            let found = found.get(id).cloned().unwrap_or_default();
            let exact = states.contains(&found);
            let behind = found.iter().all(|(partition, progress)| {
                let covers =
                    |state: &BTreeMap<u32, Progress>| state.get(partition).is_some_and(|s| is_within(progress, s));
                states.iter().any(covers)
            });
            let is_told = lossy || !found.is_empty();
            if !exact && !((damaged || lossy) && behind && is_told) {
                return Err(format!("{id} was saved as one of {states:?} and is {found:?} (lossy: {lossy})"));
            }
            *states = vec![found];
        }
        for (id, found) in found {
            if !self.progress.contains_key(id) && !lossy {
                return Err(format!("{id} was never saved and is {found:?}"));
            }
        }
        Ok(())
    }

    /// Checks what a reader found from the beginning up to `end`. What it found stays from now on.
    pub(super) fn check_entries(&mut self, entries: &[Entry], end: u64) -> Result<(), Violation> {
        let mut next = 0;
        let mut found = BTreeMap::new();
        let mut reported: Vec<std::ops::Range<u64>> = Vec::new();
        for entry in entries {
            let (from, until) = match entry {
                Entry::Event(stored) => (stored.position.offset, stored.position.offset + 1),
                Entry::Undecodable { position, .. } => (position.offset, position.offset + 1),
                Entry::Gap { from, until, .. } => (from.offset, *until),
            };
            if from < next || until <= from || until > end {
                return Err(format!("entry {entry:?} is out of order: next is {next}, the end {end}"));
            }
            next = until;
            match entry {
                Entry::Event(stored) => {
                    self.check_event(from, &stored.event)?;
                    found.insert(from, stored);
                }
                Entry::Undecodable { .. } | Entry::Gap { .. } => reported.push(from..until),
            }
        }
        for (offset, held) in &self.held {
            if found.contains_key(offset) {
                continue;
            }
            if held.firm && *offset >= self.expired_before && !self.excused.contains(offset) {
                return Err(format!("event {} at offset {offset} was acknowledged and is lost", held.number));
            }
            let lost_to_damage = held.firm && *offset >= self.expired_before;
            if lost_to_damage && !reported.iter().any(|range| range.contains(offset)) {
                return Err(format!("event {} at offset {offset} is missing and nobody was told", held.number));
            }
        }
        for (offset, stored) in found {
            let number = number_of(&stored.event).unwrap_or_default();
            let stored_at = crate::embedded::log::nanos(stored.stored_at);
            self.held.insert(offset, Held { number, stored_at, firm: true, lost: false });
        }
        Ok(())
    }

    fn check_event(&self, offset: u64, found: &Event) -> Result<(), Violation> {
        let Some(number) = number_of(found) else { return Err(format!("offset {offset} holds a stranger: {found:?}")) };
        if *found != event(number) {
            return Err(format!("event {number} at offset {offset} has changed"));
        }
        if self.refused.contains(&number) {
            return Err(format!("event {number} at offset {offset} was refused as not stored"));
        }
        if let Some(held) = self.held.get(&offset)
            && held.number != number
        {
            return Err(format!("offset {offset} named event {} and now names {number}", held.number));
        }
        Ok(())
    }
}

fn apply(state: &BTreeMap<u32, Progress>, change: &Change) -> BTreeMap<u32, Progress> {
    let mut state = state.clone();
    match change {
        Change::Save(_, partition, progress) => {
            state.entry(*partition).and_modify(|held| held.merge(progress)).or_insert_with(|| progress.clone());
        }
        Change::Reset(_, partition, progress) => {
            state.insert(*partition, progress.clone());
        }
        Change::Forget(_) => state.clear(),
    }
    state
}

/// Whether everything `progress` has settled is settled in `bound` too.
fn is_within(progress: &Progress, bound: &Progress) -> bool {
    let mut union = bound.clone();
    union.merge(progress);
    (union.next, &union.settled) == (bound.next, &bound.settled)
}
