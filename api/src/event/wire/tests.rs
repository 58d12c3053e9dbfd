use proptest::prelude::*;

use super::*;

fn record(event: &Event) -> Bytes {
    let mut out = Vec::new();
    encode(event, &mut out);
    out.into()
}

fn event() -> Event {
    let attributes = Attributes {
        spec_version: SpecVersion::V03,
        id: "1".into(),
        source: "/s".into(),
        ty: "t".into(),
        subject: Some("€".repeat(100)),
        time: Some("2018-04-05T17:31:00Z".into()),
        data_content_type: Some("text/plain".into()),
        data_schema: Some("/x".into()),
        extensions: vec![
            ("a".into(), Value::from("x")),
            ("b".into(), Value::from(true)),
            ("c".into(), Value::from(false)),
            ("d".into(), Value::from(i32::MIN)),
        ],
    };
    Event::new(attributes, Some(Bytes::from_static(b"\x00\xffdata")))
}

#[test]
fn the_layout_does_not_change() {
    let attributes = Attributes {
        id: "1".into(),
        source: "/s".into(),
        ty: "t".into(),
        subject: Some("u".into()),
        extensions: vec![("n".into(), Value::from(-2)), ("s".into(), Value::from("v"))],
        ..Attributes::default()
    };
    let expected = b"\x01\x22\x011\x02/s\x01t\x01u\x02\x01n\x03\xfe\xff\xff\xff\x01s\x00\x01vdata";
    assert_eq!(&record(&Event::new(attributes, Some(Bytes::from_static(b"data"))))[..], expected);
}

#[test]
fn data_is_a_slice_of_the_record() {
    let record = record(&event());
    let decoded = decode(record.clone()).expect("a record");
    assert_eq!(decoded, event());
    assert!(decoded.data().is_some_and(|data| record.as_ptr_range().contains(&data.as_ptr())));
}

#[test]
fn no_data_and_empty_data_differ() {
    for data in [None, Some(Bytes::new())] {
        let event = Event::new(event().attributes().clone(), data);
        assert_eq!(decode(record(&event)).expect("a record"), event);
    }
}

#[test]
fn a_record_cut_short_is_refused_wherever_it_was_cut() {
    let without_data = Event::new(event().attributes().clone(), None);
    let record = record(&without_data);
    for length in 0..record.len() {
        assert_eq!(decode(record.slice(..length)), Err(WireError::Truncated), "{length}");
    }
}

#[test]
fn damage_is_refused() {
    let table: &[(&[u8], WireError)] = &[
        (b"\x02", WireError::UnknownVersion(2)),
        (b"{\"specversion\":\"1.0\"}", WireError::UnknownVersion(b'{')),
        (b"\x01\x40", WireError::Malformed("unknown flag")),
        (b"\x01\x00\x01\xff\x00\x00\x00", WireError::Malformed("text is not UTF-8")),
        (b"\x01\x00\xff\xff\xff\xff\x7f", WireError::Malformed("length out of range")),
        (b"\x01\x00\xff\xff\xff\xff\xff\x01", WireError::Malformed("length out of range")),
        (b"\x01\x00\xff\xff\xff\xff\x0f", WireError::Truncated),
        (b"\x01\x00\x00\x00\x00\xff\xff\xff\xff\x0f", WireError::Truncated),
        (b"\x01\x00\x00\x00\x00\x00!", WireError::Malformed("bytes after the end")),
        (b"\x01\x00\x00\x00\x00\x01\x01a\x04", WireError::Malformed("unknown kind of value")),
        (b"\x01\x00\x00\x00\x00\x02\x01b\x01\x01a\x01", WireError::Malformed("extensions are not sorted")),
        (b"\x01\x00\x00\x00\x00\x02\x01a\x01\x01a\x01", WireError::Malformed("extensions are not sorted")),
    ];
    for (bytes, error) in table {
        assert_eq!(decode(Bytes::from_static(bytes)), Err(*error), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), led in any::<bool>()) {
        if led && bytes.len() > 1 {
            bytes[0] = VERSION;
            bytes[1] &= KNOWN_FLAGS;
        }
        if let Ok(event) = decode(bytes.clone().into()) {
            prop_assert_eq!(decode(record(&event)), Ok(event));
        }
    }

    #[test]
    fn a_record_with_a_byte_changed_never_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = record(&event()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(bytes.into());
    }
}
