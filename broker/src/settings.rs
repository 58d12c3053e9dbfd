//! What the data plane can be told. Every value has a default; the root package reads them from file and environment.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Settings of the ingress role.
#[derive(Clone, Debug)]
pub struct IngressSettings {
    /// Largest event taken, by its request body. The log's own limit applies as well.
    pub max_event_bytes: usize,
    /// Bytes of requests being answered at once, over all connections; more is 429.
    pub max_pending_bytes: usize,
    /// Requests being answered at once, over all connections; more is 429.
    pub max_pending_requests: usize,
    /// Connections open at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Streams open at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Time for a request's header block, and for the first request of a connection.
    pub header_timeout: Duration,
    /// Time without a single byte of a request's body.
    pub body_timeout: Duration,
    /// `knativebrokerttl` of an event that comes without one.
    pub max_ttl: i32,
    /// How long requests are still answered after a stop was asked for, so that senders notice.
    pub quiet_period: Duration,
    /// How long requests in progress may take once no new ones are accepted.
    pub grace_period: Duration,
}

impl Default for IngressSettings {
    fn default() -> Self {
        Self {
            max_event_bytes: 1 << 20,
            max_pending_bytes: 64 << 20,
            max_pending_requests: 16 << 10,
            max_connections: 10_000,
            max_streams: 256,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            max_ttl: 255,
            quiet_period: Duration::ZERO,
            grace_period: Duration::from_secs(60),
        }
    }
}

/// Settings of the dispatcher role.
#[derive(Clone, Debug)]
pub struct DispatcherSettings {
    /// Attempts in progress at once to one subscriber, where its Trigger does not say.
    pub max_in_flight: NonZeroUsize,
    /// Events one Trigger holds in memory, queued or being delivered. Beyond that it reads from the log when it can.
    pub lane_events: NonZeroUsize,
    /// Bytes of those events.
    pub lane_bytes: usize,
    /// Bytes of the events all Triggers together hold in memory; beyond that each keeps only what it is delivering.
    pub total_bytes: usize,
    /// Events of busy keys one ordered Trigger remembers by their position alone, beyond those it holds in memory.
    /// With more, the keys behind them wait too.
    pub lane_parked: usize,
    /// Progress is saved this long after a settlement at the latest.
    pub save_interval: Duration,
    /// … or after this many settlements.
    pub save_settlements: u64,
    /// Progress over events that did not match is saved this often.
    pub idle_save_interval: Duration,
    /// How long deliveries in progress may take after a stop was asked for.
    pub grace_period: Duration,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            max_in_flight: NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN),
            lane_events: NonZeroUsize::new(1024).unwrap_or(NonZeroUsize::MIN),
            lane_bytes: 4 << 20,
            total_bytes: 32 << 20,
            lane_parked: 10_000,
            save_interval: Duration::from_millis(50),
            save_settlements: 1000,
            idle_save_interval: Duration::from_secs(5),
            grace_period: Duration::from_secs(60),
        }
    }
}

/// Settings of both roles, for a process that is both.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Of the ingress.
    pub ingress: IngressSettings,
    /// Of the dispatcher.
    pub dispatcher: DispatcherSettings,
}
