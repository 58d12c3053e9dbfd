//! Building an event from scratch, as sources and tools do.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Attributes, Event, InvalidEvent, SpecVersion, Value};

/// An event in the making. Nothing is checked before [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct EventBuilder {
    id: Option<String>,
    attributes: Attributes,
    data: Option<Bytes>,
}

impl Event {
    /// Starts an event of version 1.0. Unless an id is set it gets a new UUID (version 7, so ids sort by time).
    pub fn builder(source: impl Into<String>, ty: impl Into<String>) -> EventBuilder {
        let attributes = Attributes { source: source.into(), ty: ty.into(), ..Attributes::default() };
        EventBuilder { id: None, attributes, data: None }
    }
}

impl EventBuilder {
    /// Sets `id`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets `specversion`.
    pub fn spec_version(mut self, version: SpecVersion) -> Self {
        self.attributes.spec_version = version;
        self
    }

    /// Sets `subject`.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.attributes.subject = Some(subject.into());
        self
    }

    /// Sets `time` to an RFC 3339 text.
    pub fn time(mut self, time: impl Into<String>) -> Self {
        self.attributes.time = Some(time.into());
        self
    }

    /// Sets `time` to an instant.
    pub fn at(self, time: Timestamp) -> Self {
        self.time(time.to_string())
    }

    /// Sets `time` to the present.
    pub fn now(self) -> Self {
        self.at(Timestamp::now())
    }

    /// Sets `dataschema`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.attributes.data_schema = Some(schema.into());
        self
    }

    /// Sets the extension called `name`.
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.set_extension(name, value.into());
        self
    }

    /// Sets `datacontenttype` and data.
    pub fn data(mut self, content_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.attributes.data_content_type = Some(content_type.into());
        self.data = Some(data.into());
        self
    }

    /// Sets data that is JSON; fails if `value` cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_vec(value)?;
        Ok(self.data("application/json", data))
    }

    /// The event, if its attributes are valid.
    pub fn build(self) -> Result<Event, InvalidEvent> {
        let Self { id, mut attributes, data } = self;
        attributes.id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
        attributes.validate()?;
        Ok(Event::new(attributes, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rule;

    #[test]
    fn an_event_without_id_gets_one_of_its_own() {
        let builder = Event::builder("/s", "t").now();
        let (one, other) = (builder.clone().build().expect("valid"), builder.build().expect("valid"));
        assert_ne!(one.id(), other.id());
        assert_eq!(Uuid::parse_str(one.id()).expect("a UUID").get_version_num(), 7);
        assert!(one.attributes().time.is_some());
    }

    #[test]
    fn what_is_set_is_checked() {
        let error = Event::builder("/s", "t").id(" ").build().expect_err("a blank id");
        assert_eq!((&*error.attribute, error.rule), ("id", Rule::Required));
        let error = Event::builder("/s", "t").extension("Bad", 1).build().expect_err("an upper-case name");
        assert_eq!((&*error.attribute, error.rule), ("Bad", Rule::ExtensionName));
    }
}
