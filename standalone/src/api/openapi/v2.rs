//! The second version of OpenAPI in the protobuf form that clients of Kubernetes up to 1.26 insist on: the messages of
//! `openapi.v2` from gnostic, written by hand, of which only a few fields are ever read.

use bytes::Bytes;
use serde_json::{Map, Value};

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A length-delimited field: text, bytes or a message.
    fn field(mut self, number: u32, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.varint(u64::from(number) << 3 | 2);
        self.varint(content.len() as u64);
        self.0.extend_from_slice(content);
        self
    }

    fn fields<T: AsRef<[u8]>>(self, number: u32, contents: impl IntoIterator<Item = T>) -> Self {
        contents.into_iter().fold(self, |message, content| message.field(number, content))
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn message() -> Message {
    Message::default()
}

/// A name and a message: how maps are written.
fn named(name: &str, value: &Message) -> Message {
    message().field(1, name).field(2, value)
}

/// A vendor extension, its value as YAML, of which JSON is a part.
fn extension(name: &str, value: &Value) -> Message {
    named(name, &message().field(2, value.to_string()))
}

/// One document from those of the third version.
pub(super) fn encode(documents: &[Value]) -> Bytes {
    let info = message().field(1, "Kubernetes").field(2, super::super::routes::VERSION);
    let mut paths = message();
    let mut definitions = message();
    let mut seen = std::collections::HashSet::new();
    for document in documents {
        for (path, item) in object(&document["paths"]) {
            paths = paths.field(2, named(path, &path_item(item)));
        }
        for (name, schema) in object(&document["components"]["schemas"]) {
            if seen.insert(name) {
                definitions = definitions.field(1, named(name, &self::schema(schema)));
            }
        }
    }
    let document = message().field(1, "2.0").field(2, info).field(8, paths).field(9, definitions);
    Bytes::from(document.0)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn path_item(item: &Value) -> Message {
    let mut encoded = message();
    for (method, number) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if item[method].is_object() {
            encoded = encoded.field(number, operation(&item[method]));
        }
    }
    encoded
}

fn operation(operation: &Value) -> Message {
    let text = |field: &str| operation[field].as_str().unwrap_or_default();
    let consumes = object(&operation["requestBody"]["content"]).map(|(media_type, _)| media_type);
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let query =
            message().field(2, "query").field(4, text(&parameter["name"])).field(6, text(&parameter["schema"]["type"]));
        // ParametersItem, Parameter, NonBodyParameter: a choice in a choice in a choice.
        message().field(1, message().field(2, message().field(3, query)))
    });
    let ok = named("200", &message().field(1, message().field(1, "OK")));
    message()
        .field(5, text("operationId"))
        .fields(7, consumes)
        .fields(8, parameters)
        .field(9, message().field(1, ok))
        .fields(
            13,
            ["x-kubernetes-action", "x-kubernetes-group-version-kind"].map(|name| extension(name, &operation[name])),
        )
}

fn schema(value: &Value) -> Message {
    let nothing = Map::new();
    let fields = value.as_object().unwrap_or(&nothing);
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let mut encoded = message();
    let reference = text("$ref").or_else(|| value.pointer("/allOf/0/$ref").and_then(Value::as_str));
    if let Some(reference) = reference {
        encoded = encoded.field(1, reference.replace("#/components/schemas/", "#/definitions/"));
    }
    if let Some(format) = text("format") {
        encoded = encoded.field(2, format);
    }
    if let Some(description) = text("description") {
        encoded = encoded.field(4, description);
    }
    let extensions = || fields.iter().filter(|(name, _)| name.starts_with("x-kubernetes-"));
    let extensions = || extensions().map(|(name, value)| extension(name, value));
    if reference.is_some() {
        return encoded.fields(31, extensions());
    }
    let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
    encoded = encoded.fields(19, required.filter_map(Value::as_str));
    match fields.get("additionalProperties") {
        Some(Value::Bool(allowed)) => {
            let mut choice = message();
            choice.varint(2 << 3);
            choice.varint(u64::from(*allowed));
            encoded = encoded.field(21, choice);
        }
        Some(inner @ Value::Object(_)) => encoded = encoded.field(21, message().field(1, schema(inner))),
        _ => {}
    }
    if let Some(ty) = text("type") {
        encoded = encoded.field(22, message().field(1, ty));
    }
    if let Some(items) = fields.get("items") {
        encoded = encoded.field(23, message().field(1, schema(items)));
    }
    // Old clients refuse every field that is not listed, also where the server keeps unknown ones: list none there.
    let open = fields.get("x-kubernetes-preserve-unknown-fields").is_some_and(|open| *open == true);
    if let Some(properties) = fields.get("properties").filter(|_| !open) {
        let properties = object(properties).map(|(name, value)| named(name, &schema(value)));
        encoded = encoded.field(25, message().fields(1, properties));
    }
    encoded.fields(31, extensions())
}
