//! Reads a log's segments in order and says plainly where something is missing or damaged.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use weir_api::event::wire;

use super::faults::{Faults, planted};
use super::fs::{Fs, Mode};
use super::index;
use super::log::timestamp;
use super::record::Header;
use super::scan::{Item, Scanner};
use super::segment::{Segment, SegmentHeader};
use super::tail::Published;
use crate::metrics::Metrics;
use crate::{Entry, Position, Stored};

/// Bytes of damage that are handed on to the dead letters.
const RAW_BYTES: u64 = 1 << 20;

/// A place in the segments, from which reading goes on.
pub(crate) struct Walk {
    /// The next offset to be told about.
    pub(crate) next: u64,
    at: Option<Place>,
    faults: Faults,
}

struct Place {
    segment: Arc<Segment>,
    scanner: Scanner,
    /// The end of the segment when it was last looked at.
    seen_end: u64,
    /// Damage since the last record, not told about yet: whether something is missing there shows at the next one.
    damage: Vec<(u64, u64, Option<Header>)>,
}

impl Walk {
    pub(crate) fn from(offset: u64, faults: Faults) -> Self {
        Self { next: offset, at: None, faults }
    }

    /// Entries from here on, at most `max` events and about `chunk_bytes`, none at or beyond the offset `until`. Empty only
    /// at `until`.
    pub(crate) fn read(
        &mut self,
        fs: &dyn Fs,
        published: &Published,
        metrics: &Metrics,
        until: u64,
        max: usize,
        chunk_bytes: usize,
    ) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut budget = chunk_bytes as u64;
        while self.next < until && entries.len() < max && (budget > 0 || entries.is_empty()) {
            let Some((segment, successor)) = published.segment_of(self.next) else {
                let earliest = published.earliest().min(until);
                self.gap(earliest, "expired: removed by retention", &mut entries);
                continue;
            };
            if self.at.as_ref().is_none_or(|place| place.segment.base() != segment.base()) {
                match self.enter(fs, &segment, chunk_bytes) {
                    Ok(place) => self.at = Some(place),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        if published.earliest() <= segment.base() {
                            let end = successor.map_or(until, |successor| successor.base()).min(until);
                            self.gap(end, "segment missing", &mut entries);
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(place) = &mut self.at else { continue };
            let before = place.scanner.position();
            match place.scanner.next()? {
                Some(Item::Damage { position, length, header }) => {
                    metrics.corrupt_records.inc();
                    place.damage.push((position, length, header));
                }
                Some(Item::Record { header, .. }) if header.offset < self.next => place.damage.clear(),
                Some(Item::Record { header, payload, .. }) => {
                    if header.offset >= until {
                        // Not for this read: what is between is missing, and the record is met again.
                        let damage = std::mem::take(&mut place.damage);
                        report(&mut self.next, &place.scanner, &damage, until, &mut entries)?;
                        (self.next, self.at) = (until, None);
                        break;
                    }
                    let entry = decode(&header, payload);
                    let damage = std::mem::take(&mut place.damage);
                    report(&mut self.next, &place.scanner, &damage, header.offset, &mut entries)?;
                    entries.push(entry);
                    self.next = header.offset + 1;
                }
                None if place.segment.end() > place.seen_end => {
                    place.seen_end = place.segment.end();
                    place.scanner.extend(place.seen_end);
                }
                None => {
                    let damage = std::mem::take(&mut place.damage);
                    let end = successor.as_deref().map_or(until, Segment::base).min(until);
                    self.leave(&damage, successor.as_deref().map(|s| &s.header), end, &mut entries)?;
                    continue;
                }
            }
            if let Some(place) = &self.at {
                budget = budget.saturating_sub(place.scanner.position() - before);
            }
        }
        if let Some(place) = &mut self.at {
            place.scanner.forget_buffer();
        }
        Ok(entries)
    }

    fn enter(&self, fs: &dyn Fs, segment: &Arc<Segment>, chunk_bytes: usize) -> io::Result<Place> {
        let file = fs.open(&segment.path, Mode::Read)?;
        let position = if self.next > segment.base() {
            index::ask(fs, segment, |index| index.position_of_offset(self.next))?
        } else {
            super::segment::DATA_START
        };
        let seen_end = segment.end();
        let scanner = Scanner::new(file, segment.header.salt, position, seen_end)
            .with_chunk(chunk_bytes)
            .ignoring_checksums(planted!(self.faults, TrustBadChecksum));
        Ok(Place { segment: segment.clone(), scanner, seen_end, damage: Vec::new() })
    }

    /// At the end of a segment: everything before `end` was read or is missing.
    fn leave(
        &mut self,
        damage: &[(u64, u64, Option<Header>)],
        successor: Option<&SegmentHeader>,
        end: u64,
        entries: &mut Vec<Entry>,
    ) -> io::Result<()> {
        let Some(place) = self.at.take() else { return Ok(()) };
        if successor.is_some_and(|successor| successor.previous_base != Some(place.segment.base())) {
            report(&mut self.next, &place.scanner, damage, end, entries)?;
            self.gap(end, "segment missing", entries);
        } else if damage.is_empty() && successor.is_some_and(|successor| successor.previous_end.is_some()) {
            // A write that a crash cut off: nobody was told that it had succeeded.
            self.next = end;
        } else if damage.is_empty() {
            self.gap(end, "missing", entries);
        } else {
            report(&mut self.next, &place.scanner, damage, end, entries)?;
            self.next = end;
        }
        Ok(())
    }

    fn gap(&mut self, until: u64, reason: &str, entries: &mut Vec<Entry>) {
        if self.next < until {
            entries.push(gap(self.next, until, reason));
            self.next = until;
        }
    }
}

/// Tells about the damage before the offset `until`: each record by itself as far as its header could be read, the rest
/// as one gap.
fn report(
    next: &mut u64,
    scanner: &Scanner,
    damage: &[(u64, u64, Option<Header>)],
    until: u64,
    entries: &mut Vec<Entry>,
) -> io::Result<()> {
    let mut unknown = false;
    for &(position, length, header) in damage {
        match header {
            Some(header) if header.offset >= *next && header.offset < until => {
                if unknown && header.offset > *next {
                    entries.push(gap(*next, header.offset, "damaged"));
                    unknown = false;
                }
                let raw = scanner.raw(position, length.min(RAW_BYTES) as usize)?;
                entries.push(undecodable(header.offset, raw, "checksum does not match"));
                *next = header.offset + 1;
            }
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown && *next < until {
        match damage {
            [(position, length, None)] if *next + 1 == until => {
                let raw = scanner.raw(*position, (*length).min(RAW_BYTES) as usize)?;
                entries.push(undecodable(*next, raw, "record damaged"));
            }
            _ => entries.push(gap(*next, until, "damaged")),
        }
        *next = until;
    }
    Ok(())
}

/// The entry of an undamaged record. The event gets memory of its own: it must not keep the bytes around it alive.
pub(super) fn decode(header: &Header, payload: &[u8]) -> Entry {
    let position = Position { partition: 0, offset: header.offset };
    let payload = Bytes::copy_from_slice(payload);
    match wire::decode(payload.clone()) {
        Ok(event) => Entry::Event(Stored { position, stored_at: timestamp(header.stored_at_nanos), event }),
        Err(error) => Entry::Undecodable { position, raw: payload, reason: error.to_string() },
    }
}

fn undecodable(offset: u64, raw: Vec<u8>, reason: &str) -> Entry {
    let position = Position { partition: 0, offset };
    Entry::Undecodable { position, raw: raw.into(), reason: reason.to_owned() }
}

fn gap(from: u64, until: u64, reason: &str) -> Entry {
    Entry::Gap { from: Position { partition: 0, offset: from }, until, reason: reason.to_owned() }
}
