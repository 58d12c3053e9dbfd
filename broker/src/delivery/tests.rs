//! The delivery engine against subscribers that behave as badly as reliability.md section 2 (D2 to D9) has it.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use weir_api::delivery::{BackoffPolicy, Format};
use weir_api::event::Value;
use weir_api::resources::{Order, Start};
use weir_api::sink::SinkError;
use weir_channels::Position;

use super::*;
use crate::ledger::{Content, LedgerError};

mod dead_letters;
mod faults;
mod replies;
mod requests;
mod subscriber;
mod tls;

use subscriber::{Step, Subscriber, answer, reply, status};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A dead-letter store in memory that fails a number of times first.
#[derive(Default)]
struct Letters {
    failures: AtomicUsize,
    letters: Mutex<Vec<DeadLetter>>,
}

#[async_trait]
impl DeadLetterStore for Letters {
    async fn put(&self, letter: &DeadLetter) -> Result<(), LedgerError> {
        let failing =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failures| failures.checked_sub(1));
        if failing.is_ok() {
            return Err(LedgerError::Unavailable(sqlx::Error::PoolClosed));
        }
        self.letters.lock().push(letter.clone());
        Ok(())
    }
}

/// A sink in memory that refuses or is unavailable as often as it is told.
#[derive(Default)]
struct Replies {
    refuse: Mutex<Vec<SinkError>>,
    taken: Mutex<Vec<Event>>,
}

impl Replies {
    fn failing(errors: impl IntoIterator<Item = SinkError>) -> Self {
        Self { refuse: Mutex::new(errors.into_iter().collect()), ..Self::default() }
    }
}

#[async_trait]
impl Sink for Replies {
    async fn send(&self, event: Event) -> Result<(), SinkError> {
        if let Some(error) = self.refuse.lock().pop() {
            return Err(error);
        }
        self.taken.lock().push(event);
        Ok(())
    }
}

/// Notes every attempt.
#[derive(Default)]
struct Attempts(Mutex<Vec<Noted>>);

struct Noted {
    dead_letter: bool,
    result: Result<u16, FailureKind>,
    retry_in: Option<Duration>,
}

impl Observer for Attempts {
    fn attempt(&self, _: &Stored, _: &Route, attempt: &Attempt<'_>) {
        let Attempt { dead_letter, result, retry_in, .. } = *attempt;
        let result = result.map(|status| status.as_u16()).map_err(|failure| failure.kind);
        self.0.lock().push(Noted { dead_letter, result, retry_in });
    }
}

impl Attempts {
    fn results(&self) -> Vec<Result<u16, FailureKind>> {
        self.0.lock().iter().map(|noted| noted.result).collect()
    }
}

/// An engine and what it delivers to.
struct Bench {
    deliverer: Deliverer,
    letters: Arc<Letters>,
    attempts: Attempts,
    trigger: Trigger,
    cancel: CancellationToken,
}

impl Bench {
    fn new(subscriber: &str) -> Self {
        Self::with(subscriber, DeliverySettings { max_reply_bytes: 10_000, ..DeliverySettings::default() })
    }

    fn with(subscriber: &str, settings: DeliverySettings) -> Self {
        let letters = Arc::new(Letters::default());
        let trigger = Trigger {
            name: name("orders"),
            uid: "uid-1".into(),
            generation: 1,
            filter: None,
            filters: Vec::new(),
            subscriber: Some(destination(subscriber)),
            delivery: Delivery {
                retry: 3,
                backoff: Some((BackoffPolicy::Exponential, MILLISECOND)),
                timeout: None,
                ..Delivery::default()
            },
            order: Order::Unordered,
            max_in_flight: None,
            paused: false,
            start: Start::Now,
        };
        let deliverer = Deliverer::new(settings, letters.clone()).expect("an engine");
        Self { deliverer, letters, attempts: Attempts::default(), trigger, cancel: CancellationToken::new() }
    }

    fn delivery(mut self, change: impl FnOnce(&mut Delivery)) -> Self {
        change(&mut self.trigger.delivery);
        self
    }

    fn route(&self) -> Route {
        self.deliverer.route(&name("shop"), &self.trigger).expect("a route")
    }

    async fn deliver(&self, event: Event) -> Outcome {
        self.deliver_replying(event, None).await
    }

    async fn deliver_replying(&self, event: Event, replies: Option<&dyn Sink>) -> Outcome {
        self.deliverer.deliver(&stored(event), &self.route(), replies, &self.attempts, &self.cancel).await
    }

    fn letter(&self) -> DeadLetter {
        let letters = self.letters.letters.lock();
        assert_eq!(letters.len(), 1, "one dead letter");
        letters[0].clone()
    }
}

fn name(name: &str) -> ObjectName {
    ObjectName { namespace: "team-a".into(), name: name.into() }
}

fn destination(url: &str) -> ResolvedDestination {
    ResolvedDestination { url: url.parse().expect("a URL"), ca_certs: None, audience: None }
}

fn event() -> Event {
    Event::builder("/shop", "order.created")
        .id("1")
        .extension(TTL, 200)
        .data("text/plain", Bytes::from_static(b"payload"))
        .build()
        .expect("an event")
}

fn stored(event: Event) -> Stored {
    let position = Position { partition: 2, offset: 40 };
    Stored { position, stored_at: Timestamp::from_second(1_700_000_000).expect("time"), event }
}

#[track_caller]
fn delivered(outcome: &Outcome) -> (u16, bool, u32) {
    match outcome {
        Outcome::Delivered { status, replied, attempts, .. } => (status.as_u16(), *replied, *attempts),
        other => panic!("not delivered: {other:?}"),
    }
}

#[track_caller]
fn dead(outcome: &Outcome) -> (Home, &Failure, u32) {
    match outcome {
        Outcome::DeadLettered { home, failure, attempts, .. } => (*home, failure, *attempts),
        other => panic!("not dead-lettered: {other:?}"),
    }
}
