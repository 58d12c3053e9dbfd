//! How apply (and strategic merge) treat the value at some place: as one, or field by field, item by item.

use serde_json::Value;

use crate::api::registry::Kind;
use crate::api::schema::{ListType, Schema};

/// What is known of one place in an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    /// The object itself.
    Root(&'a Kind, Option<&'a Schema>),
    /// `metadata` of any object.
    Metadata,
    /// Below a schema.
    Schema(&'a Schema),
    /// Inside a built-in kind: known by the names of the last two fields.
    Builtin { kind: &'a str, parent: &'static str, field: &'static str },
    /// An item of a built-in kind's list `field`.
    BuiltinItem { kind: &'a str, field: &'static str },
    /// A list of objects with these keys.
    Keyed(&'static [(&'static str, Option<&'static str>)]),
    /// A list of scalars, each its own.
    Set,
    /// Owned as one.
    Atomic,
    /// Nothing is known: maps by field, lists as one.
    Free,
}

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    Keyed,
}

/// Names the rules below mention; all others are alike.
const NAMES: &[&str] = &[
    "spec",
    "status",
    "metadata",
    "template",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "imagePullSecrets",
    "resourceClaims",
    "schedulingGates",
    "ports",
    "env",
    "volumeMounts",
    "volumeDevices",
    "hostAliases",
    "topologySpreadConstraints",
    "secrets",
    "conditions",
    "podIPs",
    "selector",
    "nodeSelector",
    "labelSelector",
    "matchLabels",
    "namespaceSelector",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "configMapRef",
    "secretRef",
    "localObjectReference",
    "claimRef",
    "objectRef",
    "targetRef",
    "roleRef",
    "scaleTargetRef",
    "involvedObject",
    "related",
    "regarding",
    "loadBalancer",
    "claims",
    "resources",
];

fn intern(name: &str) -> &'static str {
    NAMES.iter().find(|known| **known == name).copied().unwrap_or_default()
}

const BY_NAME: &[(&str, Option<&str>)] = &[("name", None)];

/// Keys of the built-in kinds' lists of objects; `None` for lists that are replaced as one.
fn builtin_keys(kind: &str, parent: &str, field: &str) -> Option<&'static [(&'static str, Option<&'static str>)]> {
    match (parent, field) {
        (
            "spec",
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "imagePullSecrets"
            | "resourceClaims"
            | "schedulingGates",
        ) => Some(BY_NAME),
        ("containers" | "initContainers" | "ephemeralContainers", "env") => Some(BY_NAME),
        ("containers" | "initContainers" | "ephemeralContainers", "volumeMounts") => Some(&[("mountPath", None)]),
        ("containers" | "initContainers" | "ephemeralContainers", "volumeDevices") => Some(&[("devicePath", None)]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            Some(&[("containerPort", None), ("protocol", Some("TCP"))])
        }
        ("resources", "claims") => Some(BY_NAME),
        ("spec", "ports") if kind == "Service" => Some(&[("port", None), ("protocol", Some("TCP"))]),
        ("spec", "hostAliases") => Some(&[("ip", None)]),
        ("spec", "topologySpreadConstraints") => Some(&[("topologyKey", None), ("whenUnsatisfiable", None)]),
        ("", "secrets") if kind == "ServiceAccount" => Some(BY_NAME),
        ("status", "conditions") if kind != "Job" => Some(&[("type", None)]),
        ("status", "podIPs") => Some(&[("ip", None)]),
        _ => None,
    }
}

/// Maps of built-in kinds that are owned as one: selectors and references.
fn builtin_atomic_map(field: &str) -> bool {
    matches!(
        field,
        "selector"
            | "labelSelector"
            | "namespaceSelector"
            | "nodeSelector"
            | "configMapKeyRef"
            | "secretKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "claimRef"
            | "objectRef"
            | "targetRef"
            | "roleRef"
            | "involvedObject"
            | "related"
            | "regarding"
    )
}

impl<'a> Shape<'a> {
    /// The shape of a kind's objects at `version`.
    pub(crate) fn root(kind: &'a Kind, version: &str) -> Self {
        Self::Root(kind, kind.version(version).and_then(|version| version.schema.as_ref()))
    }

    /// The shape of a field, and whether it is declared by name rather than an entry of a free map.
    pub(crate) fn field(self, name: &str) -> (Self, bool) {
        let of_schema = |schema: &'a Schema| match schema.field(name) {
            Some((field, declared)) => (Self::Schema(field), declared),
            None => (Self::Free, false),
        };
        match self {
            Self::Root(..) if name == "metadata" => (Self::Metadata, true),
            Self::Root(_, Some(schema)) => of_schema(schema),
            Self::Root(kind, None) => (Self::Builtin { kind: &kind.kind, parent: "", field: intern(name) }, true),
            Self::Metadata => match name {
                "ownerReferences" => (Self::Keyed(&[("uid", None)]), true),
                "finalizers" => (Self::Set, true),
                "managedFields" => (Self::Atomic, true),
                _ => (Self::Free, true),
            },
            Self::Schema(schema) => of_schema(schema),
            Self::Builtin { .. } if name == "metadata" => (Self::Metadata, true),
            Self::Builtin { kind, field, .. } | Self::BuiltinItem { kind, field } => {
                (Self::Builtin { kind, parent: field, field: intern(name) }, true)
            }
            Self::Keyed(_) | Self::Set | Self::Atomic | Self::Free => (Self::Free, false),
        }
    }

    /// The shape of a list's items.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Schema(schema) => schema.items().map_or(Self::Free, Self::Schema),
            Self::Builtin { kind, field, .. } => Self::BuiltinItem { kind, field },
            // Owner references, the only such list, are each owned as one.
            Self::Keyed(_) => Self::Atomic,
            Self::Root(..) | Self::Metadata | Self::BuiltinItem { .. } | Self::Set | Self::Atomic | Self::Free => {
                Self::Free
            }
        }
    }

    /// Whether a map here is owned as one.
    pub(crate) fn is_atomic_map(self) -> bool {
        match self {
            Self::Schema(schema) => schema.is_atomic_map(),
            Self::Builtin { field, .. } => builtin_atomic_map(field),
            Self::Atomic => true,
            Self::Root(..) | Self::Metadata | Self::BuiltinItem { .. } | Self::Keyed(_) | Self::Set | Self::Free => {
                false
            }
        }
    }

    /// How a list here is merged.
    pub(crate) fn list_kind(self) -> ListKind {
        match self {
            Self::Schema(schema) => match schema.list_type() {
                ListType::Atomic => ListKind::Atomic,
                ListType::Set => ListKind::Set,
                ListType::Map(_) => ListKind::Keyed,
            },
            Self::Builtin { kind, parent, field } if builtin_keys(kind, parent, field).is_some() => ListKind::Keyed,
            Self::Keyed(_) => ListKind::Keyed,
            Self::Set => ListKind::Set,
            Self::Root(..)
            | Self::Metadata
            | Self::Builtin { .. }
            | Self::BuiltinItem { .. }
            | Self::Atomic
            | Self::Free => ListKind::Atomic,
        }
    }

    /// Whether a list here holds scalars that are each their own.
    pub(crate) fn is_set(self) -> bool {
        self.list_kind() == ListKind::Set
    }

    /// Names of the fields that tell the items of this list apart, with the value an absent one stands for.
    pub(crate) fn keys(self) -> Vec<(&'a str, Option<Value>)> {
        let of_table = |keys: &'static [(&'static str, Option<&'static str>)]| {
            keys.iter().map(|(name, default)| (*name, default.map(Value::from))).collect()
        };
        match self {
            Self::Schema(schema) => match schema.list_type() {
                ListType::Map(keys) => keys.iter().map(|(name, default)| (name.as_str(), default.clone())).collect(),
                ListType::Atomic | ListType::Set => Vec::new(),
            },
            Self::Builtin { kind, parent, field } => builtin_keys(kind, parent, field).map_or(Vec::new(), of_table),
            Self::Keyed(keys) => of_table(keys),
            Self::Root(..) | Self::Metadata | Self::BuiltinItem { .. } | Self::Set | Self::Atomic | Self::Free => {
                Vec::new()
            }
        }
    }

    /// The path element of an item of this list; `None` if the item lacks its key, which makes the list atomic.
    pub(crate) fn element(self, item: &Value) -> Option<String> {
        match self.list_kind() {
            ListKind::Atomic => None,
            ListKind::Set => Some(format!("v:{item}")),
            ListKind::Keyed => {
                let mut key = serde_json::Map::new();
                for (name, default) in self.keys() {
                    key.insert(name.to_owned(), item.get(name).cloned().or(default)?);
                }
                Some(format!("k:{}", Value::Object(key)))
            }
        }
    }

    /// The path elements of all items, or `None` if the list is to be taken as one.
    pub(crate) fn elements(self, list: &[Value]) -> Option<Vec<String>> {
        list.iter().map(|item| self.element(item)).collect()
    }
}
