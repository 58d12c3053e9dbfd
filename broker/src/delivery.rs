//! The delivery engine: POST, read the verdict, back off, retry; reply; dead letter. Used wherever an event is sent.
//!
//! An attempt succeeds with a 2xx whose reply, if it carries one, is safe. A delivery that fails for good goes to the
//! dead letter sink, and where there is none, or it fails too, to the built-in store: it does not end before the event
//! is safe somewhere. Source: Knative's data plane contract and `pkg/kncloudevents`; where we wait differently,
//! [`backoff`] says so.
//!
//! Headers of the request that brought an event do not reach its subscriber, except those [`carried`](crate::carried)
//! with it and its trace context. Redirects are not followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use weir_api::Event;
use weir_api::delivery::Delivery;
use weir_api::destination::ResolvedDestination;
use weir_api::resources::{ObjectName, Trigger};
use weir_api::sink::Sink;
use weir_channels::Stored;

use crate::ledger::{DeadLetter, DeadLetterStore};
use crate::stamp::TTL;

mod client;
mod dead_letter;
mod exchange;
mod failure;
mod route;
mod schedule;
mod sink;
#[cfg(test)]
mod tests;

pub use client::{HostMap, TlsError};
pub use dead_letter::{ERROR_CODE, ERROR_DATA, ERROR_DEST};
pub(crate) use failure::chain;
pub use failure::{Failure, FailureKind};
pub use route::{Route, RouteError};
pub use schedule::{Verdict, backoff, classify, retry_after};
pub use sink::HttpSink;

use client::Clients;
use exchange::{Answer, Expect, exchange};
use route::Target;
use schedule::Waits;

/// Waits between attempts to write to the built-in store.
const STORE_WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What the engine can be told.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Largest reply read, by the answer's body.
    pub max_reply_bytes: usize,
    /// Names that exist only inside Weir.
    pub hosts: HostMap,
    /// Where this process takes events. Deliveries there keep the TTL: a Trigger that leads back to a Broker ends.
    pub ingress: Option<SocketAddr>,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self { max_reply_bytes: 1 << 20, hosts: HostMap::default(), ingress: None }
    }
}

/// Delivers events. Cloning shares connections.
#[derive(Clone)]
pub struct Deliverer(Arc<Shared>);

struct Shared {
    clients: Clients,
    store: Arc<dyn DeadLetterStore>,
    max_reply_bytes: usize,
}

/// How a delivery ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The subscriber took the event, and its reply, if there was one, is safe: settle it.
    Delivered {
        /// The subscriber's answer.
        status: StatusCode,
        /// Whether a reply was handed on.
        replied: bool,
        /// Attempts made.
        attempts: u32,
        /// From the first attempt to the end.
        duration: Duration,
    },
    /// It is safe elsewhere: settle it.
    DeadLettered {
        /// Where.
        home: Home,
        /// Why the last attempt at the subscriber failed.
        failure: Failure,
        /// Attempts made at the subscriber.
        attempts: u32,
        /// From the first attempt to the end.
        duration: Duration,
    },
    /// Cancelled: nothing is settled. The subscriber may have got the event.
    Interrupted,
}

/// Where a dead letter went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The dead letter sink took it.
    Sink,
    /// The built-in store has it.
    Store,
}

/// One attempt that ended, for metrics and the ledger.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Counted from 1, per destination.
    pub number: u32,
    /// Whether it was the dead letter sink that was tried, not the subscriber.
    pub dead_letter: bool,
    /// How long it took.
    pub duration: Duration,
    /// The answer, or why there was no good one.
    pub result: Result<StatusCode, &'a Failure>,
    /// The wait before the next attempt; `None` if there is none.
    pub retry_in: Option<Duration>,
}

/// Follows a delivery: is told of every attempt, and decides when the next one may be made.
#[async_trait]
pub trait Observer: Send + Sync {
    /// An attempt to deliver `stored` ended. On the task that makes it: must be quick.
    fn attempt(&self, stored: &Stored, route: &Route, attempt: &Attempt<'_>);

    /// Returns when the next attempt may be made, after `wait` at the earliest; [`Interrupted`] if none is to be made,
    /// and the delivery is to end without being settled.
    async fn wait(&self, wait: Duration) -> Result<(), Interrupted> {
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// See [`Observer::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Nobody watches.
#[async_trait]
impl Observer for () {
    fn attempt(&self, _: &Stored, _: &Route, _: &Attempt<'_>) {}
}

impl Deliverer {
    /// An engine whose dead letters end in `store`.
    ///
    /// # Errors
    /// TLS cannot be set up at all.
    pub fn new(settings: DeliverySettings, store: Arc<dyn DeadLetterStore>) -> Result<Self, TlsError> {
        let clients = Clients::new(settings.hosts, settings.ingress)?;
        Ok(Self(Arc::new(Shared { clients, store, max_reply_bytes: settings.max_reply_bytes })))
    }

    /// Prepares deliveries for `trigger` of `broker`.
    ///
    /// # Errors
    /// The subscriber is unresolved, or it or the dead letter sink is no usable address.
    pub fn route(&self, broker: &ObjectName, trigger: &Trigger) -> Result<Route, RouteError> {
        Route::new(&self.0.clients, broker, trigger)
    }

    /// `destination` as a sink. Of `delivery` the retries, waits and time-out count; its dead letter sink does not.
    ///
    /// # Errors
    /// `destination` is no usable address.
    pub fn sink(&self, destination: &ResolvedDestination, delivery: Delivery) -> Result<HttpSink, RouteError> {
        Ok(HttpSink { target: Target::new(&self.0.clients, destination)?, delivery })
    }

    /// Delivers `stored` until it is settled, `observer` interrupts it between two attempts, or `cancel` fires, which
    /// also breaks off an attempt.
    ///
    /// A reply goes to `replies` before the outcome is known; it carries the TTL of `stored` unchanged, which the sink
    /// takes one from. A reply that the sink refuses dead-letters the event at once; one that it cannot take now fails
    /// the attempt. Without `replies` a reply is dropped. Dropping the future is the same as cancelling.
    pub async fn deliver(
        &self,
        stored: &Stored,
        route: &Route,
        replies: Option<&dyn Sink>,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Outcome {
        if cancel.is_cancelled() {
            return Outcome::Interrupted;
        }
        let span = tracing::debug_span!(
            "deliver",
            cloudevents.id = stored.event.id(),
            cloudevents.type = stored.event.ty(),
            kn.trigger.name = &*route.recipient.trigger,
            kn.broker.namespace = &*route.recipient.namespace,
        );
        tokio::select! {
            biased;
            outcome = self.settle(stored, route, replies, observer).instrument(span) => outcome,
            () = cancel.cancelled() => Outcome::Interrupted,
        }
    }

    /// Makes one attempt, the `number`-th, and nothing else: no retry, no dead letter.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn attempt(
        &self,
        stored: &Stored,
        route: &Route,
        replies: Option<&dyn Sink>,
        observer: &dyn Observer,
        number: u32,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let result = attempt(&self.request(stored, route, replies), route.delivery.timeout).await;
        let status = result.as_ref().map(|accepted| accepted.status);
        let (dead_letter, duration, retry_in) = (false, started.elapsed(), None);
        observer.attempt(stored, route, &Attempt { number, dead_letter, duration, result: status, retry_in });
        result.map(|_| ())
    }

    fn request<'a>(&self, stored: &'a Stored, route: &'a Route, replies: Option<&'a dyn Sink>) -> Post<'a> {
        let expect = Expect::Reply { limit_bytes: self.0.max_reply_bytes };
        Post { target: &route.subscriber, event: &stored.event, expect, replies }
    }

    async fn settle(
        &self,
        stored: &Stored,
        route: &Route,
        replies: Option<&dyn Sink>,
        observer: &dyn Observer,
    ) -> Outcome {
        let started = Instant::now();
        let request = self.request(stored, route, replies);
        let sent = post(&request, &route.delivery, observer, |number, duration, result, retry_in| {
            observer.attempt(stored, route, &Attempt { number, dead_letter: false, duration, result, retry_in });
        });
        match sent.await {
            Ok((Accepted { status, replied }, attempts)) => {
                Outcome::Delivered { status, replied, attempts, duration: started.elapsed() }
            }
            Err(Unsent::Failed(failure, attempts)) => {
                // Rare, and its future is large: it must not make every delivery as large.
                match Box::pin(self.bury(stored, route, &failure, attempts, observer)).await {
                    Ok(home) => Outcome::DeadLettered { home, failure, attempts, duration: started.elapsed() },
                    Err(Interrupted) => Outcome::Interrupted,
                }
            }
            Err(Unsent::Interrupted) => Outcome::Interrupted,
        }
    }

    /// Finds the event a home. Ends without one only if it is interrupted.
    async fn bury(
        &self,
        stored: &Stored,
        route: &Route,
        failure: &Failure,
        attempts: u32,
        observer: &dyn Observer,
    ) -> Result<Home, Interrupted> {
        let mut letter = DeadLetter::failed(route.recipient.clone(), stored, failure, attempts);
        if let Some(sink) = &route.dead_letter_sink {
            let event = dead_letter::letter(&stored.event, failure);
            let request = Post { target: sink, event: &event, expect: Expect::Anything, replies: None };
            let sent = post(&request, &route.delivery, observer, |number, duration, result, retry_in| {
                observer.attempt(stored, route, &Attempt { number, dead_letter: true, duration, result, retry_in });
            });
            match sent.await {
                Ok(_) => return Ok(Home::Sink),
                Err(Unsent::Interrupted) => return Err(Interrupted),
                Err(Unsent::Failed(failed, _)) => {
                    letter.detail = format!("{}; dead letter sink: {}", letter.detail, failed.detail);
                }
            }
        }
        self.store(&letter, observer).await?;
        Ok(Home::Store)
    }

    async fn store(&self, letter: &DeadLetter, observer: &dyn Observer) -> Result<(), Interrupted> {
        let (mut wait, longest) = STORE_WAITS;
        while let Err(error) = self.0.store.put(letter).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                retry_in = ?wait,
                "the dead-letter store takes nothing, the event stays where it is"
            );
            observer.wait(wait).await?;
            wait = (wait * 2).min(longest);
        }
        Ok(())
    }
}

/// One event on its way to one address.
struct Post<'a> {
    target: &'a Target,
    event: &'a Event,
    expect: Expect,
    replies: Option<&'a dyn Sink>,
}

/// The good end of a [`post`].
struct Accepted {
    status: StatusCode,
    replied: bool,
}

/// The bad end of a [`post`].
enum Unsent {
    /// Why the last attempt failed, and how many were made.
    Failed(Failure, u32),
    Interrupted,
}

/// Attempts `request` until it succeeds, is refused, or no retry is left; tells `observe` of each attempt by number,
/// duration, result and wait before the next one. Returns the number of attempts with the last one's result.
async fn post(
    request: &Post<'_>,
    delivery: &Delivery,
    observer: &dyn Observer,
    mut observe: impl FnMut(u32, Duration, Result<StatusCode, &Failure>, Option<Duration>),
) -> Result<(Accepted, u32), Unsent> {
    let mut waits = Waits::new(delivery);
    let mut number = 0;
    loop {
        number += 1;
        let started = Instant::now();
        let failure = match attempt(request, delivery.timeout).await {
            Ok(accepted) => {
                observe(number, started.elapsed(), Ok(accepted.status), None);
                return Ok((accepted, number));
            }
            Err(failure) => failure,
        };
        let wait = if failure.retriable { waits.next(failure.retry_after, rand::random()) } else { None };
        observe(number, started.elapsed(), Err(&failure), wait);
        tracing::debug!(attempt = number, error = failure.detail, retry_in = ?wait, "an attempt failed");
        match wait {
            Some(wait) => observer.wait(wait).await.map_err(|Interrupted| Unsent::Interrupted)?,
            None => return Err(Unsent::Failed(failure, number)),
        }
    }
}

async fn attempt(request: &Post<'_>, timeout: Option<Duration>) -> Result<Accepted, Failure> {
    let Post { target, event, expect, replies } = *request;
    let exchange = exchange(target, event, expect);
    let Answer { status, reply } = match timeout {
        None => exchange.await?,
        Some(limit) => match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Failure::timed_out(&target.url, limit)),
        },
    };
    let (Some(mut reply), Some(replies)) = (reply, replies) else {
        return Ok(Accepted { status, replied: false });
    };
    // The subscriber did not see the TTL; the reply goes on with it, whatever the subscriber made up.
    if let Some(ttl) = event.extension(TTL) {
        reply.set_extension(TTL, ttl.clone());
    }
    match replies.send(reply).await {
        Ok(()) => Ok(Accepted { status, replied: true }),
        Err(error) => Err(Failure::reply(&target.url, &error)),
    }
}
