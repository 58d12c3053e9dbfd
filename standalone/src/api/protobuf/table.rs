//! What the messages are made of: `table.txt`, which `generate.py` writes.

use std::sync::LazyLock;

/// A message, by its position in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageId(u16);

/// What a field, or each item of it, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    /// Base64 in JSON.
    Bytes,
    Int32,
    Int64,
    Bool,
    /// A time in whole seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON as bytes.
    Json,
    /// A list of texts as a message.
    Strings,
    Message(MessageId),
}

/// How often a field is there, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    /// A map with text keys.
    Map,
    /// One, whose fields stand among those of its parent.
    Inlined,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    number: u16,
    /// In JSON. Empty if inlined.
    pub(super) name: &'static str,
    pub(super) ty: Type,
    pub(super) shape: Shape,
    /// Left off in JSON when empty, false or zero.
    pub(super) drop_empty: bool,
}

/// A message that is an object by itself.
#[derive(Debug)]
struct Kind {
    /// `*` is any.
    api_version: &'static str,
    kind: &'static str,
    message: MessageId,
}

/// All messages. Small: names are those of the embedded text.
#[derive(Debug, Default)]
pub(super) struct Table {
    kinds: Vec<Kind>,
    /// Of all messages, one after another, by ascending numbers.
    fields: Vec<Field>,
    /// For each message, where its fields end and those of the next begin.
    ends: Vec<u16>,
}

static EMBEDDED: LazyLock<Result<Table, usize>> = LazyLock::new(|| Table::parse(include_str!("table.txt")));

impl Table {
    /// The table this program was built with, read at its first use. The error is a line that is not understood.
    pub(super) fn embedded() -> Result<&'static Self, usize> {
        EMBEDDED.as_ref().map_err(|line| *line)
    }

    /// The message of a kind.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<MessageId> {
        let fits = |known: &&Kind| known.kind == kind && (known.api_version == api_version || known.api_version == "*");
        self.kinds.iter().find(fits).map(|known| known.message)
    }

    /// A field of a message.
    pub(super) fn field(&self, message: MessageId, number: u32) -> Option<&Field> {
        let index = usize::from(message.0);
        let start = index.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before))?;
        let fields = self.fields.get(usize::from(*start)..usize::from(*self.ends.get(index)?))?;
        let found = fields.binary_search_by_key(&number, |field| u32::from(field.number)).ok()?;
        fields.get(found)
    }

    /// What it takes of the heap.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.kinds) + size_of_val(&*self.fields) + size_of_val(&*self.ends)
    }

    pub(super) fn parse(text: &'static str) -> Result<Self, usize> {
        // A line that is one word is the name of a message; they are sorted.
        let names: Vec<&str> = text.lines().filter(|line| !line.contains(' ')).collect();
        let mut table = Self::default();
        for (index, line) in text.lines().enumerate() {
            table.parse_line(line, &names).ok_or(index + 1)?;
        }
        table.kinds.shrink_to_fit();
        table.fields.shrink_to_fit();
        table.ends.shrink_to_fit();
        Ok(table)
    }

    fn parse_line(&mut self, line: &'static str, names: &[&str]) -> Option<()> {
        let message = |name: &str| Some(MessageId(u16::try_from(names.binary_search(&name).ok()?).ok()?));
        let mut words = line.split(' ');
        match (words.next()?, words.next(), words.next(), words.next()) {
            ("#", ..) => {}
            ("=", Some(api_version), Some(kind), Some(name)) => {
                self.kinds.push(Kind { api_version, kind, message: message(name)? });
            }
            (_, None, ..) => self.ends.push(u16::try_from(self.fields.len()).ok()?),
            (number, Some(name), Some(ty), None) => {
                self.fields.push(Field::parse(number, name, ty, message)?);
                *self.ends.last_mut()? += 1;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Field {
    fn parse(
        number: &str,
        name: &'static str,
        ty: &str,
        message: impl FnOnce(&str) -> Option<MessageId>,
    ) -> Option<Self> {
        let (ty, drop_empty) = ty.strip_suffix('?').map_or((ty, false), |ty| (ty, true));
        let (shape, ty) = match (ty.get(..2)?, name) {
            ("[]", _) => (Shape::List, ty.get(2..)?),
            ("{}", _) => (Shape::Map, ty.get(2..)?),
            (_, "-") => (Shape::Inlined, ty),
            _ => (Shape::One, ty),
        };
        let ty = match ty {
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "bool" => Type::Bool,
            "Time" => Type::Time,
            "MicroTime" => Type::MicroTime,
            "Quantity" => Type::Quantity,
            "IntOrString" => Type::IntOrString,
            "Json" => Type::Json,
            "Strings" => Type::Strings,
            name => Type::Message(message(name)?),
        };
        let name = if shape == Shape::Inlined { "" } else { name };
        Some(Self { number: number.parse().ok()?, name, ty, shape, drop_empty })
    }
}
