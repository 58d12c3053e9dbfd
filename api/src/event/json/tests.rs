use super::*;

fn event(members: &str) -> Result<Event, JsonError> {
    decode(&Bytes::from(format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#)))
}

fn data_of(members: &str) -> Option<Vec<u8>> {
    event(members).expect("a valid event").data().map(|data| data.to_vec())
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn the_example_with_json_data_is_read() {
    let body = Bytes::from_static(
        br#"{
            "specversion" : "1.0",
            "type" : "com.example.someevent",
            "source" : "/mycontext",
            "subject": null,
            "id" : "C234-1234-1234",
            "time" : "2018-04-05T17:31:00Z",
            "comexampleextension1" : "value",
            "comexampleothervalue" : 5,
            "flag" : true,
            "unsetextension": null,
            "datacontenttype" : "application/json",
            "data" : { "appinfoA" : "abc",  "appinfoB" : 1.20 }
        }"#,
    );
    let event = decode(&body).expect("a valid event");
    let attributes = event.attributes();
    assert_eq!(attributes.subject, None);
    assert_eq!(attributes.time.as_deref(), Some("2018-04-05T17:31:00Z"));
    let extensions = [
        ("comexampleextension1".to_owned(), Value::from("value")),
        ("comexampleothervalue".to_owned(), Value::from(5)),
        ("flag".to_owned(), Value::from(true)),
    ];
    assert_eq!(attributes.extensions, extensions);
    let data = event.data().expect("data");
    assert_eq!(&data[..], br#"{ "appinfoA" : "abc",  "appinfoB" : 1.20 }"#);
    assert!(body.as_ptr_range().contains(&data.as_ptr()), "the data is a slice of the body");
}

#[test]
fn the_forms_of_data_are_told_apart() {
    let table: &[(&str, Option<&[u8]>)] = &[
        ("", None),
        (r#","data_base64":"AP8=""#, Some(&[0, 0xff])),
        (r#","data_base64":"""#, Some(b"")),
        (r#","data_base64":null"#, None),
        (r#","data_base64":null,"data":1"#, Some(b"1")),
        (r#","datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#, Some(br#"<much wow="xml"/>"#)),
        (r#","data":"<x/>","datacontenttype":"application/xml""#, Some(b"<x/>")),
        (r#","datacontenttype":"text/plain","data":"""#, Some(b"")),
        (r#","datacontenttype":"text/plain","data":null"#, None),
        (r#","datacontenttype":"application/json","data":null"#, Some(b"null")),
        (r#","data":"I'm just a string""#, Some(br#""I'm just a string""#)),
        (r#","datacontenttype":"text/json; charset=utf-8","data":[1, 2]"#, Some(b"[1, 2]")),
        (r#","datacontenttype":"application/vnd.x+json","data":"\u00e4""#, Some(br#""\u00e4""#)),
    ];
    for (members, data) in table {
        assert_eq!(data_of(members).as_deref(), *data, "{members}");
    }
}

#[test]
fn version_03_has_its_own_members() {
    let body = r#"{"specversion":"0.3","id":"1","source":"/s","type":"t","schemaurl":"/x","dataschema":"y",
        "datacontentencoding":"Base64","datacontenttype":"text/xml","data":"AP8="}"#;
    let event = decode(&Bytes::from_static(body.as_bytes())).expect("a valid event");
    assert_eq!(event.attributes().data_schema.as_deref(), Some("/x"));
    assert_eq!(event.attributes().extensions, [("dataschema".to_owned(), Value::from("y"))]);
    assert_eq!(event.data().map(|data| &data[..]), Some(&[0, 0xff][..]));
    let written = String::from_utf8(encode(&event)).expect("UTF-8");
    assert!(written.ends_with(r#","datacontentencoding":"base64","data":"AP8="}"#), "{written}");
    assert!(written.contains(r#""schemaurl":"/x""#), "{written}");
    for (members, refused) in [
        (r#""datacontentencoding":"gzip","data":"AP8=""#, "datacontentencoding is not base64"),
        (r#""datacontentencoding":"base64","data":{}"#, "member \"data\" is an object, not a string"),
        (r#""datacontentencoding":"base64","data":"?""#, "data is not base64"),
    ] {
        let body = format!(r#"{{"specversion":"0.3","id":"1","source":"/s","type":"t",{members}}}"#);
        assert_eq!(decode(&Bytes::from(body)).expect_err("refused").to_string(), refused);
    }
}

#[test]
fn names_of_extensions_are_lower_cased() {
    let event = event(r#","myExt":1,"a":2,"Zulu":3"#).expect("a valid event");
    let names: Vec<&str> = event.attributes().extensions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "myext", "zulu"]);
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in ["[]", "\"x\"", "1", "null", " true "] {
        let error = decode(&Bytes::from_static(body.as_bytes())).expect_err("refused");
        assert!(matches!(error, JsonError::WrongShape("object")), "{body}: {error}");
    }
    for body in
        [&b""[..], b" ", b"{", b"{}{}", b"{} x", b"{\"a\"}", b"{\"a\":}", b"nope", b"{\"\xff\":1}", b"\xef\xbb\xbf{}"]
    {
        let error = decode(&Bytes::from_static(body)).expect_err("refused");
        assert!(matches!(error, JsonError::Syntax(_)), "{body:?}: {error}");
    }
}

#[test]
fn members_that_cannot_be_are_refused() {
    let table = [
        (r#","id":"2""#, "member \"id\" is given twice"),
        (r#","subject":null,"subject":"x""#, "member \"subject\" is given twice"),
        (r#","data":1,"data":1"#, "member \"data\" is given twice"),
        (r#","data":1,"d\u0061ta":1"#, "member \"data\" is given twice"),
        (r#","ext":1,"ext":1"#, "member \"ext\" is given twice"),
        (r#","Ext":1,"ext":1"#, "member \"ext\" is given twice"),
        (r#","data":1,"data_base64":"AA==""#, "both data and data_base64 are given"),
        (r#","data":null,"data_base64":"AA==""#, "both data and data_base64 are given"),
        (r#","data_base64":"A""#, "data is not base64"),
        (r#","data_base64":"A-__""#, "data is not base64"),
        (r#","data_base64":1"#, "member \"data_base64\" is an integer, not a string"),
        (r#","subject":1"#, "member \"subject\" is an integer, not a string"),
        (r#","time":{}"#, "member \"time\" is an object, not a string"),
        (r#","datacontenttype":"text/plain","data":{"a":1}"#, "member \"data\" is an object, not a string"),
        (r#","ID":"2""#, "attribute \"id\" is a reserved name and cannot be an extension"),
        (r#","a_b":"2""#, "attribute \"a_b\" is not a name of lower-case ASCII letters and digits"),
        (r#","":"2""#, "attribute \"\" is not a name of lower-case ASCII letters and digits"),
        (r#","ext":"a\u0000""#, "attribute \"ext\" contains a control character"),
        (r#","time":"now""#, "attribute \"time\" is not an RFC 3339 timestamp"),
    ];
    for (members, message) in table {
        assert_eq!(event(members).expect_err("refused").to_string(), message, "{members}");
    }
    assert!(matches!(event(r#","ext":"\ud800""#), Err(JsonError::Syntax(_))), "a lone surrogate is no text");
}

#[test]
fn numbers_beyond_the_type_system_are_refused() {
    for (number, kept) in [
        ("2147483647", true),
        ("-2147483648", true),
        ("2147483648", false),
        ("1.5", false),
        ("1.0", false),
        ("1e3", false),
        ("123456789012345678901234567890", false),
    ] {
        let result = event(&format!(r#","ext":{number}"#));
        match result {
            Ok(_) => assert!(kept, "{number}"),
            Err(error) => assert!(!kept && matches!(error, JsonError::WrongType { .. }), "{number}: {error}"),
        }
    }
    assert!(event(r#","ext":[1]"#).is_err());
}

#[test]
fn a_missing_or_blank_core_attribute_is_refused() {
    for name in ["specversion", "id", "source", "type"] {
        let all = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        for value in [None, Some("null"), Some("\"\""), Some("\" \"")] {
            let members = all.iter().filter_map(|(known, good)| match value {
                _ if *known != name => Some(format!("\"{known}\":\"{good}\"")),
                value => value.map(|value| format!("\"{known}\":{value}")),
            });
            let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            match decode(&Bytes::from(body)) {
                Err(JsonError::Invalid(invalid)) => {
                    assert_eq!((&*invalid.attribute, invalid.rule), (name, Rule::Required));
                }
                other => panic!("{name} {value:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn depth_is_limited_without_recursion() {
    assert!(event(&format!(r#","data":{}"#, nested(MAX_DEPTH - 1))).is_ok());
    assert!(matches!(event(&format!(r#","data":{}"#, nested(MAX_DEPTH))), Err(JsonError::TooDeep)));
    assert!(matches!(event(&format!(r#","data":{}"#, nested(500_000))), Err(JsonError::TooDeep)));
    assert!(event(&format!(r#","ext":{}"#, nested(500_000))).is_err());
    assert!(event(r#","data":"[[[[ \"[[[[""#).is_ok());
}

#[test]
fn data_is_written_in_the_form_its_content_type_asks_for() {
    let deep = nested(MAX_DEPTH);
    let table: &[(Option<&str>, &[u8], &str)] = &[
        (Some("application/json"), b" {\"a\": 1} ", r#","data": {"a": 1} }"#),
        (Some("application/json"), b"{\"a\":", r#","data_base64":"eyJhIjo="}"#),
        (Some("application/json"), b"", r#","data_base64":""}"#),
        (Some("application/json"), deep.as_bytes(), r#"dXQ=="}"#),
        (None, b"1", r#","data":1}"#),
        (None, b"plain", r#","data_base64":"cGxhaW4="}"#),
        (Some("text/plain"), b"a \"b\"\n\x01\\", r#","data":"a \"b\"\n\u0001\\"}"#),
        (Some("text/plain"), b"\xff", r#","data_base64":"/w=="}"#),
        (Some("text/plain; charset=latin1"), b"a", r#","data_base64":"YQ=="}"#),
        (Some("application/octet-stream"), b"a", r#","data_base64":"YQ=="}"#),
    ];
    for (content_type, data, end) in table {
        let attributes = Attributes {
            id: "1".into(),
            source: "/s".into(),
            ty: "t".into(),
            data_content_type: content_type.map(str::to_owned),
            ..Attributes::default()
        };
        let written = encode(&Event::new(attributes, Some(Bytes::copy_from_slice(data))));
        let written = String::from_utf8(written).expect("UTF-8");
        assert!(written.ends_with(end), "{written}");
        serde_json::from_str::<serde_json::Value>(&written).expect("JSON");
    }
}
