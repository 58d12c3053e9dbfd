//! Structural schemas of custom kinds: pruning, defaults, validation, and the merge rules of server-side apply.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

mod validate;

/// What a schema says about one value, compiled from a CustomResourceDefinition.
///
/// Descriptions are left behind: they are only read by people, through OpenAPI.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    ty: Type,
    nullable: bool,
    /// An integer has to fit into 32 bits.
    is_32_bit: bool,
    /// Unknown fields are kept.
    preserve: bool,
    properties: BTreeMap<String, Schema>,
    /// Schema of the values of a free map.
    additional: Option<Box<Schema>>,
    items: Option<Box<Schema>>,
    required: Vec<String>,
    default: Option<Value>,
    allowed: Vec<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    min_items: Option<usize>,
    list: ListType,
    atomic_map: bool,
}

/// JSON type a schema asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Type {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// How server-side apply treats a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ListType {
    /// Owned and replaced as one.
    #[default]
    Atomic,
    /// Items are scalars, each owned by itself.
    Set,
    /// Items are objects told apart by these fields, each with its default.
    Map(Vec<(String, Option<Value>)>),
}

impl Schema {
    /// Compiles a definition's schema. A reference (which a structural schema cannot hold) accepts anything.
    pub(crate) fn from_definition(props: &JSONSchemaProps) -> Self {
        use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
            JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
        };
        let ty = match props.type_.as_deref() {
            _ if props.x_kubernetes_int_or_string == Some(true) => Type::IntOrString,
            Some("object") => Type::Object,
            Some("array") => Type::Array,
            Some("string") => Type::String,
            Some("integer") => Type::Integer,
            Some("number") => Type::Number,
            Some("boolean") => Type::Boolean,
            _ => Type::Any,
        };
        let items: Option<Box<Self>> = match &props.items {
            Some(JSONSchemaPropsOrArray::Schema(schema)) => Some(Box::new(Self::from_definition(schema))),
            Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
        };
        let list = match props.x_kubernetes_list_type.as_deref() {
            Some("set") => ListType::Set,
            Some("map") => {
                let default_of = |key: &str| items.as_ref()?.properties.get(key)?.default.clone();
                let keys = props.x_kubernetes_list_map_keys.iter().flatten();
                ListType::Map(keys.map(|key| (key.clone(), default_of(key))).collect())
            }
            _ => ListType::Atomic,
        };
        let (additional, free) = match &props.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(schema)) => (Some(Box::new(Self::from_definition(schema))), false),
            Some(JSONSchemaPropsOrBool::Bool(allowed)) => (None, *allowed),
            None => (None, false),
        };
        let size = |limit: Option<i64>| limit.and_then(|limit| usize::try_from(limit).ok());
        Self {
            ty,
            nullable: props.nullable == Some(true),
            is_32_bit: props.format.as_deref() == Some("int32"),
            preserve: props.x_kubernetes_preserve_unknown_fields == Some(true)
                || free
                || ty == Type::Any
                || props.ref_path.is_some(),
            properties: props
                .properties
                .iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::from_definition(schema)))
                .collect(),
            additional,
            items,
            required: props.required.clone().unwrap_or_default(),
            default: props.default.as_ref().map(|default| default.0.clone()),
            allowed: props.enum_.iter().flatten().map(|value| value.0.clone()).collect(),
            minimum: props.minimum,
            maximum: props.maximum,
            min_length: size(props.min_length),
            min_items: size(props.min_items),
            list,
            atomic_map: props.x_kubernetes_map_type.as_deref() == Some("atomic"),
        }
    }

    /// Schema of the field `name`, and whether it is declared by name (rather than an entry of a free map).
    pub(crate) fn field(&self, name: &str) -> Option<(&Self, bool)> {
        match self.properties.get(name) {
            Some(schema) => Some((schema, true)),
            None => self.additional.as_deref().map(|schema| (schema, false)),
        }
    }

    /// Schema of a list's items.
    pub(crate) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// How apply merges this list.
    pub(crate) fn list_type(&self) -> &ListType {
        &self.list
    }

    /// Whether apply owns this map as one value.
    pub(crate) fn is_atomic_map(&self) -> bool {
        self.atomic_map
    }
}
