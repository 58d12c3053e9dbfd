//! Where a source, a replay or a redrive hands its events to.

use async_trait::async_trait;

use crate::Event;

/// Anything that accepts events.
///
/// *Guarantee:* `Ok` means the sink answered 2xx; for a Broker or Channel of ours that the event is durable.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Hands over one event. After an error it may or may not have been taken.
    async fn send(&self, event: Event) -> Result<(), SinkError>;
}

/// Why a sink did not take an event, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Never will: do not send it again.
    #[error("refused with status {status}")]
    Refused {
        /// The answer's status code.
        status: u16,
    },
    /// May take it later.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What happened, for people.
        reason: String,
    },
}
