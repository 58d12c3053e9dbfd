//! Older forms of kinds, and what their objects become.

use serde_json::Value;

use crate::validation::FieldErrors;

/// An older form of a kind.
#[derive(Debug)]
pub struct Legacy {
    /// API group of the older form.
    pub group: &'static str,
    /// Version of the older form.
    pub version: &'static str,
    /// Kind of the older form.
    pub kind: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// `apiVersion` and `kind` of what its objects become.
    pub becomes: (&'static str, &'static str),
}

/// An object in its current form.
#[derive(Debug)]
pub struct Converted {
    /// The object.
    pub object: Value,
    /// What it became, for a `Warning` header.
    pub warnings: Vec<String>,
    /// Objects that have to exist beside it.
    pub companions: Vec<Value>,
}

/// Every older form that is understood.
pub fn all() -> &'static [Legacy] {
    &[]
}

impl Legacy {
    /// The current form.
    pub fn to_current(&self, object: Value) -> Result<Converted, FieldErrors> {
        Ok(Converted { object, warnings: Vec::new(), companions: Vec::new() })
    }

    /// A current object as clients of this form see it.
    pub fn from_current(&self, object: Value) -> Value {
        object
    }

    /// Whether only objects that were written in this form are shown in it.
    pub fn only_own(&self) -> bool {
        false
    }
}
