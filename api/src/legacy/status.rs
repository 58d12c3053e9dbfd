//! Status fields and conditions that had another name.

use serde_json::Value;

use super::object::{Object, each, put, rename, take, text, within};

/// One difference between the status of an older form and the current one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// A field by its dotted paths, older and current.
    Field(&'static str, &'static str),
    /// A condition by its types, older and current.
    Condition(&'static str, &'static str),
    /// `address.hostname` beside `address.url`.
    Hostname,
    /// `domain` and `domainInternal` beside `url` and `address.url`, as Serving had them.
    Domains,
    /// `triggerChannel`, an ObjectReference, instead of the annotations that say the same.
    TriggerChannel,
}

/// Field of `status.triggerChannel`, annotation of `status.annotations`.
const TRIGGER_CHANNEL: [(&str, &str); 3] = [
    ("apiVersion", "knative.dev/channelAPIVersion"),
    ("kind", "knative.dev/channelKind"),
    ("name", "knative.dev/channelName"),
];

impl Rule {
    pub(super) fn convert(self, status: &mut Object) {
        match self {
            Self::Field(old, current) => rename(status, old, current),
            Self::Condition(old, current) => rename_condition(status, old, current),
            Self::Hostname => within(status, "address", |address| to_url(take(address, "hostname").as_ref(), address)),
            Self::Domains => {
                let domain = take(status, "domain");
                to_url(domain.as_ref(), status);
                let internal = take(status, "domainInternal");
                if status.contains_key("address") || internal.is_some() {
                    let address = status.entry("address").or_insert_with(|| Object::new().into());
                    if let Value::Object(address) = address {
                        to_url(internal.as_ref(), address);
                    }
                }
            }
            Self::TriggerChannel => {
                if let Some(Value::Object(channel)) = take(status, "triggerChannel") {
                    for (field, annotation) in TRIGGER_CHANNEL {
                        let annotations = status.entry("annotations").or_insert_with(|| Object::new().into());
                        if let (Value::Object(annotations), Some(value)) = (annotations, channel.get(field)) {
                            annotations.insert(annotation.to_owned(), value.clone());
                        }
                    }
                }
            }
        }
    }

    pub(super) fn present(self, status: &mut Object) {
        match self {
            Self::Field(old, current) => rename(status, current, old),
            Self::Condition(old, current) => rename_condition(status, current, old),
            Self::Hostname => within(status, "address", |address| {
                if let Some(host) = host(address) {
                    address.insert("hostname".to_owned(), host);
                }
            }),
            Self::Domains => {
                let internal = status.get("address").and_then(Value::as_object).and_then(host);
                for (field, host) in [("domain", host(status)), ("domainInternal", internal)] {
                    status.extend(host.map(|host| (field.to_owned(), host)));
                }
            }
            Self::TriggerChannel => {
                let annotations = status.get("annotations").and_then(Value::as_object);
                let channel: Object = TRIGGER_CHANNEL
                    .iter()
                    .filter_map(|(field, annotation)| {
                        Some(((*field).to_owned(), annotations?.get(*annotation)?.clone()))
                    })
                    .collect();
                if !channel.is_empty() {
                    put(status, "triggerChannel", channel.into());
                }
            }
        }
    }
}

fn rename_condition(status: &mut Object, from: &str, to: &str) {
    each(status, "conditions", |_, condition| {
        if text(condition, "type") == from {
            condition.insert("type".to_owned(), to.into());
        }
    });
}

/// `url` from the host name, where there is only that.
fn to_url(host: Option<&Value>, object: &mut Object) {
    if let (Some(host), true) = (host.and_then(Value::as_str), text(object, "url").is_empty()) {
        object.insert("url".to_owned(), format!("http://{host}").into());
    }
}

fn host(object: &Object) -> Option<Value> {
    let url = url::Url::parse(text(object, "url")).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")).into())
}
