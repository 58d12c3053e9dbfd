//! The CloudEvents HTTP binding (1.0.2 and 0.3): requests and responses that are events, in binary, structured and
//! batched mode. What a failure means as a status is the ingress' to say; whether an event is wanted, too.
//!
//! * A structured content type wins over `ce-*` headers. A CloudEvents format other than JSON is binary mode if the
//!   headers say so (binding, section 3), else unsupported.
//! * No `ce-*` header and no `Content-Type` may be given twice: which one counts would be chance.
//! * 0.3's `ce-datacontentencoding: base64` is undone on reading; data goes on as the bytes it stands for.

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use smallvec::SmallVec;

use super::json::{self, JsonError};
use super::validate::shown;
use super::{Attributes, Event, InvalidEvent, Rule, SpecVersion, Value};

mod names;
mod value;

/// `Content-Type` of one event in JSON.
pub const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json");

/// `Content-Type` of a batch in JSON.
pub const BATCHED: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");

/// What a message carried.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// One event.
    Event(Event),
    /// A batch, perhaps empty, in its order.
    Batch(Vec<Event>),
}

/// Whether a message may be a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// It may.
    Allowed,
    /// It may not: [`DecodeError::BatchNotAllowed`].
    Refused,
}

/// Why a message is not an event. Never quotes a value, which may be private.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Neither a structured content type nor a `ce-specversion` header.
    #[error("not a CloudEvent: no ce-specversion header and no application/cloudevents+json content type")]
    NotAnEvent,
    /// The body is compressed or otherwise encoded (415).
    #[error("content encodings are not supported")]
    UnsupportedEncoding,
    /// A CloudEvents format other than JSON (415).
    #[error("of the CloudEvents formats, only JSON is supported")]
    UnsupportedFormat,
    /// A batch where one event is expected.
    #[error("a batch of events is not accepted here")]
    BatchNotAllowed,
    /// A header that may be given once is given again.
    #[error("header {0} is given twice")]
    Repeated(Box<str>),
    /// A header whose value is not UTF-8, as it is or once percent-decoded.
    #[error("header {0} is not UTF-8")]
    NotUtf8(Box<str>),
    /// 0.3: a `ce-datacontentencoding` other than base64, or a body that is not the base64 it says.
    #[error("body is not base64, the only data content encoding")]
    DataContentEncoding,
    /// An attribute breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// The structured body is not an event, or not a batch of them.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Whether a message carries an event: of a response, that it is a reply.
///
/// A batch counts, so that decoding refuses it aloud. Source: `[ev] pkg/kncloudevents/event_dispatcher.go`, which goes by
/// the encoding alone, whatever the status.
pub fn is_event(headers: &HeaderMap) -> bool {
    match Format::of_body(headers) {
        Format::Json | Format::JsonBatch => true,
        Format::Other | Format::None => headers.get(names::SPEC_VERSION).is_some_and(|value| known(value).is_some()),
    }
}

/// Reads the event, or the batch, of a request or a response. Every event returned is valid.
pub fn decode(headers: &HeaderMap, body: Bytes, batches: Batches) -> Result<Decoded, DecodeError> {
    refuse_content_encoding(headers)?;
    refuse_repeated(headers, |name| name == CONTENT_TYPE)?;
    match Format::of_body(headers) {
        Format::Json => Ok(Decoded::Event(json::decode(&body)?)),
        Format::JsonBatch => match batches {
            Batches::Allowed => Ok(Decoded::Batch(json::decode_batch(&body)?)),
            Batches::Refused => Err(DecodeError::BatchNotAllowed),
        },
        Format::Other if !headers.contains_key(names::SPEC_VERSION) => Err(DecodeError::UnsupportedFormat),
        Format::Other | Format::None => decode_binary(headers, body).map(Decoded::Event),
    }
}

/// Reads the one event of a request or a response; a batch is refused.
pub fn decode_one(headers: &HeaderMap, body: Bytes) -> Result<Event, DecodeError> {
    match decode(headers, body, Batches::Refused)? {
        Decoded::Event(event) => Ok(event),
        Decoded::Batch(_) => Err(DecodeError::BatchNotAllowed),
    }
}

/// Whether binary mode can carry `event`.
///
/// Not if its data is itself an event in JSON: the content type would tell the receiver to read that one instead, and
/// whoever wrote it would have slipped an event past everything that looked at the one around it.
pub fn fits_binary(event: &Event) -> bool {
    let content_type = event.attributes().data_content_type.as_deref().unwrap_or_default();
    matches!(Format::of(content_type.as_bytes()), Format::Other | Format::None)
}

/// Sets the headers of `event` in binary mode; the body is its data.
///
/// A valid event that [fits](fits_binary) never fails. Otherwise the error names the attribute at fault; headers may then
/// be set in part.
pub fn encode_binary(event: &Event, headers: &mut HeaderMap) -> Result<(), InvalidEvent> {
    if !fits_binary(event) {
        return Err(InvalidEvent::core("datacontenttype", Rule::StructuredOnly));
    }
    let attributes = event.attributes();
    let mut fields = Fields::for_attributes(attributes);
    fields.add(names::ID, &attributes.id);
    fields.add(names::SOURCE, &attributes.source);
    fields.add(names::TYPE, &attributes.ty);
    let schema = match attributes.spec_version {
        SpecVersion::V1 => names::DATA_SCHEMA,
        SpecVersion::V03 => names::SCHEMA_URL,
    };
    let optional =
        [(names::SUBJECT, &attributes.subject), (names::TIME, &attributes.time), (schema, &attributes.data_schema)];
    for (name, value) in optional {
        if let Some(value) = value {
            fields.add(name, value);
        }
    }
    for (name, value) in &attributes.extensions {
        let header = names::of_extension(name).ok_or_else(|| InvalidEvent::named(name, Rule::Header))?;
        match value {
            Value::String(text) => fields.add(header, text),
            Value::Boolean(_) | Value::Integer(_) => fields.add(header, &value.to_string()),
        }
    }
    fields.insert_into(headers)?;
    let version = match attributes.spec_version {
        SpecVersion::V1 => HeaderValue::from_static("1.0"),
        SpecVersion::V03 => HeaderValue::from_static("0.3"),
    };
    insert(headers, &names::SPEC_VERSION, version)?;
    match attributes.data_content_type.as_deref() {
        None => Ok(()),
        Some("application/json") => insert(headers, &CONTENT_TYPE, HeaderValue::from_static("application/json")),
        Some(other) => match HeaderValue::from_str(other) {
            Ok(value) => insert(headers, &CONTENT_TYPE, value),
            Err(_) => Err(InvalidEvent::core("datacontenttype", Rule::Header)),
        },
    }
}

/// Sets the content type of `event` in structured mode and returns the body.
pub fn encode_structured(event: &Event, headers: &mut HeaderMap) -> Bytes {
    headers.insert(CONTENT_TYPE, STRUCTURED);
    json::encode(event).into()
}

/// Sets the content type of a batch and returns the body.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>, headers: &mut HeaderMap) -> Bytes {
    headers.insert(CONTENT_TYPE, BATCHED);
    json::encode_batch(events).into()
}

/// Whether Knative's data plane carries a header along with an event from hop to hop, unchanged.
///
/// Source: `[ev] pkg/utils/headers.go`.
pub fn passes_through(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "x-request-id" | "retry-after") || name.starts_with("knative-") || name.starts_with("x-b3-")
}

/// Copies the headers that [pass through](passes_through), repeated ones included.
pub fn copy_passed_through(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from.iter().filter(|(name, _)| passes_through(name)) {
        to.append(name, value.clone());
    }
}

/// What a content type says of the body.
enum Format {
    /// One event in JSON.
    Json,
    /// A batch in JSON.
    JsonBatch,
    /// Another CloudEvents format.
    Other,
    /// Data, if anything.
    None,
}

impl Format {
    fn of_body(headers: &HeaderMap) -> Self {
        headers.get(CONTENT_TYPE).map_or(Self::None, |content_type| Self::of(content_type.as_bytes()))
    }

    fn of(content_type: &[u8]) -> Self {
        const PREFIX: &[u8] = b"application/cloudevents";
        let Some((prefix, rest)) = content_type.split_at_checked(PREFIX.len()) else { return Self::None };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Self::None;
        }
        let suffix = rest.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        match suffix {
            _ if suffix.eq_ignore_ascii_case(b"+json") => Self::Json,
            _ if suffix.eq_ignore_ascii_case(b"-batch+json") => Self::JsonBatch,
            [] | [b'+' | b'-', ..] => Self::Other,
            _ => Self::None,
        }
    }
}

fn refuse_content_encoding(headers: &HeaderMap) -> Result<(), DecodeError> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(DecodeError::UnsupportedEncoding)
    }
}

fn refuse_repeated(headers: &HeaderMap, counts: impl Fn(&HeaderName) -> bool) -> Result<(), DecodeError> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let mut names = headers.keys().filter(|name| counts(name));
    match names.find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(DecodeError::Repeated(shown(name.as_str()))),
        None => Ok(()),
    }
}

fn known(version: &HeaderValue) -> Option<SpecVersion> {
    match version.as_bytes() {
        b"1.0" => Some(SpecVersion::V1),
        other => SpecVersion::parse(&value::decode(other)?),
    }
}

fn decode_binary(headers: &HeaderMap, body: Bytes) -> Result<Event, DecodeError> {
    refuse_repeated(headers, |name| name.as_str().starts_with(names::PREFIX))?;
    let version = headers.get(names::SPEC_VERSION).ok_or(DecodeError::NotAnEvent)?;
    let spec_version = match known(version) {
        Some(version) => version,
        None if version.as_bytes().trim_ascii().is_empty() => {
            return Err(InvalidEvent::core("specversion", Rule::Required).into());
        }
        None => return Err(InvalidEvent::core("specversion", Rule::KnownVersion).into()),
    };
    let mut attributes = Attributes { spec_version, ..Attributes::default() };
    let mut data_content_encoding = None;
    for (name, value) in headers {
        let text = || value::decode(value.as_bytes()).ok_or_else(|| DecodeError::NotUtf8(shown(name.as_str())));
        let Some(attribute) = name.as_str().strip_prefix(names::PREFIX) else {
            if name == CONTENT_TYPE {
                attributes.data_content_type = media_type(value)?;
            }
            continue;
        };
        match (attribute, spec_version) {
            ("specversion", _) => {}
            ("id", _) => attributes.id = text()?,
            ("source", _) => attributes.source = text()?,
            ("type", _) => attributes.ty = text()?,
            ("subject", _) => attributes.subject = Some(text()?),
            ("time", _) => attributes.time = Some(text()?),
            ("dataschema", SpecVersion::V1) | ("schemaurl", SpecVersion::V03) => attributes.data_schema = Some(text()?),
            ("datacontentencoding", SpecVersion::V03) => data_content_encoding = Some(text()?),
            _ => attributes.extensions.push((attribute.to_owned(), Value::String(text()?))),
        }
    }
    attributes.extensions.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    attributes.validate()?;
    let data = match data_content_encoding {
        Some(encoding) if !encoding.eq_ignore_ascii_case("base64") => return Err(DecodeError::DataContentEncoding),
        _ if body.is_empty() => None,
        Some(_) => Some(BASE64.decode(&body).map_err(|_| DecodeError::DataContentEncoding)?.into()),
        None => Some(body),
    };
    Ok(Event::new(attributes, data))
}

/// The content type as the header has it: it is not percent-encoded. Blank is absent.
fn media_type(value: &HeaderValue) -> Result<Option<String>, InvalidEvent> {
    match value.to_str() {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(InvalidEvent::core("datacontenttype", Rule::MediaType)),
    }
}

/// Headers being made: their values stand in one buffer, which they then share.
struct Fields {
    values: Vec<u8>,
    ends: SmallVec<[(HeaderName, usize); 16]>,
}

impl Fields {
    fn for_attributes(attributes: &Attributes) -> Self {
        // Room for a few percent-encoded characters; more make it grow.
        Self { values: Vec::with_capacity(attributes.size_bytes() + 32), ends: SmallVec::new() }
    }

    fn add(&mut self, name: HeaderName, text: &str) {
        value::encode(text, &mut self.values);
        self.ends.push((name, self.values.len()));
    }

    fn insert_into(self, headers: &mut HeaderMap) -> Result<(), InvalidEvent> {
        let values = Bytes::from(self.values);
        let mut from = 0;
        for (name, until) in self.ends {
            let value = HeaderValue::from_maybe_shared(values.slice(from..until))
                .map_err(|_| InvalidEvent::named(attribute_of(&name), Rule::Header))?;
            insert(headers, &name, value)?;
            from = until;
        }
        Ok(())
    }
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> Result<(), InvalidEvent> {
    match headers.try_insert(name, value) {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidEvent::named(attribute_of(name), Rule::Header)),
    }
}

fn attribute_of(name: &HeaderName) -> &str {
    let name = name.as_str();
    name.strip_prefix(names::PREFIX).unwrap_or(name)
}

#[cfg(test)]
mod tests;
