//! Protobuf bodies of built-in kinds, which Go clients send since Kubernetes 1.32, read into the JSON form of the same
//! objects. Nothing is ever answered in protobuf: every client takes JSON.
//!
//! The result is what the client would have sent as JSON: what Go's JSON leaves off when empty is left off, though
//! protobuf has it. What Go's JSON would write as null is left off too. As in Kubernetes, fields that the table does
//! not know (of a client newer than it) are passed over.

use serde_json::{Map, Value};

use self::message::Walk;
use self::table::Table;
use self::wire::{Fields, Wire, text};

mod message;
mod special;
mod table;
#[cfg(test)]
mod tests;
mod wire;

/// The media type of such bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Longest apiVersion or kind: that of a DNS name and more than any has.
const TYPE_BYTES: usize = 253;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// Some other format, or protobuf without the envelope of Kubernetes.
    #[error("the body does not begin as the protobuf form of a Kubernetes object does")]
    NotKubernetes,
    /// Custom kinds have no protobuf form at all.
    #[error("the protobuf form of kind {kind:?} in {api_version:?} is not known")]
    UnknownKind { api_version: String, kind: String },
    /// Not a message of its kind.
    #[error("the protobuf form of the object is damaged: {0}")]
    Malformed(#[from] Malformed),
    /// Our own fault, by line. Excluded by a test.
    #[error("line {0} of the table of protobuf messages is not understood")]
    Table(usize),
}

/// What is wrong with a message, and where, as a path of JSON fields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    path: String,
    reason: &'static str,
}

impl Malformed {
    fn new(reason: &'static str) -> Self {
        Self { path: String::new(), reason }
    }

    /// The same, seen from the message that has it in `field`.
    fn within(mut self, field: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{field}{dot}{}", self.path);
        self
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.path, self.reason)
    }
}

impl std::error::Error for Malformed {}

/// Reads an object, with its `apiVersion` and `kind`. Memory is bounded by a multiple of the body's size.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = Envelope::read(body.strip_prefix(MAGIC).ok_or(ProtobufError::NotKubernetes)?)?;
    let Envelope { api_version, kind, raw } = envelope;
    let table = Table::embedded().map_err(ProtobufError::Table)?;
    let Some(message) = table.kind(api_version, kind) else {
        return Err(ProtobufError::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() });
    };
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), Value::from(api_version));
    object.insert("kind".to_owned(), Value::from(kind));
    Walk::new(table).message(message, raw, &mut object)?;
    Ok(Value::Object(object))
}

/// `runtime.Unknown`: what the object is, and the object.
#[derive(Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut envelope = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, Wire::Bytes(types)) => envelope.read_type(types)?,
                (2, Wire::Bytes(raw)) => envelope.raw = raw,
                (3, Wire::Bytes([_, ..])) => return Err(Malformed::new("its content is encoded")),
                (4, Wire::Bytes(media_type)) if !media_type.is_empty() && media_type != MEDIA_TYPE.as_bytes() => {
                    return Err(Malformed::new("its content is of another media type"));
                }
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::of(bytes) {
            let (name, part, bytes) = match field? {
                (1, Wire::Bytes(bytes)) => ("apiVersion", &mut self.api_version, bytes),
                (2, Wire::Bytes(bytes)) => ("kind", &mut self.kind, bytes),
                _ => continue,
            };
            if bytes.len() > TYPE_BYTES {
                return Err(Malformed::new("too long").within(name));
            }
            *part = text(bytes).map_err(|malformed| malformed.within(name))?;
        }
        Ok(())
    }
}
