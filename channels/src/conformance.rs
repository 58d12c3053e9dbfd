//! What [`Channel`] promises, as tests that every backend passes.
//!
//! A backend implements [`Harness`] and asserts that [`violations`] finds none. The items ask for nothing the seam does
//! not promise: any number of partitions, offsets with gaps, positions chosen by the backend.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_api::Event;
use weir_api::event::Attributes;

use crate::{Channel, Entry, Position, Reader, Stored};

mod appending;
mod lifecycle;
mod progress;
mod reading;
#[cfg(test)]
mod tests;

/// A backend under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the log `name`: empty the first time, with all it had when it is opened again after it was closed. It
    /// keeps everything for the length of a test.
    async fn open(&self, name: &str) -> Arc<dyn Channel>;

    /// Opens an empty log that soon lets go of what nobody needs: 4 MiB of events make the oldest expire. `None`
    /// if a test cannot bring the backend to it.
    async fn open_forgetful(&self, name: &str) -> Option<Arc<dyn Channel>>;

    /// How long anything may take before it counts as never.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The item that found it.
    pub item: &'static str,
    /// What happened.
    pub what: String,
}

/// Runs every item on a log of its own; what was not kept.
pub async fn violations(harness: Arc<dyn Harness>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Item { name, run } in items() {
        if let Err(Broken(what)) = run(Subject { harness: Arc::clone(&harness), name }).await {
            violations.push(Violation { item: name, what });
        }
    }
    violations
}

type Run = Box<dyn Fn(Subject) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

struct Item {
    name: &'static str,
    run: Run,
}

fn items() -> Vec<Item> {
    [appending::items(), reading::items(), progress::items(), lifecycle::items()].into_iter().flatten().collect()
}

fn item<F>(name: &'static str, run: impl Fn(Subject) -> F + Send + Sync + 'static) -> Item
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Item { name, run: Box::new(move |subject| Box::pin(run(subject))) }
}

/// What is wrong, in words.
#[derive(Debug)]
struct Broken(String);

type Outcome<T = ()> = Result<T, Broken>;

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(format!("unexpected error: {error}"))
    }
}

fn ensure(kept: bool, what: impl Display) -> Outcome {
    if kept { Ok(()) } else { Err(Broken(what.to_string())) }
}

fn ensure_eq<T: PartialEq + Debug>(found: &T, expected: &T, what: impl Display) -> Outcome {
    ensure(found == expected, format_args!("{what}: found {found:?}, expected {expected:?}"))
}

/// One item's log.
struct Subject {
    harness: Arc<dyn Harness>,
    name: &'static str,
}

impl Subject {
    async fn open(&self) -> Arc<dyn Channel> {
        self.harness.open(self.name).await
    }

    /// Closes the log and opens it again.
    async fn reopen(&self, log: Arc<dyn Channel>) -> Outcome<Arc<dyn Channel>> {
        self.within("closing", log.close()).await?;
        drop(log);
        Ok(self.open().await)
    }

    async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> Outcome<T> {
        tokio::time::timeout(self.harness.patience(), future)
            .await
            .map_err(|_| Broken(format!("{what} takes for ever")))
    }

    /// Reads from `from` until it has passed `last`.
    async fn read(&self, log: &dyn Channel, from: Position, last: u64) -> Outcome<Vec<Entry>> {
        let mut reader = log.read(from).await?;
        self.read_on(&mut *reader, last, 7).await
    }

    async fn read_on(&self, reader: &mut dyn Reader, last: u64, max: usize) -> Outcome<Vec<Entry>> {
        let mut entries = Vec::new();
        while entries.last().is_none_or(|entry| end_of(entry) <= last) {
            let more = self.within("reading", reader.next(max)).await??;
            ensure(
                !more.is_empty() && more.len() <= max,
                format_args!("{} entries instead of 1 to {max}", more.len()),
            )?;
            entries.extend(more);
        }
        Ok(entries)
    }
}

/// The event numbered `n`, in all kinds of shapes.
fn event(n: u64) -> Event {
    let attributes = Attributes {
        id: format!("event-{n}"),
        source: "/conformance".to_owned(),
        ty: "conformance.event".to_owned(),
        subject: n.is_multiple_of(3).then(|| format!("Fächer \"{n}\" 🦀")),
        time: n.is_multiple_of(4).then(|| "2026-11-25T10:00:00.123456789+01:00".to_owned()),
        ..Attributes::default()
    };
    let bytes = (0..=255).cycle().skip(n as usize % 256).take(n as usize * 37 % 3000);
    Event::new(attributes, (!n.is_multiple_of(5)).then(|| bytes.collect::<Vec<u8>>().into()))
}

/// Appended events of each partition, in the order of their places.
type Places = BTreeMap<u32, BTreeMap<u64, Event>>;

/// Appends the events numbered so, one after the other.
async fn append(log: &dyn Channel, numbers: std::ops::Range<u64>) -> Outcome<Vec<(Position, Event)>> {
    let mut appended = Vec::new();
    for n in numbers {
        appended.push((log.append(event(n)).await?, event(n)));
    }
    Ok(appended)
}

fn places(appended: &[(Position, Event)]) -> Outcome<Places> {
    let mut places = Places::new();
    for (position, event) in appended {
        let before = places.entry(position.partition).or_default().insert(position.offset, event.clone());
        ensure(before.is_none(), format_args!("two events at {position:?}"))?;
    }
    Ok(places)
}

fn at(partition: u32, offset: u64) -> Position {
    Position { partition, offset }
}

fn end_of(entry: &Entry) -> u64 {
    match entry {
        Entry::Event(stored) => stored.position.offset + 1,
        Entry::Undecodable { position, .. } => position.offset + 1,
        Entry::Gap { until, .. } => *until,
    }
}

/// The events among `entries`; anything else is wrong where nothing was removed.
fn events(entries: Vec<Entry>) -> Outcome<Vec<Stored>> {
    let event = |entry| match entry {
        Entry::Event(stored) => Ok(stored),
        Entry::Undecodable { .. } | Entry::Gap { .. } => Err(Broken(format!("nothing is missing, and yet {entry:?}"))),
    };
    entries.into_iter().map(event).collect()
}

/// Checks that the whole log holds `places` and nothing else, partition by partition.
async fn ensure_holds(subject: &Subject, log: &dyn Channel, places: &Places) -> Outcome {
    for (&partition, expected) in places {
        let (Some((&first, _)), Some((&last, _))) = (expected.first_key_value(), expected.last_key_value()) else {
            continue;
        };
        let stored = events(subject.read(log, at(partition, first), last).await?)?;
        let found = stored.into_iter().map(|stored| (stored.position, stored.event)).collect::<Vec<_>>();
        let expected = expected.iter().map(|(&offset, event)| (at(partition, offset), event.clone())).collect();
        ensure_eq(&found, &expected, "events read")?;
    }
    Ok(())
}
