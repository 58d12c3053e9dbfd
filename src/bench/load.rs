//! The load generator: connections spread over threads, each thread with a runtime of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::client::{Client, Failure, Target};
use super::pace::{Pace, Slots};
use super::stats;
use super::tally::{Phase, Stamp};

/// A refused connection waits this long before its next event: a server that says no is not to be flooded.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// What to send, and how.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) target: Arc<Target>,
    pub(super) pace: Pace,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// The number of the first event.
    pub(super) first: u64,
    /// Ends a closed loop early when set.
    pub(super) stop: Arc<AtomicBool>,
}

/// What the senders saw.
pub(super) struct Outcome {
    /// Events sent, answered or not.
    pub(super) sent: u64,
    /// Events acknowledged with a 2xx.
    pub(super) acknowledged: u64,
    /// Everything else, by status code or kind of failure.
    pub(super) errors: BTreeMap<String, u64>,
    /// Intended send time to the 2xx.
    pub(super) latency: Histogram<u64>,
    /// When the first event was to leave.
    pub(super) begin_ns: u64,
    /// When the last acknowledgement arrived.
    pub(super) end_ns: u64,
}

impl Outcome {
    fn new(begin_ns: u64) -> Self {
        let latency = stats::histogram();
        Self { sent: 0, acknowledged: 0, errors: BTreeMap::new(), latency, begin_ns, end_ns: begin_ns }
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.latency += other.latency;
        self.end_ns = self.end_ns.max(other.end_ns);
    }
}

/// Runs `load` to its end, marking acknowledged events in `phase`.
///
/// # Errors
/// When a thread cannot be started.
pub(super) async fn drive(load: &Load, phase: &Arc<Phase>) -> anyhow::Result<Outcome> {
    let begin_ns = phase.clock.now_ns();
    let slots = Arc::new(Slots::new(load.pace, phase.clock, load.first, Arc::clone(&load.stop)));
    let threads = load.threads.clamp(1, load.connections);
    let mut results = Vec::with_capacity(threads);
    for thread in 0..threads {
        let connections = load.connections / threads + usize::from(thread < load.connections % threads);
        let worker = Worker::new(load, phase, &slots, begin_ns);
        let (done, result) = oneshot::channel();
        spawn_thread(format!("bench-load-{thread}"), move || {
            done.send(worker.run(connections)).ok();
        })?;
        results.push(result);
    }
    if let Pace::Open { .. } = load.pace {
        let (slots, connections) = (Arc::clone(&slots), load.connections);
        spawn_thread("bench-pace".to_owned(), move || slots.release(connections))?;
    }
    let mut outcome = Outcome::new(begin_ns);
    for result in results {
        outcome.merge(result.await.context("a thread of the load generator panicked")??);
    }
    Ok(outcome)
}

/// Starts a named thread that is not waited for; it reports through what it was given.
pub(super) fn spawn_thread(name: String, body: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    std::thread::Builder::new().name(name).spawn(body).context("cannot start a thread")?;
    Ok(())
}

/// One thread's share of the connections.
#[derive(Clone)]
struct Worker {
    target: Arc<Target>,
    slots: Arc<Slots>,
    phase: Arc<Phase>,
    /// One for the thread, not one per connection: a histogram is large. Never contended.
    outcome: Arc<Mutex<Outcome>>,
}

impl Worker {
    fn new(load: &Load, phase: &Arc<Phase>, slots: &Arc<Slots>, begin_ns: u64) -> Self {
        Self {
            target: Arc::clone(&load.target),
            slots: Arc::clone(slots),
            phase: Arc::clone(phase),
            outcome: Arc::new(Mutex::new(Outcome::new(begin_ns))),
        }
    }

    /// Runs `connections` connections on the current thread until the slots end.
    fn run(self, connections: usize) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut tasks: JoinSet<()> = (0..connections).map(|_| self.clone().connection()).collect();
            while let Some(ended) = tasks.join_next().await {
                ended.context("a connection of the load generator panicked")?;
            }
            anyhow::Ok(())
        })?;
        let begin_ns = self.outcome.lock().begin_ns;
        Ok(std::mem::replace(&mut *self.outcome.lock(), Outcome::new(begin_ns)))
    }

    async fn connection(self) {
        let mut client = Client::new(Arc::clone(&self.target));
        while let Some(slot) = self.slots.take().await {
            let stamp = Stamp { phase: self.phase.number, number: slot.number, intended_ns: slot.intended_ns };
            let answer = client.send(stamp).await;
            if !self.record(stamp, answer) {
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }

    /// Books one answer; false if it was not an acknowledgement.
    fn record(&self, stamp: Stamp, answer: Result<http::StatusCode, Failure>) -> bool {
        let now_ns = self.phase.clock.now_ns();
        let mut outcome = self.outcome.lock();
        outcome.sent += 1;
        let error = match answer {
            Ok(status) if status.is_success() => {
                self.phase.acknowledge(stamp.number);
                outcome.acknowledged += 1;
                outcome.latency.saturating_record(now_ns.saturating_sub(stamp.intended_ns));
                outcome.end_ns = outcome.end_ns.max(now_ns);
                return true;
            }
            Ok(status) => status.as_str().to_owned(),
            Err(failure) => failure.as_str().to_owned(),
        };
        *outcome.errors.entry(error).or_default() += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use bytes::Bytes;

    use super::*;
    use crate::bench::pace::Until;
    use crate::bench::sink::Sink;
    use crate::bench::tally::Clock;
    use crate::bench::yardstick;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").expect("loopback")
    }

    fn load(address: std::net::SocketAddr, pace: Pace) -> Load {
        let url = format!("http://{address}/0").parse().expect("URL");
        let target = Arc::new(Target::new(&url, Bytes::from_static(&[7; 1024])).expect("plain HTTP"));
        Load { target, pace, connections: 5, threads: 2, first: 0, stop: Arc::default() }
    }

    #[tokio::test]
    async fn every_event_sent_to_the_echo_is_acknowledged_once() {
        let listener = listener();
        let address = listener.local_addr().expect("bound");
        tokio::spawn(yardstick::echo(listener));
        let phase = Arc::new(Phase::new(1, Clock::start(), 0));
        let outcome = drive(&load(address, Pace::Closed(Until::Events(1000))), &phase).await.expect("driven");
        assert_eq!((outcome.sent, outcome.acknowledged), (1000, 1000));
        assert_eq!(outcome.errors, BTreeMap::new());
        assert_eq!(outcome.latency.len(), 1000);
        assert_eq!(phase.account().acknowledged, 1000);
    }

    #[tokio::test]
    async fn the_relay_delivers_every_event_of_an_open_loop_to_the_sink() {
        let phase = Arc::new(Phase::new(1, Clock::start(), 1));
        let sink = Sink::start(listener(), Arc::clone(&phase)).expect("sink");
        let listener = listener();
        let address = listener.local_addr().expect("bound");
        tokio::spawn(yardstick::relay(listener, sink.address()));
        let pace = Pace::Open { rate: 20_000.0, duration: Duration::from_millis(50) };
        let outcome = drive(&load(address, pace), &phase).await.expect("driven");
        assert_eq!((outcome.sent, outcome.acknowledged), (1000, 1000));
        let account = phase.account();
        assert_eq!((account.delivered, account.lost, account.duplicates, account.unexpected), (1000, 0, 0, 0));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_counted_not_fatal() {
        let address = listener().local_addr().expect("bound");
        let phase = Arc::new(Phase::new(1, Clock::start(), 0));
        let outcome = drive(&load(address, Pace::Closed(Until::Events(3))), &phase).await.expect("driven");
        assert_eq!((outcome.sent, outcome.acknowledged), (3, 0));
        assert_eq!(outcome.errors, BTreeMap::from([("connect".to_owned(), 3)]));
    }
}
