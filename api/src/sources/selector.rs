//! Label selectors, and the syntax of names they and other references are made of.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::validation::{FieldError, Path};

/// What [`is_qualified_name`] wants.
pub(super) const QUALIFIED_NAME: &str =
    "expected at most 63 letters, digits, -, _ or ., with a letter or digit at both ends, perhaps after a prefix and /";
/// What [`is_label_value`] wants.
const LABEL_VALUE: &str =
    "expected at most 63 letters, digits, -, _ or . with a letter or digit at both ends, or nothing";

/// Adds every rule `selector` breaks: those a Kubernetes API server has for the selectors it evaluates itself.
pub(super) fn validate_selector(selector: &LabelSelector, path: &Path, errors: &mut Vec<FieldError>) {
    let labels = path.field("matchLabels");
    for (key, value) in selector.match_labels.iter().flatten() {
        if !is_qualified_name(key) {
            errors.push(FieldError::invalid_key(labels.clone(), key, QUALIFIED_NAME));
        }
        if !is_label_value(value) {
            errors.push(FieldError::invalid(labels.field(key), value, LABEL_VALUE));
        }
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let path = path.field("matchExpressions").index(index);
        if !is_qualified_name(&requirement.key) {
            errors.push(FieldError::invalid(path.field("key"), &requirement.key, QUALIFIED_NAME));
        }
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::missing(path.field("values"))),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "Exists and DoesNotExist compare with nothing";
                errors.push(FieldError::forbidden(path.field("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "expected In, NotIn, Exists or DoesNotExist";
                errors.push(FieldError::invalid(path.field("operator"), &other, detail));
            }
        }
        for (index, value) in values.iter().enumerate().filter(|(_, value)| !is_label_value(value)) {
            errors.push(FieldError::invalid(path.field("values").index(index), value, LABEL_VALUE));
        }
    }
}

/// A Kubernetes qualified name: `app`, `example.com/app`, `apps/v1`.
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once('/') {
        None => is_bounded(name),
        Some((prefix, name)) => prefix.len() <= 253 && prefix.split('.').all(is_dns_part) && is_bounded(name),
    }
}

/// A DNS label as namespaces have it: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 long.
pub(super) fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_dns_part(name)
}

fn is_dns_part(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    has_ends(name, inner) && name.bytes().all(|byte| inner(byte) || byte == b'-')
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_bounded(value)
}

fn is_bounded(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric();
    name.len() <= 63 && has_ends(name, inner) && name.bytes().all(|byte| inner(byte) || b"-_.".contains(&byte))
}

/// Whether the first and the last byte are there and as `end` wants them.
fn has_ends(name: &str, end: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|&byte| end(byte)) && bytes.last().is_some_and(|&byte| end(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_kubernetes_takes() {
        for name in ["app", "A.b-c_9", "example.com/app", "apps/v1", "v1"] {
            assert!(is_qualified_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "-a", "a-", "a b", "/a", "Example.com/a", "a..b/c", "a/b/c", "a/", &long] {
            assert!(!is_qualified_name(name), "{name}");
        }
        assert!(is_dns_label("a-1") && is_dns_label("1") && !is_dns_label("a.b") && !is_dns_label("A"));
        assert!(!is_dns_label("") && !is_dns_label("a-") && !is_dns_label(&long));
    }
}
