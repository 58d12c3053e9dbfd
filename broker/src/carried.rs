//! Request headers that travel with an event from the ingress to the subscriber.
//!
//! Knative's hops pass a small set of headers on, and re-inject the trace context. Between our hops lies the log, which
//! keeps events; so these headers ride in one extension of ours, which no subscriber sees: delivery turns it back into
//! headers.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use weir_api::Event;
use weir_api::event::Value;

/// The extension that carries headers, one `name: value` per line. Taken from an incoming event if it has one.
pub(crate) const CARRIED: &str = "weirheaders";
/// Beyond this a request's headers are not carried.
const MAX_BYTES: usize = 4096;

/// Keeps those of `headers` that travel with `event`.
pub(crate) fn pick_up(headers: &HeaderMap, event: &mut Event) {
    let mut carried = String::new();
    for (name, value) in headers {
        if travels(name.as_str())
            && let Ok(value) = value.to_str()
            && carried.len() + name.as_str().len() + value.len() < MAX_BYTES
        {
            let _infallible = writeln!(carried, "{name}: {value}");
        }
    }
    if carried.is_empty() {
        event.remove_extension(CARRIED);
    } else {
        event.set_extension(CARRIED, carried);
    }
}

/// The headers that travelled with `event`.
pub(crate) fn hand_over(event: &Event) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
    let text = match event.extension(CARRIED) {
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Boolean(_) | Value::Integer(_)) | None => "",
    };
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        travels(name).then_some(())?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
    })
}

/// Source: Knative `pkg/utils/headers.go`, and the W3C propagators for the trace context.
fn travels(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b't') => matches!(name, "traceparent" | "tracestate"),
        Some(b'b') => name == "baggage",
        Some(b'r') => name == "retry-after",
        Some(b'k') => name.starts_with("knative-"),
        Some(b'x') => name == "x-request-id" || name.starts_with("x-b3-"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use weir_api::event::Attributes;

    use super::*;

    #[test]
    fn only_headers_that_travel_reach_the_subscriber() {
        let mut event = Event::new(Attributes::default(), None);
        event.set_extension(CARRIED, "x-request-id: forged");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("x-b3-traceid", "1"),
            ("knative-anything", "2"),
            ("authorization", "Bearer secret"),
            ("content-type", "text/plain"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        pick_up(&headers, &mut event);
        let mut names: Vec<_> = hand_over(&event).map(|(name, _)| name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["knative-anything", "traceparent", "x-b3-traceid"]);

        pick_up(&HeaderMap::new(), &mut event);
        assert_eq!(event.extension(CARRIED), None);
        assert_eq!(hand_over(&event).count(), 0);
    }
}
