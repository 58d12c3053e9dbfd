//! Strategic merge patch: a merge patch that knows which lists are keyed, for built-in kinds.

use serde_json::{Map, Value};

use crate::api::fields::Shape;

const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies `patch` to `document`. Directives (keys that start with `$`) steer the merge and are not stored.
pub(crate) fn merge(document: &mut Value, patch: &Value, shape: Shape<'_>) -> Result<(), String> {
    let Some(patch) = patch.as_object() else { return Err("a strategic merge patch is a JSON object".to_owned()) };
    merge_map(document, patch, shape)
}

fn merge_map(document: &mut Value, patch: &Map<String, Value>, shape: Shape<'_>) -> Result<(), String> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *document = plain(&Value::Object(patch.clone()));
            return Ok(());
        }
        Some("delete") => {
            *document = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("unknown patch directive $patch: {other}")),
    }
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(fields) = document else { return Ok(()) };
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|name, _| retained.iter().any(|kept| kept == name));
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        let (shape, _) = shape.field(name);
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(inner) => {
                let target = fields.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                merge_map(target, inner, shape)?;
            }
            Value::Array(items) => {
                let target = fields.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(target, items, shape)?;
            }
            scalar => {
                fields.insert(name.clone(), scalar.clone());
            }
        }
    }
    for (directive, value) in patch {
        if let Some(name) = directive.strip_prefix(DELETE_ITEMS) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(list) = fields.get_mut(name).and_then(Value::as_array_mut) {
                list.retain(|item| !gone.contains(item));
            }
        }
    }
    for (directive, value) in patch {
        if let (Some(name), Some(order)) = (directive.strip_prefix(ORDER), value.as_array())
            && let Some(list) = fields.get_mut(name).and_then(Value::as_array_mut)
        {
            sort(list, order, shape.field(name).0);
        }
    }
    Ok(())
}

/// The field that tells the items of a list apart; `None` if the list is of scalars or not keyed.
fn merge_key<'a>(shape: Shape<'a>) -> Option<&'a str> {
    match shape {
        // Where strategic merge and apply disagree, in the API types themselves.
        Shape::Builtin { kind: "Job", parent: "status", field: "conditions" } => Some("type"),
        Shape::Builtin { parent: "resources", field: "claims", .. } => None,
        _ => shape.keys().first().map(|(name, _)| *name),
    }
}

fn merge_list(document: &mut Value, patch: &[Value], shape: Shape<'_>) -> Result<(), String> {
    let replaces = |item: &Value| item.get("$patch").is_some_and(|directive| directive == "replace");
    let key = merge_key(shape);
    let is_set = shape.is_set();
    let Some(list) = document.as_array_mut().filter(|_| (key.is_some() || is_set) && !patch.iter().any(replaces))
    else {
        let kept = patch.iter().filter(|item| item.get("$patch").is_none());
        *document = kept.map(plain).collect();
        return Ok(());
    };
    for item in patch {
        let Some(key) = key else {
            if !list.contains(item) {
                list.push(item.clone());
            }
            continue;
        };
        let name = item.get(key).ok_or_else(|| format!("list item without its merge key {key}: {item}"))?;
        let position = list.iter().position(|other| other.get(key) == Some(name));
        if item.get("$patch").is_some_and(|directive| directive == "delete") {
            list.retain(|other| other.get(key) != Some(name));
        } else if let (Some(position), Some(item)) = (position, item.as_object()) {
            merge_map(&mut list[position], item, shape.item())?;
        } else {
            list.push(plain(item));
        }
    }
    Ok(())
}

/// Puts the listed items into the given order. The others stay after the item they followed.
fn sort(list: &mut Vec<Value>, order: &[Value], shape: Shape<'_>) {
    let key = merge_key(shape);
    let rank = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    // Each listed item takes those after it that are not listed along.
    let (mut first, mut groups): (Vec<Value>, Vec<(usize, Vec<Value>)>) = (Vec::new(), Vec::new());
    for item in list.drain(..) {
        match (rank(&item), groups.last_mut()) {
            (Some(rank), _) => groups.push((rank, vec![item])),
            (None, Some((_, group))) => group.push(item),
            (None, None) => first.push(item),
        }
    }
    groups.sort_by_key(|(rank, _)| *rank);
    list.append(&mut first);
    list.extend(groups.into_iter().flat_map(|(_, group)| group));
}

/// A value of the patch without directives and nulls, as it is stored where nothing was.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(name, value)| !name.starts_with('$') && !value.is_null())
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().filter(|item| item.get("$patch").is_none()).map(plain).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::registry::Registry;

    fn merged(mut document: Value, patch: &Value) -> Value {
        let registry = Registry::new(&[]);
        let kind = registry.find("apps", "v1", "deployments").expect("deployments");
        merge(&mut document, patch, Shape::root(kind, "v1")).expect("merges");
        document
    }

    fn deployment(containers: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn keyed_lists_merge_by_their_key() {
        let live = deployment(&json!([
            {"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "side", "image": "y"},
        ]));
        let patch = deployment(&json!([{
            "name": "c",
            "image": "z",
            "$setElementOrder/env": [{"name": "A"}, {"name": "C"}],
            "env": [{"name": "C", "value": "3"}, {"name": "B", "$patch": "delete"}],
        }]));
        assert_eq!(
            merged(live, &patch),
            deployment(&json!([
                {"name": "c", "image": "z", "env": [{"name": "A", "value": "1"}, {"name": "C", "value": "3"}]},
                {"name": "side", "image": "y"},
            ]))
        );
    }

    #[test]
    fn order_directive_sorts_and_keeps_others_in_place() {
        let live = deployment(&json!([{"name": "b"}, {"name": "x"}, {"name": "a"}]));
        let mut patch = deployment(&json!([{"name": "c"}]));
        patch["spec"]["template"]["spec"]["$setElementOrder/containers"] =
            json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
        let names: Vec<Value> = merged(live, &patch)["spec"]["template"]["spec"]["containers"]
            .as_array()
            .expect("list")
            .iter()
            .map(|container| container["name"].clone())
            .collect();
        assert_eq!(names, ["a", "b", "x", "c"]);
    }

    #[test]
    fn directives_replace_retain_and_remove() {
        let live = json!({
            "metadata": {"finalizers": ["a", "b"]},
            "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "selector": {"x": "y"}},
        });
        let patch = json!({
            "metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]},
            "spec": {
                "strategy": {"type": "Recreate", "$retainKeys": ["type"]},
                "selector": {"$patch": "replace", "z": "w"},
            },
        });
        assert_eq!(
            merged(live, &patch),
            json!({
                "metadata": {"finalizers": ["b", "c"]},
                "spec": {"strategy": {"type": "Recreate"}, "selector": {"z": "w"}},
            })
        );
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        let live = deployment(&json!([{"name": "c", "args": ["a", "b"]}]));
        let patch = deployment(&json!([{"name": "c", "args": ["z"]}]));
        assert_eq!(merged(live, &patch), deployment(&json!([{"name": "c", "args": ["z"]}])));
    }
}
