//! Attributes by the names filters use for them.

use std::fmt;

use weir_api::Event;
use weir_api::event::Value;

/// An attribute a filter can name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `type`
    Type,
    /// `source`
    Source,
    /// `subject`
    Subject,
    /// `id`
    Id,
    /// `specversion`
    SpecVersion,
    /// `time`
    Time,
    /// `dataschema`, and its name in CloudEvents 0.3, `schemaurl`
    DataSchema,
    /// `datacontenttype`
    DataContentType,
    /// `datamediatype`: `datacontenttype` without parameters
    DataMediaType,
    /// Any other name.
    Extension(Box<str>),
}

/// The value of an attribute, as a filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A text, or anything that shares its form.
    Text(&'a str),
    /// An extension that arrived as a JSON boolean.
    Boolean(bool),
    /// An extension that arrived as a JSON number.
    Integer(i32),
}

impl Attribute {
    /// The attribute called `name`.
    pub fn named(name: &str) -> Self {
        match name {
            "type" => Self::Type,
            "source" => Self::Source,
            "subject" => Self::Subject,
            "id" => Self::Id,
            "specversion" => Self::SpecVersion,
            "time" => Self::Time,
            "dataschema" | "schemaurl" => Self::DataSchema,
            "datacontenttype" => Self::DataContentType,
            "datamediatype" => Self::DataMediaType,
            other => Self::Extension(other.into()),
        }
    }

    /// Its value in `event`; `None` if it is absent.
    ///
    /// An absent `time` reads as year one: upstream's filters see its language's zero time, so that `time: ""` of the
    /// older dialect matches every event. Other absent attributes read as empty upstream, which no filter can tell
    /// from absent.
    pub fn lookup<'a>(&self, event: &'a Event) -> Option<Seen<'a>> {
        let attributes = event.attributes();
        let text = match self {
            Self::Type => Some(event.ty()),
            Self::Source => Some(event.source()),
            Self::Subject => attributes.subject.as_deref(),
            Self::Id => Some(event.id()),
            Self::SpecVersion => Some(attributes.spec_version.as_str()),
            Self::Time => Some(attributes.time.as_deref().unwrap_or("0001-01-01T00:00:00Z")),
            Self::DataSchema => attributes.data_schema.as_deref(),
            Self::DataContentType => attributes.data_content_type.as_deref(),
            Self::DataMediaType => attributes
                .data_content_type
                .as_deref()
                .map(|text| text.split_once(';').map_or(text, |(media_type, _)| media_type).trim()),
            Self::Extension(name) => return event.extension(name).map(Seen::from),
        };
        text.map(Seen::Text)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "type",
            Self::Source => "source",
            Self::Subject => "subject",
            Self::Id => "id",
            Self::SpecVersion => "specversion",
            Self::Time => "time",
            Self::DataSchema => "dataschema",
            Self::DataContentType => "datacontenttype",
            Self::DataMediaType => "datamediatype",
            Self::Extension(name) => name,
        })
    }
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Integer(value) => Self::Integer(*value),
        }
    }
}

/// Room for the longest integer, `-2147483648`.
pub(super) type Digits = [u8; 11];

impl<'a> Seen<'a> {
    /// The canonical string form, written to `buffer` if it is not there already.
    pub(super) fn text<'b>(self, buffer: &'b mut Digits) -> &'b str
    where
        'a: 'b,
    {
        match self {
            Self::Text(text) => text,
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
            Self::Integer(value) => {
                let mut at = buffer.len();
                let mut rest = value.unsigned_abs();
                loop {
                    at -= 1;
                    buffer[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                    if rest == 0 {
                        break;
                    }
                }
                if value < 0 {
                    at -= 1;
                    buffer[at] = b'-';
                }
                std::str::from_utf8(&buffer[at..]).unwrap_or_default()
            }
        }
    }
}
