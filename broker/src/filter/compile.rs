//! From a manifest's filters to a [`Filter`].

use std::collections::BTreeMap;
use std::fmt::Display;

use weir_api::eventing::{SubscriptionsApiFilter, TriggerFilter};

use super::{Attribute, Filter, Match};

/// Deepest nesting of `all`, `any` and `not` (reliability.md, E1).
const MAX_DEPTH: usize = 64;
/// Most filters in one list (reliability.md, E1).
const MAX_LIST: usize = 1_000;

/// Why a filter does not compile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FilterError {
    /// The field at fault, below `spec`: `filters[0].exact.type`.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An object without a dialect: upstream would let every event pass.
    #[error("no dialect is set, expected one of all, any, not, exact, prefix, suffix, cesql")]
    NoDialect,
    /// Which of them was meant?
    #[error("multiple dialects found, filters can have only one dialect set")]
    SeveralDialects,
    /// Nothing to match. The CloudEvents Subscriptions API asks for at least one entry.
    #[error("must not be empty")]
    Empty,
    /// Not the name of an attribute.
    #[error("Attribute name must start with a letter and can only contain lowercase alphanumeric")]
    AttributeName,
    /// An empty value: upstream would let every event pass.
    #[error("the value must not be empty")]
    EmptyValue,
    /// Nested too deeply to evaluate safely.
    #[error("filters are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A list too long to evaluate for every event.
    #[error("more than {MAX_LIST} filters in one list")]
    TooLong,
    /// A dialect this build does not have.
    #[error("this build cannot evaluate CloudEvents SQL yet, use exact, prefix, suffix, all, any or not")]
    CesqlUnavailable,
}

impl Filter {
    /// Compiles `spec.filters` or, if that is empty, `spec.filter`. Neither means every event.
    ///
    /// # Errors
    /// The first problem found. Nothing is skipped: a dropped clause would send events to someone who asked not to
    /// have them.
    pub fn compile(legacy: Option<&TriggerFilter>, filters: &[SubscriptionsApiFilter]) -> Result<Self, FilterError> {
        if !filters.is_empty() {
            return list(filters, "filters", 0).map(collapse);
        }
        let attributes = legacy.map(|filter| &filter.attributes).into_iter().flatten();
        let matches = attributes.map(|(name, value)| {
            let matched = attribute_match(name, value, "filter.attributes")?;
            Ok(if value.is_empty() { Self::Present(matched) } else { Self::Typed(matched) })
        });
        matches.collect::<Result<_, _>>().map(collapse)
    }
}

fn list(filters: &[SubscriptionsApiFilter], path: &str, depth: usize) -> Result<Vec<Filter>, FilterError> {
    if filters.is_empty() {
        return Err(error(path, Problem::Empty));
    }
    if filters.len() > MAX_LIST {
        return Err(error(path, Problem::TooLong));
    }
    filters.iter().enumerate().map(|(at, filter)| one(filter, &format!("{path}[{at}]"), depth + 1)).collect()
}

fn one(filter: &SubscriptionsApiFilter, path: &str, depth: usize) -> Result<Filter, FilterError> {
    if depth > MAX_DEPTH {
        return Err(error(path, Problem::TooDeep));
    }
    // Without `..`: a dialect added to the type does not compile until it is compiled here.
    let SubscriptionsApiFilter { all, any, not, exact, prefix, suffix, cesql } = filter;
    let set = [
        all.is_some(),
        any.is_some(),
        not.is_some(),
        exact.is_some(),
        prefix.is_some(),
        suffix.is_some(),
        cesql.is_some(),
    ];
    match set.into_iter().filter(|set| *set).count() {
        0 => return Err(error(path, Problem::NoDialect)),
        1 => {}
        _ => return Err(error(path, Problem::SeveralDialects)),
    }
    if let Some(filters) = all {
        return list(filters, &format!("{path}.all"), depth).map(collapse);
    }
    if let Some(filters) = any {
        return list(filters, &format!("{path}.any"), depth).map(Filter::Any);
    }
    if let Some(filter) = not {
        return one(filter, &format!("{path}.not"), depth + 1).map(|filter| Filter::Not(Box::new(filter)));
    }
    if let Some(attributes) = exact {
        return all_of(attributes, &format!("{path}.exact"), Filter::Exact);
    }
    if let Some(attributes) = prefix {
        return all_of(attributes, &format!("{path}.prefix"), Filter::Prefix);
    }
    if let Some(attributes) = suffix {
        return all_of(attributes, &format!("{path}.suffix"), Filter::Suffix);
    }
    Err(error(format!("{path}.cesql"), Problem::CesqlUnavailable))
}

fn all_of(
    attributes: &BTreeMap<String, String>,
    path: &str,
    dialect: impl Fn(Match) -> Filter,
) -> Result<Filter, FilterError> {
    if attributes.is_empty() {
        return Err(error(path, Problem::Empty));
    }
    let matches = attributes.iter().map(|(name, value)| {
        if value.is_empty() {
            return Err(error(format!("{path}.{name}"), Problem::EmptyValue));
        }
        attribute_match(name, value, path).map(&dialect)
    });
    matches.collect::<Result<_, _>>().map(collapse)
}

fn attribute_match(name: &str, value: &str, path: &str) -> Result<Match, FilterError> {
    let path = format!("{path}.{name}");
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !well_formed {
        return Err(error(path, Problem::AttributeName));
    }
    Ok(Match { attribute: Attribute::named(name), value: value.into(), path: path.into() })
}

/// A list of one is that one.
fn collapse(mut filters: Vec<Filter>) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            Filter::All(filters)
        }
        None => Filter::All(filters),
    }
}

fn error(path: impl Display, problem: Problem) -> FilterError {
    FilterError { path: path.to_string(), problem }
}
