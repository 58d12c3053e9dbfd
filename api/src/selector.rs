//! Rules of label selectors: those a Kubernetes API server has for the selectors it evaluates itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::names::{LABEL_VALUE, QUALIFIED_NAME, is_label_value, is_qualified_name};
use crate::validation::{FieldError, Path, one_of};

/// Adds every rule `selector` breaks.
pub(crate) fn validate_selector(selector: &LabelSelector, path: &Path, errors: &mut Vec<FieldError>) {
    validate_match_labels(selector.match_labels.iter().flatten(), path, errors);
    validate_match_expressions(selector.match_expressions.as_deref().unwrap_or_default(), path, errors);
}

/// Adds every rule `matchLabels` breaks; `path` is the selector's.
pub(crate) fn validate_match_labels<'a>(
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let path = path.field("matchLabels");
    for (key, value) in labels {
        if !is_qualified_name(key) {
            errors.push(FieldError::invalid_key(path.clone(), key, QUALIFIED_NAME));
        }
        if !is_label_value(value) {
            errors.push(FieldError::invalid(path.field(key), value, LABEL_VALUE));
        }
    }
}

/// Adds every rule `matchExpressions` breaks; `path` is the selector's.
pub(crate) fn validate_match_expressions(
    requirements: &[LabelSelectorRequirement],
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let list = path.field("matchExpressions");
    for (index, LabelSelectorRequirement { key, operator, values }) in requirements.iter().enumerate() {
        let path = list.index(index);
        if key.is_empty() {
            errors.push(FieldError::missing(path.field("key")));
        } else if !is_qualified_name(key) {
            errors.push(FieldError::invalid(path.field("key"), key, QUALIFIED_NAME));
        }
        let values = values.as_deref().unwrap_or_default();
        match operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::missing(path.field("values"))),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.push(FieldError::forbidden(path.field("values"), format!("{operator} has no values")));
            }
            _ => one_of(operator, &["In", "NotIn", "Exists", "DoesNotExist"], &path.field("operator"), errors),
        }
        for (index, value) in values.iter().enumerate().filter(|(_, value)| !is_label_value(value)) {
            errors.push(FieldError::invalid(path.field("values").index(index), value, LABEL_VALUE));
        }
    }
}
