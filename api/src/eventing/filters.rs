//! Admission rules of filters, shared by every kind that has `filters`.

use super::SubscriptionsApiFilter;
use super::annotations::{ATTRIBUTE_NAME, is_attribute_name};
use crate::validation::{FieldError, Path};

/// Deepest nesting of `all`, `any` and `not`, so that nothing that walks a filter runs out of stack.
const MAX_DEPTH: usize = 64;
/// Most elements of one list.
const MAX_ELEMENTS: usize = 1_000;

/// Adds every rule `filters` break. Source: data-plane.md 8.4 and reliability.md 3.4.
pub fn validate_filters(filters: &[SubscriptionsApiFilter], path: &Path, errors: &mut Vec<FieldError>) {
    validate_list(filters, path, 1, errors);
}

fn validate_list(filters: &[SubscriptionsApiFilter], path: &Path, depth: usize, errors: &mut Vec<FieldError>) {
    if filters.len() > MAX_ELEMENTS {
        let detail = format!("at most {MAX_ELEMENTS} filters");
        errors.push(FieldError::invalid(path.clone(), &filters.len(), detail));
        return;
    }
    for (index, filter) in filters.iter().enumerate() {
        validate_one(filter, &path.index(index), depth, errors);
    }
}

fn validate_one(filter: &SubscriptionsApiFilter, path: &Path, depth: usize, errors: &mut Vec<FieldError>) {
    if depth > MAX_DEPTH {
        errors.push(FieldError::invalid(path.clone(), &depth, format!("at most {MAX_DEPTH} levels of nesting")));
        return;
    }
    let SubscriptionsApiFilter { all, any, not, exact, prefix, suffix, cesql } = filter;
    let dialects: Vec<&str> = [
        ("all", all.is_some()),
        ("any", any.is_some()),
        ("not", not.is_some()),
        ("exact", exact.is_some()),
        ("prefix", prefix.is_some()),
        ("suffix", suffix.is_some()),
        ("cesql", cesql.is_some()),
    ]
    .into_iter()
    .filter_map(|(dialect, set)| set.then_some(dialect))
    .collect();
    if dialects.len() > 1 {
        let detail = "multiple dialects found, filters can have only one dialect set";
        errors.push(FieldError::invalid(path.clone(), &dialects, detail));
    }
    for (dialect, attributes) in [("exact", exact), ("prefix", prefix), ("suffix", suffix)] {
        validate_attributes(attributes.iter().flatten(), &path.field(dialect), errors);
    }
    for (dialect, nested) in [("all", all), ("any", any)] {
        validate_list(nested.as_deref().unwrap_or_default(), &path.field(dialect), depth + 1, errors);
    }
    if let Some(nested) = not {
        validate_one(nested, &path.field("not"), depth + 1, errors);
    }
    if let Some(expression) = cesql {
        let detail = "this build does not evaluate CloudEvents SQL; use exact, prefix, suffix, all, any or not";
        errors.push(FieldError::invalid(path.field("cesql"), expression, detail));
    }
}

/// Adds an error for each name that no attribute can have.
pub(super) fn validate_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a String)>,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    for (name, _) in attributes {
        if !is_attribute_name(name) {
            errors.push(FieldError::invalid_key(path.clone(), name, ATTRIBUTE_NAME));
        }
    }
}
