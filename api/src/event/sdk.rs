//! To and from `cloudevents-sdk`, where people's code builds and reads events.
//!
//! The SDK holds less than the wire does, so a trip through it keeps an event's meaning, not its every character:
//! `time` becomes an instant in UTC, `dataschema` a normalised URL. Data keeps its bytes. What the SDK, or this side,
//! cannot hold at all is an error.

use cloudevents::event::{Data, EventBuilderError, ExtensionValue};
use cloudevents::{AttributesReader as _, AttributesWriter as _, EventBuilder as _};
use cloudevents::{EventBuilderV03, EventBuilderV10};
use url::Url;

use super::{Attributes, Event, InvalidEvent, SpecVersion, Value, syntax};

/// Why an event cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The SDK refuses an attribute: a time outside its calendar, for instance.
    #[error("the event cannot be held by cloudevents-sdk")]
    Refused(#[from] EventBuilderError),
    /// The schema is a valid reference but no absolute URL, the only kind the SDK holds.
    #[error("the schema of the event cannot be held by cloudevents-sdk")]
    Schema(#[from] url::ParseError),
    /// An integer of the SDK that exceeds the 32 bits of CloudEvents.
    #[error("extension {0:?} is an integer of more than 32 bits")]
    Integer(String),
    /// JSON data of the SDK that cannot be written.
    #[error("data cannot be written as JSON")]
    Data(#[from] serde_json::Error),
    /// The event of the SDK breaks a rule it does not check.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
}

impl TryFrom<&Event> for cloudevents::Event {
    type Error = SdkError;

    fn try_from(event: &Event) -> Result<Self, SdkError> {
        let attributes = event.attributes();
        macro_rules! built_by {
            ($builder:ty) => {{
                let mut builder = <$builder>::new().id(event.id()).source(event.source()).ty(event.ty());
                if let Some(subject) = &attributes.subject {
                    builder = builder.subject(subject);
                }
                if let Some(time) = &attributes.time {
                    builder = builder.time(time.as_str());
                }
                builder.build()?
            }};
        }
        let mut converted = match attributes.spec_version {
            SpecVersion::V03 => built_by!(EventBuilderV03),
            SpecVersion::V1 => built_by!(EventBuilderV10),
        };
        converted.set_datacontenttype(attributes.data_content_type.clone());
        if let Some(schema) = &attributes.data_schema {
            converted.set_dataschema(Some(Url::parse(schema)?));
        }
        for (name, value) in &attributes.extensions {
            let value = match value {
                Value::String(text) => ExtensionValue::String(text.clone()),
                Value::Boolean(value) => ExtensionValue::Boolean(*value),
                Value::Integer(value) => ExtensionValue::Integer(i64::from(*value)),
            };
            converted.set_extension(name, value);
        }
        if let Some(data) = event.data() {
            converted.set_data_unchecked(sdk_data(attributes.data_content_type.as_deref(), data));
        }
        Ok(converted)
    }
}

impl TryFrom<Event> for cloudevents::Event {
    type Error = SdkError;

    fn try_from(event: Event) -> Result<Self, SdkError> {
        Self::try_from(&event)
    }
}

/// The most telling form of `data` that gives its bytes back unchanged.
fn sdk_data(content_type: Option<&str>, data: &[u8]) -> Data {
    if content_type.is_none_or(syntax::is_json)
        && let Ok(json) = serde_json::from_slice::<serde_json::Value>(data)
        && serde_json::to_vec(&json).is_ok_and(|written| written == data)
    {
        return Data::Json(json);
    }
    match str::from_utf8(data) {
        Ok(text) if content_type.is_some_and(syntax::is_text) => Data::String(text.to_owned()),
        _ => Data::Binary(data.to_vec()),
    }
}

impl TryFrom<&cloudevents::Event> for Event {
    type Error = SdkError;

    fn try_from(event: &cloudevents::Event) -> Result<Self, SdkError> {
        let mut attributes = Attributes {
            spec_version: match event.specversion() {
                cloudevents::event::SpecVersion::V03 => SpecVersion::V03,
                cloudevents::event::SpecVersion::V10 => SpecVersion::V1,
            },
            id: event.id().to_owned(),
            source: event.source().clone(),
            ty: event.ty().to_owned(),
            subject: event.subject().map(str::to_owned),
            time: event.time().map(|time| time.to_rfc3339().replace("+00:00", "Z")),
            data_content_type: event.datacontenttype().map(str::to_owned),
            data_schema: event.dataschema().map(|schema| schema.as_str().to_owned()),
            extensions: Vec::new(),
        };
        for (name, value) in event.iter_extensions() {
            let value = match value {
                ExtensionValue::String(text) => Value::String(text.clone()),
                ExtensionValue::Boolean(value) => Value::Boolean(*value),
                ExtensionValue::Integer(value) => {
                    Value::Integer(i32::try_from(*value).map_err(|_| SdkError::Integer(name.to_owned()))?)
                }
            };
            attributes.set_extension(name, value);
        }
        let data = match event.data() {
            None => None,
            Some(Data::Binary(bytes)) => Some(bytes.clone().into()),
            Some(Data::String(text)) => Some(text.clone().into()),
            Some(Data::Json(json)) => {
                attributes.data_content_type.get_or_insert_with(|| "application/json".to_owned());
                Some(serde_json::to_vec(json)?.into())
            }
        };
        attributes.validate()?;
        Ok(Event::new(attributes, data))
    }
}

impl TryFrom<cloudevents::Event> for Event {
    type Error = SdkError;

    fn try_from(event: cloudevents::Event) -> Result<Self, SdkError> {
        Self::try_from(&event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdk_event() -> cloudevents::Event {
        EventBuilderV10::new().id("1").source("/s").ty("t").build().expect("valid")
    }

    #[test]
    fn what_this_side_cannot_hold_is_reported() {
        let mut wide = sdk_event();
        wide.set_extension("wide", i64::from(i32::MAX) + 1);
        assert!(matches!(Event::try_from(&wide), Err(SdkError::Integer(name)) if name == "wide"));
        let mut misnamed = sdk_event();
        misnamed.set_extension("not_a_name", "x");
        assert!(matches!(Event::try_from(&misnamed), Err(SdkError::Invalid(_))));
    }

    #[test]
    fn what_the_sdk_cannot_hold_is_reported() {
        let attributes = Attributes {
            spec_version: SpecVersion::V03,
            id: "1".into(),
            source: "/s".into(),
            ty: "t".into(),
            data_schema: Some("/relative".into()),
            ..Attributes::default()
        };
        attributes.validate().expect("a relative schemaurl is valid");
        assert!(matches!(cloudevents::Event::try_from(&Event::new(attributes, None)), Err(SdkError::Schema(_))));
    }

    #[test]
    fn json_data_becomes_a_tree_only_if_its_bytes_come_back() {
        for (data, tree) in [(r#"{"a":1}"#, true), (r#"{"a": 1}"#, false), ("1.10", false), ("not json", false)] {
            assert_eq!(matches!(sdk_data(Some("application/json"), data.as_bytes()), Data::Json(_)), tree, "{data}");
        }
    }

    #[test]
    fn json_built_with_the_sdk_says_so() {
        let mut built = sdk_event();
        built.set_data_unchecked(serde_json::json!({"a": 1}));
        let event = Event::try_from(&built).expect("valid");
        assert_eq!(event.attributes().data_content_type.as_deref(), Some("application/json"));
        assert_eq!(event.data().map(|data| &data[..]), Some(&br#"{"a":1}"#[..]));
    }
}
