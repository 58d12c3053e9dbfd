//! One attempt: a request, its answer, and what the answer means.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use weir_api::Event;
use weir_api::event::http as codec;

use super::client;
use super::failure::{Failure, FailureKind, KEPT_BYTES};
use super::route::Target;
use super::schedule::{Verdict, classify, retry_after};
use crate::carried;

/// An answer's body is read this far, so that its connection can be used again; a longer one is not worth it.
const DRAINED_BYTES: usize = 64 * 1024;

/// What to do with the body of a 2xx.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// It is an event of at most this many bytes, or nothing: Knative's broker filter takes anything else for a failure.
    Reply {
        /// Most bytes of the answer's body.
        limit_bytes: usize,
    },
    /// Nobody wants it.
    Anything,
}

/// A 2xx.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The event it carried.
    pub(super) reply: Option<Event>,
}

/// Sends `event` once and reads the answer to its end. Has no time limit of its own.
pub(super) async fn exchange(target: &Target, event: &Event, expect: Expect) -> Result<Answer, Failure> {
    let response = loop {
        let request = target.request(event).map_err(|error| Failure::invalid_event(&target.url, &error))?;
        match target.client.request(request).await {
            Ok(response) => break response,
            // Each round uses up a connection of the pool, so this ends.
            Err(error) if client::is_stale(&error) => {
                tracing::debug!(destination = &*target.url, "a pooled connection had been closed, taking another one");
            }
            Err(error) => return Err(Failure::transport(&target.url, &error)),
        }
    };
    client::mark_served(&response);
    let status = response.status();
    let verdict = classify(status);
    if verdict != Verdict::Accepted {
        let (parts, body) = response.into_parts();
        let asked = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            .then(|| parts.headers.get(RETRY_AFTER)?.to_str().ok())
            .flatten();
        return Err(Failure {
            retriable: verdict == Verdict::Retry,
            retry_after: asked.and_then(|value| retry_after(value, SystemTime::now())),
            ..Failure::status(&target.url, status, drain(body).await)
        });
    }
    match expect {
        Expect::Reply { limit_bytes } => read_reply(target, response, limit_bytes).await,
        Expect::Anything => {
            // The event is taken; that the rest of the answer is lost changes nothing.
            let _ignored = drain(response.into_body()).await;
            Ok(Answer { status, reply: None })
        }
    }
}

async fn read_reply(target: &Target, response: Response<Incoming>, limit_bytes: usize) -> Result<Answer, Failure> {
    let (parts, body) = response.into_parts();
    let status = parts.status;
    let lost = |error| Failure::body(&target.url, &error);
    if !codec::is_event(&parts.headers) {
        if body.is_end_stream() {
            return Ok(Answer { status, reply: None });
        }
        let head = drain(body).await.map_err(lost)?;
        if head.is_empty() {
            return Ok(Answer { status, reply: None });
        }
        let detail = format!("answered {status} with a body that is not an event");
        return Err(Failure::bad_reply(FailureKind::NotAnEvent, &target.url, &detail, head));
    }
    let body = match read(body, limit_bytes).await.map_err(lost)? {
        Ok(body) => body,
        Err(head) => {
            let detail = format!("answered {status} with an event of more than {limit_bytes} bytes");
            return Err(Failure::bad_reply(FailureKind::ReplyTooLarge, &target.url, &detail, head));
        }
    };
    match decode(&parts.headers, body.clone()) {
        Ok(reply) => Ok(Answer { status, reply: Some(reply) }),
        Err(error) => {
            let detail = format!("answered {status} with an invalid event: {error}");
            Err(Failure::bad_reply(FailureKind::InvalidReply, &target.url, &detail, body))
        }
    }
}

/// The event, and with it the headers of the answer that pass through.
fn decode(headers: &HeaderMap, body: Bytes) -> Result<Event, codec::DecodeError> {
    let mut reply = codec::decode_one(headers, body)?;
    carried::pick_up(headers, &mut reply);
    Ok(reply)
}

/// The whole body or, if it is longer than `limit_bytes`, what was read of it by then.
async fn read(mut body: Incoming, limit_bytes: usize) -> Result<Result<Bytes, Bytes>, hyper::Error> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + whole.len() + data.len() > limit_bytes {
            whole.extend_from_slice(&data[..data.len().min(KEPT_BYTES)]);
            return Ok(Err(if first.is_empty() { whole.freeze() } else { first }));
        }
        // Most bodies come in one piece, which then is the body.
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&data);
    }
    Ok(Ok(if first.is_empty() { whole.freeze() } else { first }))
}

/// The first bytes of a body; reads on a little, to use the connection again.
async fn drain(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut kept = BytesMut::new();
    let mut read_bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let wanted = data.len().min(KEPT_BYTES - kept.len());
        kept.extend_from_slice(&data[..wanted]);
        read_bytes += data.len();
        if read_bytes > DRAINED_BYTES {
            break;
        }
    }
    Ok(kept.freeze())
}
