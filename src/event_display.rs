//! A subscriber for trying things: shows the events it receives, and answers as it was told.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weir_api::Event;
use weir_api::event::http::{Batches, Decoded, decode, encode_binary};
use weir_api::event::{Attributes, json};

/// The largest request read.
const MAX_BYTES: usize = 16 << 20;

/// How it answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Instead of 200; with `fail_first`, of the failures (500 if not set).
    pub(crate) status: Option<StatusCode>,
    /// Wait before the answer.
    pub(crate) delay: Duration,
    /// Type of the event in the answer; `None` answers without one.
    pub(crate) reply: Option<String>,
    /// So many requests fail, the rest succeed.
    pub(crate) fail_first: Option<u64>,
}

/// Gets every event that came.
pub(crate) trait Show: Send + Sync + 'static {
    /// Shows one event and the status it is answered with.
    fn show(&self, event: &Event, answer: StatusCode);
}

struct Display<S> {
    behaviour: Behaviour,
    requests: AtomicU64,
    show: S,
}

/// Serves `listener` until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    show: impl Show,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let display = Arc::new(Display { behaviour, requests: AtomicU64::new(0), show });
    let app = Router::new().fallback(receive).with_state(display);
    let serving = axum::serve(listener, app);
    // Connections that deliver nothing any more must not hold the end up.
    tokio::select! {
        served = serving => served,
        () = shutdown.cancelled() => Ok(()),
    }
}

async fn receive<S: Show>(State(display): State<Arc<Display<S>>>, request: Request<Body>) -> Response {
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BYTES).collect().await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let events = match decode(&head.headers, body.to_bytes(), Batches::Allowed) {
        Ok(Decoded::Event(event)) => vec![event],
        Ok(Decoded::Batch(events)) => events,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("not an event: {error}\n")).into_response(),
    };
    let status = display.behaviour.answer(display.requests.fetch_add(1, Ordering::Relaxed));
    for event in &events {
        display.show.show(event, status);
    }
    tokio::time::sleep(display.behaviour.delay).await;
    match (&display.behaviour.reply, events.first()) {
        (Some(ty), Some(event)) if status.is_success() => reply(ty, event, status),
        _ => status.into_response(),
    }
}

impl Behaviour {
    /// The status of the request that `before` others came before.
    fn answer(&self, before: u64) -> StatusCode {
        match (self.fail_first, self.status) {
            (Some(failures), status) if before < failures => status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            (None, Some(status)) => status,
            _ => StatusCode::OK,
        }
    }
}

/// An event of type `ty` with the data of the one received.
fn reply(ty: &str, event: &Event, status: StatusCode) -> Response {
    let attributes = Attributes {
        id: uuid::Uuid::new_v4().to_string(),
        source: "weir/event-display".to_owned(),
        ty: ty.to_owned(),
        data_content_type: event.attributes().data_content_type.clone(),
        ..Attributes::default()
    };
    let event = Event::new(attributes, event.data().cloned());
    let mut headers = HeaderMap::new();
    match encode_binary(&event, &mut headers) {
        Ok(()) => (status, headers, event.data().cloned().unwrap_or_default()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot reply: {error}\n")).into_response(),
    }
}

/// One event as Knative's `event_display` prints it.
pub(crate) fn for_people(event: &Event) -> String {
    let attributes = event.attributes();
    let mut text = String::from("☁️  cloudevents.Event\nContext Attributes,\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name}: {value}");
    };
    line("specversion", attributes.spec_version.as_str());
    line("type", &attributes.ty);
    line("source", &attributes.source);
    let schema = if attributes.spec_version.as_str() == "0.3" { "schemaurl" } else { "dataschema" };
    if let Some(subject) = &attributes.subject {
        line("subject", subject);
    }
    line("id", &attributes.id);
    let optional = [
        ("time", &attributes.time),
        (schema, &attributes.data_schema),
        ("datacontenttype", &attributes.data_content_type),
    ];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
        line(name, value);
    }
    if !attributes.extensions.is_empty() {
        text.push_str("Extensions,\n");
    }
    for (name, value) in &attributes.extensions {
        let _ = writeln!(text, "  {name}: {value}");
    }
    if let Some(data) = event.data().filter(|data| !data.is_empty()) {
        text.push_str("Data,\n");
        for line in readable(data).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// Data as text: JSON laid out, text as it is, the rest by its size.
fn readable(data: &Bytes) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        return serde_json::to_string_pretty(&value).unwrap_or_default();
    }
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes that are no text)", data.len()),
    }
}

/// One event as a line of JSON.
pub(crate) fn for_machines(event: &Event) -> String {
    let mut line = String::from_utf8_lossy(&json::encode(event)).into_owned();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let attributes = Attributes {
            id: "1".into(),
            source: "/s".into(),
            ty: "t".into(),
            subject: Some("sub".into()),
            data_content_type: Some("application/json".into()),
            extensions: vec![("team".into(), "a".into())],
            ..Attributes::default()
        };
        Event::new(attributes, Some(Bytes::from_static(b"{\"x\":[1]}")))
    }

    #[test]
    fn events_look_as_knative_shows_them() {
        assert_eq!(
            for_people(&event()),
            "☁️  cloudevents.Event\nContext Attributes,\n  specversion: 1.0\n  type: t\n  source: /s\n  subject: sub\n  id: 1\n  \
             datacontenttype: application/json\nExtensions,\n  team: a\nData,\n  {\n    \"x\": [\n      1\n    ]\n  }\n"
        );
        assert!(for_machines(&event()).ends_with("}\n"));
    }

    #[test]
    fn failures_come_first_or_always() {
        let answers = |behaviour: Behaviour| [0, 1, 2].map(|before| behaviour.answer(before).as_u16());
        assert_eq!(answers(Behaviour::default()), [200, 200, 200]);
        let status = Some(StatusCode::IM_A_TEAPOT);
        assert_eq!(answers(Behaviour { status, ..Behaviour::default() }), [418, 418, 418]);
        assert_eq!(answers(Behaviour { fail_first: Some(2), ..Behaviour::default() }), [500, 500, 200]);
        assert_eq!(answers(Behaviour { status, fail_first: Some(1), ..Behaviour::default() }), [418, 200, 200]);
    }
}
