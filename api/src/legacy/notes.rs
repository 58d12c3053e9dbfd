//! What a conversion knows beside the spec, and what comes of it.

use serde_json::Value;

use super::object::{Object, get, pointer, put, take};
use crate::validation::{FieldError, Path, Problem};

/// Beside the spec.
pub(super) struct Notes<'a> {
    /// The object's own.
    pub(super) metadata: &'a Object,
    /// The object as it was shown before this write; none if it is new.
    before: Option<Value>,
    pub(super) errors: Vec<FieldError>,
    pub(super) warnings: Vec<String>,
    pub(super) companions: Vec<Value>,
    /// Fields a merge left over: they are not part of what was written.
    pub(super) stale: Vec<Path>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(metadata: &'a Object, before: Option<Value>) -> Self {
        Self { metadata, before, errors: Vec::new(), warnings: Vec::new(), companions: Vec::new(), stale: Vec::new() }
    }

    pub(super) fn refuse(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// `path` was given and changes nothing, because of `why`.
    pub(super) fn unused(&mut self, path: &Path, why: &str) {
        self.warnings.push(format!("{path} is not used: {why}"));
    }

    /// Whether of `older` and `current`, fields that mean the same and are set beside one another, the older ones were
    /// written last: they differ from what was shown, the current ones do not. Those are stale then, left over by
    /// merging a manifest into what was shown.
    ///
    /// If not, the current ones are in force, or the two have to be refused; who reads what was stored of both and
    /// writes it back must come to the same.
    pub(super) fn older_wins(&mut self, older: &[(Path, &Value)], current: &[(Path, &Value)]) -> bool {
        let before = self.before.as_ref();
        let changed = |fields: &[(Path, &Value)]| {
            fields.iter().any(|(path, value)| before.and_then(|shown| shown.pointer(&pointer(path))) != Some(*value))
        };
        let wins = changed(older) && !changed(current);
        if wins {
            self.stale.extend(current.iter().map(|(path, _)| path.clone()));
        }
        wins
    }

    /// Moves the field of an older form to the dotted path `current` in `holder`, which is at `at`. See
    /// [`Notes::older_wins`] for what happens to one that is there.
    pub(super) fn rename(&mut self, holder: &mut Object, at: &Path, older: &str, current: &str) {
        if let Some(value) = take(holder, older) {
            self.replace(holder, at, older, &value.clone(), current, value);
        }
    }

    /// As [`Notes::rename`], where `written` of the older form, already taken, is `value` in the current one.
    pub(super) fn replace(
        &mut self,
        holder: &mut Object,
        at: &Path,
        older: &str,
        written: &Value,
        current: &str,
        value: Value,
    ) {
        let (at_older, at_current) = (at.field(older), at.field(current));
        if let Some(beside) = get(holder, current).filter(|beside| **beside != value)
            && !self.older_wins(&[(at_older.clone(), written)], &[(at_current, beside)])
        {
            return self.unused(&at_older, &format!("{current} is set beside it"));
        }
        put(holder, current, value);
    }

    /// `older` and `current` were written at once, and only one may be.
    pub(super) fn exclusive(&mut self, older: Path, current: Path) {
        self.refuse(FieldError { path: current, problem: Problem::Both(older) });
    }
}
