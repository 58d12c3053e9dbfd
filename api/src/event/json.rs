//! The CloudEvents JSON format and JSON batch format, both ways (1.0.2 and 0.3).
//!
//! The envelope is read member by member; `data` is never made into a tree. Data that is JSON stays the text it was, as
//! a slice of the body, and is written back as that text.
//!
//! Where the specification leaves room:
//! * An extension's number must be an integer of 32 bits. Others are refused: the type system has no such values, the
//!   Go SDK refuses those out of range too, and keeping one as a string would change its type for the subscriber.
//! * Names of extensions are lower-cased, as HTTP does to headers.
//! * `data` without `datacontenttype` is JSON, and the event then says `application/json`, because it may leave in
//!   another format, which would not imply it (JSON format, 3.1.2).
//! * 0.3's `datacontentencoding` describes the envelope, not the event: it is undone on reading and never kept.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize as _;
use serde_json::value::RawValue;

use super::validate::shown;
use super::{Attributes, Event, InvalidEvent, Rule, SpecVersion, Value, syntax};

mod envelope;
mod write;

use envelope::{Envelope, Member};

/// Objects and arrays that may be nested in one another, the event itself counted.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not an event, or a batch of events, in JSON. Never quotes a value, which may be private.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not UTF-8.
    #[error("not JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// JSON, but not the object (or, for a batch, the array) it must be.
    #[error("not a JSON {0}")]
    WrongShape(&'static str),
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A member given twice.
    #[error("member {0:?} is given twice")]
    Duplicate(Box<str>),
    /// A member whose JSON type cannot be its value.
    #[error("member {name:?} is {found}, not {expected}")]
    WrongType {
        /// The member.
        name: Box<str>,
        /// What it is.
        found: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// Both `data` and `data_base64`.
    #[error("both data and data_base64 are given")]
    TwoData,
    /// Data that is not the base64 it is said to be.
    #[error("data is not base64")]
    Base64,
    /// A `datacontentencoding` other than base64 (0.3).
    #[error("datacontentencoding is not base64")]
    Encoding,
    /// An attribute breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// One event of a batch is at fault.
    #[error("event {index} of the batch")]
    InBatch {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: Box<JsonError>,
    },
}

/// Reads one event. Its attributes are valid; data that is JSON, or text without escapes, is a slice of `body`, which it
/// keeps alive.
pub fn decode(body: &Bytes) -> Result<Event, JsonError> {
    let text = utf8(body)?;
    opens_with(text, b'{', "object")?;
    decode_text(body, text)
}

/// Reads a batch, all of it or nothing. An empty batch is valid.
pub fn decode_batch(body: &Bytes) -> Result<Vec<Event>, JsonError> {
    let text = utf8(body)?;
    opens_with(text, b'[', "array")?;
    let texts: Vec<&RawValue> = serde_json::from_str(text).map_err(JsonError::Syntax)?;
    let event = |(index, raw): (usize, &RawValue)| {
        opens_with(raw.get(), b'{', "object")
            .and_then(|()| decode_text(body, raw.get()))
            .map_err(|error| JsonError::InBatch { index, error: Box::new(error) })
    };
    texts.into_iter().enumerate().map(event).collect()
}

/// Writes one event.
///
/// Data goes into `data` as it is where its content type (or none) says JSON and it is JSON, as a string where its
/// content type says text and it is UTF-8, else into `data_base64`. Only white space around JSON data can be lost.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.size_bytes() * 5 / 4 + 256);
    write::event(event, &mut out);
    out
}

/// Writes a batch.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut out = vec![b'['];
    for event in events {
        if out.len() > 1 {
            out.push(b',');
        }
        write::event(event, &mut out);
    }
    out.push(b']');
    out
}

fn utf8(body: &[u8]) -> Result<&str, JsonError> {
    str::from_utf8(body).map_err(|error| JsonError::Syntax(serde::de::Error::custom(error)))
}

/// Looks at the first byte, so that serde never has a chance to quote a value in a type error.
fn opens_with(text: &str, bracket: u8, shape: &'static str) -> Result<(), JsonError> {
    let first = text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    match first {
        Some(byte) if byte != bracket => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Err(JsonError::WrongShape(shape)),
            Err(error) => Err(JsonError::Syntax(error)),
        },
        _ => Ok(()),
    }
}

/// Reads the event in `text`, which lies within `body`.
fn decode_text(body: &Bytes, text: &str) -> Result<Event, JsonError> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let envelope = Envelope::deserialize(&mut parser).and_then(|envelope| parser.end().map(|()| envelope));
    let mut members = envelope.map_err(JsonError::Syntax)?.members;
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(JsonError::Duplicate(shown(&pair[0].0)));
    }
    let spec_version = spec_version(&members)?;
    let mut parts = Parts::default();
    let mut attributes = Attributes { spec_version, ..Attributes::default() };
    for (name, member) in members {
        match (&*name, spec_version) {
            ("specversion", _) => {}
            ("id", _) => attributes.id = text_of(&name, member)?.unwrap_or_default(),
            ("source", _) => attributes.source = text_of(&name, member)?.unwrap_or_default(),
            ("type", _) => attributes.ty = text_of(&name, member)?.unwrap_or_default(),
            ("subject", _) => attributes.subject = text_of(&name, member)?,
            ("time", _) => attributes.time = text_of(&name, member)?,
            ("datacontenttype", _) => attributes.data_content_type = text_of(&name, member)?,
            ("dataschema", SpecVersion::V1) | ("schemaurl", SpecVersion::V03) => {
                attributes.data_schema = text_of(&name, member)?;
            }
            ("data", _) => {
                if let Member::Data(raw) = member {
                    parts.data = Some(raw);
                }
            }
            ("data_base64", SpecVersion::V1) => parts.base64 = text_of(&name, member)?,
            ("datacontentencoding", SpecVersion::V03) => parts.encoding = text_of(&name, member)?,
            _ => extension(&mut attributes, &name, member)?,
        }
    }
    let data = parts.into_data(body, &mut attributes)?;
    attributes.validate()?;
    Ok(Event::new(attributes, data))
}

fn spec_version(members: &[(Cow<'_, str>, Member<'_>)]) -> Result<SpecVersion, JsonError> {
    match members.iter().find(|(name, _)| name == "specversion").map(|(_, member)| member) {
        Some(Member::Text(text)) if text.trim().is_empty() => Err(core("specversion", Rule::Required)),
        Some(Member::Text(text)) => SpecVersion::parse(text).ok_or_else(|| core("specversion", Rule::KnownVersion)),
        Some(Member::Null) | None => Err(core("specversion", Rule::Required)),
        Some(other) => Err(wrong_type("specversion", other, "a string")),
    }
}

fn core(attribute: &'static str, rule: Rule) -> JsonError {
    InvalidEvent::core(attribute, rule).into()
}

/// A core attribute: all of them are strings in JSON, and null means absent.
fn text_of(name: &str, member: Member<'_>) -> Result<Option<String>, JsonError> {
    match member {
        Member::Text(text) => Ok(Some(text.into_owned())),
        Member::Null => Ok(None),
        other => Err(wrong_type(name, &other, "a string")),
    }
}

fn extension(attributes: &mut Attributes, name: &str, member: Member<'_>) -> Result<(), JsonError> {
    let value = match member {
        Member::Text(text) => Value::String(text.into_owned()),
        Member::Boolean(value) => Value::Boolean(value),
        Member::Integer(value) => Value::Integer(value),
        Member::Null => return Ok(()),
        other => return Err(wrong_type(name, &other, "a string, a boolean or an integer of 32 bits")),
    };
    let name = name.to_ascii_lowercase();
    match attributes.extensions.last() {
        // Members come sorted, so that only a name that was not lower-case can be out of place.
        Some((last, _)) if *last >= name => {
            if attributes.extension(&name).is_some() {
                return Err(JsonError::Duplicate(shown(&name)));
            }
            attributes.set_extension(&name, value);
        }
        _ => attributes.extensions.push((name, value)),
    }
    Ok(())
}

fn wrong_type(name: &str, found: &Member<'_>, expected: &'static str) -> JsonError {
    JsonError::WrongType { name: shown(name), found: found.kind(), expected }
}

/// The members that together make an event's data.
#[derive(Default)]
struct Parts<'a> {
    data: Option<&'a RawValue>,
    base64: Option<String>,
    encoding: Option<String>,
}

impl Parts<'_> {
    fn into_data(self, body: &Bytes, attributes: &mut Attributes) -> Result<Option<Bytes>, JsonError> {
        if self.encoding.as_ref().is_some_and(|encoding| !encoding.eq_ignore_ascii_case("base64")) {
            return Err(JsonError::Encoding);
        }
        match (self.data, self.base64) {
            (Some(_), Some(_)) => Err(JsonError::TwoData),
            (None, Some(text)) => unbase64(text.as_bytes()).map(Some),
            (None, None) => Ok(None),
            (Some(raw), None) if self.encoding.is_some() => match raw.get() {
                "null" => Ok(None),
                _ => unbase64(&string_data(raw, body)?).map(Some),
            },
            (Some(raw), None) => plain_data(raw, body, attributes),
        }
    }
}

/// Reads a `data` member that no encoding wraps.
fn plain_data(raw: &RawValue, body: &Bytes, attributes: &mut Attributes) -> Result<Option<Bytes>, JsonError> {
    let json = attributes.data_content_type.as_deref().is_none_or(syntax::is_json);
    if !json {
        // Only JSON has a null to say; for other content it means absent, as for attributes.
        return if raw.get() == "null" { Ok(None) } else { string_data(raw, body).map(Some) };
    }
    if is_deeper_than(raw.get(), MAX_DEPTH - 1) {
        return Err(JsonError::TooDeep);
    }
    if attributes.data_content_type.is_none() {
        attributes.data_content_type = Some("application/json".to_owned());
    }
    Ok(Some(body.slice_ref(raw.get().as_bytes())))
}

/// The content of a JSON string: a slice of the body unless it has escapes.
fn string_data(raw: &RawValue, body: &Bytes) -> Result<Bytes, JsonError> {
    let Some(content) = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Err(JsonError::WrongType { name: "data".into(), found: kind_of(raw), expected: "a string" });
    };
    if content.contains('\\') {
        let text: String = serde_json::from_str(raw.get()).map_err(JsonError::Syntax)?;
        return Ok(text.into());
    }
    Ok(body.slice_ref(content.as_bytes()))
}

fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

fn unbase64(text: &[u8]) -> Result<Bytes, JsonError> {
    BASE64.decode(text).map(Bytes::from).map_err(|_| JsonError::Base64)
}

/// Whether `json`, which is valid, nests more than `limit` objects and arrays.
fn is_deeper_than(json: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
