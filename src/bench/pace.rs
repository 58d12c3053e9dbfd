//! When to send: at once after each answer (closed loop), or at fixed times whatever the answers do (open loop).
//!
//! In the open loop an event's latency counts from the time it was meant to leave. If the server stalls, the events that
//! had to wait for it show the wait: nothing is omitted because the sender, too, was held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::tally::{CAPACITY, Clock};

/// How fast and how long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Each connection sends again as soon as it has its answer.
    Closed(Until),
    /// `rate` events per second for `duration`, over as many connections as are free.
    Open { rate: f64, duration: Duration },
}

/// When a closed loop ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Elapsed(Duration),
    Events(u64),
    /// When the load's `stop` is set.
    Stopped,
}

/// The intended send times of an open loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin_ns: u64,
    rate: f64,
    total: u64,
}

impl Schedule {
    fn new(begin_ns: u64, rate: f64, duration: Duration) -> Self {
        let total = (rate * duration.as_secs_f64()).ceil().min(CAPACITY as f64) as u64;
        Self { begin_ns, rate, total }
    }

    /// When event `number` is to leave. Counted from the beginning each time, so errors do not add up.
    fn intended_ns(&self, number: u64) -> u64 {
        self.begin_ns + (number as f64 * 1e9 / self.rate).round() as u64
    }

    /// How many events are to have left by `now_ns`.
    fn due(&self, now_ns: u64) -> u64 {
        match now_ns.checked_sub(self.begin_ns) {
            Some(elapsed_ns) => ((elapsed_ns as f64 * self.rate / 1e9).floor() as u64 + 1).min(self.total),
            None => 0,
        }
    }
}

/// Hands out the right to send one event. Shared by all connections of a load.
pub(super) struct Slots {
    clock: Clock,
    /// The number of the first event.
    first: u64,
    taken: AtomicU64,
    stop: Arc<AtomicBool>,
    kind: Kind,
}

enum Kind {
    Closed { limit: u64, deadline_ns: u64 },
    Open { schedule: Schedule, due: Semaphore },
}

/// The right to send event `number`, whose latency counts from `intended_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) intended_ns: u64,
}

impl Slots {
    /// Slots that begin now, numbered from `first`.
    pub(super) fn new(pace: Pace, clock: Clock, first: u64, stop: Arc<AtomicBool>) -> Self {
        let now_ns = clock.now_ns();
        let closed = |limit, deadline_ns| Kind::Closed { limit, deadline_ns };
        let kind = match pace {
            Pace::Closed(Until::Elapsed(duration)) => {
                closed(CAPACITY, now_ns.saturating_add(duration.as_nanos() as u64))
            }
            Pace::Closed(Until::Events(events)) => closed(events.min(CAPACITY), u64::MAX),
            Pace::Closed(Until::Stopped) => closed(CAPACITY, u64::MAX),
            Pace::Open { rate, duration } => {
                Kind::Open { schedule: Schedule::new(now_ns, rate, duration), due: Semaphore::new(0) }
            }
        };
        Self { clock, first, taken: AtomicU64::new(0), stop, kind }
    }

    /// The next slot, as soon as it is due; `None` when the load is over. Cancel safe.
    pub(super) async fn take(&self) -> Option<Slot> {
        match &self.kind {
            Kind::Closed { limit, deadline_ns } => {
                let intended_ns = self.clock.now_ns();
                if intended_ns >= *deadline_ns || self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                let taken = self.taken.fetch_add(1, Ordering::Relaxed);
                (taken < *limit).then_some(Slot { number: self.first + taken, intended_ns })
            }
            Kind::Open { schedule, due } => {
                due.acquire().await.ok()?.forget();
                let taken = self.taken.fetch_add(1, Ordering::Relaxed);
                let intended_ns = schedule.intended_ns(taken);
                (taken < schedule.total).then_some(Slot { number: self.first + taken, intended_ns })
            }
        }
    }

    /// Releases the slots of an open loop as they come due, then lets `connections` waiting connections go. Blocks, so it
    /// runs on a thread of its own: tokio's timer is no finer than a millisecond, which is more than what is measured.
    pub(super) fn release(&self, connections: usize) {
        let Kind::Open { schedule, due } = &self.kind else { return };
        let mut released = 0;
        while released < schedule.total {
            sleep_until(self.clock.instant(schedule.intended_ns(released)), schedule.rate);
            let now_due = schedule.due(self.clock.now_ns()).max(released + 1);
            due.add_permits((now_due - released) as usize);
            released = now_due;
        }
        due.add_permits(connections);
    }
}

/// Sleeps, then spins the last stretch, because the kernel wakes sleepers up to 50 µs late. Spinning takes at most 5 % of
/// one core whatever the rate.
fn sleep_until(at: Instant, rate: f64) {
    let spin = Duration::from_secs_f64((0.05 / rate).min(80e-6));
    if let Some(rest) = at.saturating_duration_since(Instant::now()).checked_sub(spin) {
        std::thread::sleep(rest);
    }
    while Instant::now() < at {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(pace: Pace) -> Slots {
        Slots::new(pace, Clock::start(), 10, Arc::default())
    }

    #[test]
    fn intended_times_do_not_drift_at_rates_that_do_not_divide_a_second() {
        let schedule = Schedule::new(1000, 3.0, Duration::from_secs(1_000_000));
        assert_eq!(schedule.total, 3_000_000);
        assert_eq!(schedule.intended_ns(0), 1000);
        assert_eq!(schedule.intended_ns(1), 333_334_333);
        assert_eq!(schedule.intended_ns(2_999_997), 999_999_000_001_000);
    }

    #[test]
    fn what_is_due_is_what_was_intended_by_then() {
        let schedule = Schedule::new(1000, 500.0, Duration::from_secs(1));
        assert_eq!(schedule.due(999), 0);
        assert_eq!(schedule.due(1000), 1);
        assert_eq!(schedule.due(2_000_999), 1);
        assert_eq!(schedule.due(2_001_000), 2);
        assert_eq!(schedule.due(u64::MAX), 500);
    }

    #[tokio::test]
    async fn a_connection_that_was_held_up_gets_the_times_that_passed_meanwhile() {
        let slots = slots(Pace::Open { rate: 1_000_000.0, duration: Duration::from_micros(5) });
        slots.release(1);
        let Kind::Open { schedule, .. } = &slots.kind else { panic!("an open loop") };
        for number in 0..5 {
            let slot = slots.take().await.expect("five events are due");
            assert_eq!(slot, Slot { number: 10 + number, intended_ns: schedule.begin_ns + number * 1000 });
            assert!(slot.intended_ns <= slots.clock.now_ns(), "no event leaves before its time");
        }
        assert_eq!(slots.take().await, None);
    }

    #[tokio::test]
    async fn a_closed_loop_ends_after_its_events_or_when_stopped() {
        let counted = slots(Pace::Closed(Until::Events(2)));
        assert_eq!(counted.take().await.map(|slot| slot.number), Some(10));
        assert_eq!(counted.take().await.map(|slot| slot.number), Some(11));
        assert_eq!(counted.take().await, None);

        let stopped = slots(Pace::Closed(Until::Stopped));
        assert!(stopped.take().await.is_some());
        stopped.stop.store(true, Ordering::Relaxed);
        assert_eq!(stopped.take().await, None);
    }
}
