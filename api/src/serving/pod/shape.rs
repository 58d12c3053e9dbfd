//! The shape of the part of Kubernetes' PodSpec that a Revision may have: one table, two uses.
//!
//! The schema is made from it, so that the API server finds a misspelt field, a string for a number, and the keys of
//! lists that are applied by key. And the rules read it to refuse fields that Kubernetes has but a Revision may not
//! set. Those stay in the schema for that: were they left out, a server would drop `nodeName` with a warning at best,
//! and the pod would run elsewhere. Only fields that Kubernetes does not have either are left to the schema.

use serde_json::{Map, Value, json};

use crate::serving::config::{Feature, Features};
use crate::validation::{FieldError, Path};

/// One field of an object.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    rule: Rule,
    doc: &'static str,
}

/// Whether a field may be set.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Always,
    With(Feature),
    Never,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    Number,
    Switch,
    NumberOrText,
    Texts,
    Numbers,
    TextMap,
    Quantities,
    Object(&'static [Field]),
    List(&'static [Field]),
    /// A list that is applied by the value of one field of its items.
    Keyed(&'static [Field], &'static str),
    /// An object whose fields are Kubernetes' business.
    Open,
    /// A list of such objects.
    OpenList,
}

/// A field that may be set.
pub(super) const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, rule: Rule::Always, doc: "" }
}

/// A field that may be set when `feature` is on.
pub(super) const fn with(feature: Feature, name: &'static str, shape: Shape) -> Field {
    Field { name, shape, rule: Rule::With(feature), doc: "" }
}

/// A field that Kubernetes has and a Revision may not set.
pub(super) const fn never(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, rule: Rule::Never, doc: "" }
}

impl Field {
    /// The same with a description for `kubectl explain`.
    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    fn description(&self) -> Option<String> {
        match self.rule {
            Rule::With(feature) if !Features::default().allow(feature) => {
                Some(format!("{}Needs the feature {}.", self.doc, feature.key()))
            }
            Rule::Never => Some("Cannot be set.".to_owned()),
            Rule::With(_) | Rule::Always => (!self.doc.is_empty()).then(|| self.doc.to_owned()),
        }
    }
}

/// The `properties` of a schema.
pub(super) fn properties(fields: &[Field]) -> Map<String, Value> {
    let property = |field: &Field| {
        let mut schema = schema(field.shape);
        if let (Some(schema), Some(description)) = (schema.as_object_mut(), field.description()) {
            schema.insert("description".to_owned(), Value::String(description));
        }
        (field.name.to_owned(), schema)
    };
    fields.iter().map(property).collect()
}

fn schema(shape: Shape) -> Value {
    let number_or_text = || json!({"x-kubernetes-int-or-string": true});
    let open = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let list = |items: Value| json!({"type": "array", "items": items});
    let map = |values: Value| json!({"type": "object", "additionalProperties": values});
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Number => json!({"type": "integer"}),
        Shape::Switch => json!({"type": "boolean"}),
        Shape::NumberOrText => number_or_text(),
        Shape::Texts => list(json!({"type": "string"})),
        Shape::Numbers => list(json!({"type": "integer"})),
        Shape::TextMap => map(json!({"type": "string"})),
        Shape::Quantities => map(number_or_text()),
        Shape::Object(fields) => json!({"type": "object", "properties": properties(fields)}),
        Shape::List(fields) => list(schema(Shape::Object(fields))),
        Shape::Keyed(fields, key) => json!({
            "type": "array",
            // A key has to be there; what else is missing, admission tells better.
            "items": {"type": "object", "required": [key], "properties": properties(fields)},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": [key],
        }),
        Shape::Open => open(),
        Shape::OpenList => list(open()),
    }
}

/// Adds an error for each field of `object` that a Revision may not set.
pub(super) fn check(object: &Value, fields: &[Field], features: &Features, path: &Path, errors: &mut Vec<FieldError>) {
    for field in fields {
        let Some(value) = object.get(field.name).filter(|value| says_something(value, field)) else { continue };
        let path = path.field(field.name);
        match field.rule {
            Rule::Never => errors.push(FieldError::forbidden(path, "a Revision cannot have it")),
            Rule::With(feature) if !features.allow(feature) => {
                errors.push(FieldError::forbidden(path, feature.is_off()));
            }
            Rule::With(_) | Rule::Always => check_inside(value, field.shape, features, &path, errors),
        }
    }
}

fn check_inside(value: &Value, shape: Shape, features: &Features, path: &Path, errors: &mut Vec<FieldError>) {
    match shape {
        Shape::Object(fields) => check(value, fields, features, path, errors),
        Shape::List(fields) | Shape::Keyed(fields, _) => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                check(item, fields, features, &path.index(index), errors);
            }
        }
        Shape::Text
        | Shape::Number
        | Shape::Switch
        | Shape::NumberOrText
        | Shape::Texts
        | Shape::Numbers
        | Shape::TextMap
        | Shape::Quantities
        | Shape::Open
        | Shape::OpenList => {}
    }
}

/// Whether a field that is there asks for something. Go, and with it Knative, cannot tell an empty string or list from
/// one that is not there, nor `false` where that is what Kubernetes does anyway.
fn says_something(value: &Value, field: &Field) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on || !OFF_BY_DEFAULT.contains(&field.name),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Number(_) | Value::Object(_) => true,
    }
}

/// Switches whose `false` changes nothing.
const OFF_BY_DEFAULT: [&str; 6] = ["hostIPC", "hostNetwork", "hostPID", "stdin", "stdinOnce", "tty"];
