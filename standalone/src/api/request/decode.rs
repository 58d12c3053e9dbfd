//! Bodies as values, without losing what a map cannot hold: a field that is there twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::FieldValidation;
use crate::api::failure::Failure;

/// A body, and the paths of fields that are in it more than once. The last one counts, as in Kubernetes.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) object: Value,
    pub(crate) duplicates: Vec<String>,
}

impl Decoded {
    /// A body that cannot hold anything twice.
    pub(super) fn of(object: Value) -> Self {
        Self { object, duplicates: Vec::new() }
    }

    /// The object, and what its sender is to be warned of; or, if fields are to be right, the refusal.
    pub(crate) fn checked(self, validation: FieldValidation) -> Result<(Value, Vec<String>), Failure> {
        let texts: Vec<String> = self.duplicates.iter().map(|field| format!("duplicate field \"{field}\"")).collect();
        match validation {
            FieldValidation::Strict if !texts.is_empty() => {
                Err(Failure::bad_request(format!("strict decoding error: {}", texts.join(", "))))
            }
            FieldValidation::Strict | FieldValidation::Warn => Ok((self.object, texts)),
            FieldValidation::Ignore => Ok((self.object, Vec::new())),
        }
    }
}

/// Deepest nesting of a YAML body: its parser takes time by the square of it.
const YAML_DEPTH: usize = 1000;

/// Reads JSON.
pub(super) fn json(body: &[u8]) -> Result<Decoded, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let decoded = decode(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(decoded)
}

/// Reads YAML, of which JSON is a part.
pub(super) fn yaml(body: &[u8]) -> Result<Decoded, String> {
    if yaml_depth(body) > YAML_DEPTH {
        return Err(format!("nested deeper than {YAML_DEPTH} levels"));
    }
    decode(serde_yaml_ng::Deserializer::from_slice(body)).map_err(|error| error.to_string())
}

/// How deep a body nests in the ways that cost a byte or two a level; indentation costs a line each. A little too deep
/// where brackets stand in texts.
fn yaml_depth(body: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for &byte in body {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest.max(compact(body))
}

/// The longest run of `- ` on one line: lists in lists.
fn compact(body: &[u8]) -> usize {
    let runs = body.split(|byte| *byte == b'\n').map(|line| {
        line.chunks(2).skip_while(|chunk| *chunk == b"  ").take_while(|chunk| matches!(*chunk, b"- " | b"? ")).count()
    });
    runs.max().unwrap_or(0)
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decoded, D::Error> {
    let duplicates = RefCell::default();
    let object = Seed { place: &Place::Root, duplicates: &duplicates }.deserialize(deserializer)?;
    Ok(Decoded { object, duplicates: duplicates.into_inner() })
}

/// Where a value is; written out only when somebody has to be told.
enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Seed<'a> {
    place: &'a Place<'a>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // YAML knows numbers that JSON does not.
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom(format_args!("{value} is no JSON number")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Item(self.place, list.len());
            match items.next_element_seed(Seed { place: &place, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = Place::Field(self.place, &name);
            let value = fields.next_value_seed(Seed { place: &place, duplicates: self.duplicates })?;
            if map.contains_key(&name) {
                self.duplicates.borrow_mut().push(place.to_string());
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_twice_is_told_with_its_path_and_the_last_one_counts() {
        let text = r#"{"spec": {"a": 1, "list": [{"b": 1}, {"b": 1, "b": 2}], "a": -3.5}, "x": null}"#;
        for decoded in [json(text.as_bytes()), yaml(b"spec: {list: [{b: 1}, {b: 1, b: 2}], a: 1, a: -3.5}\nx:\n")] {
            let Decoded { object, mut duplicates } = decoded.expect("reads");
            assert_eq!(object, json!({"spec": {"a": -3.5, "list": [{"b": 1}, {"b": 2}]}, "x": null}));
            duplicates.sort();
            assert_eq!(duplicates, ["spec.a", "spec.list[1].b"]);
        }
    }

    #[test]
    fn deep_and_odd_bodies_are_refused_at_once() {
        let flow = format!("x: {}1{}", "{a: ".repeat(100_000), "}".repeat(100_000));
        let lists = "- ".repeat(100_000);
        for deep in [flow.as_str(), &"[".repeat(100_000), &lists, &format!("a:\n  {lists}x")] {
            assert!(yaml(deep.as_bytes()).is_err());
        }
        assert!(json("[".repeat(100_000).as_bytes()).is_err());
        for odd in ["", "{", "{}x", "{\"a\": 1e999}", "nul"] {
            assert!(json(odd.as_bytes()).is_err(), "{odd:?}");
        }
        assert!(yaml(b"a: .inf").is_err());
        let dashes = format!("---\na: \"{}\"\nb:\n- c\n- d\n", "-".repeat(5000));
        assert_eq!(yaml(dashes.as_bytes()).expect("reads").object["b"], json!(["c", "d"]));
    }
}
