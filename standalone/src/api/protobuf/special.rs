//! Messages whose JSON form is not an object of their fields. `None` is null, as the zero values of some are.

use jiff::Timestamp;
use serde_json::Value;

use super::Malformed;
use super::wire::{Fields, Wire, text};

/// Seconds of the first of January of the year 1, which is no time at all in Go.
const ZERO_SECONDS: i64 = -62_135_596_800;

/// A time, as whole seconds or, if `micro`, with six digits more.
pub(super) fn time(bytes: &[u8], micro: bool) -> Result<Option<Value>, Malformed> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for field in Fields::of(bytes) {
        match field? {
            (1, Wire::Number(number)) => seconds = number as i64,
            (2, Wire::Number(number)) if micro => nanoseconds = number as i32 / 1000 * 1000,
            _ => {}
        }
    }
    if bytes.is_empty() || (seconds, nanoseconds) == (ZERO_SECONDS, 0) {
        return Ok(None);
    }
    let time = (seconds >= ZERO_SECONDS).then(|| Timestamp::new(seconds, nanoseconds).ok()).flatten();
    let time = time.ok_or(Malformed::new("not a time between the years 1 and 9999"))?;
    Ok(Some(Value::from(if micro { format!("{time:.6}") } else { time.to_string() })))
}

/// A quantity, which is its text.
pub(super) fn quantity(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
    let mut quantity = "";
    for field in Fields::of(bytes) {
        if let (1, Wire::Bytes(bytes)) = field? {
            quantity = text(bytes)?;
        }
    }
    Ok(Some(Value::from(if quantity.is_empty() { "0" } else { quantity })))
}

/// A number or a text, as its first field says.
pub(super) fn int_or_string(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
    let (mut ty, mut number, mut string) = (0, 0, "");
    for field in Fields::of(bytes) {
        match field? {
            (1, Wire::Number(value)) => ty = value,
            (2, Wire::Number(value)) => number = value as i32,
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    match ty {
        0 => Ok(Some(Value::from(number))),
        1 => Ok(Some(Value::from(string))),
        _ => Err(Malformed::new("neither a number nor a text")),
    }
}

/// JSON that protobuf carries as it is.
pub(super) fn json(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
    let mut json: &[u8] = &[];
    for field in Fields::of(bytes) {
        if let (1, Wire::Bytes(bytes)) = field? {
            json = bytes;
        }
    }
    if json.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(json).map_err(|_| Malformed::new("not JSON"))
}

/// A list of texts.
pub(super) fn strings(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
    let mut strings = Vec::new();
    for field in Fields::of(bytes) {
        if let (1, Wire::Bytes(bytes)) = field? {
            strings.push(Value::from(text(bytes)?));
        }
    }
    Ok(Some(Value::Array(strings)))
}
