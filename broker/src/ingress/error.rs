//! Why a request was refused, and the one place where that becomes a status code.

use std::time::Duration;

use http::StatusCode;
use weir_api::event::http::DecodeError;
use weir_channels::AppendError;

use crate::stamp::TtlUsedUp;

/// Why a request's events were not, or perhaps not, stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum IngressError {
    #[error("no address of events: post to /namespace/broker")]
    NoAddress,
    #[error("no broker at this address")]
    NoBroker,
    #[error("the broker's log is not open yet; if that lasts, the broker's condition says why")]
    NotOpen,
    #[error("the event exceeds the limit of {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    /// Where the body ends could be understood in more than one way.
    #[error("{0}")]
    Framing(&'static str),
    #[error("compressed events are not taken: send the body without content-encoding")]
    Encoded,
    #[error("no byte of the body came for {} s", waited.as_secs())]
    BodyStalled { waited: Duration },
    #[error("the body ended early")]
    BodyBroken(#[source] hyper::Error),
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    #[error(transparent)]
    TtlUsedUp(#[from] TtlUsedUp),
    #[error("too many requests at once")]
    Busy,
    #[error(transparent)]
    NotStored(#[from] AppendError),
    #[error("internal error")]
    Panicked,
}

impl IngressError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoAddress => StatusCode::BAD_REQUEST,
            Self::NoBroker => StatusCode::NOT_FOUND,
            Self::NotOpen => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyStalled { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Invalid(error) => match error {
                DecodeError::UnsupportedEncoding | DecodeError::UnsupportedFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                DecodeError::NotAnEvent
                | DecodeError::BatchNotAllowed
                | DecodeError::Repeated(_)
                | DecodeError::NotUtf8(_)
                | DecodeError::DataContentEncoding
                | DecodeError::Invalid(_)
                | DecodeError::Json(_) => StatusCode::BAD_REQUEST,
            },
            Self::Framing(_) | Self::BodyBroken(_) | Self::TtlUsedUp(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::NotStored(error) => match error {
                AppendError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                // reliability.md S5, S9: a full or slow log is 503; 429 is for the limits of the ingress.
                AppendError::Overloaded { .. } | AppendError::Full | AppendError::Unavailable(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            },
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// When to try again, for the codes that ask for it.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotOpen | Self::Busy => Some(weir_channels::RETRY_AFTER),
            Self::NotStored(error) => match error {
                AppendError::TooLarge { .. } => None,
                AppendError::Overloaded { retry_after } => Some(*retry_after),
                AppendError::Full | AppendError::Unavailable(_) => Some(weir_channels::RETRY_AFTER),
            },
            Self::NoAddress
            | Self::NoBroker
            | Self::TooLarge { .. }
            | Self::Framing(_)
            | Self::Encoded
            | Self::BodyStalled { .. }
            | Self::BodyBroken(_)
            | Self::Invalid(_)
            | Self::TtlUsedUp(_)
            | Self::Panicked => None,
        }
    }

    /// Whether the rest of the body is not worth reading.
    pub(super) fn closes_connection(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Framing(_) | Self::BodyStalled { .. } | Self::BodyBroken(_))
    }
}
