//! Steps through JSON objects whose shape is only known to be probable.

use serde_json::{Map, Value};

use crate::validation::Path;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// The text at `field`; empty if there is none.
pub(super) fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Visits the object at `field`, if there is one.
pub(super) fn within(holder: &mut Object, field: &str, visit: impl FnOnce(&mut Object)) {
    if let Some(Value::Object(object)) = holder.get_mut(field) {
        visit(object);
    }
}

/// Visits every object in the list at `field`, with its index.
pub(super) fn each(holder: &mut Object, field: &str, mut visit: impl FnMut(usize, &mut Object)) {
    if let Some(Value::Array(items)) = holder.get_mut(field) {
        for (i, item) in items.iter_mut().enumerate() {
            if let Value::Object(item) = item {
                visit(i, item);
            }
        }
    }
}

/// Takes what is at the dotted `path`, and the objects around it that are empty then. `null` counts as absent.
pub(super) fn take(object: &mut Object, path: &str) -> Option<Value> {
    let taken = match path.split_once('.') {
        None => object.remove(path),
        Some((first, rest)) => {
            let Some(Value::Object(inner)) = object.get_mut(first) else { return None };
            let taken = take(inner, rest)?;
            if inner.is_empty() {
                object.remove(first);
            }
            Some(taken)
        }
    };
    taken.filter(|value| !value.is_null())
}

/// What is at the dotted `path`. `null` counts as absent.
pub(super) fn get<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let found = match path.split_once('.') {
        None => object.get(path),
        Some((first, rest)) => get(object.get(first)?.as_object()?, rest),
    };
    found.filter(|value| !value.is_null())
}

/// Puts `value` at the dotted `path`, in place of what was there.
pub(super) fn put(object: &mut Object, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(object.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = Value::Object(Object::new());
            }
            within(object, first, |inner| put(inner, rest, value));
        }
    }
}

/// Moves what is at one dotted path to another.
pub(super) fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = take(object, from) {
        put(object, to, value);
    }
}

/// `path` as a JSON pointer. Meant for paths of plain field names and indices.
pub(super) fn pointer(path: &Path) -> String {
    format!("/{}", path.to_string().replace(['.', '['], "/").replace(']', ""))
}

/// Takes the object at `field`; an empty one if there is none.
pub(super) fn take_object(holder: &mut Object, field: &str) -> Object {
    match holder.remove(field) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

/// Adds an entry to the map at `field`, unless there is one of that name.
pub(super) fn add_entry(holder: &mut Object, field: &str, name: &str, value: String) {
    let entries = holder.entry(field).or_insert(Value::Null);
    if entries.is_null() {
        *entries = Value::Object(Object::new());
    }
    if let Value::Object(entries) = entries {
        entries.entry(name).or_insert(Value::String(value));
    }
}

/// Takes an entry from the map at `field`, and the map if that leaves it empty.
pub(super) fn remove_entry(holder: &mut Object, field: &str, name: &str) -> Option<Value> {
    let Some(Value::Object(entries)) = holder.get_mut(field) else { return None };
    let removed = entries.remove(name)?;
    if entries.is_empty() {
        holder.remove(field);
    }
    Some(removed)
}

/// As [`remove_entry`], if the entry has that value.
pub(super) fn remove_equal_entry(holder: &mut Object, field: &str, name: &str, value: &str) {
    if holder.get(field).and_then(|entries| entries.get(name)).is_some_and(|found| found == value) {
        remove_entry(holder, field, name);
    }
}
