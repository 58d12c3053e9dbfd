//! What is wrong with a field, and the one place where that becomes a text.
//!
//! Invalid values and immutable fields read as Kubernetes writes them (`spec.delivery.backoffDelay: Invalid value:
//! "5s": …`); missing, forbidden and exclusive fields read as Knative writes them (`missing field(s): spec.broker`).

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde::Serialize;

/// Where a field is: `spec.filters[0].exact`, `metadata.annotations[weir.dev/paused]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// A field of the object itself.
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// The annotation `name`.
    pub fn annotation(name: &str) -> Self {
        Self(format!("metadata.annotations[{name}]"))
    }

    /// A field of this object.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    /// An element of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of this map whose keys are free: `metadata.labels[a.b/c]`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Which field.
    pub path: Path,
    /// Which rule.
    pub problem: Problem,
}

/// The rule a field breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Has to be there.
    Missing,
    /// Must not be there, and why not.
    Forbidden(String),
    /// The value, as JSON, and what would be right.
    Invalid {
        /// The value as JSON.
        value: String,
        /// What would be right.
        detail: String,
    },
    /// A key of a map, and what a key has to look like.
    InvalidKey {
        /// The key.
        key: String,
        /// What would be right.
        detail: String,
    },
    /// Set together with the other field, where exactly one may be.
    Both(Path),
    /// Not set, and neither is the other field, where exactly one has to be.
    Neither(Path),
    /// Not set, and neither is the other field, where at least one has to be.
    NoneOf(Path),
}

impl FieldError {
    /// `path` has to be there.
    pub fn missing(path: Path) -> Self {
        Self { path, problem: Problem::Missing }
    }

    /// `path` must not be there.
    pub fn forbidden(path: Path, why: impl Into<String>) -> Self {
        Self { path, problem: Problem::Forbidden(why.into()) }
    }

    /// `path` has a value it must not have.
    pub fn invalid(path: Path, value: &impl Serialize, detail: impl Display) -> Self {
        let value = serde_json::to_string(value).unwrap_or_default();
        Self { path, problem: Problem::Invalid { value, detail: detail.to_string() } }
    }

    /// `path` has a value it did not have before, and may not change.
    pub fn immutable(path: Path, value: &impl Serialize, old: &impl Serialize) -> Self {
        let old = serde_json::to_string(old).unwrap_or_default();
        Self::invalid(path, value, format_args!("field is immutable (it is {old}); delete and create the object again"))
    }

    /// The map at `path` has a key it must not have.
    pub fn invalid_key(path: Path, key: &str, detail: impl Into<String>) -> Self {
        Self { path, problem: Problem::InvalidKey { key: key.to_owned(), detail: detail.into() } }
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.problem {
            Problem::Missing => write!(f, "missing field(s): {path}"),
            Problem::Forbidden(why) => write!(f, "must not set the field(s): {path}: {why}"),
            Problem::Invalid { value, detail } => write!(f, "{path}: Invalid value: {value}: {detail}"),
            Problem::InvalidKey { key, detail } => write!(f, "invalid key name {key:?}: {path}: {detail}"),
            Problem::Both(other) => write!(f, "expected exactly one, got both: {path}, {other}"),
            Problem::Neither(other) => write!(f, "expected exactly one, got neither: {path}, {other}"),
            Problem::NoneOf(other) => write!(f, "expected at least one, got none: {path}, {other}"),
        }
    }
}

/// Everything wrong with one object; written one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// `Err` if there are any.
    pub fn check(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

/// Adds an error for each of these fields of the object at `path` that is empty.
pub(crate) fn require<const N: usize>(fields: [(&str, &str); N], path: &Path, errors: &mut Vec<FieldError>) {
    for (field, value) in fields {
        if value.is_empty() {
            errors.push(FieldError::missing(path.field(field)));
        }
    }
}

/// Adds an error if `value` is none of `allowed`.
pub(crate) fn one_of(value: &str, allowed: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    if !allowed.contains(&value) {
        let detail = match allowed {
            [first @ .., last] if !first.is_empty() => format!("expected {} or {last}", first.join(", ")),
            _ => format!("expected {}", allowed.concat()),
        };
        errors.push(FieldError::invalid(path.clone(), &value, detail));
    }
}

/// Adds an error if there is a value outside `range`; a bound that is the least or greatest number is none.
pub(crate) fn in_range<N: Into<i64>>(
    value: Option<N>,
    range: RangeInclusive<i64>,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let Some(value) = value.map(Into::into).filter(|value| !range.contains(value)) else { return };
    let detail = match range.into_inner() {
        (min, i64::MAX) => format!("must be {min} or more"),
        (i64::MIN, max) => format!("must be {max} or less"),
        (min, max) => format!("expected a whole number from {min} to {max}"),
    };
    errors.push(FieldError::invalid(path.clone(), &value, detail));
}

/// Adds an error unless exactly one of two fields is set, and tells whether it is; a field is its path and whether it
/// is set.
pub(crate) fn exactly_one(
    (first, first_set): (&Path, bool),
    (second, second_set): (&Path, bool),
    errors: &mut Vec<FieldError>,
) -> bool {
    if first_set == second_set {
        let problem = if first_set { Problem::Both } else { Problem::Neither };
        errors.push(FieldError { path: first.clone(), problem: problem(second.clone()) });
    }
    first_set != second_set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rule: impl FnOnce(&Path, &mut Vec<FieldError>)) -> String {
        let mut errors = Vec::new();
        rule(&Path::new("a"), &mut errors);
        FieldErrors(errors).to_string()
    }

    #[test]
    fn values_beside_the_allowed_ones_are_refused_with_those() {
        assert_eq!(told(|path, errors| one_of("x", &["x", "y"], path, errors)), "");
        for (allowed, expected) in [
            (["x"].as_slice(), "a: Invalid value: \"z\": expected x"),
            (&["x", "y"], "a: Invalid value: \"z\": expected x or y"),
            (&["v", "x", "y"], "a: Invalid value: \"z\": expected v, x or y"),
        ] {
            assert_eq!(told(|path, errors| one_of("z", allowed, path, errors)), expected);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_bounds_there_are() {
        for (value, range, expected) in [
            (None, 1..=2, ""),
            (Some(1), 1..=2, ""),
            (Some(2), 1..=2, ""),
            (Some(3), 1..=2, "a: Invalid value: 3: expected a whole number from 1 to 2"),
            (Some(0), 1..=i64::MAX, "a: Invalid value: 0: must be 1 or more"),
            (Some(3), i64::MIN..=2, "a: Invalid value: 3: must be 2 or less"),
        ] {
            assert_eq!(told(|path, errors| in_range(value, range, path, errors)), expected);
        }
    }

    #[test]
    fn one_field_of_two_has_to_be_set() {
        for (first, second, expected) in [
            (true, false, ""),
            (false, true, ""),
            (true, true, "expected exactly one, got both: a, a.b"),
            (false, false, "expected exactly one, got neither: a, a.b"),
        ] {
            let one = |path: &Path, errors: &mut Vec<FieldError>| {
                let fits = exactly_one((path, first), (&path.field("b"), second), errors);
                assert_eq!(fits, errors.is_empty());
            };
            assert_eq!(told(one), expected);
        }
    }
}
