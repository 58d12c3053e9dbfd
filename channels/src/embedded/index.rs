//! Where in a segment an offset, a time or an id is found: sparse places and a hash per event.
//!
//! The index of the growing segment lives in memory (8 bytes per event and 24 per 64 KiB); a finished segment's is
//! written beside it. An index only saves reading: what it says is checked against the records, and a missing or
//! damaged one is rebuilt from them.

use std::io;

use super::fs::{Fs, Mode, read_file, replace_file};
use super::record::Header;
use super::scan::{Item, Scanner};
use super::segment::{DATA_START, Segment};

const MAGIC: [u8; 8] = *b"weiridx\x01";
const HEADER_BYTES: usize = 24;
/// Bytes of records between two places.
const STEP_BYTES: u64 = 64 << 10;

/// A place: at `position` begins the record of `offset`, stored at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u64,
    stored_at_nanos: i64,
    position: u32,
}

/// The index of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    places: Vec<Place>,
    /// Hash of the id and position of every event; sorted if `sorted`.
    ids: Vec<(u32, u32)>,
    sorted: bool,
}

impl Index {
    /// Adds the record at `position`; records come in order.
    pub(crate) fn add(&mut self, header: &Header, position: u64) {
        // Segments stay below 4 GiB.
        let position = position as u32;
        if self.places.last().is_none_or(|last| u64::from(position - last.position) >= STEP_BYTES) {
            self.places.push(Place { offset: header.offset, stored_at_nanos: header.stored_at_nanos, position });
        }
        self.ids.push((header.id_hash, position));
        self.sorted = false;
    }

    /// Events indexed.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// A record boundary from which a scan meets every record with at least `offset`.
    pub(crate) fn position_of_offset(&self, offset: u64) -> u64 {
        let after = self.places.partition_point(|place| place.offset <= offset);
        after.checked_sub(1).map_or(DATA_START, |at| u64::from(self.places[at].position))
    }

    /// A record boundary from which a scan meets every record stored at or after `nanos`.
    pub(crate) fn position_of_time(&self, nanos: i64) -> u64 {
        let after = self.places.partition_point(|place| place.stored_at_nanos < nanos);
        after.checked_sub(1).map_or(DATA_START, |at| u64::from(self.places[at].position))
    }

    /// Positions of the records whose id may be the one with this hash, in order.
    pub(crate) fn candidates(&self, id_hash: u32) -> Vec<u64> {
        let of_hash = |ids: &[(u32, u32)]| -> Vec<u64> {
            ids.iter().filter(|(hash, _)| *hash == id_hash).map(|&(_, position)| u64::from(position)).collect()
        };
        if self.sorted {
            let from = self.ids.partition_point(|&(hash, _)| hash < id_hash);
            let until = self.ids.partition_point(|&(hash, _)| hash <= id_hash);
            of_hash(&self.ids[from..until])
        } else {
            of_hash(&self.ids)
        }
    }

    fn sort(&mut self) {
        self.ids.sort_unstable();
        self.sorted = true;
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.places.len() * 20 + self.ids.len() * 8);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(self.places.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.ids.len() as u32).to_le_bytes());
        for place in &self.places {
            bytes.extend_from_slice(&place.offset.to_le_bytes());
            bytes.extend_from_slice(&place.stored_at_nanos.to_le_bytes());
            bytes.extend_from_slice(&place.position.to_le_bytes());
        }
        for (hash, position) in &self.ids {
            bytes.extend_from_slice(&hash.to_le_bytes());
            bytes.extend_from_slice(&position.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let u32_of = |chunk: &[u8]| Some(u32::from_le_bytes(chunk.try_into().ok()?));
        let u64_of = |chunk: &[u8]| Some(u64::from_le_bytes(chunk.try_into().ok()?));
        let checksum = u32_of(bytes.get(8..12)?)?;
        if bytes[..8] != MAGIC || checksum != crc32fast::hash(bytes.get(16..)?) {
            return None;
        }
        let places = u32_of(bytes.get(16..20)?)? as usize;
        let ids_at = HEADER_BYTES + places.checked_mul(20)?;
        let places = bytes
            .get(HEADER_BYTES..ids_at)?
            .chunks_exact(20)
            .map(|chunk| {
                Some(Place {
                    offset: u64_of(&chunk[0..8])?,
                    stored_at_nanos: u64_of(&chunk[8..16])? as i64,
                    position: u32_of(&chunk[16..20])?,
                })
            })
            .collect::<Option<_>>()?;
        let ids = bytes[ids_at..]
            .chunks_exact(8)
            .map(|chunk| Some((u32_of(&chunk[0..4])?, u32_of(&chunk[4..8])?)))
            .collect::<Option<_>>()?;
        Some(Self { places, ids, sorted: true })
    }
}

/// Asks the index of `segment`: in memory, from its file, or rebuilt and written back if it can be.
pub(crate) fn ask<T>(fs: &dyn Fs, segment: &Segment, question: impl Fn(&Index) -> T) -> io::Result<T> {
    if let Some(index) = &*segment.index().read() {
        return Ok(question(index));
    }
    if let Ok(bytes) = read_file(fs, &segment.index_path())
        && let Some(index) = Index::decode(&bytes)
    {
        return Ok(question(&index));
    }
    let mut index = rebuild(fs, segment)?;
    index.sort();
    // Only saves the next reader some work, so a disk that is full or read-only is no error here.
    if let Err(error) = replace_file(fs, &segment.index_path(), &index.encode()) {
        tracing::debug!(path = %segment.index_path().display(), %error, "Could not write a rebuilt index");
    }
    Ok(question(&index))
}

/// Writes the index of a finished segment to its file and lets go of the memory.
pub(crate) fn store(fs: &dyn Fs, segment: &Segment) -> io::Result<()> {
    let Some(mut index) = segment.index().read().clone() else { return Ok(()) };
    index.sort();
    replace_file(fs, &segment.index_path(), &index.encode())?;
    *segment.index().write() = None;
    Ok(())
}

fn rebuild(fs: &dyn Fs, segment: &Segment) -> io::Result<Index> {
    let file = fs.open(&segment.path, Mode::Read)?;
    let end = segment.end().min(file.length()?);
    let mut scanner = Scanner::new(file, segment.header.salt, DATA_START, end);
    let mut index = Index::default();
    while let Some(item) = scanner.next()? {
        if let Item::Record { position, header, .. } = item {
            index.add(&header, position);
        }
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(events: u64) -> Index {
        let mut index = Index::default();
        for n in 0..events {
            let header = Header {
                payload_bytes: 0,
                flags: 0,
                offset: 100 + n,
                stored_at_nanos: n as i64 * 10,
                id_hash: (n % 7) as u32,
                source_hash: 0,
            };
            index.add(&header, DATA_START + n * 10_000);
        }
        index
    }

    #[test]
    fn offsets_times_and_ids_are_found_before_and_after_storing() {
        let fresh = index(100);
        let mut sorted = fresh.clone();
        sorted.sort();
        let stored = Index::decode(&sorted.encode()).expect("decodes");
        assert_eq!(stored, sorted);
        for index in [fresh, stored] {
            assert_eq!(index.position_of_offset(0), DATA_START);
            assert_eq!(index.position_of_offset(199), DATA_START + 98 * 10_000);
            assert_eq!(index.position_of_time(i64::MIN), DATA_START);
            assert!(index.position_of_time(500) < DATA_START + 50 * 10_000);
            assert_eq!(index.candidates(3).len(), 14);
            assert!(index.candidates(3).is_sorted());
            assert!(index.candidates(9).is_empty());
        }
    }

    #[test]
    fn a_damaged_index_is_not_used() {
        let mut index = index(10);
        index.sort();
        let whole = index.encode();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            // Bytes 12 to 16 are unused.
            assert_eq!(Index::decode(&bytes).is_some(), (12..16).contains(&at), "byte {at}");
        }
        assert_eq!(Index::decode(&whole[..whole.len() - 1]), None);
    }
}
