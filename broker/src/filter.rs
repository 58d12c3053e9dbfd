//! Does a Trigger want an event? Compiled once, evaluated for every event, in process.
//!
//! The dialects are those of Knative (CloudEvents Subscriptions API 3.2.4.1, and the older `spec.filter`). Where
//! upstream fails open (an empty object, an empty name or value, an expression it cannot read) compilation fails here,
//! and a Trigger whose filter does not compile receives nothing. [`Index`] finds the filters worth evaluating among
//! thousands; [`Filter::explain`] tells why one matched or did not.

use weir_api::Event;

mod attribute;
mod compile;
mod explain;
mod index;
#[cfg(test)]
mod tests;

use attribute::Digits;
pub use attribute::{Attribute, Seen};
pub use compile::{FilterError, Problem};
pub use explain::{Clause, Reason, Saw};
pub use index::{Index, Keys};

/// A Trigger's filter.
///
/// An enum, not a trait: the dialects are a closed set, and the compiler lists what a new one has to extend.
/// No filter is `All(vec![])`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The older dialect, `spec.filter`: the value is a string and equal, not merely equal in its string form.
    Typed(Match),
    /// The older dialect with an empty value: present and not empty.
    Present(Match),
    /// The string form is equal.
    Exact(Match),
    /// The string form starts with the value.
    Prefix(Match),
    /// The string form ends with the value.
    Suffix(Match),
    /// Every one matches.
    All(Vec<Filter>),
    /// At least one matches.
    Any(Vec<Filter>),
    /// Does not match.
    Not(Box<Filter>),
}

/// One attribute compared with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which attribute.
    pub attribute: Attribute,
    /// What it is compared with.
    pub value: Box<str>,
    /// Where the manifest says so, below `spec`: `filters[0].exact.type`.
    pub path: Box<str>,
}

impl Filter {
    /// Whether the filter wants `event`. Does no I/O and does not allocate.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Typed(m) => matches!(m.attribute.lookup(event), Some(Seen::Text(text)) if text == &*m.value),
            Self::Present(m) => m.attribute.lookup(event).is_some_and(|seen| seen != Seen::Text("")),
            Self::Exact(m) => m.test(event, |seen, value| seen == value),
            Self::Prefix(m) => m.test(event, |seen, value| seen.starts_with(value)),
            Self::Suffix(m) => m.test(event, |seen, value| seen.ends_with(value)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(event)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(event)),
            Self::Not(filter) => !filter.matches(event),
        }
    }
}

impl Match {
    fn test(&self, event: &Event, compare: impl FnOnce(&str, &str) -> bool) -> bool {
        self.attribute.lookup(event).is_some_and(|seen| compare(seen.text(&mut Digits::default()), &self.value))
    }
}
