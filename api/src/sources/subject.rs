//! What a binding is applied to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{DNS1123_LABEL, QUALIFIED_NAME, is_dns1123_label, is_qualified_name};
use crate::selector::validate_selector;
use crate::validation::{FieldError, Path, exactly_one};

type Rule = fn(&str) -> bool;

/// The objects a binding is applied to: one by its name, or those with certain labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// API version of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the objects; it has to embed a pod template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the objects; defaults to the binding's, and cannot be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object; exactly one of name and selector is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Selector of the objects by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

impl Subject {
    /// Whether nothing is set: a manifest left it out.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds every rule this subject breaks; `own` is the binding's namespace.
    pub(super) fn validate(&self, own: Option<&str>, path: &Path, errors: &mut Vec<FieldError>) {
        let rules: [(_, _, Rule, _); 3] = [
            ("apiVersion", &self.api_version, is_qualified_name, QUALIFIED_NAME),
            ("kind", &self.kind, is_c_identifier, "expected letters, digits and _ that do not start with a digit"),
            ("namespace", &self.namespace, is_dns1123_label, DNS1123_LABEL),
        ];
        for (field, value, rule, detail) in rules {
            match value.as_deref().unwrap_or_default() {
                // Only an object that is not stored yet has no namespace of its own to take over.
                "" if field == "namespace" && own.is_none() => {}
                "" => errors.push(FieldError::missing(path.field(field))),
                value if !rule(value) => errors.push(FieldError::invalid(path.field(field), &value, detail)),
                _ => {}
            }
        }
        if let (Some(own), Some(namespace)) = (own, self.namespace.as_deref().filter(|name| is_dns1123_label(name)))
            && own != namespace
        {
            let detail = format!("the namespace has to be the binding's own, {own}");
            errors.push(FieldError::invalid(path.field("namespace"), &namespace, detail));
        }
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let (name_path, selector_path) = (path.field("name"), path.field("selector"));
        if !exactly_one((&name_path, name.is_some()), (&selector_path, self.selector.is_some()), errors) {
            return;
        }
        match (name, &self.selector) {
            (Some(name), _) if !is_dns1123_label(name) => {
                errors.push(FieldError::invalid(name_path, &name, DNS1123_LABEL));
            }
            (None, Some(selector)) => validate_selector(selector, &selector_path, errors),
            _ => {}
        }
    }
}

/// `^[A-Za-z_][A-Za-z0-9_]*$`
fn is_c_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
