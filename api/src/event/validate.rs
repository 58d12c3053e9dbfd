//! What makes attributes those of a valid event, and how a breach is named.
//!
//! Exact where `reliability.md` 3.1 (H1, H4, H5) demands refusal, lenient elsewhere: a broker passes events on, and a
//! refusal costs the producer its event. The rules are those of CloudEvents 1.0.2 and 0.3.

use std::borrow::Cow;

use super::syntax::{has_control, is_absolute_uri, is_media_type, is_timestamp, is_uri_reference};
use super::{Attributes, SpecVersion, Value};

/// The most bytes the attributes of one event may take, names of extensions included: what a header block can carry.
pub const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;

/// An attribute that breaks a rule of CloudEvents. Never tells its value, which may be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute:?} {rule}")]
pub struct InvalidEvent {
    /// The attribute's name, cut short if it is absurdly long.
    pub attribute: Cow<'static, str>,
    /// The rule it breaks.
    pub rule: Rule,
}

/// A rule that an attribute of a valid event keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// `id`, `source`, `type` and `specversion` are present and not blank.
    #[error("is missing or blank")]
    Required,
    /// `subject`, if set, is not empty.
    #[error("is empty")]
    NotEmpty,
    /// No control characters (U+0000 to U+001F, U+007F to U+009F).
    #[error("contains a control character")]
    NoControlCharacters,
    /// `source` and 0.3's `schemaurl` are URI-references.
    #[error("is not a URI-reference")]
    UriReference,
    /// `dataschema` is an absolute URI.
    #[error("is not an absolute URI")]
    AbsoluteUri,
    /// `time` is an RFC 3339 timestamp.
    #[error("is not an RFC 3339 timestamp")]
    Timestamp,
    /// `datacontenttype` is a media type.
    #[error("is not a media type")]
    MediaType,
    /// `specversion` is one this build knows.
    #[error("is not a version this broker knows (1.0, 0.3)")]
    KnownVersion,
    /// Names of extensions are of lower-case ASCII letters and digits.
    #[error("is not a name of lower-case ASCII letters and digits")]
    ExtensionName,
    /// No extension has the name of a core attribute, or `data`.
    #[error("is a reserved name and cannot be an extension")]
    NotReserved,
    /// All attributes together stay within [`MAX_ATTRIBUTES_BYTES`].
    #[error("brings the attributes over the limit of {MAX_ATTRIBUTES_BYTES} bytes")]
    Limit,
    /// In binary mode, `datacontenttype` is no CloudEvents format: a receiver would take the data for the event.
    #[error("names a CloudEvents format, so that only structured mode can carry the event")]
    StructuredOnly,
    /// Its name and value can be an HTTP header.
    #[error("cannot be an HTTP header")]
    Header,
}

impl InvalidEvent {
    /// A breach of `rule` by an attribute whose name came from outside.
    pub(super) fn named(attribute: &str, rule: Rule) -> Self {
        Self { attribute: Cow::Owned(shown(attribute).into()), rule }
    }

    /// A breach of `rule` by a core attribute.
    pub(super) const fn core(attribute: &'static str, rule: Rule) -> Self {
        Self { attribute: Cow::Borrowed(attribute), rule }
    }
}

impl Attributes {
    /// Checks every attribute against its rule; the first breach is the error.
    pub fn validate(&self) -> Result<(), InvalidEvent> {
        required("id", &self.id)?;
        required("source", &self.source)?;
        required("type", &self.ty)?;
        keeps("source", Rule::UriReference, is_uri_reference(&self.source))?;
        if let Some(subject) = &self.subject {
            keeps("subject", Rule::NotEmpty, !subject.is_empty())?;
            keeps("subject", Rule::NoControlCharacters, !has_control(subject))?;
        }
        if let Some(time) = &self.time {
            keeps("time", Rule::Timestamp, is_timestamp(time))?;
        }
        if let Some(media_type) = &self.data_content_type {
            keeps("datacontenttype", Rule::MediaType, is_media_type(media_type))?;
        }
        if let Some(schema) = &self.data_schema {
            self.validate_schema(schema)?;
        }
        for (name, value) in &self.extensions {
            self.validate_extension(name, value)?;
        }
        if self.size_bytes() > MAX_ATTRIBUTES_BYTES {
            return Err(self.over_limit());
        }
        Ok(())
    }

    fn validate_schema(&self, schema: &str) -> Result<(), InvalidEvent> {
        let name = schema_name(self.spec_version);
        keeps(name, Rule::NoControlCharacters, !has_control(schema))?;
        match self.spec_version {
            SpecVersion::V1 => keeps(name, Rule::AbsoluteUri, is_absolute_uri(schema)),
            SpecVersion::V03 => keeps(name, Rule::UriReference, !schema.is_empty() && is_uri_reference(schema)),
        }
    }

    fn validate_extension(&self, name: &str, value: &Value) -> Result<(), InvalidEvent> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(InvalidEvent::named(name, Rule::ExtensionName));
        }
        if is_reserved(self.spec_version, name) {
            return Err(InvalidEvent::named(name, Rule::NotReserved));
        }
        match value {
            Value::String(text) if has_control(text) => Err(InvalidEvent::named(name, Rule::NoControlCharacters)),
            Value::String(_) | Value::Boolean(_) | Value::Integer(_) => Ok(()),
        }
    }

    /// Names the largest attribute: the one to look at first.
    fn over_limit(&self) -> InvalidEvent {
        let core = [("id", &self.id), ("source", &self.source), ("type", &self.ty)];
        let optional = [
            ("subject", &self.subject),
            ("datacontenttype", &self.data_content_type),
            (schema_name(self.spec_version), &self.data_schema),
        ];
        let optional = optional.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)));
        let extensions = self.extensions.iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name.as_str(), text)),
            Value::Boolean(_) | Value::Integer(_) => None,
        });
        let largest = core.into_iter().chain(optional).chain(extensions).max_by_key(|(_, value)| value.len());
        InvalidEvent::named(largest.map_or("id", |(name, _)| name), Rule::Limit)
    }
}

/// A name that came from outside, cut to what a message can hold.
pub(super) fn shown(name: &str) -> Box<str> {
    let end = name.char_indices().nth(64).map_or(name.len(), |(at, _)| at);
    name[..end].into()
}

/// What the attribute behind [`Attributes::data_schema`] is called.
pub(super) const fn schema_name(version: SpecVersion) -> &'static str {
    match version {
        SpecVersion::V03 => "schemaurl",
        SpecVersion::V1 => "dataschema",
    }
}

/// Names no extension may have: core attributes of the version, and `data`, the JSON format's member.
pub(super) fn is_reserved(version: SpecVersion, name: &str) -> bool {
    match name {
        "specversion" | "id" | "source" | "type" | "subject" | "time" | "datacontenttype" | "data" => true,
        "dataschema" => version == SpecVersion::V1,
        "schemaurl" | "datacontentencoding" => version == SpecVersion::V03,
        _ => false,
    }
}

fn required(name: &'static str, value: &str) -> Result<(), InvalidEvent> {
    keeps(name, Rule::Required, !value.trim().is_empty())?;
    keeps(name, Rule::NoControlCharacters, !has_control(value))
}

fn keeps(name: &'static str, rule: Rule, kept: bool) -> Result<(), InvalidEvent> {
    if kept { Ok(()) } else { Err(InvalidEvent::core(name, rule)) }
}
