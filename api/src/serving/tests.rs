//! What admission does to serving kinds, as a client sees it.

use serde_json::{Value, json};

use super::config::{Features, ServingConfig};
use crate::admission::testing::{self, refused};
use crate::admission::{Admitted, Context, admit};

mod annotations;
mod defaults;
mod kinds;
mod lifecycle;
mod pod;
mod probes;
mod traffic;
mod volumes;

/// An object of `serving.knative.dev/v1` named `hello`.
fn object(kind: &str, spec: Value) -> Value {
    let named = with(testing::object("serving.knative.dev/v1", kind, &Value::Null), "/metadata/name", json!("hello"));
    with(named, "/spec", spec)
}

/// A Service that is fine.
fn service() -> Value {
    object("Service", json!({"template": {"spec": {"containers": [{"image": "nginx"}]}}}))
}

/// The same object with `value` at a JSON pointer, objects on the way made if need be.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut object;
    for part in pointer.split('/').skip(1).map(|part| part.replace("~1", "/")) {
        place = match part.parse::<usize>() {
            Ok(index) => {
                let list = if place.is_null() { place.insert_list() } else { place.as_array_mut().expect("a list") };
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Err(_) => &mut place[part],
        };
    }
    *place = value;
    object
}

trait InsertList {
    fn insert_list(&mut self) -> &mut Vec<Value>;
}

impl InsertList for Value {
    fn insert_list(&mut self) -> &mut Vec<Value> {
        *self = json!([]);
        self.as_array_mut().expect("a list")
    }
}

fn admitted(object: Value, old: Option<&Value>) -> Admitted {
    admit(object, old, Context { user: Some("ann") }).expect("has to be admitted")
}

/// Each row: a JSON pointer, what is put there, and what the one error begins with, or nothing if it is fine.
fn check_rows(base: &Value, rows: &[(&str, Value, &str)]) {
    for (pointer, value, expected) in rows {
        let outcome = admit(with(base.clone(), pointer, value.clone()), None, Context::default());
        let told = outcome.err().map(|errors| errors.to_string()).unwrap_or_default();
        let fits = if expected.is_empty() { told.is_empty() } else { told.starts_with(expected) };
        assert!(fits && !told.contains('\n'), "{pointer} = {value}: {told}");
    }
}

fn config(features: Features) -> ServingConfig {
    ServingConfig { features, ..ServingConfig::default() }
}
