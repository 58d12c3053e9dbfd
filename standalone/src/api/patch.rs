//! The patches that are plain functions of a document: JSON Patch and JSON Merge Patch.

use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value};

use super::metadata::{MAX_DEPTH, is_deeper};

pub(crate) mod strategic;

/// Most operations of one patch, as in Kubernetes.
const MAX_OPERATIONS: usize = 10_000;
/// Most that the copies of one patch may add up to, as in Kubernetes.
const MAX_COPIED_BYTES: usize = 3 << 20;

/// Applies RFC 6902 operations, all or none.
///
/// One deviation, Kubernetes' own: `test` of a missing path against null holds. kube's `finalizer` helper relies on it.
pub(crate) fn json_patch(document: &mut Value, patch: &Patch) -> Result<(), String> {
    if patch.0.len() > MAX_OPERATIONS {
        return Err(format!("the patch has more than {MAX_OPERATIONS} operations"));
    }
    let mut copied = 0;
    for operation in &patch.0 {
        bounded(document, operation, &mut copied)?;
        if let PatchOperation::Test(test) = operation {
            let found = document.pointer(test.path.as_str()).unwrap_or(&Value::Null);
            if *found != test.value {
                return Err(format!("testing value {} failed: it is {found}, not {}", test.path, test.value));
            }
        } else {
            json_patch::patch(document, std::slice::from_ref(operation)).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Refuses an operation that would bury something deeper than an object can be, or copy without end: each copy can
/// double a document.
fn bounded(document: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), String> {
    let (path, value) = match operation {
        PatchOperation::Add(add) => (&add.path, Some(&add.value)),
        PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
        PatchOperation::Move(moved) => (&moved.path, document.pointer(moved.from.as_str())),
        PatchOperation::Copy(copy) => {
            let value = document.pointer(copy.from.as_str());
            *copied += value.map_or(0, |value| value.to_string().len());
            if *copied > MAX_COPIED_BYTES {
                return Err(format!("the patch copies more than {MAX_COPIED_BYTES} bytes"));
            }
            (&copy.path, value)
        }
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    match value {
        Some(value) if is_deeper(value, MAX_DEPTH.saturating_sub(path.count())) => {
            Err(format!("the patch nests deeper than {MAX_DEPTH} levels"))
        }
        _ => Ok(()),
    }
}

/// Applies an RFC 7386 merge patch.
pub(crate) fn merge_patch(document: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(document) = document else { return };
    for (name, value) in fields {
        if value.is_null() {
            document.remove(name);
        } else {
            merge_patch(document.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn testing_a_missing_path_against_null_holds() {
        let mut document = json!({"metadata": {}});
        let patch = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a"]},
        ]));
        json_patch(&mut document, &patch.expect("patch")).expect("applies");
        assert_eq!(document, json!({"metadata": {"finalizers": ["a"]}}));
        let failing = serde_json::from_value(json!([{"op": "test", "path": "/metadata/finalizers", "value": null}]));
        assert!(json_patch(&mut document, &failing.expect("patch")).is_err());
    }

    #[test]
    fn patches_without_end_are_refused() {
        let mut document = json!({"a": "x".repeat(1000)});
        let copy = json!({"op": "copy", "from": "", "path": "/b"});
        let patch = serde_json::from_value(json!(vec![copy; 200])).expect("patch");
        assert!(json_patch(&mut document, &patch).is_err());
        let deep = (0..90).fold(json!(1), |inner, _| json!({ "a": inner }));
        let path = "/a".repeat(20);
        let mut document = (0..20).fold(json!({}), |inner, _| json!({ "a": inner }));
        let add =
            |path: &str| serde_json::from_value(json!([{"op": "add", "path": path, "value": deep}])).expect("patch");
        assert!(json_patch(&mut document, &add(&path)).is_err());
        assert!(json_patch(&mut document, &add("/b")).is_ok());
    }

    #[test]
    fn merge_patch_removes_nulls_and_replaces_lists() {
        let mut document = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge_patch(&mut document, &json!({"a": {"b": null, "c": [3], "e": {"f": null}}, "d": {"g": 1}}));
        assert_eq!(document, json!({"a": {"c": [3], "e": {}}, "d": {"g": 1}}));
    }
}
