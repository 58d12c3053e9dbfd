//! A CloudEvent, whatever carries it.
//!
//! An [`Event`] keeps attributes and data as they were received: nothing is normalised that a subscriber could see.
//! Encodings live beside it: [`http`] for the HTTP binding, [`json`] for the JSON format, [`wire`] for Weir's own
//! compact form (log records), [`sdk`] for the conversion to and from `cloudevents-sdk`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

mod builder;
pub mod http;
pub mod json;
pub mod sdk;
mod syntax;
mod validate;
pub mod wire;

pub use builder::EventBuilder;
pub(crate) use syntax::is_uri_reference;
pub use validate::{InvalidEvent, MAX_ATTRIBUTES_BYTES, Rule};

/// A CloudEvent: context attributes and, if present, data.
///
/// Cloning costs two reference counts. Changing an attribute of a shared event copies its attributes once.
#[derive(Clone, PartialEq)]
pub struct Event {
    attributes: Arc<Attributes>,
    data: Option<Bytes>,
}

/// The CloudEvents specification version an event declares. 0.3 events are accepted and stay 0.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpecVersion {
    /// `0.3`
    V03,
    /// `1.0`
    #[default]
    V1,
}

impl SpecVersion {
    /// The text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V03 => "0.3",
            Self::V1 => "1.0",
        }
    }

    /// Reads the text on the wire; `None` for a version this build does not know.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "0.3" => Some(Self::V03),
            "1.0" => Some(Self::V1),
            _ => None,
        }
    }
}

/// The context attributes of an [`Event`], as received.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// `specversion`
    pub spec_version: SpecVersion,
    /// `id`, not blank
    pub id: String,
    /// `source`, not blank
    pub source: String,
    /// `type`, not blank
    pub ty: String,
    /// `subject`
    pub subject: Option<String>,
    /// `time`: an RFC 3339 text, kept as the producer wrote it
    pub time: Option<String>,
    /// `datacontenttype`
    pub data_content_type: Option<String>,
    /// `dataschema` (1.0) or `schemaurl` (0.3)
    pub data_schema: Option<String>,
    /// Extension attributes, sorted by name; names are lower-case ASCII letters and digits.
    pub extensions: Vec<(String, Value)>,
}

/// The value of an extension attribute. Binary mode carries strings only; JSON keeps these types apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any text: String, URI, Timestamp and Binary (base64) share this form on every wire.
    String(String),
    /// `true` or `false`
    Boolean(bool),
    /// A signed 32-bit integer, as CloudEvents defines it
    Integer(i32),
}

impl fmt::Display for Value {
    /// The canonical string form of CloudEvents' type system.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl Event {
    /// An event of the given parts, unchecked: for codecs, which call [`Attributes::validate`].
    pub fn new(attributes: Attributes, data: Option<Bytes>) -> Self {
        Self { attributes: Arc::new(attributes), data }
    }

    /// The context attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The data; `None` if the event has none, which differs from empty data only in the JSON format.
    pub fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// `id`
    pub fn id(&self) -> &str {
        &self.attributes.id
    }

    /// `source`
    pub fn source(&self) -> &str {
        &self.attributes.source
    }

    /// `type`
    pub fn ty(&self) -> &str {
        &self.attributes.ty
    }

    /// The extension called `name`.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.attributes.extension(name)
    }

    /// Sets the extension called `name`, replacing any value it had.
    pub fn set_extension(&mut self, name: &str, value: impl Into<Value>) {
        Arc::make_mut(&mut self.attributes).set_extension(name, value.into());
    }

    /// Removes the extension called `name` and returns the value it had.
    pub fn remove_extension(&mut self, name: &str) -> Option<Value> {
        self.attributes.extension(name)?;
        Arc::make_mut(&mut self.attributes).remove_extension(name)
    }

    /// Bytes this event holds in memory beyond its fixed parts: what budgets and limits count.
    pub fn size_bytes(&self) -> usize {
        self.attributes.size_bytes() + self.data.as_ref().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for Event {
    /// Names the event; never prints its data, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.attributes.id)
            .field("source", &self.attributes.source)
            .field("type", &self.attributes.ty)
            .field("data_bytes", &self.data.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

impl Attributes {
    /// The extension called `name`.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        let at = self.position(name).ok()?;
        Some(&self.extensions[at].1)
    }

    /// Sets the extension called `name`, keeping the order by name.
    pub fn set_extension(&mut self, name: &str, value: Value) {
        match self.position(name) {
            Ok(at) => self.extensions[at].1 = value,
            Err(at) => self.extensions.insert(at, (name.to_owned(), value)),
        }
    }

    /// Removes the extension called `name` and returns the value it had.
    pub fn remove_extension(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name).ok()?;
        Some(self.extensions.remove(at).1)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.extensions.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Bytes of all values and of the names of extensions.
    pub(crate) fn size_bytes(&self) -> usize {
        let optional = [&self.subject, &self.time, &self.data_content_type, &self.data_schema];
        self.id.len()
            + self.source.len()
            + self.ty.len()
            + optional.into_iter().flatten().map(String::len).sum::<usize>()
            + self
                .extensions
                .iter()
                .map(|(name, value)| {
                    name.len()
                        + match value {
                            Value::String(text) => text.len(),
                            Value::Boolean(_) | Value::Integer(_) => 4,
                        }
                })
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
