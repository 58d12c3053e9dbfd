//! Finds the filters worth evaluating for an event without looking at the others.

use ahash::AHashMap;
use smallvec::SmallVec;
use weir_api::Event;

use super::attribute::Digits;
use super::{Attribute, Filter, Seen};

/// A necessary condition of a filter: it can only match events whose attribute has one of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The attribute.
    pub attribute: &'a Attribute,
    /// Its values, in their string form; none if the filter can match nothing.
    pub values: SmallVec<[&'a str; 2]>,
}

impl Filter {
    /// The condition to index this filter by: on `type` if there is one, else on `source`, else on another attribute.
    /// `None` if no attribute has to have one of a few values.
    pub fn index_keys(&self) -> Option<Keys<'_>> {
        let mut attributes = SmallVec::<[&Attribute; 4]>::new();
        self.compared(&mut attributes);
        attributes.sort_by_key(|attribute| match attribute {
            Attribute::Type => 0,
            Attribute::Source => 1,
            _ => 2,
        });
        attributes.into_iter().find_map(|attribute| self.values_of(attribute).map(|values| Keys { attribute, values }))
    }

    /// Attributes compared for equality.
    fn compared<'a>(&'a self, attributes: &mut SmallVec<[&'a Attribute; 4]>) {
        match self {
            Self::Typed(m) | Self::Exact(m) => {
                if !attributes.contains(&&m.attribute) {
                    attributes.push(&m.attribute);
                }
            }
            Self::All(filters) | Self::Any(filters) => filters.iter().for_each(|filter| filter.compared(attributes)),
            Self::Present(_) | Self::Prefix(_) | Self::Suffix(_) | Self::Not(_) => {}
        }
    }

    /// The values without one of which in `attribute` the filter cannot match.
    fn values_of(&self, attribute: &Attribute) -> Option<SmallVec<[&str; 2]>> {
        match self {
            Self::Typed(m) | Self::Exact(m) => (m.attribute == *attribute).then(|| SmallVec::from_slice(&[&*m.value])),
            Self::All(filters) => {
                filters.iter().filter_map(|filter| filter.values_of(attribute)).min_by_key(SmallVec::len)
            }
            Self::Any(filters) => {
                let mut values = SmallVec::new();
                for filter in filters {
                    values.extend(filter.values_of(attribute)?);
                }
                values.sort_unstable();
                values.dedup();
                Some(values)
            }
            Self::Present(_) | Self::Prefix(_) | Self::Suffix(_) | Self::Not(_) => None,
        }
    }
}

/// Entries by the events their filters may match.
///
/// *Guarantee:* [`Index::candidates`] yields every entry whose filter matches, each once, and others whose filter still
/// has to be evaluated. Inserting or removing one entry touches that entry's keys only.
#[derive(Clone, Debug)]
pub struct Index<T> {
    /// By attribute, one of the few an event always has a place for.
    context: Vec<(Attribute, Values<T>)>,
    /// By the name of an extension: an event is asked for the ones it has, not for every one a filter names.
    extensions: AHashMap<Box<str>, Values<T>>,
    /// Entries without a key.
    rest: Vec<T>,
}

type Values<T> = AHashMap<Box<str>, Vec<T>>;

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { context: Vec::new(), extensions: AHashMap::new(), rest: Vec::new() }
    }
}

impl<T: Clone + PartialEq> Index<T> {
    /// Adds `entry` under the keys of `filter`.
    pub fn insert(&mut self, entry: &T, filter: &Filter) {
        let Some(keys) = filter.index_keys() else {
            self.rest.push(entry.clone());
            return;
        };
        let values = self.values_mut(keys.attribute);
        for value in keys.values {
            values.entry(value.into()).or_default().push(entry.clone());
        }
    }

    /// Removes `entry`, which was inserted with `filter`. Unknown entries are ignored.
    pub fn remove(&mut self, entry: &T, filter: &Filter) {
        let Some(keys) = filter.index_keys() else {
            take(&mut self.rest, entry);
            return;
        };
        let values = self.values_mut(keys.attribute);
        for value in keys.values {
            if let Some(entries) = values.get_mut(value) {
                take(entries, entry);
                if entries.is_empty() {
                    values.remove(value);
                }
            }
        }
        if values.is_empty() {
            match keys.attribute {
                Attribute::Extension(name) => drop(self.extensions.remove(name)),
                attribute => self.context.retain(|(known, _)| known != attribute),
            }
        }
    }

    /// Calls `each` with every entry whose filter may match `event`. Does not allocate.
    pub fn candidates<'a>(&'a self, event: &Event, mut each: impl FnMut(&'a T)) {
        self.rest.iter().for_each(&mut each);
        for (attribute, values) in &self.context {
            if let Some(seen) = attribute.lookup(event) {
                entries(values, seen).iter().for_each(&mut each);
            }
        }
        if !self.extensions.is_empty() {
            for (name, value) in &event.attributes().extensions {
                if let Some(values) = self.extensions.get(name.as_str()) {
                    entries(values, Seen::from(value)).iter().for_each(&mut each);
                }
            }
        }
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.context.is_empty() && self.extensions.is_empty()
    }

    fn values_mut(&mut self, attribute: &Attribute) -> &mut Values<T> {
        if let Attribute::Extension(name) = attribute {
            return self.extensions.entry(name.clone()).or_default();
        }
        let known = self.context.iter().position(|(known, _)| known == attribute);
        let at = known.unwrap_or_else(|| {
            self.context.push((attribute.clone(), AHashMap::new()));
            self.context.len() - 1
        });
        &mut self.context[at].1
    }
}

fn entries<'a, T>(values: &'a Values<T>, seen: Seen<'_>) -> &'a [T] {
    values.get(seen.text(&mut Digits::default())).map_or(&[], Vec::as_slice)
}

fn take<T: PartialEq>(entries: &mut Vec<T>, entry: &T) {
    if let Some(at) = entries.iter().position(|known| known == entry) {
        entries.swap_remove(at);
    }
}
