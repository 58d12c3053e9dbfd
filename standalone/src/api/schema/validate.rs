//! The three walks over an object that its schema directs: prune, fill in defaults, validate.
//!
//! Each leaves `apiVersion`, `kind` and `metadata` of the object itself alone: those are the server's.

use serde_json::{Map, Value};

use super::{Schema, Type};
use crate::api::failure::Cause;

/// Whether `name` is one of the fields every object has, at the top of an object.
fn is_envelope(path: &str, name: &str) -> bool {
    path.is_empty() && matches!(name, "apiVersion" | "kind" | "metadata")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Schema {
    /// Removes what the schema does not know, and nulls where null is not a value. Returns the paths of the unknown
    /// fields, so that the caller can refuse them or warn.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        self.prune_at(object, "", &mut unknown);
        unknown
    }

    fn prune_at(&self, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.retain(|name, value| {
                if is_envelope(path, name) {
                    return true;
                }
                match self.field(name) {
                    Some((schema, _)) if value.is_null() => schema.nullable || schema.ty == Type::Any,
                    Some((schema, _)) => {
                        schema.make_whole(value);
                        schema.prune_at(value, &join(path, name), unknown);
                        true
                    }
                    None if self.preserve => true,
                    None => {
                        unknown.push(join(path, name));
                        false
                    }
                }
            }),
            Value::Array(list) => {
                if let Some(items) = self.items() {
                    for (index, item) in list.iter_mut().enumerate() {
                        items.prune_at(item, &format!("{path}[{index}]"), unknown);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Writes a whole number as one: `1.0` and `1e2` are integers to Kubernetes too.
    fn make_whole(&self, value: &mut Value) {
        if let (Type::Integer, Some(number)) = (self.ty, value.as_f64().filter(|_| value.is_f64()))
            && number.fract() == 0.0
            && number.abs() < 9e15
        {
            *value = Value::from(number as i64);
        }
    }

    /// Fills in the schema's defaults below every object that is present.
    pub(crate) fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (name, schema) in &self.properties {
                    if let Some(default) = &schema.default
                        && !map.contains_key(name)
                    {
                        map.insert(name.clone(), default.clone());
                    }
                }
                for (name, value) in map {
                    if let Some((schema, _)) = self.field(name) {
                        schema.fill(value);
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = self.items() {
                    list.iter_mut().for_each(|item| items.fill(item));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Every way in which `object` breaks the schema, in Kubernetes' wording.
    pub(crate) fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.validate_at(object, "", &mut causes);
        causes
    }

    fn validate_at(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        if value.is_null() && self.nullable {
            return;
        }
        if !self.ty.admits(value) {
            let found = type_name(value);
            let detail = format!("{path} in body must be of type {}: \"{found}\"", self.ty.name());
            let mut cause = Cause::invalid(path, &format!("\"{found}\""), &detail);
            cause.reason = "FieldValueTypeInvalid";
            causes.push(cause);
            return;
        }
        self.validate_bounds(value, path, causes);
        match value {
            Value::Object(map) => self.validate_object(map, path, causes),
            Value::Array(list) => {
                if let Some(items) = self.items() {
                    for (index, item) in list.iter().enumerate() {
                        items.validate_at(item, &format!("{path}[{index}]"), causes);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn validate_object(&self, map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
        for name in &self.required {
            if !map.contains_key(name) && !is_envelope(path, name) {
                causes.push(Cause::required(join(path, name), ""));
            }
        }
        for (name, value) in map {
            if is_envelope(path, name) {
                continue;
            }
            if let Some((schema, _)) = self.field(name) {
                schema.validate_at(value, &join(path, name), causes);
            }
        }
    }

    fn validate_bounds(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let allowed: Vec<String> = self.allowed.iter().map(Value::to_string).collect();
            causes.push(Cause {
                reason: "FieldValueNotSupported",
                field: path.to_owned(),
                message: format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")),
            });
        }
        let mut refuse = |detail: String| {
            causes.push(Cause::invalid(path, &value.to_string(), &format!("{path} in body {detail}")));
        };
        let fits = |number: i64| !self.is_32_bit || i32::try_from(number).is_ok();
        if self.ty == Type::Integer && !value.as_i64().is_some_and(fits) {
            refuse(format!("must be of type {}", if self.is_32_bit { "int32" } else { "int64" }));
        }
        if let (Some(number), Some(minimum)) = (value.as_f64(), self.minimum)
            && number < minimum
        {
            refuse(format!("should be greater than or equal to {minimum}"));
        }
        if let (Some(number), Some(maximum)) = (value.as_f64(), self.maximum)
            && number > maximum
        {
            refuse(format!("should be less than or equal to {maximum}"));
        }
        if let (Some(text), Some(least)) = (value.as_str(), self.min_length)
            && text.chars().count() < least
        {
            refuse(format!("should be at least {least} chars long"));
        }
        if let (Some(list), Some(least)) = (value.as_array(), self.min_items)
            && list.len() < least
        {
            refuse(format!("should have at least {least} items"));
        }
    }
}

impl Type {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
