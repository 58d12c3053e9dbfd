use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::*;
use crate::event::json::JsonError;

/// A valid event in binary mode.
const VALID: &[(&str, &str)] =
    &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t"), ("content-type", "text/plain")];

fn headers<V: AsRef<[u8]>>(fields: &[(&str, V)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, HeaderValue::from_bytes(value.as_ref()).expect("a header value"));
    }
    headers
}

/// The valid event with one header set, or left out if its value is `None`.
fn with(name: &str, value: Option<&[u8]>) -> HeaderMap {
    let mut headers = headers(VALID);
    match value {
        Some(value) => {
            let name: HeaderName = name.parse().expect("a header name");
            headers.insert(name, HeaderValue::from_bytes(value).expect("a header value"));
        }
        None => {
            headers.remove(name);
        }
    }
    headers
}

fn binary(headers: &HeaderMap) -> Result<Event, DecodeError> {
    decode_one(headers, Bytes::from_static(b"data"))
}

fn broken_rule(result: Result<Event, DecodeError>) -> (String, Rule) {
    match result {
        Err(DecodeError::Invalid(invalid) | DecodeError::Json(JsonError::Invalid(invalid))) => {
            (invalid.attribute.into_owned(), invalid.rule)
        }
        other => panic!("not an invalid event: {other:?}"),
    }
}

fn structured(body: &str) -> Result<Event, DecodeError> {
    decode_one(&headers(&[("content-type", "application/cloudevents+json")]), Bytes::copy_from_slice(body.as_bytes()))
}

#[test]
fn the_example_of_the_binding_is_read_and_written() {
    let fields = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("ce-id", "1234-1234-1234"),
        ("ce-source", "/mycontext/subcontext"),
        ("ce-comexampleothervalue", "5"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let sent = headers(&fields);
    let body = Bytes::from_static(br#"{"much": "wow"}"#);
    let event = decode_one(&sent, body.clone()).expect("a valid event");
    let attributes = event.attributes();
    assert_eq!(attributes.id, "1234-1234-1234");
    assert_eq!(attributes.source, "/mycontext/subcontext");
    assert_eq!(attributes.ty, "com.example.someevent");
    assert_eq!(attributes.time.as_deref(), Some("2018-04-05T03:56:24Z"));
    assert_eq!(attributes.data_content_type.as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(attributes.extensions, [("comexampleothervalue".to_owned(), Value::from("5"))]);
    assert_eq!(event.data().map(|data| data.as_ptr()), Some(body.as_ptr()), "the body is not copied");

    let mut written = HeaderMap::new();
    encode_binary(&event, &mut written).expect("a valid event");
    assert_eq!(written, sent);
}

#[test]
fn required_attributes_that_are_missing_or_blank_are_refused() {
    for name in ["id", "source", "type"] {
        for value in [None, Some(&b""[..]), Some(b"  "), Some(b"%20"), Some("\u{a0}".as_bytes()), Some(b"\"\"")] {
            let broken = broken_rule(binary(&with(&format!("ce-{name}"), value)));
            assert_eq!(broken, (name.to_owned(), Rule::Required), "{name} {value:?}");
        }
    }
    assert!(matches!(binary(&with("ce-specversion", None)), Err(DecodeError::NotAnEvent)));
    for (value, rule) in [("", Rule::Required), ("0.2", Rule::KnownVersion), ("1.0.2", Rule::KnownVersion)] {
        let broken = broken_rule(binary(&with("ce-specversion", Some(value.as_bytes()))));
        assert_eq!(broken, ("specversion".to_owned(), rule), "{value}");
    }
}

#[test]
fn version_03_is_accepted_and_stays() {
    let mut sent = with("ce-specversion", Some(b"0.3"));
    sent.insert("ce-schemaurl", HeaderValue::from_static("/schema"));
    sent.insert("ce-dataschema", HeaderValue::from_static("an extension in this version"));
    let event = binary(&sent).expect("a valid event");
    assert_eq!(event.attributes().spec_version, SpecVersion::V03);
    assert_eq!(event.attributes().data_schema.as_deref(), Some("/schema"));
    let mut written = HeaderMap::new();
    encode_binary(&event, &mut written).expect("a valid event");
    assert_eq!(written["ce-specversion"], "0.3");
    assert_eq!(written["ce-schemaurl"], "/schema");
}

#[test]
fn version_03_base64_is_undone() {
    let mut sent = with("ce-specversion", Some(b"0.3"));
    sent.insert("ce-datacontentencoding", HeaderValue::from_static("base64"));
    let event = decode_one(&sent, Bytes::from_static(b"AP8=")).expect("a valid event");
    assert_eq!(event.data().map(|data| &data[..]), Some(&[0x00, 0xff][..]));
    assert_eq!(event.attributes().extensions, []);
    let refused = decode_one(&sent, Bytes::from_static(b"AP8"));
    assert!(matches!(refused, Err(DecodeError::DataContentEncoding)));
    sent.insert("ce-datacontentencoding", HeaderValue::from_static("gzip"));
    let refused = decode_one(&sent, Bytes::from_static(b"AP8="));
    assert!(matches!(refused, Err(DecodeError::DataContentEncoding)));
}

#[test]
fn headers_given_twice_are_refused() {
    for (name, _) in VALID.iter().chain(&[("ce-myextension", ""), ("ce-time", "")]) {
        let mut sent = headers(VALID);
        let name: HeaderName = name.parse().expect("a header name");
        for _ in sent.get_all(&name).iter().count()..2 {
            sent.append(&name, HeaderValue::from_static("1.0"));
        }
        match binary(&sent) {
            Err(DecodeError::Repeated(repeated)) => assert_eq!(*repeated, *name.as_str()),
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut sent = headers(VALID);
    for _ in 0..2 {
        sent.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
    }
    assert!(binary(&sent).is_ok(), "other headers may repeat");
}

#[test]
fn values_that_are_not_text_are_refused() {
    for value in [&b"%C0%A0"[..], b"%FF", b"%E2%82", b"\xff"] {
        match binary(&with("ce-subject", Some(value))) {
            Err(DecodeError::NotUtf8(name)) => assert_eq!(&*name, "ce-subject"),
            other => panic!("{value:?}: {other:?}"),
        }
    }
    for value in [&b"a%0D%0Ab"[..], b"%00", b"a\tb", b"%7F", b"a%C2%85b"] {
        for name in ["id", "source", "type", "subject", "myextension"] {
            let broken = broken_rule(binary(&with(&format!("ce-{name}"), Some(value))));
            assert_eq!(broken, (name.to_owned(), Rule::NoControlCharacters), "{name} {value:?}");
        }
    }
}

#[test]
fn attributes_that_break_their_rule_are_refused() {
    let table = [
        ("ce-my-extension", "x", "my-extension", Rule::ExtensionName),
        ("ce-my_extension", "x", "my_extension", Rule::ExtensionName),
        ("ce-", "x", "", Rule::ExtensionName),
        ("ce-datacontenttype", "text/plain", "datacontenttype", Rule::NotReserved),
        ("ce-data", "x", "data", Rule::NotReserved),
        ("ce-time", "yesterday", "time", Rule::Timestamp),
        ("ce-time", "", "time", Rule::Timestamp),
        ("ce-source", "not a reference", "source", Rule::UriReference),
        ("ce-dataschema", "/relative", "dataschema", Rule::AbsoluteUri),
        ("ce-dataschema", "", "dataschema", Rule::AbsoluteUri),
        ("ce-subject", "", "subject", Rule::NotEmpty),
        ("content-type", "json", "datacontenttype", Rule::MediaType),
        ("content-type", "text/plain; charset=\u{fc}", "datacontenttype", Rule::MediaType),
    ];
    for (header, value, attribute, rule) in table {
        let broken = broken_rule(binary(&with(header, Some(value.as_bytes()))));
        assert_eq!(broken, (attribute.to_owned(), rule), "{header}: {value}");
    }
}

#[test]
fn attributes_over_their_limit_are_refused() {
    let long = "x".repeat(crate::event::MAX_ATTRIBUTES_BYTES);
    let broken = broken_rule(binary(&with("ce-myextension", Some(long.as_bytes()))));
    assert_eq!(broken, ("myextension".to_owned(), Rule::Limit));
}

#[test]
fn a_structured_content_type_wins() {
    let mut sent = with("content-type", Some(b"Application/CloudEvents+JSON ; charset=UTF-8"));
    sent.append("ce-id", HeaderValue::from_static("again"));
    let body = r#"{"specversion":"1.0","id":"inside","source":"/s","type":"t"}"#;
    let event = decode_one(&sent, Bytes::from_static(body.as_bytes())).expect("a valid event");
    assert_eq!(event.id(), "inside");
    assert!(matches!(decode_one(&sent, Bytes::from_static(b"data")), Err(DecodeError::Json(JsonError::Syntax(_)))));
}

#[test]
fn what_is_no_event_says_why() {
    let plain = headers(&[("content-type", "application/json")]);
    assert!(matches!(binary(&plain), Err(DecodeError::NotAnEvent)));
    assert!(matches!(binary(&HeaderMap::new()), Err(DecodeError::NotAnEvent)));
    let avro = headers(&[("content-type", "application/cloudevents+avro")]);
    assert!(matches!(binary(&avro), Err(DecodeError::UnsupportedFormat)));
    let passed =
        binary(&with("content-type", Some(b"application/cloudevents+avro"))).expect("binary, as the headers say");
    assert_eq!(passed.attributes().data_content_type.as_deref(), Some("application/cloudevents+avro"));
}

#[test]
fn an_event_within_an_event_stays_within() {
    for inner in ["application/cloudevents+json", "Application/CloudEvents-Batch+JSON; charset=utf-8"] {
        let outer = Event::builder("/s", "outer").data(inner, r#"{"specversion":"1.0"}"#).build().expect("valid");
        assert!(!fits_binary(&outer));
        let error = encode_binary(&outer, &mut HeaderMap::new()).expect_err("would be read as the inner event");
        assert_eq!(error.rule, Rule::StructuredOnly);
        let mut written = HeaderMap::new();
        let body = encode_structured(&outer, &mut written);
        assert_eq!(decode_one(&written, body).expect("an event"), outer);
    }
}

#[test]
fn encoded_bodies_are_refused() {
    for (encoding, accepted) in [("identity", true), ("Identity", true), ("gzip", false), ("identity, br", false)] {
        let mut sent = headers(VALID);
        sent.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        match binary(&sent) {
            Ok(_) => assert!(accepted, "{encoding}"),
            Err(error) => {
                assert!(!accepted && matches!(error, DecodeError::UnsupportedEncoding), "{encoding}: {error}");
            }
        }
    }
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let sent = headers(&[("content-type", "application/cloudevents-batch+json; charset=utf-8")]);
    let batch = |body: &'static str| decode(&sent, Bytes::from_static(body.as_bytes()), Batches::Allowed);
    assert_eq!(batch("[]").expect("an empty batch"), Decoded::Batch(Vec::new()));
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let two = Bytes::from(format!("[{good}, {good}]"));
    match decode(&sent, two.clone(), Batches::Allowed) {
        Ok(Decoded::Batch(events)) => assert_eq!(events.len(), 2),
        other => panic!("{other:?}"),
    }
    assert!(matches!(decode(&sent, two, Batches::Refused), Err(DecodeError::BatchNotAllowed)));
    let one_bad = Bytes::from(format!("[{good}, {{}}]"));
    match decode(&sent, one_bad, Batches::Allowed) {
        Err(DecodeError::Json(JsonError::InBatch { index: 1, error })) => {
            assert!(matches!(*error, JsonError::Invalid(_)), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(batch("{}"), Err(DecodeError::Json(JsonError::WrongShape("array")))));
    assert!(matches!(batch("[1]"), Err(DecodeError::Json(JsonError::InBatch { index: 0, .. }))));
}

#[test]
fn what_counts_as_an_event_goes_by_the_encoding() {
    let table: &[(&[(&str, &str)], bool)] = &[
        (VALID, true),
        (&[("ce-specversion", "0.3")], true),
        (&[("ce-specversion", "2.0")], false),
        (&[("content-type", "application/cloudevents+json; charset=utf-8")], true),
        (&[("content-type", "application/cloudevents-batch+json")], true),
        (&[("content-type", "application/cloudevents+avro")], false),
        (&[("content-type", "application/cloudeventsx")], false),
        (&[("content-type", "application/json")], false),
        (&[], false),
    ];
    for (fields, expected) in table {
        assert_eq!(is_event(&headers(fields)), *expected, "{fields:?}");
    }
}

#[test]
fn an_event_without_content_type_leaves_without_one() {
    let event = binary(&with("content-type", None)).expect("a valid event");
    let mut written = HeaderMap::new();
    encode_binary(&event, &mut written).expect("a valid event");
    assert!(!written.contains_key(CONTENT_TYPE));
}

#[test]
fn json_data_without_content_type_leaves_as_json() {
    let event = structured(r#"{"specversion":"1.0","id":"D234","source":"/s","type":"t","data":"I'm just a string"}"#)
        .expect("a valid event");
    let mut written = HeaderMap::new();
    encode_binary(&event, &mut written).expect("a valid event");
    assert_eq!(written[CONTENT_TYPE], "application/json");
    assert_eq!(event.data().map(|data| &data[..]), Some(&br#""I'm just a string""#[..]));
}

#[test]
fn an_unchecked_event_that_no_header_can_carry_is_an_error() {
    let attributes = Attributes { extensions: vec![("b\u{e4}d".into(), Value::from("x"))], ..Attributes::default() };
    let error = encode_binary(&Event::new(attributes, None), &mut HeaderMap::new()).expect_err("no header name");
    assert_eq!((&*error.attribute, error.rule), ("b\u{e4}d", Rule::Header));
    let attributes = Attributes { data_content_type: Some("a\nb".into()), ..Attributes::default() };
    let error = encode_binary(&Event::new(attributes, None), &mut HeaderMap::new()).expect_err("no header value");
    assert_eq!((&*error.attribute, error.rule), ("datacontenttype", Rule::Header));
}

#[test]
fn the_most_extensions_an_event_may_have_fit_into_headers() {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut attributes = Attributes { id: "1".into(), source: "/s".into(), ty: "t".into(), ..Attributes::default() };
    let names =
        alphabet.iter().flat_map(|a| alphabet.iter().flat_map(move |b| alphabet.iter().map(move |c| [*a, *b, *c])));
    let names = names.filter_map(|name| String::from_utf8(name.to_vec()).ok());
    attributes.extensions = names.take(21_840).map(|name| (name, Value::from(""))).collect();
    attributes.extensions.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    attributes.validate().expect("just within the limit");
    let mut written = HeaderMap::new();
    encode_binary(&Event::new(attributes, None), &mut written).expect("a valid event");
    assert_eq!(written.len(), 21_844);
}

#[test]
fn headers_that_pass_through_are_copied() {
    let received = headers(&[
        ("x-request-id", "a"),
        ("x-request-id", "b"),
        ("retry-after", "1"),
        ("knative-x", "k"),
        ("x-b3-traceid", "t"),
        ("authorization", "secret"),
        ("ce-id", "1"),
        ("traceparent", "00"),
        ("x-request-id-too", "no"),
    ]);
    let mut passed = HeaderMap::new();
    copy_passed_through(&received, &mut passed);
    let kept =
        [("x-request-id", "a"), ("x-request-id", "b"), ("retry-after", "1"), ("knative-x", "k"), ("x-b3-traceid", "t")];
    assert_eq!(passed, headers(&kept));
}

#[test]
fn messages_tell_no_values() {
    let secret = "s3cret";
    let results = [
        binary(&with("ce-time", Some(secret.as_bytes()))),
        binary(&with("ce-specversion", Some(secret.as_bytes()))),
        structured(r#""s3cret""#),
        structured(r#"{"specversion":"s3cret"}"#),
        structured(r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"s3cret"}"#),
        structured(r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x":["s3cret"]}"#),
        structured(r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"s3cret"}"#),
        structured(r#"{"specversion":"1.0","id":"s3cret"#),
    ];
    for result in results {
        let error = result.expect_err("not a valid event");
        let texts = [error.to_string(), format!("{error:?}")];
        assert!(texts.iter().all(|text| !text.contains(secret)), "{texts:?}");
    }
}
