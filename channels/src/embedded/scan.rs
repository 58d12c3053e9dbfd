//! Walks over the records of a segment and past whatever is damaged between them.

use std::io;
use std::sync::Arc;

use super::fs::{File, read_full};
use super::record::{self, Found, HEADER_BYTES, Header};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What is found next in a segment.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// An undamaged record.
    Record { position: u64, header: Header, payload: &'a [u8] },
    /// Bytes that are no record, up to the next undamaged one or the end; with a header, those of exactly one record.
    Damage { position: u64, length: u64, header: Option<Header> },
}

/// Reads a segment from a record boundary on.
pub(crate) struct Scanner {
    file: Arc<dyn File>,
    salt: u32,
    position: u64,
    end: u64,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    buffer_at: u64,
    ignore_checksums: bool,
}

impl Scanner {
    /// Scans from `position`, a record boundary, to `end`.
    pub(crate) fn new(file: Arc<dyn File>, salt: u32, position: u64, end: u64) -> Self {
        let (buffer, buffer_at) = (Vec::new(), position);
        Self { file, salt, position, end, chunk_bytes: CHUNK_BYTES, buffer, buffer_at, ignore_checksums: false }
    }

    /// Reads fewer bytes at once, for those who want few records.
    pub(crate) fn with_chunk(mut self, chunk_bytes: usize) -> Self {
        self.chunk_bytes = chunk_bytes.clamp(HEADER_BYTES, CHUNK_BYTES);
        self
    }

    /// Takes records for whole whatever their checksum says: a planted fault.
    pub(crate) fn ignoring_checksums(mut self, ignore: bool) -> Self {
        self.ignore_checksums = ignore;
        self
    }

    /// Where the next item begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Lets go of the memory between two reads.
    pub(crate) fn forget_buffer(&mut self) {
        (self.buffer, self.buffer_at) = (Vec::new(), self.position);
    }

    /// Sees what the segment has grown by.
    pub(crate) fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// The next item; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let header = match self.parse_at(position)? {
            Found::Record(header) => header,
            Found::BadPayload(header) if self.ignore_checksums => header,
            Found::BadPayload(header) if self.may_begin_record(position + header.record_bytes() as u64)? => {
                let length = header.record_bytes() as u64;
                self.position += length;
                return Ok(Some(Item::Damage { position, length, header: Some(header) }));
            }
            Found::BadPayload(_) | Found::NeedBytes(_) | Found::Nothing => {
                self.position = self.resynchronise(position + 1)?;
                return Ok(Some(Item::Damage { position, length: self.position - position, header: None }));
            }
        };
        self.position += header.record_bytes() as u64;
        let bytes = self.buffered(position);
        Ok(Some(Item::Record { position, header, payload: &bytes[HEADER_BYTES..header.record_bytes()] }))
    }

    /// `length` bytes of the segment from `from` on, however they look; fewer at its end.
    pub(crate) fn raw(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = read_full(&*self.file, &mut bytes, from)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Parses at `position`, reading as much as that takes; [`Found::NeedBytes`] if the segment ends before.
    fn parse_at(&mut self, position: u64) -> io::Result<Found> {
        let mut need = HEADER_BYTES;
        loop {
            self.fill(position, need)?;
            match record::parse(self.buffered(position), self.salt) {
                Found::NeedBytes(more) if more > need && position + more as u64 <= self.end => need = more,
                found => return Ok(found),
            }
        }
    }

    /// Whether `position` is the end, or the next record's marker is there.
    fn may_begin_record(&mut self, position: u64) -> io::Result<bool> {
        if position == self.end {
            return Ok(true);
        }
        self.fill(position, HEADER_BYTES)?;
        Ok(record::next_marker(self.buffered(position), 0) == Some(0))
    }

    /// The position of the first undamaged record at or after `from`; the end if there is none.
    fn resynchronise(&mut self, mut from: u64) -> io::Result<u64> {
        while from < self.end {
            self.fill(from, HEADER_BYTES)?;
            let bytes = self.buffered(from);
            let Some(ahead) = record::next_marker(bytes, 0) else {
                from += bytes.len().max(1) as u64;
                continue;
            };
            from += ahead as u64;
            if matches!(self.parse_at(from)?, Found::Record(_)) {
                return Ok(from);
            }
            from += 1;
        }
        Ok(self.end)
    }

    /// What is in the buffer from `position` on.
    fn buffered(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.buffer_at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..)).unwrap_or_default()
    }

    /// Makes sure that `need` bytes from `position` on are in the buffer, as far as the segment has them.
    fn fill(&mut self, position: u64, need: usize) -> io::Result<()> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let need = need.min(left);
        let have = self.buffered(position).len();
        if have >= need {
            return Ok(());
        }
        if have == 0 {
            self.buffer.clear();
        } else {
            self.buffer.drain(..(position - self.buffer_at) as usize);
        }
        self.buffer_at = position;
        self.buffer.resize(need.max(self.chunk_bytes).min(left), 0);
        let read = read_full(&*self.file, &mut self.buffer[have..], position + have as u64)?;
        self.buffer.truncate(have + read);
        if self.buffer.len() < need {
            // The file is shorter than its records were: what is missing cannot be read.
            self.end = position + self.buffer.len() as u64;
        }
        Ok(())
    }
}
