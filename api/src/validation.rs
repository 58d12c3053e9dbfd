//! What is wrong with a field, and the one place where that becomes a text.
//!
//! Invalid values and immutable fields read as Kubernetes writes them (`spec.delivery.backoffDelay: Invalid value:
//! "5s": …`); missing, forbidden and exclusive fields read as Knative writes them (`missing field(s): spec.broker`).

use std::fmt::{self, Display};

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
