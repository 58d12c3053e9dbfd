//! Weir's compact form of an event, for log records.
//!
//! ```text
//! record     = version flags id source type [subject] [time] [datacontenttype] [dataschema] extensions data
//! version    = 0x01                         a reader refuses any other
//! flags      = one byte                     1 specversion is 0.3 · 2 subject · 4 time · 8 datacontenttype
//!                                           16 dataschema · 32 data (which may be empty)
//! text       = length UTF-8                 of every attribute; length is an unsigned LEB128 varint
//! extensions = count { text kind [value] }  sorted by name; kind 0 text, 1 false, 2 true, 3 integer (4 bytes, little-endian)
//! data       = the rest of the record       so that reading it is a slice, not a copy
//! ```
//!
//! A round trip is exact in every attribute, value type and byte. Records carry no checksum: the log that holds them does.

use bytes::Bytes;

use super::{Attributes, Event, SpecVersion, Value};

const VERSION: u8 = 1;

const SPEC_VERSION_03: u8 = 1;
const SUBJECT: u8 = 1 << 1;
const TIME: u8 = 1 << 2;
const DATA_CONTENT_TYPE: u8 = 1 << 3;
const DATA_SCHEMA: u8 = 1 << 4;
const DATA: u8 = 1 << 5;
const KNOWN_FLAGS: u8 = SPEC_VERSION_03 | SUBJECT | TIME | DATA_CONTENT_TYPE | DATA_SCHEMA | DATA;

const TEXT: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Written by another version of Weir, or by something else.
    #[error("record format {0} is unknown")]
    UnknownVersion(u8),
    /// Ends before it should.
    #[error("record is cut short")]
    Truncated,
    /// Bytes that this format never has.
    #[error("record is damaged: {0}")]
    Malformed(&'static str),
}

/// Appends the record of `event` to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    let attributes = event.attributes();
    out.reserve(event.size_bytes() + 24 + 8 * attributes.extensions.len());
    let optional = [
        (&attributes.subject, SUBJECT),
        (&attributes.time, TIME),
        (&attributes.data_content_type, DATA_CONTENT_TYPE),
        (&attributes.data_schema, DATA_SCHEMA),
    ];
    let mut flags = match attributes.spec_version {
        SpecVersion::V03 => SPEC_VERSION_03,
        SpecVersion::V1 => 0,
    };
    flags |= if event.data().is_some() { DATA } else { 0 };
    flags |= optional.iter().filter(|(value, _)| value.is_some()).fold(0, |all, (_, flag)| all | flag);
    out.extend_from_slice(&[VERSION, flags]);
    for text in [&attributes.id, &attributes.source, &attributes.ty] {
        put_text(out, text);
    }
    for text in optional.iter().filter_map(|(value, _)| value.as_ref()) {
        put_text(out, text);
    }
    put_length(out, attributes.extensions.len());
    for (name, value) in &attributes.extensions {
        put_text(out, name);
        match value {
            Value::String(text) => {
                out.push(TEXT);
                put_text(out, text);
            }
            Value::Boolean(value) => out.push(if *value { TRUE } else { FALSE }),
            Value::Integer(value) => {
                out.push(INTEGER);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    if let Some(data) = event.data() {
        out.extend_from_slice(data);
    }
}

/// Reads a record. The event's data is a slice of `record` and keeps it alive.
///
/// Never panics and allocates no more than a small multiple of the record, whatever the bytes.
pub fn decode(record: Bytes) -> Result<Event, WireError> {
    let mut input = Input { rest: &record };
    match input.byte()? {
        VERSION => {}
        other => return Err(WireError::UnknownVersion(other)),
    }
    let flags = input.byte()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(WireError::Malformed("unknown flag"));
    }
    let attributes = Attributes {
        spec_version: if flags & SPEC_VERSION_03 == 0 { SpecVersion::V1 } else { SpecVersion::V03 },
        id: input.text()?,
        source: input.text()?,
        ty: input.text()?,
        subject: input.optional_text(flags & SUBJECT)?,
        time: input.optional_text(flags & TIME)?,
        data_content_type: input.optional_text(flags & DATA_CONTENT_TYPE)?,
        data_schema: input.optional_text(flags & DATA_SCHEMA)?,
        extensions: input.extensions()?,
    };
    let data_from = record.len() - input.rest.len();
    let data = if flags & DATA != 0 {
        let mut data = record;
        bytes::Buf::advance(&mut data, data_from);
        Some(data)
    } else if data_from == record.len() {
        None
    } else {
        return Err(WireError::Malformed("bytes after the end"));
    };
    Ok(Event::new(attributes, data))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// What is left to read of a record.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let (&byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    /// A varint of at most 32 bits: no attribute is longer, and longer ones would be damage.
    fn length(&mut self) -> Result<usize, WireError> {
        let mut length: u64 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(length)
                    .map(|length| length as usize)
                    .map_err(|_| WireError::Malformed("length out of range"));
            }
        }
        Err(WireError::Malformed("length out of range"))
    }

    fn text(&mut self) -> Result<String, WireError> {
        let length = self.length()?;
        let text = str::from_utf8(self.take(length)?).map_err(|_| WireError::Malformed("text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn optional_text(&mut self, present: u8) -> Result<Option<String>, WireError> {
        if present == 0 { Ok(None) } else { self.text().map(Some) }
    }

    fn extensions(&mut self) -> Result<Vec<(String, Value)>, WireError> {
        let count = self.length()?;
        // A damaged count must not reserve memory that the bytes then do not fill.
        let mut extensions: Vec<(String, Value)> = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            let name = self.text()?;
            if extensions.last().is_some_and(|(before, _)| *before >= name) {
                return Err(WireError::Malformed("extensions are not sorted"));
            }
            let value = match self.byte()? {
                TEXT => Value::String(self.text()?),
                FALSE => Value::Boolean(false),
                TRUE => Value::Boolean(true),
                INTEGER => Value::Integer(self.integer()?),
                _ => return Err(WireError::Malformed("unknown kind of value")),
            };
            extensions.push((name, value));
        }
        Ok(extensions)
    }

    fn integer(&mut self) -> Result<i32, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(i32::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests;
