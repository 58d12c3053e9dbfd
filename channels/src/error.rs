//! Errors of the channel seam: each variant says what the caller can do.

use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an event was not, or perhaps not, stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Will never fit: refuse it.
    #[error("event of {size_bytes} bytes exceeds the channel limit of {limit_bytes} bytes")]
    TooLarge {
        /// Size of the event.
        size_bytes: usize,
        /// Largest size taken.
        limit_bytes: usize,
    },
    /// Healthy but full: ask the producer to slow down. Not stored.
    #[error("channel is over its write budget")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// No room on the disk. Not stored; accepted again by itself once space returns.
    #[error("channel storage is full")]
    Full,
    /// Perhaps not written: the producer retries.
    #[error("channel unavailable: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such partition.
    #[error("no partition {partition}: the channel has {partitions}")]
    NoSuchPartition {
        /// The one asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// The channel was closed.
    #[error("channel closed")]
    Closed,
    /// May work later.
    #[error("channel unavailable: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why progress was not loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// The channel was closed.
    #[error("channel closed")]
    Closed,
    /// May work later; whether a save took effect is not known.
    #[error("progress unavailable: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why a channel could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No backend of that name in this build.
    #[error("unknown channel backend {name:?}: this build knows {known}")]
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The backend's settings do not fit.
    #[error("invalid settings for channel backend {backend}: {reason}")]
    InvalidConfig {
        /// The backend.
        backend: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Data of a format this build does not know, left untouched.
    #[error("{path} has format {found}; this build reads up to {supported}: use a newer weir")]
    UnknownFormat {
        /// What was looked at.
        path: String,
        /// The format found.
        found: u32,
        /// The newest format known.
        supported: u32,
    },
    /// May work later.
    #[error("channel unavailable: {0}")]
    Unavailable(#[source] BoxError),
}
