//! `POST /{namespace}/{broker}`: one request becomes stored events, or an answer that says why not.
//!
//! The order of checks is fixed: method, address, size, (identity,) decode and validate, (policy,) store. Identity comes
//! before the body on purpose. 202 leaves only after the log made every event of the request durable.
//!
//! Sources: reliability.md 1.1 and 3.1; Knative's `pkg/broker/ingress`. Differences from Knative: an unknown Broker is
//! 404 whatever the body holds; batches are taken, all or nothing; an answer that refuses says why in plain text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weir_api::Event;
use weir_api::event::http::{Batches, Decoded, decode};

use crate::logs::{Found, Log, Logs};
use crate::metrics::{DispatchLabels, Metrics};
use crate::settings::IngressSettings;
use crate::{carried, server, stamp};

mod admission;
mod body;
mod error;

use admission::Admission;
use error::IngressError;

/// Runs the ingress on `listener` until `shutdown`; then answers for the quiet period, finishes what is in progress and
/// returns. The caller runs `logs`, and closes them afterwards.
pub async fn run(
    settings: IngressSettings,
    listener: TcpListener,
    logs: Logs,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let ingress = Ingress::new(settings.clone(), logs, Arc::clone(&metrics));
    server::serve(listener, ingress, &settings, metrics, shutdown).await;
}

/// What an event address answers with.
pub(crate) type Answer = Response<Full<Bytes>>;

const METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

/// Accepts events for every Broker.
pub(crate) struct Ingress {
    settings: IngressSettings,
    logs: Logs,
    admission: Admission,
    metrics: Arc<Metrics>,
}

impl Ingress {
    pub(crate) fn new(settings: IngressSettings, logs: Logs, metrics: Arc<Metrics>) -> Self {
        let admission = Admission::new(settings.max_pending_requests, settings.max_pending_bytes, Arc::clone(&metrics));
        Self { settings, logs, admission, metrics }
    }

    /// Why events cannot be stored, where they cannot.
    pub(crate) fn health(&self) -> Result<(), String> {
        self.logs.health()
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        if *request.method() != Method::POST {
            return not_posted(request.method());
        }
        let log = match self.address(request.uri()) {
            Ok(log) => log,
            Err(error) => {
                let answer = refusal(&error);
                self.metrics.observe(&DispatchLabels::ingress(None, answer.status().as_u16()), started.elapsed());
                return answer;
            }
        };
        match self.accept(&log, request).await {
            Ok(()) => {
                log.accepted(&self.metrics).observe(started.elapsed().as_secs_f64());
                accepted()
            }
            Err(error) => {
                let answer = refusal(&error);
                let labels = DispatchLabels::ingress(Some(&log.broker), answer.status().as_u16());
                self.metrics.observe(&labels, started.elapsed());
                tracing::debug!(
                    kn.broker.name = %log.broker.name, kn.broker.namespace = %log.broker.namespace,
                    http.response.status_code = answer.status().as_u16(), %error, "Request refused."
                );
                answer
            }
        }
    }

    /// The open log at `uri`. Paths are taken as they are, never normalised: what is not exactly
    /// `/{namespace}/{broker}`, with at most one slash after it, is no Broker's address.
    fn address(&self, uri: &Uri) -> Result<Arc<Log>, IngressError> {
        let path = uri.path();
        if path == "/" || uri.query().is_some() {
            return Err(IngressError::NoBroker);
        }
        let address = path.strip_prefix('/').ok_or(IngressError::NoAddress)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        match address.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {}
            _ => return Err(IngressError::NoAddress),
        }
        match self.logs.find(address) {
            Found::Open(log) => Ok(log),
            Found::NotOpen => Err(IngressError::NotOpen),
            Found::Unknown => Err(IngressError::NoBroker),
        }
    }

    /// Stores what the request carries.
    async fn accept(&self, log: &Log, request: Request<Incoming>) -> Result<(), IngressError> {
        let (head, body) = request.into_parts();
        check_framing(&head)?;
        if is_encoded(&head.headers) {
            return Err(IngressError::Encoded);
        }
        let mut permit = self.admission.request()?;
        let body = body::read(body, self.settings.max_event_bytes, self.settings.body_timeout, &mut permit).await?;
        // Whose request it is will be decided before this line: the head is enough for that.
        match decode(&head.headers, body, Batches::Allowed)? {
            Decoded::Event(mut event) => {
                self.enter(&mut event, &head.headers)?;
                log.channel.append(event).await?;
            }
            Decoded::Batch(mut events) => {
                for event in &mut events {
                    self.enter(event, &head.headers)?;
                }
                store_all(log, events).await?;
            }
        }
        Ok(())
    }

    fn enter(&self, event: &mut Event, headers: &HeaderMap) -> Result<(), IngressError> {
        stamp::enter(event, self.settings.max_ttl, Timestamp::now())?;
        carried::pick_up(headers, event);
        Ok(())
    }
}

/// All or nothing: what will never fit is found before the first event is written.
async fn store_all(log: &Log, events: Vec<Event>) -> Result<(), IngressError> {
    let limit_bytes = log.channel.max_event_bytes();
    if events.iter().any(|event| event.size_bytes() > limit_bytes) {
        return Err(IngressError::TooLarge { limit_bytes });
    }
    if !events.is_empty() {
        log.channel.append_all(events).await?;
    }
    Ok(())
}

/// Refuses what a proxy before us might have understood otherwise (reliability.md H10); hyper takes some of it.
fn check_framing(head: &Parts) -> Result<(), IngressError> {
    if head.version > Version::HTTP_11 {
        return Ok(());
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            if head.headers.contains_key(CONTENT_LENGTH) {
                return Err(IngressError::Framing("content-length and transfer-encoding exclude each other"));
            }
        }
        _ => return Err(IngressError::Framing("the only transfer-encoding taken is chunked")),
    }
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        return Err(IngressError::Framing("a request names its host once"));
    }
    Ok(())
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn respond(status: StatusCode, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

fn accepted() -> Answer {
    respond(StatusCode::ACCEPTED, Bytes::new())
}

/// `OPTIONS` grants every sender of the webhook handshake everything, whatever the address; other methods are refused.
///
/// Source: CloudEvents `http-webhook.md`, in the blanket form Knative has.
fn not_posted(method: &Method) -> Answer {
    if *method != Method::OPTIONS {
        return respond(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    let mut response = respond(StatusCode::OK, Bytes::new());
    response.headers_mut().insert("webhook-allowed-origin", HeaderValue::from_static("*"));
    response.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    response
}

/// The answer to a request whose events were not, or perhaps not, stored.
fn refusal(error: &IngressError) -> Answer {
    let mut response = respond(error.status(), format!("{error}\n").into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(wait) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if error.closes_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What a request that hit a bug of ours is answered.
pub(crate) fn panicked() -> Answer {
    refusal(&IngressError::Panicked)
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
