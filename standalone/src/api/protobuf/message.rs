//! From a message to a JSON object.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::Malformed;
use super::special;
use super::table::{Field, MessageId, Shape, Table, Type};
use super::wire::{Fields, Wire, number, text};

/// Deepest nesting: more than any kind has.
const DEPTH: usize = 32;
/// Most messages in one object: each may take a thousand bytes of memory for four in the body.
pub(super) const MESSAGES: usize = 1 << 16;

/// One body being read.
pub(super) struct Walk<'t> {
    table: &'t Table,
    depth: usize,
    messages: usize,
}

impl<'t> Walk<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, depth: 0, messages: 0 }
    }

    /// Reads the fields of a message into an object, which may have some already: then the later ones count.
    pub(super) fn message(
        &mut self,
        id: MessageId,
        bytes: &[u8],
        into: &mut Map<String, Value>,
    ) -> Result<(), Malformed> {
        self.messages += 1;
        self.depth += 1;
        if self.messages > MESSAGES || self.depth > DEPTH {
            return Err(Malformed::new("too many or too deeply nested messages"));
        }
        for field in Fields::of(bytes) {
            let (number, content) = field?;
            if let Some(field) = self.table.field(id, number) {
                self.field(field, content, into)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, field: &Field, content: Wire<'_>, into: &mut Map<String, Value>) -> Result<(), Malformed> {
        let name = field.name;
        match field.shape {
            Shape::Inlined => match (field.ty, content) {
                (Type::Message(id), Wire::Bytes(bytes)) => self.message(id, bytes, into),
                _ => Err(UNEXPECTED),
            },
            Shape::One => {
                let value = self.one(field.ty, content, into.remove(name)).map_err(|error| error.within(name))?;
                if let Some(value) = value.filter(|value| !(field.drop_empty && is_empty(value))) {
                    into.insert(name.to_owned(), value);
                }
                Ok(())
            }
            Shape::List => {
                let Value::Array(items) = slot(into, name, Value::Array(Vec::new())) else { return Ok(()) };
                let at = items.len();
                self.items(field.ty, content, items).map_err(|error| error.within(&format!("{name}[{at}]")))
            }
            Shape::Map => {
                let Value::Object(entries) = slot(into, name, Value::Object(Map::new())) else { return Ok(()) };
                self.entry(field.ty, content, entries).map_err(|error| error.within(name))
            }
        }
    }

    /// A single value; `earlier` is what the same field had before, if it is there twice. `None` is null.
    fn one(&mut self, ty: Type, content: Wire<'_>, earlier: Option<Value>) -> Result<Option<Value>, Malformed> {
        match (ty, content) {
            (Type::Bool, Wire::Number(number)) => Ok(Some(Value::from(number != 0))),
            (Type::Int32, Wire::Number(number)) => Ok(Some(Value::from(number as i32))),
            (Type::Int64, Wire::Number(number)) => Ok(Some(Value::from(number as i64))),
            (Type::String, Wire::Bytes(bytes)) => text(bytes).map(|text| Some(Value::from(text))),
            (Type::Bytes, Wire::Bytes(bytes)) => Ok(Some(Value::from(BASE64_STANDARD.encode(bytes)))),
            (Type::Time, Wire::Bytes(bytes)) => special::time(bytes, false),
            (Type::MicroTime, Wire::Bytes(bytes)) => special::time(bytes, true),
            (Type::Quantity, Wire::Bytes(bytes)) => special::quantity(bytes),
            (Type::IntOrString, Wire::Bytes(bytes)) => special::int_or_string(bytes),
            (Type::Json, Wire::Bytes(bytes)) => special::json(bytes),
            (Type::Strings, Wire::Bytes(bytes)) => special::strings(bytes),
            (Type::Message(id), Wire::Bytes(bytes)) => {
                let mut object = match earlier {
                    Some(Value::Object(earlier)) => earlier,
                    _ => Map::new(),
                };
                self.message(id, bytes, &mut object)?;
                Ok(Some(Value::Object(object)))
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// The next item of a list, or several numbers that are packed together.
    fn items(&mut self, ty: Type, content: Wire<'_>, items: &mut Vec<Value>) -> Result<(), Malformed> {
        if let (Type::Int32 | Type::Int64 | Type::Bool, Wire::Bytes(mut packed)) = (ty, content) {
            while !packed.is_empty() {
                let content = Wire::Number(number(&mut packed)?);
                items.push(self.one(ty, content, None)?.unwrap_or_default());
            }
            return Ok(());
        }
        items.push(self.one(ty, content, None)?.unwrap_or_default());
        Ok(())
    }

    /// An entry of a map: a message of key and value. What it lacks is empty.
    fn entry(&mut self, ty: Type, content: Wire<'_>, entries: &mut Map<String, Value>) -> Result<(), Malformed> {
        let Wire::Bytes(entry) = content else { return Err(UNEXPECTED) };
        let mut key = "";
        let mut value = match ty {
            Type::Int32 | Type::Int64 | Type::Bool => Wire::Number(0),
            _ => Wire::Bytes(&[]),
        };
        for field in Fields::of(entry) {
            match field? {
                (1, Wire::Bytes(bytes)) => key = text(bytes)?,
                (2, content) => value = content,
                _ => {}
            }
        }
        let value = self.one(ty, value, None).map_err(|error| error.within(&format!("[{key:?}]")))?;
        entries.insert(key.to_owned(), value.unwrap_or_default());
        Ok(())
    }
}

const UNEXPECTED: Malformed = Malformed { path: String::new(), reason: "of an unexpected wire type" };

fn slot<'a>(object: &'a mut Map<String, Value>, name: &str, empty: Value) -> &'a mut Value {
    object.entry(name).or_insert(empty)
}

/// What Go means by `omitempty`, as far as scalars go.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
