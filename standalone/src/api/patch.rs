//! The patches that are plain functions of a document: JSON Patch and JSON Merge Patch.

use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value};

pub(crate) mod strategic;

/// Applies RFC 6902 operations, all or none.
///
/// One deviation, Kubernetes' own: `test` of a missing path against null holds. kube's `finalizer` helper relies on it.
pub(crate) fn json_patch(document: &mut Value, patch: &Patch) -> Result<(), String> {
    for operation in &patch.0 {
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
    fn merge_patch_removes_nulls_and_replaces_lists() {
        let mut document = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge_patch(&mut document, &json!({"a": {"b": null, "c": [3], "e": {"f": null}}, "d": {"g": 1}}));
        assert_eq!(document, json!({"a": {"c": [3], "e": {}}, "d": {"g": 1}}));
    }
}
