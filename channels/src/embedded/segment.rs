//! Segments: the files a log consists of, each named by the offset it begins with.
//!
//! A segment begins with its header, twice, in disk sectors of their own, so that one damaged sector costs nothing.
//! Records follow. Only the last segment grows; the others never change again.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::fs::{File, Fs, Mode, read_full, write_all};
use super::index::Index;

/// The newest format of segments this build reads and the one it writes.
pub(crate) const FORMAT: u32 = 1;
/// Where the first record begins.
pub(crate) const DATA_START: u64 = 1024;

const COPY_BYTES: usize = 512;
const MAGIC: [u8; 8] = *b"weirlog\0";
const FIELD_BYTES: usize = 56;
const NO_PREVIOUS: u64 = u64::MAX;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// No offset in it is smaller, none in an earlier segment is as large.
    pub(crate) base: u64,
    /// The base of the segment before it: tells a missing segment from offsets never given out.
    pub(crate) previous_base: Option<u64>,
    /// When it was begun; nothing in it was stored before.
    pub(crate) created_at_nanos: i64,
    /// Random: where its checksums start.
    pub(crate) salt: u32,
    /// Where the records of the previous segment end, if a crash cut off a write behind them: nobody was told that it
    /// had succeeded, and offsets are left out.
    pub(crate) previous_end: Option<u64>,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// Neither copy is whole.
    Damaged,
    /// Written by a newer build.
    Newer(u32),
}

impl SegmentHeader {
    /// The bytes of both copies.
    pub(crate) fn encode(&self) -> [u8; DATA_START as usize] {
        let mut copy = [0; COPY_BYTES];
        copy[0..8].copy_from_slice(&MAGIC);
        copy[12..16].copy_from_slice(&FORMAT.to_le_bytes());
        copy[16..24].copy_from_slice(&self.base.to_le_bytes());
        copy[24..32].copy_from_slice(&self.previous_base.unwrap_or(NO_PREVIOUS).to_le_bytes());
        copy[32..40].copy_from_slice(&self.created_at_nanos.to_le_bytes());
        copy[40..44].copy_from_slice(&self.salt.to_le_bytes());
        copy[48..56].copy_from_slice(&self.previous_end.unwrap_or(0).to_le_bytes());
        let checksum = crc32fast::hash(&copy[12..FIELD_BYTES]);
        copy[8..12].copy_from_slice(&checksum.to_le_bytes());
        let mut bytes = [0; DATA_START as usize];
        bytes[..COPY_BYTES].copy_from_slice(&copy);
        bytes[COPY_BYTES..].copy_from_slice(&copy);
        bytes
    }

    /// Reads whichever copy is whole.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let first = bytes.get(..FIELD_BYTES).map_or(Err(BadHeader::Damaged), Self::decode_copy);
        match first {
            Err(BadHeader::Damaged) => {
                bytes.get(COPY_BYTES..COPY_BYTES + FIELD_BYTES).map_or(Err(BadHeader::Damaged), Self::decode_copy)
            }
            result => result,
        }
    }

    fn decode_copy(copy: &[u8]) -> Result<Self, BadHeader> {
        let u32_at = |at: usize| u32::from_le_bytes([copy[at], copy[at + 1], copy[at + 2], copy[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if copy[0..8] != MAGIC || u32_at(8) != crc32fast::hash(&copy[12..FIELD_BYTES]) {
            return Err(BadHeader::Damaged);
        }
        if u32_at(12) > FORMAT {
            return Err(BadHeader::Newer(u32_at(12)));
        }
        let previous = u64_at(24);
        Ok(Self {
            base: u64_at(16),
            previous_base: (previous != NO_PREVIOUS).then_some(previous),
            created_at_nanos: u64_at(32) as i64,
            salt: u32_at(40),
            previous_end: Some(u64_at(48)).filter(|end| *end != 0),
        })
    }

    /// Reads the header of an open segment.
    pub(crate) fn read(file: &dyn File) -> io::Result<Result<Self, BadHeader>> {
        let mut bytes = [0; DATA_START as usize];
        let read = read_full(file, &mut bytes, 0)?;
        Ok(Self::decode(&bytes[..read]))
    }
}

/// A segment as the writer and the readers of a log share it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    /// End of the durable records: readers never look beyond.
    end: AtomicU64,
    /// When its last event was stored, as far as known: the time its successor was begun at the latest.
    last_stored_at_nanos: AtomicI64,
    /// In memory while the segment grows and until its index file is written.
    index: RwLock<Option<Index>>,
}

impl Segment {
    pub(crate) fn new(header: SegmentHeader, path: PathBuf, end: u64, last_stored_at_nanos: i64) -> Arc<Self> {
        Arc::new(Self {
            header,
            path,
            end: AtomicU64::new(end),
            last_stored_at_nanos: AtomicI64::new(last_stored_at_nanos),
            index: RwLock::new(None),
        })
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.base
    }

    /// Where its index is kept.
    pub(crate) fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Lets readers see the records up to `end`.
    pub(crate) fn publish(&self, end: u64, last_stored_at_nanos: i64) {
        self.last_stored_at_nanos.store(last_stored_at_nanos, Ordering::Relaxed);
        self.end.store(end, Ordering::Release);
    }

    pub(crate) fn last_stored_at_nanos(&self) -> i64 {
        self.last_stored_at_nanos.load(Ordering::Relaxed)
    }

    /// The index in memory, if it is there.
    pub(crate) fn index(&self) -> &RwLock<Option<Index>> {
        &self.index
    }
}

/// Begins a segment: durable, name included, when this returns. Whatever a failed attempt left there is replaced.
pub(crate) fn create(
    fs: &dyn Fs,
    dir: &Path,
    header: &SegmentHeader,
    sync_name: bool,
) -> io::Result<(PathBuf, Arc<dyn File>)> {
    let path = dir.join(file_name(header.base));
    let file = fs.open(&path, Mode::Create)?;
    write_all(&*file, &header.encode(), 0)?;
    file.sync_data()?;
    if sync_name {
        fs.sync_dir(dir)?;
    }
    Ok((path, file))
}

/// The name of the segment that begins with `base`.
pub(crate) fn file_name(base: u64) -> String {
    format!("{base:020}.log")
}

/// The base in the name of a segment; `None` for any other file.
pub(crate) fn base_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        base: 42,
        previous_base: Some(7),
        created_at_nanos: -1,
        salt: 0xDEAD_BEEF,
        previous_end: Some(1 << 40),
    };

    #[test]
    fn either_copy_of_the_header_is_enough() {
        let whole = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&whole), Ok(HEADER));
        for damaged in [20, COPY_BYTES + 20] {
            let mut bytes = whole;
            bytes[damaged] ^= 1;
            assert_eq!(SegmentHeader::decode(&bytes), Ok(HEADER));
        }
        let mut bytes = whole;
        bytes[20] ^= 1;
        bytes[COPY_BYTES + 20] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Damaged));
        assert_eq!(SegmentHeader::decode(&whole[..10]), Err(BadHeader::Damaged));
    }

    #[test]
    fn names_sort_like_bases() {
        assert_eq!(base_of(OsStr::new(&file_name(17))), Some(17));
        assert!(file_name(9) < file_name(10));
        assert_eq!(base_of(OsStr::new("17.log")), None);
        assert_eq!(base_of(OsStr::new("00000000000000000017.idx")), None);
    }
}
