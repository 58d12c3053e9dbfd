//! Sets of field paths, as `managedFields` records them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of paths below one value. Keys are path elements in the notation of FieldsV1: `f:name` for a field,
/// `k:{"name":"c"}` for an item of a list of objects, `v:"x"` for an item of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet(pub(super) BTreeMap<Box<str>, Node>);

/// One place in a [`FieldSet`]: whether the place itself is a member, and what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(super) member: bool,
    pub(super) below: FieldSet,
}

impl Node {
    pub(super) fn member() -> Self {
        Self { member: true, below: FieldSet::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, element: &str) -> Option<&Node> {
        self.0.get(element)
    }

    /// Adds a place, unless nothing is there.
    pub(super) fn put(&mut self, element: impl Into<Box<str>>, node: Node) {
        if !node.is_empty() {
            self.0.insert(element.into(), node);
        }
    }

    /// Removes a field with everything below it.
    pub(super) fn remove_field(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let element = format!("f:{first}");
        if rest.is_empty() {
            self.0.remove(element.as_str());
        } else if let Some(node) = self.0.get_mut(element.as_str()) {
            node.below.remove_field(rest);
            if node.is_empty() {
                self.0.remove(element.as_str());
            }
        }
    }

    pub(super) fn union(&mut self, other: &Self) {
        for (element, theirs) in &other.0 {
            let ours = self.0.entry(element.clone()).or_default();
            ours.member |= theirs.member;
            ours.below.union(&theirs.below);
        }
    }

    /// Removes the members of `other`.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.0.retain(|element, ours| {
            if let Some(theirs) = other.get(element) {
                ours.member &= !theirs.member;
                ours.below.subtract(&theirs.below);
            }
            !ours.is_empty()
        });
    }

    /// The members of both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (element, ours) in &self.0 {
            if let Some(theirs) = other.get(element) {
                let below = ours.below.intersection(&theirs.below);
                both.put(element.clone(), Node { member: ours.member && theirs.member, below });
            }
        }
        both
    }

    /// The members, written as error messages write paths: `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        for (element, node) in &self.0 {
            let path = match element.split_at(2.min(element.len())) {
                ("f:", name) => format!("{prefix}.{name}"),
                ("k:", key) => {
                    let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                    let parts: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    format!("{prefix}[{}]", parts.join(","))
                }
                (_, value) => format!("{prefix}[={value}]"),
            };
            if node.member {
                paths.push(path.clone());
            }
            node.below.collect_paths(&path, paths);
        }
    }

    /// The FieldsV1 form.
    pub(super) fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(element, node)| {
            let mut below = node.below.to_json();
            if node.member && !node.below.is_empty() {
                below["."] = json!({});
            }
            (element.to_string(), below)
        });
        Value::Object(entries.collect())
    }

    /// Reads FieldsV1. What is not an object counts as empty.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        for (element, below) in value.as_object().into_iter().flatten().filter(|(element, _)| *element != ".") {
            let node = Node {
                member: below.get(".").is_some() || below.as_object().is_none_or(Map::is_empty),
                below: Self::from_json(below),
            };
            set.put(canonical(element), node);
        }
        set
    }
}

/// Elements compare as text, so keys must be written one way: compact JSON with sorted names.
fn canonical(element: &str) -> Box<str> {
    let prefix = element.get(..2).unwrap_or_default();
    match prefix {
        "k:" | "v:" => match serde_json::from_str::<Value>(&element[2..]) {
            Ok(value) => format!("{prefix}{value}").into(),
            Err(_) => element.into(),
        },
        _ => element.into(),
    }
}
