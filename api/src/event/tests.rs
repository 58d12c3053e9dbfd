//! What every encoding owes an event: that it comes back.

use ::http::HeaderMap;
use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::http::{Batches, Decoded};
use super::validate::is_reserved;
use super::{Attributes, Event, SpecVersion, Value, http, json, syntax, wire};

/// Text an attribute may have: any but control characters, and not blank.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,12}",
        "[^\\p{Cc}]{1,12}",
        Just("Euro € 😀".to_owned()),
        Just("\"quoted\" 100% %41 \\".to_owned())
    ]
    .prop_filter("blank", |text| !text.trim().is_empty())
}

fn uri() -> impl Strategy<Value = String> {
    "(https?://[a-z]{1,8}(:[0-9]{1,4})?|urn:[a-z]{1,4}:)?/[a-zA-Z0-9._~/=&ä-]{1,12}(%[0-9A-F]{2})?(\\?[a-z]=[0-9])?(#[a-z])?"
}

fn time() -> impl Strategy<Value = String> {
    "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\\.[0-9]{1,9})?([Zz]|[+-]0[0-9]:[0-5][0-9])"
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::String),
        1 => Just(Value::String(String::new())),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => any::<i32>().prop_map(Value::Integer),
    ]
}

fn content() -> impl Strategy<Value = (Option<String>, Option<Bytes>)> {
    let types = [
        "application/json",
        "application/vnd.x+json; charset=utf-8",
        "text/plain",
        "text/plain; charset=iso-8859-1",
        "application/xml",
        "application/octet-stream",
        "multipart/mixed; boundary=\"a b\"",
    ];
    let data = prop_oneof![
        vec(any::<u8>(), 0..40),
        ".{0,20}".prop_map(String::into_bytes),
        "(\\{\"a\": ?\"[a-z\\\\n]{0,4}\"\\}|\\[1, ?2.50\\]|null|true|\"x\")".prop_map(String::into_bytes),
    ];
    (
        option::of(proptest::sample::select(types.to_vec()).prop_map(str::to_owned)),
        option::of(data.prop_map(Bytes::from)),
    )
}

fn event() -> impl Strategy<Value = Event> {
    let version = prop_oneof![1 => Just(SpecVersion::V03), 3 => Just(SpecVersion::V1)];
    let optional = (option::of(text()), option::of(time()), option::of("(https://a\\.b/|urn:x:)[a-z/]{1,8}(#/x)?"));
    let extensions = btree_map("[a-z0-9]{1,12}|knativebrokerttl|traceparent", value(), 0..6);
    (version, (text(), uri(), text()), optional, content(), extensions).prop_map(
        |(spec_version, (id, source, ty), (subject, time, data_schema), (data_content_type, data), extensions)| {
            let extensions = extensions.into_iter().filter(|(name, _)| !is_reserved(spec_version, name)).collect();
            let attributes =
                Attributes { spec_version, id, source, ty, subject, time, data_content_type, data_schema, extensions };
            Event::new(attributes, data)
        },
    )
}

/// What is left of `event` in binary mode: no types of extensions, and no empty data.
fn in_binary(event: &Event) -> Event {
    let mut attributes = event.attributes().clone();
    for (_, value) in &mut attributes.extensions {
        *value = Value::String(value.to_string());
    }
    Event::new(attributes, event.data().filter(|data| !data.is_empty()).cloned())
}

/// What is left of `event` in JSON: JSON data loses the white space around it, and says that it is JSON.
fn in_json(event: &Event) -> Event {
    let mut attributes = event.attributes().clone();
    let is_json = attributes.data_content_type.as_deref().is_none_or(syntax::is_json);
    let embedded = |data: &Bytes| serde_json::from_slice::<serde_json::Value>(data).is_ok();
    match event.data() {
        Some(data) if is_json && embedded(data) => {
            attributes.data_content_type.get_or_insert_with(|| "application/json".to_owned());
            Event::new(attributes, Some(data.slice_ref(data.trim_ascii())))
        }
        _ => event.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_made_here_are_valid(event in event()) {
        prop_assert_eq!(event.attributes().validate(), Ok(()));
    }

    #[test]
    fn an_event_comes_back_from_binary_mode(event in event()) {
        let mut headers = HeaderMap::new();
        http::encode_binary(&event, &mut headers).expect("a valid event");
        prop_assert!(http::is_event(&headers));
        for (name, value) in &headers {
            let printable = value.as_bytes().iter().all(u8::is_ascii_graphic);
            prop_assert!(printable || name == "content-type", "{name}: {value:?}");
        }
        let decoded = http::decode_one(&headers, event.data().cloned().unwrap_or_default()).expect("an event");
        prop_assert_eq!(decoded, in_binary(&event));
    }

    #[test]
    fn an_event_comes_back_from_structured_mode(event in event()) {
        let mut headers = HeaderMap::new();
        let body = http::encode_structured(&event, &mut headers);
        prop_assert!(http::is_event(&headers));
        let decoded = http::decode_one(&headers, body).expect("an event");
        prop_assert_eq!(decoded, in_json(&event));
    }

    #[test]
    fn events_come_back_from_a_batch(events in vec(event(), 0..4)) {
        let mut headers = HeaderMap::new();
        let body = http::encode_batch(&events, &mut headers);
        let decoded = http::decode(&headers, body, Batches::Allowed).expect("a batch");
        prop_assert_eq!(decoded, Decoded::Batch(events.iter().map(in_json).collect()));
    }

    #[test]
    fn an_event_comes_back_from_a_record(event in event()) {
        let mut record = Vec::new();
        wire::encode(&event, &mut record);
        prop_assert_eq!(wire::decode(record.into()), Ok(event));
    }

    #[test]
    fn an_event_comes_back_from_the_sdk(event in event()) {
        let converted = cloudevents::Event::try_from(&event).expect("held by the SDK");
        let back = Event::try_from(&converted).expect("a valid event");
        let instant = |event: &Event| -> Option<jiff::Timestamp> { event.attributes().time.as_ref()?.parse().ok() };
        prop_assert_eq!(instant(&back), instant(&event));
        let mut attributes = in_json_type_only(&event);
        attributes.time.clone_from(&back.attributes().time);
        prop_assert_eq!(back, Event::new(attributes, event.data().cloned()));
    }

    /// As far as the SDK goes: it overlooks `+json` before a parameter, and in 0.3 wants JSON even within base64.
    #[test]
    fn the_sdk_reads_what_is_written_as_json(event in event()) {
        let attributes = event.attributes();
        let content_type = attributes.data_content_type.as_deref();
        prop_assume!(content_type.is_none_or(|text| !text.contains("+json;")));
        let parses = event.data().is_none_or(|data| serde_json::from_slice::<serde_json::Value>(data).is_ok());
        prop_assume!(attributes.spec_version == SpecVersion::V1 || !content_type.is_none_or(syntax::is_json) || parses);
        let written = json::encode(&event);
        let read: cloudevents::Event = serde_json::from_slice(&written).expect("read by the SDK");
        let back = Event::try_from(&read).expect("a valid event");
        prop_assert_eq!(back.id(), event.id());
        prop_assert_eq!(&back.attributes().extensions, &event.attributes().extensions);
    }

    #[test]
    fn arbitrary_bodies_never_panic(body in prop_oneof![
        vec(any::<u8>(), 0..60),
        "[\\[\\]{}\":,a-z0-9\\\\ ]{0,60}".prop_map(String::into_bytes),
    ]) {
        let _ = json::decode(&body.clone().into());
        let _ = json::decode_batch(&body.into());
    }
}

/// The SDK says `application/json` of data it holds as JSON.
fn in_json_type_only(event: &Event) -> Attributes {
    let mut attributes = event.attributes().clone();
    let tree = |data: &Bytes| {
        serde_json::from_slice::<serde_json::Value>(data)
            .and_then(|json| serde_json::to_vec(&json))
            .is_ok_and(|written| written == *data)
    };
    if attributes.data_content_type.is_none() && event.data().is_some_and(tree) {
        attributes.data_content_type = Some("application/json".to_owned());
    }
    attributes
}
