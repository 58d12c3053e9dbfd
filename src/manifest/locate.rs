//! Finds the line of a field. Serde keeps no positions, but deserialisers add theirs to an error: this walks down the
//! path and fails on purpose when it arrives.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Walks to `path` (`spec.filters[0].exact`, `metadata.annotations[a.b/c]`); the empty path is the document itself.
/// `Err` with the position if it is there, `Ok` if not.
pub(super) fn find<'de, D: Deserializer<'de>>(document: D, path: &str) -> Result<(), D::Error> {
    Node { rest: path }.deserialize(document)
}

/// A value below which `rest` is looked for.
#[derive(Clone, Copy)]
struct Node<'a> {
    rest: &'a str,
}

/// A key, compared with the first step of `rest`; yields what remains after it.
struct Step<'a> {
    rest: &'a str,
}

fn arrived<E: Error>() -> E {
    E::custom("here")
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.rest.is_empty() {
            return Err(arrived());
        }
        while let Some(matched) = map.next_key_seed(Step { rest: self.rest })? {
            match matched {
                Some(rest) => map.next_value_seed(Node { rest })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((index, rest)) = index(self.rest) else {
            return if self.rest.is_empty() { Err(arrived()) } else { skip(seq) };
        };
        for _ in 0..index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Node { rest })?;
        skip(seq)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
}

impl Node<'_> {
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.rest.is_empty() { Err(arrived()) } else { Ok(()) }
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Step<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, 'a> Visitor<'de> for Step<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        match after(self.rest, key) {
            // The goal is this key: its line is where a person looks, not the line where its value begins.
            Some("") => Err(arrived()),
            rest => Ok(rest),
        }
    }
}

/// What remains of `path` after a first step named `key`. Keys may hold dots themselves, so the key decides.
fn after<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    if let Some(quoted) = path.strip_prefix('[') {
        let rest = quoted.strip_prefix(key)?.strip_prefix(']')?;
        return Some(rest.strip_prefix('.').unwrap_or(rest));
    }
    let rest = path.strip_prefix(key)?;
    match rest.as_bytes().first() {
        None | Some(b'[') => Some(rest),
        Some(b'.') => Some(&rest[1..]),
        Some(_) => None,
    }
}

/// Splits `[3].rest`.
fn index(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}

fn skip<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}
