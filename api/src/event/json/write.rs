//! Writing an event as JSON, member by member.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use super::{MAX_DEPTH, is_deeper_than};
use crate::event::validate::schema_name;
use crate::event::{Attributes, Event, SpecVersion, Value, syntax};

/// Appends `event` as a JSON object.
pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    let attributes = event.attributes();
    out.extend_from_slice(b"{\"specversion\":");
    string(attributes.spec_version.as_str(), out);
    for (name, value) in [("id", &attributes.id), ("source", &attributes.source), ("type", &attributes.ty)] {
        member(name, out);
        string(value, out);
    }
    let optional = [
        ("subject", &attributes.subject),
        ("time", &attributes.time),
        ("datacontenttype", &attributes.data_content_type),
        (schema_name(attributes.spec_version), &attributes.data_schema),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            member(name, out);
            string(value, out);
        }
    }
    for (name, value) in &attributes.extensions {
        member(name, out);
        match value {
            Value::String(text) => string(text, out),
            // Their canonical string form is their JSON form.
            Value::Boolean(_) | Value::Integer(_) => out.extend_from_slice(value.to_string().as_bytes()),
        }
    }
    if let Some(data) = event.data() {
        data_member(attributes, data, out);
    }
    out.push(b'}');
}

fn data_member(attributes: &Attributes, data: &[u8], out: &mut Vec<u8>) {
    let content_type = attributes.data_content_type.as_deref();
    if content_type.is_none_or(syntax::is_json) {
        if let Some(json) = embeddable(data) {
            member("data", out);
            out.extend_from_slice(json.as_bytes());
            return;
        }
    } else if content_type.is_some_and(syntax::is_text)
        && let Ok(text) = str::from_utf8(data)
    {
        member("data", out);
        string(text, out);
        return;
    }
    match attributes.spec_version {
        SpecVersion::V1 => member("data_base64", out),
        SpecVersion::V03 => {
            member("datacontentencoding", out);
            string("base64", out);
            member("data", out);
        }
    }
    out.push(b'"');
    let from = out.len();
    out.resize(from + data.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(data, &mut out[from..]).unwrap_or_default();
    out.truncate(from + written);
    out.push(b'"');
}

/// `data` as text, if it is JSON that the far end, held to the same depth, can read within an event.
fn embeddable(data: &[u8]) -> Option<&str> {
    let text = str::from_utf8(data).ok()?;
    serde_json::from_str::<&RawValue>(text).ok()?;
    (!is_deeper_than(text, MAX_DEPTH - 1)).then_some(text)
}

fn member(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    string(name, out);
    out.push(b':');
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
