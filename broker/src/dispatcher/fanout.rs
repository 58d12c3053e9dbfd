//! One log, read once, fanned out to the lanes of its Triggers.
//!
//! A partition has one shared reader. It matches each event through an index and hands it to the lanes that want it. A
//! lane that cannot follow leaves the shared reader and reads for itself from where it is ([`super::catch_up`]), until it
//! has caught up. With no lane following, the shared reader rests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_api::resources::Trigger;
use weir_channels::{Entry, Position, Progress, ReadError, Stored};

use super::cursor::Reading;
use super::lane::{Lane, Shared};
use super::saver::Saving;
use super::{Downstream, catch_up};
use crate::backoff::Backoff;
use crate::filter::{Filter, Index};
use crate::logs::Log;

/// Entries read at once.
const BATCH: usize = 256;

/// See the module.
pub(super) struct Fanout<D: Downstream> {
    pub(super) shared: Arc<Shared<D>>,
    pub(super) log: Arc<Log>,
    pub(super) saving: Arc<Saving>,
    pub(super) feeds: Vec<Feed>,
    roster: RwLock<Roster<D>>,
    /// Every Trigger there is has been taken on.
    pub(super) served: AtomicBool,
    pub(super) readers: TaskTracker,
    /// Fires when nothing is to be read any more.
    pub(super) stop: CancellationToken,
}

/// The shared reader of one partition, as others see it.
pub(super) struct Feed {
    place: Mutex<Place>,
    /// There is someone to read for, or the place was moved.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Place {
    /// The next offset to hand out. Locked while a batch is handed out, so whoever holds the lock sees whole batches.
    position: u64,
    /// Lanes that follow.
    followers: usize,
    /// How often `position` was moved by someone other than the reader.
    moves: u64,
}

struct Roster<D: Downstream> {
    slots: Vec<Option<Slot<D>>>,
    index: Index<u32>,
    by_uid: HashMap<Arc<str>, u32, ahash::RandomState>,
}

struct Slot<D: Downstream> {
    lane: Arc<Lane<D>>,
    filter: Arc<Filter>,
}

impl<D: Downstream> Fanout<D> {
    pub(super) fn new(log: Arc<Log>, shared: Arc<Shared<D>>) -> Arc<Self> {
        let feeds =
            (0..log.channel.partitions()).map(|_| Feed { place: Mutex::default(), wake: Notify::new() }).collect();
        let saving = Arc::new(Saving::new(shared.settings.save_settlements));
        let roster = Roster { slots: Vec::new(), index: Index::default(), by_uid: HashMap::default() };
        Arc::new(Self {
            shared,
            log,
            saving,
            feeds,
            roster: RwLock::new(roster),
            served: AtomicBool::new(false),
            readers: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Every lane.
    pub(super) fn lanes(&self) -> Vec<Arc<Lane<D>>> {
        self.roster.read().slots.iter().flatten().map(|slot| Arc::clone(&slot.lane)).collect()
    }

    /// The lane of one Trigger.
    pub(super) fn lane(&self, uid: &str) -> Option<Arc<Lane<D>>> {
        let roster = self.roster.read();
        let slot = *roster.by_uid.get(uid)?;
        roster.slots[slot as usize].as_ref().map(|slot| Arc::clone(&slot.lane))
    }

    /// Where the shared readers are.
    pub(super) fn positions(&self) -> Vec<u64> {
        self.feeds.iter().map(|feed| feed.place.lock().position).collect()
    }

    /// Takes on a Trigger that goes on from `progress`, one per partition.
    pub(super) fn add(
        self: &Arc<Self>,
        trigger: &Arc<Trigger>,
        filter: Filter,
        progress: Vec<Progress>,
    ) -> Arc<Lane<D>> {
        let filter = Arc::new(filter);
        let (log, shared, saving) = (Arc::clone(&self.log), Arc::clone(&self.shared), Arc::clone(&self.saving));
        let lane = Arc::new(Lane::new(log, trigger, Arc::clone(&filter), progress, shared, saving));
        {
            let mut roster = self.roster.write();
            let free = roster.slots.iter().position(Option::is_none);
            let at = free.unwrap_or_else(|| {
                roster.slots.push(None);
                roster.slots.len() - 1
            });
            let id = u32::try_from(at).unwrap_or(u32::MAX);
            roster.index.insert(&id, &filter);
            roster.by_uid.insert(Arc::clone(&trigger.uid), id);
            roster.slots[at] = Some(Slot { lane: Arc::clone(&lane), filter });
        }
        lane
    }

    /// Lets a new lane follow the shared reader, or read for itself first.
    pub(super) fn begin(self: &Arc<Self>, lane: &Arc<Lane<D>>, partition: usize, may_move: bool) {
        if !self.join(lane, partition, may_move) {
            self.fall_behind(lane, partition);
        }
    }

    /// Follows a change of a Trigger. When this returns, every batch handed out from now on is matched as it says.
    pub(super) fn change(&self, lane: &Arc<Lane<D>>, trigger: &Arc<Trigger>, filter: Filter) {
        let filter = Arc::new(filter);
        {
            let mut roster = self.roster.write();
            let roster = &mut *roster;
            if let Some(&id) = roster.by_uid.get(&lane.uid)
                && let Some(slot) = &mut roster.slots[id as usize]
            {
                roster.index.remove(&id, &slot.filter);
                roster.index.insert(&id, &filter);
                slot.filter = Arc::clone(&filter);
            }
        }
        lane.change(trigger, &filter);
    }

    /// Delivers nothing to a Trigger until it changes. Its place stays where it is.
    pub(super) fn suspend(self: &Arc<Self>, lane: &Arc<Lane<D>>) {
        lane.suspend();
        for partition in self.leave(lane) {
            self.fall_behind(lane, partition);
        }
    }

    /// Drops a Trigger that is gone, and its progress.
    pub(super) fn remove(&self, lane: &Lane<D>) {
        {
            let mut roster = self.roster.write();
            let roster = &mut *roster;
            if let Some(id) = roster.by_uid.remove(&lane.uid)
                && let Some(slot) = roster.slots[id as usize].take()
            {
                roster.index.remove(&id, &slot.filter);
            }
        }
        // Stopped first: a stopped lane does not join any more.
        lane.stop();
        self.leave(lane);
        self.saving.forget(Arc::clone(&lane.uid));
    }

    /// Takes the lane off the shared readers; yields the partitions where it followed.
    fn leave(&self, lane: &Lane<D>) -> Vec<usize> {
        let followed = |&partition: &usize| {
            let mut place = self.feeds[partition].place.lock();
            let follows = lane.with_cursor(partition, |cursor| {
                let follows = cursor.reading == Reading::Shared;
                if follows {
                    cursor.advance(place.position);
                    cursor.reading = Reading::Behind;
                }
                follows
            });
            place.followers -= usize::from(follows);
            follows
        };
        (0..self.feeds.len()).filter(followed).collect()
    }

    /// Lets the lane follow the shared reader if that is not ahead of it. A shared reader without followers goes
    /// wherever the lane is, if it `may_move`.
    pub(super) fn join(&self, lane: &Lane<D>, partition: usize, may_move: bool) -> bool {
        let feed = &self.feeds[partition];
        let mut place = feed.place.lock();
        let resting = place.followers == 0;
        let joined = !lane.is_stopped()
            && lane.with_cursor(partition, |cursor| {
                let joins = if resting { may_move } else { cursor.read() >= place.position };
                if joins {
                    cursor.reading = Reading::Shared;
                    if resting {
                        place.position = cursor.read();
                        place.moves += 1;
                    }
                }
                joins
            });
        if joined {
            place.followers += 1;
            feed.wake.notify_one();
        }
        joined
    }

    fn fall_behind(self: &Arc<Self>, lane: &Arc<Lane<D>>, partition: usize) {
        self.readers.spawn(catch_up::run(Arc::clone(self), Arc::clone(lane), partition));
    }

    /// What to save of a lane, and how many settlements that covers; `None` if nothing changed. With `passed`, events
    /// that only passed by count as a change.
    pub(super) fn progress_to_save(&self, lane: &Lane<D>, partition: usize, passed: bool) -> Option<(Progress, u64)> {
        let place = self.feeds[partition].place.lock();
        lane.with_cursor(partition, |cursor| {
            if cursor.unsaved == 0 && !passed {
                return None;
            }
            let progress = cursor.progress(place.position);
            if cursor.unsaved == 0 && progress.next <= cursor.saved_next() {
                return None;
            }
            Some((progress, std::mem::take(&mut cursor.unsaved)))
        })
    }

    /// The shared reader of `partition`, until the fanout stops.
    pub(super) async fn feed(self: Arc<Self>, partition: usize) {
        let mut backoff = Backoff::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                read = self.follow(partition, &mut backoff) => if let Err(error) = read {
                    if matches!(error, ReadError::Closed) {
                        return;
                    }
                    tracing::warn!(kn.broker.name = %self.log.broker.name, kn.broker.namespace = %self.log.broker.namespace, %error, "Cannot read the Broker's log; trying again.");
                    backoff.wait().await;
                },
            }
        }
    }

    /// Reads for whoever follows, from where they are; returns when nobody does, or the place was moved.
    async fn follow(self: &Arc<Self>, partition: usize, backoff: &mut Backoff) -> Result<(), ReadError> {
        let feed = &self.feeds[partition];
        let (offset, moves, followers) = {
            let place = feed.place.lock();
            (place.position, place.moves, place.followers)
        };
        if followers == 0 {
            feed.wake.notified().await;
            return Ok(());
        }
        let number = u32::try_from(partition).unwrap_or(u32::MAX);
        let mut reader = self.log.channel.read(Position { partition: number, offset }).await?;
        let mut hits = Vec::new();
        loop {
            let entries = tokio::select! {
                entries = reader.next(BATCH) => entries?,
                () = feed.wake.notified() => Vec::new(),
            };
            backoff.reset();
            let mut events = Vec::with_capacity(entries.len());
            for entry in entries {
                match entry {
                    Entry::Event(stored) => {
                        events.push(stored);
                        continue;
                    }
                    Entry::Undecodable { position, raw, reason } => {
                        self.hand_out(partition, moves, &std::mem::take(&mut events), position.offset, &mut hits);
                        self.set_aside(position, &raw, &reason).await;
                        self.pass(partition, moves, position.offset + 1);
                    }
                    Entry::Gap { from, until, reason } => {
                        self.hand_out(partition, moves, &std::mem::take(&mut events), from.offset, &mut hits);
                        self.gap(&reason, from, until);
                        self.pass_gap(partition, moves, until);
                    }
                }
            }
            if let Some(last) = events.last() {
                let until = last.position.offset + 1;
                self.hand_out(partition, moves, &events, until, &mut hits);
            }
            let place = feed.place.lock();
            if place.followers == 0 || place.moves != moves {
                return Ok(());
            }
        }
    }

    /// Hands `events` to the lanes that want them; everything below `until` is passed then.
    fn hand_out(
        self: &Arc<Self>,
        partition: usize,
        moves: u64,
        events: &[Stored],
        until: u64,
        hits: &mut Vec<(u32, u32)>,
    ) {
        let mut fallen = Vec::new();
        {
            let mut place = self.feeds[partition].place.lock();
            if place.moves != moves {
                return;
            }
            let roster = self.roster.read();
            hits.clear();
            for (at, stored) in (0..).zip(events) {
                roster.index.candidates(&stored.event, |&id| {
                    if let Some(slot) = &roster.slots[id as usize]
                        && slot.filter.matches(&stored.event)
                    {
                        hits.push((id, at));
                    }
                });
            }
            hits.sort_unstable();
            for run in hits.chunk_by(|a, b| a.0 == b.0) {
                let Some(slot) = &roster.slots[run[0].0 as usize] else { continue };
                if !slot.lane.offer(partition, run.iter().map(|&(_, at)| events[at as usize].clone())) {
                    place.followers -= 1;
                    fallen.push(Arc::clone(&slot.lane));
                }
            }
            place.position = place.position.max(until);
        }
        self.shared.metrics.events_read.inc_by(events.len() as u64);
        for lane in fallen {
            tracing::debug!(kn.trigger.name = %lane.orders().trigger.name.name, kn.broker.namespace = %self.log.broker.namespace, "The Trigger cannot follow; it goes on from the log by itself.");
            self.fall_behind(&lane, partition);
        }
    }

    fn pass(&self, partition: usize, moves: u64, until: u64) {
        let mut place = self.feeds[partition].place.lock();
        if place.moves == moves {
            place.position = place.position.max(until);
        }
    }

    fn pass_gap(&self, partition: usize, moves: u64, until: u64) {
        let mut place = self.feeds[partition].place.lock();
        if place.moves != moves {
            return;
        }
        for slot in self.roster.read().slots.iter().flatten() {
            if slot.lane.with_cursor(partition, |cursor| cursor.reading == Reading::Shared) {
                slot.lane.pass_gap(partition, place.position, until);
            }
        }
        place.position = place.position.max(until);
    }

    pub(super) fn gap(&self, reason: &str, from: Position, until: u64) {
        self.shared.metrics.gap_positions.inc_by(until.saturating_sub(from.offset));
        tracing::warn!(
            kn.broker.name = %self.log.broker.name, kn.broker.namespace = %self.log.broker.namespace,
            partition = from.partition, from = from.offset, until, reason, "Events can no longer be read."
        );
    }

    /// Stores a record that is no event with the dead letters, however long that takes.
    pub(super) async fn set_aside(&self, position: Position, raw: &bytes::Bytes, reason: &str) {
        let mut backoff = Backoff::new();
        while let Err(error) = self.shared.downstream.set_aside(&self.log, position, raw, reason).await {
            tracing::warn!(kn.broker.name = %self.log.broker.name, kn.broker.namespace = %self.log.broker.namespace, %error, "Cannot store a record that is no event with the dead letters; trying again.");
            backoff.wait().await;
        }
        self.shared.metrics.undecodable.inc();
    }
}
