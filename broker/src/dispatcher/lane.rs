//! One Trigger's way from the log to its subscriber: events come in matched, workers deliver and settle them.
//!
//! A lane holds a bounded queue. A worker is a task that takes one event after the other; there are as many as may be in
//! flight while there is work, and none while there is none. A worker that waits before another attempt hands its place
//! to others and queues for one when the wait is over: events that keep failing do not stop those that would not. All
//! bookkeeping happens under one short lock.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_api::resources::Trigger;
use weir_channels::{Position, Progress, Stored};

use super::cursor::{Cursor, Reading};
use super::fetch::{Fetched, fetch};
use super::queue::{Job, Limits, Offer, Queue};
use super::saver::Saving;
use super::{Downstream, Ending, Patience};
use crate::delivery::Interrupted;
use crate::filter::Filter;
use crate::logs::Log;
use crate::metrics::Metrics;
use crate::settings::DispatcherSettings;

mod snapshot;
mod turn;

pub(crate) use snapshot::{Counts, Snapshot};
use turn::Turn;

/// What every lane of a dispatcher shares.
pub(super) struct Shared<D> {
    pub(super) settings: DispatcherSettings,
    pub(super) downstream: D,
    pub(super) metrics: Arc<Metrics>,
    /// Bytes of the events all lanes hold in memory.
    pub(super) bytes: AtomicUsize,
    pub(super) workers: TaskTracker,
}

impl<D> Shared<D> {
    fn is_crowded(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.settings.total_bytes
    }
}

/// How a Trigger is delivered to at present; replaced as a whole when it changes.
pub(super) struct Orders<D: Downstream> {
    pub(super) trigger: Arc<Trigger>,
    pub(super) filter: Arc<Filter>,
    route: Result<D::Route, String>,
    /// Fires when these orders no longer hold: deliveries that only wait for another attempt are given back.
    outdated: CancellationToken,
}

impl<D: Downstream> Orders<D> {
    fn new(shared: &Shared<D>, log: &Arc<Log>, trigger: Arc<Trigger>, filter: Arc<Filter>) -> Self {
        let route = shared.downstream.route(log, &trigger);
        Self { trigger, filter, route, outdated: CancellationToken::new() }
    }

    /// Nothing can be delivered: paused, or the subscriber is not known or no usable address.
    fn are_on_hold(&self) -> bool {
        self.trigger.paused || self.route.is_err()
    }

    /// Where deliveries go; the error says why they cannot.
    pub(super) fn route(&self) -> Result<&D::Route, &str> {
        self.route.as_ref().map_err(String::as_str)
    }

    /// Why there is no route, if the Trigger has a subscriber.
    pub(super) fn failure(&self) -> Option<&str> {
        self.trigger.subscriber.as_ref()?;
        self.route.as_ref().err().map(String::as_str)
    }
}

/// See the module.
pub(super) struct Lane<D: Downstream> {
    pub(super) uid: Arc<str>,
    pub(super) log: Arc<Log>,
    shared: Arc<Shared<D>>,
    saving: Arc<Saving>,
    state: Mutex<State<D>>,
    /// There is room again, or the lane was stopped.
    room: Notify,
    idle: Notify,
}

struct State<D: Downstream> {
    orders: Arc<Orders<D>>,
    /// Nothing is taken from the queue, and nothing comes in.
    held: bool,
    stopped: bool,
    queue: Queue,
    cursors: Vec<Cursor>,
    /// Workers that hold a place: at most as many as may be in flight.
    working: usize,
    /// Workers without a place: they wait before another attempt, or for a place to make it.
    waiting: usize,
    /// Those whose wait is over, in order.
    returning: VecDeque<oneshot::Sender<()>>,
    counts: Counts,
}

/// One job with the orders it is to be done under.
struct Task<D: Downstream> {
    job: Job,
    orders: Arc<Orders<D>>,
}

/// What a worker brings back.
enum Done {
    Ended(Offer, Ending),
    Panicked(Offer),
    Fetched { key: u64, found: Vec<Stored>, positions: Vec<Position>, dealt_with: usize },
    NotFetched { key: u64, positions: Vec<Position> },
}

impl<D: Downstream> Lane<D> {
    /// A lane that goes on from `progress`, one per partition. It delivers once something is offered to it.
    pub(super) fn new(
        log: Arc<Log>,
        trigger: &Arc<Trigger>,
        filter: Arc<Filter>,
        progress: Vec<Progress>,
        shared: Arc<Shared<D>>,
        saving: Arc<Saving>,
    ) -> Self {
        let settings = &shared.settings;
        let limits =
            Limits { events: settings.lane_events.get(), bytes: settings.lane_bytes, parked: settings.lane_parked };
        let orders = Orders::new(&shared, &log, Arc::clone(trigger), filter);
        let state = State {
            held: orders.are_on_hold(),
            stopped: false,
            queue: Queue::new(&trigger.order, limits),
            cursors: progress.into_iter().map(Cursor::resume).collect(),
            working: 0,
            waiting: 0,
            returning: VecDeque::new(),
            counts: Counts::default(),
            orders: Arc::new(orders),
        };
        let uid = Arc::clone(&trigger.uid);
        Self { uid, log, shared, saving, state: Mutex::new(state), room: Notify::new(), idle: Notify::new() }
    }

    pub(super) fn orders(&self) -> Arc<Orders<D>> {
        Arc::clone(&self.state.lock().orders)
    }

    /// Follows a change of the Trigger: whatever is not in delivery is delivered as it says now, or no longer.
    pub(super) fn change(self: &Arc<Self>, trigger: &Arc<Trigger>, filter: &Arc<Filter>) {
        let mut state = self.state.lock();
        let before = Arc::clone(&state.orders);
        let orders = Orders::new(&self.shared, &self.log, Arc::clone(trigger), Arc::clone(filter));
        state.held = state.stopped || orders.are_on_hold();
        state.orders = Arc::new(orders);
        if before.trigger.order != trigger.order {
            state.queue.reorder(&trigger.order);
        }
        if before.filter != *filter {
            let bytes = state.queue.bytes();
            let dropped = state.queue.drop_unwanted(|event| filter.matches(event));
            self.count_bytes(bytes, state.queue.bytes());
            state.counts.unmatched_later += dropped.len() as u64;
            for position in dropped {
                self.settle(&mut state, position);
            }
        }
        before.outdated.cancel();
        self.staff(state);
        self.room.notify_waiters();
    }

    /// Nothing comes in or goes out until the Trigger changes.
    pub(super) fn suspend(&self) {
        let mut state = self.state.lock();
        state.held = true;
        state.orders.outdated.cancel();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Nothing more comes in or goes out; waits for another attempt end. What is in flight finishes.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.held = true;
        state.orders.outdated.cancel();
        drop(state);
        self.room.notify_waiters();
    }

    /// Until nothing is in flight.
    pub(super) async fn idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            {
                let state = self.state.lock();
                if state.working + state.waiting == 0 {
                    return;
                }
            }
            idle.await;
        }
    }

    /// The shared reader hands over events that match, in order. `false` if the lane cannot follow: from the first one
    /// it did not take it reads for itself.
    pub(super) fn offer(self: &Arc<Self>, partition: usize, events: impl Iterator<Item = Stored>) -> bool {
        let mut state = self.state.lock();
        if state.cursors[partition].reading == Reading::Behind {
            return true;
        }
        for stored in events {
            let offset = stored.position.offset;
            if state.cursors[partition].has_passed(offset) {
                continue;
            }
            if !self.take_in(&mut state, partition, stored) {
                let cursor = &mut state.cursors[partition];
                cursor.advance(offset);
                cursor.reading = Reading::Behind;
                self.staff(state);
                return false;
            }
        }
        self.staff(state);
        true
    }

    /// The lane's own reader hands over what it read up to `until`, in order. The error is the size of the first event
    /// there was no room for: it is read again.
    pub(super) fn catch_up(self: &Arc<Self>, partition: usize, events: Vec<Stored>, until: u64) -> Result<(), usize> {
        let mut state = self.state.lock();
        let filter = Arc::clone(&state.orders.filter);
        let (mut reached, mut result) = (until, Ok(()));
        for stored in events {
            let offset = stored.position.offset;
            if state.cursors[partition].has_passed(offset) || !filter.matches(&stored.event) {
                continue;
            }
            let bytes = stored.event.size_bytes();
            if !self.take_in(&mut state, partition, stored) {
                (reached, result) = (offset, Err(bytes));
                break;
            }
        }
        state.cursors[partition].advance(reached);
        self.staff(state);
        result
    }

    /// Takes one matching event; false if there is no room.
    fn take_in(&self, state: &mut State<D>, partition: usize, stored: Stored) -> bool {
        let offset = stored.position.offset;
        let bytes = state.queue.bytes();
        if state.held || state.queue.add(stored, self.shared.is_crowded()).is_err() {
            return false;
        }
        self.count_bytes(bytes, state.queue.bytes());
        state.cursors[partition].offer(offset);
        state.counts.matched += 1;
        true
    }

    fn count_bytes(&self, before: usize, after: usize) {
        if after > before {
            self.shared.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.shared.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Positions from `from` on that can no longer be read: whatever of them was not settled is gone.
    pub(super) fn pass_gap(&self, partition: usize, from: u64, until: u64) {
        let mut state = self.state.lock();
        let cursor = &mut state.cursors[partition];
        let lost = until.saturating_sub(cursor.read().max(from));
        cursor.advance(until);
        state.counts.expired += lost;
    }

    /// Starts the workers there is work for, and lets go of the lock.
    fn staff(self: &Arc<Self>, mut state: MutexGuard<'_, State<D>>) {
        if state.held {
            return;
        }
        self.let_return(&mut state);
        let starting = state.queue.ready().min(self.most(&state).saturating_sub(state.working));
        state.working += starting;
        drop(state);
        for _ in 0..starting {
            self.shared.workers.spawn(Arc::clone(self).work());
        }
    }

    /// How many may be in flight.
    fn most(&self, state: &State<D>) -> usize {
        match state.orders.trigger.max_in_flight {
            Some(most) => most.max(1) as usize,
            None => self.shared.settings.max_in_flight.get(),
        }
    }

    async fn work(self: Arc<Self>) {
        let mut done = None;
        while let Some(task) = self.next(done.take()) {
            done = Some(self.perform(task).await);
        }
    }

    /// Books what a worker brings back and gives it its next task; `None` ends the worker.
    fn next(self: &Arc<Self>, done: Option<Done>) -> Option<Task<D>> {
        let mut state = self.state.lock();
        if let Some(done) = done {
            let bytes = state.queue.bytes();
            self.book(&mut state, done);
            self.count_bytes(bytes, state.queue.bytes());
        }
        state.working -= 1;
        self.let_return(&mut state);
        let job = if state.held || state.working >= self.most(&state) { None } else { state.queue.take() };
        let behind = state.cursors.iter().any(|cursor| cursor.reading == Reading::Behind);
        if behind && is_roomy(&state.queue) {
            self.room.notify_waiters();
        }
        let Some(job) = job else {
            if state.working + state.waiting == 0 {
                self.idle.notify_waiters();
            }
            return None;
        };
        state.working += 1;
        let task = Task { job, orders: Arc::clone(&state.orders) };
        // A key that was set free may have made several events ready.
        if !state.queue.nothing_ready() {
            self.staff(state);
        }
        Some(task)
    }

    /// Gives free places to those whose wait is over, before anyone new gets one.
    fn let_return(&self, state: &mut State<D>) {
        while state.working < self.most(state)
            && let Some(next) = state.returning.pop_front()
        {
            if next.send(()).is_ok() {
                state.waiting -= 1;
                state.working += 1;
            }
        }
    }

    fn book(&self, state: &mut State<D>, done: Done) {
        match done {
            Done::Ended(offer, ending) => {
                match ending {
                    Ending::Delivered => state.counts.delivered += 1,
                    Ending::DeadLettered => state.counts.dead_lettered += 1,
                    // Perhaps interrupted because the Trigger changed: it may not want the event any more.
                    Ending::Unsettled if state.orders.filter.matches(&offer.stored.event) => {
                        return state.queue.give_back(offer);
                    }
                    Ending::Unsettled => state.counts.unmatched_later += 1,
                }
                state.queue.settled(&offer);
                self.settle(state, offer.stored.position);
            }
            Done::Panicked(mut offer) => {
                offer.panics = offer.panics.saturating_add(1);
                state.queue.give_back(offer);
            }
            Done::Fetched { key, found, positions, dealt_with } => {
                let filter = Arc::clone(&state.orders.filter);
                let mut gone = positions;
                gone.truncate(dealt_with);
                let mut wanted = Vec::with_capacity(found.len());
                for stored in found {
                    gone.retain(|position| *position != stored.position);
                    if filter.matches(&stored.event) {
                        wanted.push(stored);
                    } else {
                        state.counts.unmatched_later += 1;
                        self.settle(state, stored.position);
                    }
                }
                state.counts.expired += gone.len() as u64;
                gone.into_iter().for_each(|position| self.settle(state, position));
                state.queue.fetched(key, wanted, dealt_with);
            }
            Done::NotFetched { key, positions } => state.queue.fetch_later(key, positions),
        }
    }

    fn settle(&self, state: &mut State<D>, position: Position) {
        let cursor = &mut state.cursors[position.partition as usize];
        if cursor.settle(position.offset) {
            self.saving.settled(cursor);
        }
    }

    async fn perform(self: &Arc<Self>, task: Task<D>) -> Done {
        let Task { job, orders } = task;
        match job {
            Job::Deliver(offer) => self.deliver(offer, &orders).await,
            Job::Fetch { key, positions } => match fetch(&self.log, &positions, &orders.outdated).await {
                Some(Fetched { found, dealt_with }) => Done::Fetched { key, found, positions, dealt_with },
                None => Done::NotFetched { key, positions },
            },
        }
    }

    async fn deliver(self: &Arc<Self>, offer: Offer, orders: &Orders<D>) -> Done {
        let Ok(route) = &orders.route else { return Done::Ended(offer, Ending::Unsettled) };
        let turn = Turn { lane: self, orders };
        let delivery = self.shared.downstream.deliver(&offer.stored, route, &turn, offer.panics);
        match AssertUnwindSafe(delivery).catch_unwind().await {
            Ok(ending) => Done::Ended(offer, ending),
            Err(_panic) => {
                self.shared.metrics.panics.inc();
                tracing::error!(
                    kn.trigger.name = %orders.trigger.name.name, kn.broker.namespace = %self.log.broker.namespace,
                    cloudevents.id = offer.stored.event.id(), "A delivery hit a bug; that attempt failed."
                );
                Done::Panicked(offer)
            }
        }
    }

    /// Until there is room for an event of `needed` bytes and more, or the lane is stopped. How many events and bytes
    /// fit; `None` once stopped.
    pub(super) async fn room(&self, needed: usize) -> Option<(usize, usize)> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            {
                let state = self.state.lock();
                if state.stopped {
                    return None;
                }
                let (events, bytes) = state.queue.room();
                // An empty lane takes anything. One that is not hears again when something of its own is settled.
                let fits = is_roomy(&state.queue) && bytes >= needed && !self.shared.is_crowded();
                if !state.held && (state.queue.events() == 0 || fits) {
                    return Some((events, bytes));
                }
            }
            room.await;
        }
    }

    /// Runs `edit` on the cursor of one partition, and what it returns.
    pub(super) fn with_cursor<T>(&self, partition: usize, edit: impl FnOnce(&mut Cursor) -> T) -> T {
        edit(&mut self.state.lock().cursors[partition])
    }
}

impl<D: Downstream> Drop for Lane<D> {
    fn drop(&mut self) {
        let bytes = self.state.get_mut().queue.bytes();
        self.count_bytes(bytes, 0);
    }
}

/// When a lane that fell behind reads on: once half of it is free, or nothing in it is ready.
fn is_roomy(queue: &Queue) -> bool {
    let (events, bytes) = queue.room();
    let half_is_free = events >= queue.events() && bytes >= queue.bytes();
    queue.events() == 0 || half_is_free || (queue.nothing_ready() && events > 0 && bytes > 0)
}
