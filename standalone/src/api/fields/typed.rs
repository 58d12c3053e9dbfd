//! Walks over objects by their shape: which fields there are, what differs, merging, and removing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::set::{FieldSet, Node};
use super::shape::{ListKind, Shape};

/// What a value consists of, as far as apply looks into it.
enum Parts<'v> {
    Map(&'v Map<String, Value>),
    /// A list whose items are told apart, with their path elements.
    Items(&'v [Value], Vec<String>),
    Leaf,
}

fn parts<'v>(value: &'v Value, shape: Shape<'_>) -> Parts<'v> {
    match value {
        Value::Object(map) if !shape.is_atomic_map() => Parts::Map(map),
        Value::Array(list) if shape.list_kind() != ListKind::Atomic => {
            shape.elements(list).map_or(Parts::Leaf, |elements| Parts::Items(list, elements))
        }
        _ => Parts::Leaf,
    }
}

/// The first list in `value` whose items cannot be told apart, and why: a key is missing, or there twice.
pub(super) fn ambiguous(value: &Value, shape: Shape<'_>, path: &str) -> Option<(String, &'static str)> {
    match value {
        Value::Object(map) if !shape.is_atomic_map() => map.iter().find_map(|(name, value)| {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            ambiguous(value, shape.field(name).0, &below)
        }),
        Value::Array(list) if shape.list_kind() != ListKind::Atomic => {
            let Some(elements) = shape.elements(list) else {
                return Some((path.to_owned(), "an item lacks the field that tells items apart"));
            };
            let different: BTreeSet<&String> = elements.iter().collect();
            if different.len() < elements.len() {
                return Some((path.to_owned(), "duplicate entries for key"));
            }
            let mut items = list.iter().enumerate();
            items.find_map(|(index, item)| ambiguous(item, shape.item(), &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

/// The paths a manager owns who wrote `value`.
pub(super) fn owned(value: &Value, shape: Shape<'_>) -> Node {
    let mut node = Node::default();
    match parts(value, shape) {
        Parts::Map(map) => {
            for (name, value) in map {
                let (field, declared) = shape.field(name);
                let mut below = owned(value, field);
                below.member |= !declared;
                node.below.put(format!("f:{name}"), below);
            }
        }
        Parts::Items(list, elements) => {
            for (item, element) in list.iter().zip(elements) {
                let mut below = owned(item, shape.item());
                below.member = true;
                node.below.put(element, below);
            }
        }
        Parts::Leaf => {}
    }
    if node.below.is_empty() {
        node.member = true;
    }
    node
}

/// What a change did: paths that are new or have another value, and paths that are gone.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) changed: Node,
    pub(super) removed: Node,
}

/// Compares two states of the same place.
pub(super) fn difference(old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) -> Difference {
    match (old, new) {
        (None, None) => Difference::default(),
        (None, Some(new)) => Difference { changed: whole(new, shape), removed: Node::default() },
        (Some(old), None) => Difference { changed: Node::default(), removed: whole(old, shape) },
        (Some(old), Some(new)) if old == new => Difference::default(),
        (Some(old), Some(new)) => match (parts(old, shape), parts(new, shape)) {
            (Parts::Map(old), Parts::Map(new)) => {
                let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
                let mut all = Difference::default();
                for name in names {
                    let one = difference(old.get(name), new.get(name), shape.field(name).0);
                    all.put(&format!("f:{name}"), one);
                }
                all
            }
            (Parts::Items(old, old_elements), Parts::Items(new, new_elements)) => {
                let mut all = Difference::default();
                let elements: BTreeSet<&String> = old_elements.iter().chain(&new_elements).collect();
                for element in elements {
                    let one =
                        difference(find(old, &old_elements, element), find(new, &new_elements, element), shape.item());
                    all.put(element, one);
                }
                all
            }
            (before, _) => {
                let mut removed = Node::default();
                if !matches!(before, Parts::Leaf) {
                    removed.below = whole(old, shape).below;
                }
                Difference { changed: Node::member(), removed }
            }
        },
    }
}

impl Difference {
    fn put(&mut self, element: &str, one: Self) {
        self.changed.below.put(element, one.changed);
        self.removed.below.put(element, one.removed);
    }
}

fn find<'v>(list: &'v [Value], elements: &[String], wanted: &str) -> Option<&'v Value> {
    elements.iter().position(|element| element == wanted).map(|index| &list[index])
}

/// Every path of a value that appears or disappears as a whole, the places in between included.
fn whole(value: &Value, shape: Shape<'_>) -> Node {
    let mut node = Node::member();
    match parts(value, shape) {
        Parts::Map(map) => {
            for (name, value) in map {
                node.below.put(format!("f:{name}"), whole(value, shape.field(name).0));
            }
        }
        Parts::Items(list, elements) => {
            for (item, element) in list.iter().zip(elements) {
                node.below.put(element, whole(item, shape.item()));
            }
        }
        Parts::Leaf => {}
    }
    node
}

/// `live` with everything that `patch` says.
pub(super) fn merge(live: Option<&Value>, patch: &Value, shape: Shape<'_>) -> Value {
    let Some(live) = live else { return patch.clone() };
    match (parts(live, shape), parts(patch, shape)) {
        (Parts::Map(live), Parts::Map(patch)) => {
            let mut merged = live.clone();
            for (name, value) in patch {
                let value = merge(live.get(name), value, shape.field(name).0);
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Parts::Items(live, live_elements), Parts::Items(patch, patch_elements)) => {
            Value::Array(merge_items((live, &live_elements), (patch, &patch_elements), shape))
        }
        _ => patch.clone(),
    }
}

/// Keeps the order of both lists where they agree; where they do not, the patch decides.
fn merge_items(live: (&[Value], &[String]), patch: (&[Value], &[String]), shape: Shape<'_>) -> Vec<Value> {
    let mut merged = Vec::with_capacity(live.0.len() + patch.0.len());
    let mut rest = 0;
    for (item, element) in patch.0.iter().zip(patch.1) {
        let before = live.1.iter().position(|other| other == element);
        if let Some(position) = before.filter(|position| *position >= rest) {
            keep_others(live, rest..position, patch.1, &mut merged);
            rest = position + 1;
        }
        merged.push(merge(before.map(|position| &live.0[position]), item, shape.item()));
    }
    keep_others(live, rest..live.0.len(), patch.1, &mut merged);
    merged
}

/// Copies the items of `range` that the patch does not mention.
fn keep_others(
    live: (&[Value], &[String]),
    range: std::ops::Range<usize>,
    patch_elements: &[String],
    merged: &mut Vec<Value>,
) {
    for index in range {
        if !patch_elements.contains(&live.1[index]) {
            merged.push(live.0[index].clone());
        }
    }
}

/// Removes from `value` what `last` holds, `now` no longer does and no other manager holds.
///
/// Goes from the top: a place that nobody holds any more goes as a whole, so that no list item is left without its
/// key and no empty map is left behind.
pub(super) fn prune(value: &mut Value, shape: Shape<'_>, last: &FieldSet, now: &FieldSet, others: &[&FieldSet]) {
    let nothing = FieldSet::default();
    for (element, node) in &last.0 {
        let kept = now.get(element);
        let theirs: Vec<&Node> = others.iter().filter_map(|other| other.get(element)).collect();
        let metadata = matches!(shape, Shape::Root(..)) && element.as_ref() == "f:metadata";
        if kept.is_none() && theirs.is_empty() && !metadata {
            remove(value, shape, element);
            continue;
        }
        let below = kept.map_or(&nothing, |node| &node.below);
        let others: Vec<&FieldSet> = theirs.iter().map(|node| &node.below).collect();
        if let Some(name) = element.strip_prefix("f:") {
            if let Some(field) = value.get_mut(name) {
                prune(field, shape.field(name).0, &node.below, below, &others);
            }
        } else if let Some(item) = item_mut(value, shape, element) {
            let keys: Vec<(&str, Option<Value>)> =
                shape.keys().into_iter().map(|(name, _)| (name, item.get(name).cloned())).collect();
            prune(item, shape.item(), &node.below, below, &others);
            for (name, key) in keys {
                if let (Some(key), Some(map)) = (key, item.as_object_mut()) {
                    map.insert(name.to_owned(), key);
                }
            }
        }
    }
}

fn position(value: &Value, shape: Shape<'_>, element: &str) -> Option<usize> {
    value.as_array()?.iter().position(|item| shape.element(item).as_deref() == Some(element))
}

fn item_mut<'v>(value: &'v mut Value, shape: Shape<'_>, element: &str) -> Option<&'v mut Value> {
    let index = position(value, shape, element)?;
    value.get_mut(index)
}

fn remove(value: &mut Value, shape: Shape<'_>, element: &str) {
    if let Some(name) = element.strip_prefix("f:") {
        if let Some(map) = value.as_object_mut() {
            map.remove(name);
        }
    } else if let Some(index) = position(value, shape, element)
        && let Some(list) = value.as_array_mut()
    {
        list.remove(index);
    }
}
