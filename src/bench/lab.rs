//! One measurement: a load against a subject, followed until its last delivery, with what it cost the subject.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tempfile::TempDir;
use tokio::time::Instant;
use url::Url;

use super::client::Target;
use super::load::{self, Load, Outcome};
use super::pace::{Pace, Until};
use super::process::{Cost, Memory, Watch};
use super::report::{Events, Row};
use super::sink::Sink;
use super::stats::{self, Percentiles, Spread};
use super::tally::{Account, Clock, Phase};
use super::{disk, server, yardstick};
use crate::cli::bench::{BenchArgs, Yardstick};

/// Deliveries that have not moved for this long are not coming.
const STILL_LIMIT: Duration = Duration::from_secs(30);

/// The sink, the yardsticks and the directory that all measurements share.
pub(super) struct Lab {
    pub(super) args: BenchArgs,
    pub(super) sink: Sink,
    pub(super) clock: Clock,
    dir: TempDir,
    echo: yardstick::Process,
    relay: yardstick::Process,
    body: Bytes,
    phases: AtomicU64,
}

/// What is put under load.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) url: Url,
    /// How many Triggers have to deliver each event to the sink: inboxes 0 to this.
    pub(super) inboxes: usize,
    /// The process that pays.
    pub(super) pid: Option<u32>,
}

impl Lab {
    /// Starts the sink and the yardsticks.
    ///
    /// # Errors
    /// When an address, a directory or a process is not to be had.
    pub(super) async fn start(args: BenchArgs) -> anyhow::Result<Self> {
        let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = tempfile::Builder::new()
            .prefix("weir-bench-")
            .tempdir_in(&parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        let clock = Clock::start();
        let listen: SocketAddr = args.sink_listen.unwrap_or(server::ANY_PORT);
        let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        let sink = Sink::start(listener, Arc::new(Phase::new(0, clock, 0)))?;
        let echo = yardstick::Process::start(Yardstick::Echo, sink.address()).await?;
        let relay = yardstick::Process::start(Yardstick::Relay, sink.address()).await?;
        let body = Bytes::from(vec![b'w'; args.size]);
        Ok(Self { args, sink, clock, dir, echo, relay, body, phases: AtomicU64::new(1) })
    }

    /// The directory that data directories are made in.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new, empty directory; removed when dropped.
    pub(super) fn home(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.dir()).context("cannot make a directory")
    }

    /// What the disk takes for one sync just now, in milliseconds.
    pub(super) async fn sync_ms(&self) -> anyhow::Result<Spread> {
        let dir = self.dir().to_owned();
        tokio::task::spawn_blocking(move || disk::sync_ms(&dir)).await?
    }

    /// The bare echo.
    pub(super) fn echo(&self) -> Subject {
        Subject { name: "echo".to_owned(), url: self.echo.url.clone(), inboxes: 0, pid: Some(self.echo.pid) }
    }

    /// The bare relay to inbox 0.
    pub(super) fn relay(&self) -> Subject {
        Subject { name: "relay".to_owned(), url: self.relay.url.clone(), inboxes: 1, pid: Some(self.relay.pid) }
    }

    /// The closed loop the user asked for.
    pub(super) fn closed(&self) -> Pace {
        Pace::Closed(Until::Elapsed(self.args.duration))
    }

    /// Measures each subject `repeat` times, by turns, so that a machine that changes its pace does so for all of them.
    ///
    /// # Errors
    /// When a subject cannot be reached at all or its process ended.
    pub(super) async fn compare(&self, title: &str, subjects: &[Subject], pace: Pace) -> anyhow::Result<Vec<Row>> {
        let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.args.repeat {
            for (subject, samples) in subjects.iter().zip(&mut samples) {
                eprintln!("{title}: {}, {round} of {}", subject.name, self.args.repeat);
                if !self.args.warmup.is_zero() {
                    self.measure(subject, warm(pace, self.args.warmup)).await?;
                }
                samples.push(self.measure(subject, pace).await?);
            }
        }
        Ok(subjects.iter().zip(samples).map(|(subject, samples)| summarise(subject, samples)).collect())
    }

    /// A new phase, which the sink turns to.
    pub(super) fn phase(&self, inboxes: usize) -> Arc<Phase> {
        let phase = Arc::new(Phase::new(self.phases.fetch_add(1, Ordering::Relaxed), self.clock, inboxes));
        self.sink.turn_to(Arc::clone(&phase));
        phase
    }

    /// The request for `url`.
    pub(super) fn target(&self, url: &Url) -> anyhow::Result<Arc<Target>> {
        Target::new(url, self.body.clone()).map(Arc::new)
    }

    /// The load on `url` that the user asked for, at `pace`.
    pub(super) fn load(&self, url: &Url, pace: Pace) -> anyhow::Result<Load> {
        let BenchArgs { connections, threads, .. } = self.args;
        Ok(Load { target: self.target(url)?, pace, connections, threads, first: 0, stop: Arc::default() })
    }

    /// Measures once, to the last delivery.
    pub(super) async fn measure(&self, subject: &Subject, pace: Pace) -> anyhow::Result<Sample> {
        let phase = self.phase(subject.inboxes);
        let watch = subject.pid.map(Watch::begin).transpose()?;
        let outcome = load::drive(&self.load(&subject.url, pace)?, &phase).await?;
        drained(&phase, STILL_LIMIT).await;
        let cost = watch.map(Watch::end).transpose()?;
        Ok(Sample {
            outcome,
            account: phase.account(),
            latency: phase.latency(),
            last_ns: phase.last_delivery_ns(),
            cost,
        })
    }
}

/// The warm-up of a load at `pace`: the same, shorter.
fn warm(pace: Pace, duration: Duration) -> Pace {
    match pace {
        Pace::Closed(Until::Events(events)) => Pace::Closed(Until::Events(events.div_ceil(5))),
        Pace::Closed(_) => Pace::Closed(Until::Elapsed(duration)),
        Pace::Open { rate, .. } => Pace::Open { rate, duration },
    }
}

/// Waits until every acknowledged event has arrived everywhere, or nothing has arrived for `limit`.
pub(super) async fn drained(phase: &Phase, limit: Duration) {
    let (mut delivered, mut moved) = (phase.delivered(), Instant::now());
    while phase.account().lost > 0 && moved.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = phase.delivered();
        if now != delivered {
            (delivered, moved) = (now, Instant::now());
        }
    }
}

/// What one measurement found.
pub(super) struct Sample {
    pub(super) outcome: Outcome,
    pub(super) account: Account,
    pub(super) latency: Histogram<u64>,
    /// When the last delivery arrived.
    pub(super) last_ns: Option<u64>,
    pub(super) cost: Option<Cost>,
}

impl Sample {
    fn accepted_per_second(&self) -> f64 {
        per_second(self.outcome.acknowledged, self.outcome.begin_ns, self.outcome.end_ns)
    }

    fn delivered_per_second(&self) -> Option<f64> {
        Some(per_second(self.account.delivered, self.outcome.begin_ns, self.last_ns?))
    }
}

/// Zero when no time has passed: nothing happened either.
fn per_second(count: u64, begin_ns: u64, end_ns: u64) -> f64 {
    let seconds = end_ns.saturating_sub(begin_ns) as f64 / 1e9;
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// The row of repeated measurements of one subject.
pub(super) fn summarise(subject: &Subject, samples: Vec<Sample>) -> Row {
    let accepted: Vec<f64> = samples.iter().map(Sample::accepted_per_second).collect();
    let delivered: Vec<f64> = samples.iter().filter_map(Sample::delivered_per_second).collect();
    let mut row = Row {
        name: subject.name.clone(),
        accepted_per_second: Spread::of(&accepted),
        delivered_per_second: Spread::of(&delivered),
        ..Row::default()
    };
    let (mut accept, mut delivery) = (stats::histogram(), stats::histogram());
    for sample in samples {
        accept += sample.outcome.latency;
        delivery += sample.latency;
        add(&mut row.events, sample.outcome.sent, sample.account);
        for (error, count) in sample.outcome.errors {
            *row.errors.entry(error).or_default() += count;
        }
        if let Some(cost) = sample.cost {
            row.memory = Some(row.memory.map_or(cost.memory, |memory| span(memory, cost.memory)));
            row.cpu_seconds = Some(stats::round(row.cpu_seconds.unwrap_or_default() + cost.cpu_seconds));
        }
    }
    row.accept_latency = Percentiles::of(&accept);
    row.delivery_latency = Percentiles::of(&delivery);
    row
}

fn add(events: &mut Events, sent: u64, account: Account) {
    events.sent += sent;
    events.acknowledged += account.acknowledged;
    events.delivered += account.delivered;
    events.lost += account.lost;
    events.duplicates += account.duplicates;
    events.unexpected += account.unexpected;
}

fn span(first: Memory, then: Memory) -> Memory {
    Memory {
        before_bytes: first.before_bytes,
        peak_bytes: first.peak_bytes.max(then.peak_bytes),
        after_bytes: then.after_bytes,
    }
}
