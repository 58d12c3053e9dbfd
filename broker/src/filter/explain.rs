//! Why a filter matched an event, or did not: a second walk over the same filter, for tools and status.

use std::fmt;

use serde::Serialize;
use weir_api::Event;

use super::{Filter, Match, Seen};

/// The outcome of a filter for one event and the clauses that decided it.
///
/// *Guarantee:* `matched` equals [`Filter::matches`]. A failed `all` is decided by its first failing part, a matching
/// `any` by its first matching part; otherwise every part decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Whether the filter wants the event.
    pub matched: bool,
    /// What decided; empty where there is no filter.
    pub clauses: Vec<Clause>,
}

/// One comparison and what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// Where the manifest says so, below `spec`: `filters[0].exact.type`.
    pub path: String,
    /// How it compares: `exact`, `prefix`, `suffix`, or `present` for an empty value of the older dialect.
    pub test: &'static str,
    /// The attribute.
    pub attribute: String,
    /// The value asked for.
    pub expected: String,
    /// The value the event has; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saw: Option<Saw>,
    /// Whether the comparison held, before any `not` around it.
    pub held: bool,
}

/// The value an event has, with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Saw {
    /// A text.
    Text(String),
    /// A JSON boolean.
    Boolean(bool),
    /// A JSON number.
    Integer(i32),
}

impl Filter {
    /// Evaluates the filter like [`Filter::matches`] and tells what decided.
    pub fn explain(&self, event: &Event) -> Reason {
        match self {
            Self::Typed(m) | Self::Exact(m) => self.clause("exact", m, event),
            Self::Present(m) => self.clause("present", m, event),
            Self::Prefix(m) => self.clause("prefix", m, event),
            Self::Suffix(m) => self.clause("suffix", m, event),
            Self::All(filters) => decide(filters, event, false),
            Self::Any(filters) => decide(filters, event, true),
            Self::Not(filter) => {
                let reason = filter.explain(event);
                Reason { matched: !reason.matched, ..reason }
            }
        }
    }

    fn clause(&self, test: &'static str, m: &Match, event: &Event) -> Reason {
        let matched = self.matches(event);
        let clause = Clause {
            path: m.path.to_string(),
            test,
            attribute: m.attribute.to_string(),
            expected: m.value.to_string(),
            saw: m.attribute.lookup(event).map(Saw::from),
            held: matched,
        };
        Reason { matched, clauses: vec![clause] }
    }
}

/// The first part whose outcome is `decisive` decides alone; without one, all parts decide together.
fn decide(filters: &[Filter], event: &Event, decisive: bool) -> Reason {
    let mut clauses = Vec::new();
    for filter in filters {
        let reason = filter.explain(event);
        if reason.matched == decisive {
            return reason;
        }
        clauses.extend(reason.clauses);
    }
    Reason { matched: !decisive, clauses }
}

impl From<Seen<'_>> for Saw {
    fn from(seen: Seen<'_>) -> Self {
        match seen {
            Seen::Text(text) => Self::Text(text.to_owned()),
            Seen::Boolean(value) => Self::Boolean(value),
            Seen::Integer(value) => Self::Integer(value),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.matched { "matched: " } else { "not matched: " })?;
        if self.clauses.is_empty() {
            return f.write_str("no filter");
        }
        for (at, clause) in self.clauses.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{clause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, test, attribute, expected, saw, held: _ } = self;
        match *test {
            "present" => write!(f, "{path} asks for any {attribute}")?,
            "exact" => write!(f, "{path} asks for {expected:?}")?,
            _ => write!(f, "{path} asks for {test} {expected:?}")?,
        }
        match saw {
            None => write!(f, ", the event has no {attribute}"),
            Some(Saw::Text(text)) => write!(f, ", the event has {text:?}"),
            Some(Saw::Boolean(value)) => write!(f, ", the event has the boolean {value}"),
            Some(Saw::Integer(value)) => write!(f, ", the event has the number {value}"),
        }
    }
}
