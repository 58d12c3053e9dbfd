//! Why an event was not delivered.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::StatusCode;
use hyper_util::client::legacy;
use weir_api::event::InvalidEvent;
use weir_api::sink::SinkError;

/// Bytes of an answer's body that are kept: as base64 they make the 1,024 characters of `knativeerrordata`.
pub(super) const KEPT_BYTES: usize = 768;

/// Why one attempt, and in the end a delivery, failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// Whom it happened with: `knativeerrordest`.
    pub destination: Arc<str>,
    /// `knativeerrorcode`: the answer's status; 500 without an answer, 502 for an answer that makes no sense.
    pub code: u16,
    /// At most the first 768 bytes of the answer's body; without an answer a text that says why.
    pub body: Bytes,
    /// Everything known, in words.
    pub detail: String,
    /// Whether another attempt may help.
    pub retriable: bool,
    /// The answer's `Retry-After`, where it counts.
    pub retry_after: Option<Duration>,
}

/// What happened, from a closed set: for metrics, and to group by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A status other than 2xx.
    Status,
    /// No connection: name not found, refused, TLS failed.
    Connect,
    /// The connection ended before the answer did.
    Lost,
    /// No complete answer in time.
    TimedOut,
    /// A 2xx with a body that is no event.
    NotAnEvent,
    /// A 2xx with an event that breaks a rule.
    InvalidReply,
    /// A 2xx with more than an event may have.
    ReplyTooLarge,
    /// The reply will never be taken: its TTL is used up, or it is too large.
    ReplyRefused,
    /// The reply could not be stored, perhaps later.
    ReplyNotStored,
    /// The event cannot be written as a request.
    InvalidEvent,
}

impl FailureKind {
    /// A word for labels and columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Connect => "connect",
            Self::Lost => "lost",
            Self::TimedOut => "timed-out",
            Self::NotAnEvent => "not-an-event",
            Self::InvalidReply => "invalid-reply",
            Self::ReplyTooLarge => "reply-too-large",
            Self::ReplyRefused => "reply-refused",
            Self::ReplyNotStored => "reply-not-stored",
            Self::InvalidEvent => "invalid-event",
        }
    }
}

impl Failure {
    /// What happened in few words, the same for every failure alike: what dead letters are grouped by.
    pub fn reason(&self) -> String {
        match self.kind {
            FailureKind::Status => match StatusCode::from_u16(self.code) {
                Ok(status) => format!("answered {status}"),
                Err(_) => format!("answered {}", self.code),
            },
            FailureKind::Connect => "could not connect".to_owned(),
            FailureKind::Lost => "connection lost before the answer was complete".to_owned(),
            FailureKind::TimedOut => "timed out".to_owned(),
            FailureKind::NotAnEvent => "answered with a body that is not an event".to_owned(),
            FailureKind::InvalidReply => "answered with an invalid event".to_owned(),
            FailureKind::ReplyTooLarge => "answered with an event that is too large".to_owned(),
            FailureKind::ReplyRefused => format!("reply refused with {}", self.code),
            FailureKind::ReplyNotStored => "reply could not be stored".to_owned(),
            FailureKind::InvalidEvent => "event cannot be sent over HTTP".to_owned(),
        }
    }

    /// `knativeerrordata`: the kept part of the body in base64, at most 1,024 characters.
    pub fn data(&self) -> String {
        BASE64.encode(&self.body[..self.body.len().min(KEPT_BYTES)])
    }

    pub(super) fn status(destination: &Arc<str>, status: StatusCode, body: Result<Bytes, hyper::Error>) -> Self {
        // Knative's engine replaces a body that cannot be read by this text.
        let body = body.unwrap_or_else(|error| {
            let error = chain(&error);
            format!("dispatch resulted in status \"{status}\". Could not read response body: {error}").into()
        });
        Self {
            kind: FailureKind::Status,
            destination: destination.clone(),
            code: status.as_u16(),
            detail: format!("{destination} answered {status}"),
            body,
            retriable: true,
            retry_after: None,
        }
    }

    pub(super) fn transport(destination: &Arc<str>, error: &legacy::Error) -> Self {
        let (kind, what) = match error.is_connect() {
            true => (FailureKind::Connect, "could not connect to"),
            false => (FailureKind::Lost, "lost the connection to"),
        };
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        Self::without_answer(kind, destination, format!("{what} {destination}: {cause}"), &cause)
    }

    pub(super) fn body(destination: &Arc<str>, error: &hyper::Error) -> Self {
        let cause = chain(error);
        let detail = format!("lost the connection to {destination} while it answered: {cause}");
        Self::without_answer(FailureKind::Lost, destination, detail, &cause)
    }

    pub(super) fn timed_out(destination: &Arc<str>, limit: Duration) -> Self {
        let cause = format!("no complete answer within {limit:?}");
        let detail = format!("{destination} gave {cause}");
        Self::without_answer(FailureKind::TimedOut, destination, detail, &cause)
    }

    /// Knative's engine records status 500 and this text where there was no answer.
    fn without_answer(kind: FailureKind, destination: &Arc<str>, detail: String, cause: &str) -> Self {
        let mut body = format!("dispatch error: {cause}").into_bytes();
        body.truncate(KEPT_BYTES);
        Self {
            kind,
            destination: destination.clone(),
            code: 500,
            body: body.into(),
            detail,
            retriable: true,
            retry_after: None,
        }
    }

    /// A 2xx that is a failure nevertheless: 502, as Knative's broker filter answers in this case.
    pub(super) fn bad_reply(kind: FailureKind, destination: &Arc<str>, detail: &str, mut body: Bytes) -> Self {
        body.truncate(KEPT_BYTES);
        Self {
            kind,
            destination: destination.clone(),
            code: 502,
            body,
            detail: format!("{destination} {detail}"),
            retriable: true,
            retry_after: None,
        }
    }

    pub(super) fn reply(destination: &Arc<str>, error: &SinkError) -> Self {
        let (kind, code, retriable) = match error {
            SinkError::Refused { status } => (FailureKind::ReplyRefused, *status, false),
            SinkError::Unavailable { .. } => (FailureKind::ReplyNotStored, 500, true),
        };
        let detail = format!("the reply was not taken: {error}");
        Self {
            kind,
            destination: destination.clone(),
            code,
            body: detail.clone().into(),
            detail,
            retriable,
            retry_after: None,
        }
    }

    pub(super) fn invalid_event(destination: &Arc<str>, error: &InvalidEvent) -> Self {
        let cause = error.to_string();
        let detail = format!("the event cannot be sent to {destination}: {cause}");
        let failure = Self::without_answer(FailureKind::InvalidEvent, destination, detail, &cause);
        Self { retriable: false, ..failure }
    }
}

/// The error and its causes, outermost first. Client errors name hosts and codes, never headers or bodies.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&cause_text) {
            let _infallible = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}
