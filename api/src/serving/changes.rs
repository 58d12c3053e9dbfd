//! What differs between two values that should be equal, for error messages.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Most differences that are told.
const MAX_TOLD: usize = 8;

/// The fields that differ, by their path, with both values; none if nothing does.
pub(super) fn changes(old: &impl Serialize, new: &impl Serialize) -> Option<Value> {
    let [old, new] = [serde_json::to_value(old), serde_json::to_value(new)].map(Result::unwrap_or_default);
    let mut found = Map::new();
    compare(&old, &new, String::new(), &mut found);
    (!found.is_empty()).then_some(Value::Object(found))
}

fn compare(old: &Value, new: &Value, path: String, found: &mut Map<String, Value>) {
    if old == new || found.len() >= MAX_TOLD {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), path, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(old, new, format!("{path}[{index}]"), found);
            }
        }
        _ => {
            found.insert(path, json!({"old": old, "new": new}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_path_and_bounded() {
        let old = json!({"a": {"b": [{"c": 1}]}, "same": 1, "gone": true});
        let new = json!({"a": {"b": [{"c": 2}]}, "same": 1, "list": []});
        let told = json!({
            "a.b[0].c": {"old": 1, "new": 2},
            "gone": {"old": true, "new": null},
            "list": {"old": null, "new": []},
        });
        assert_eq!(changes(&old, &new), Some(told));
        assert_eq!(changes(&old, &old), None);
        let many: Vec<u8> = (0..100).collect();
        let shifted: Vec<u8> = (1..101).collect();
        let told = changes(&many, &shifted).expect("changes");
        assert_eq!(told.as_object().expect("object").len(), MAX_TOLD);
    }
}
