//! Finds events by time, id or offset. Reads files: not for an async thread.

use std::io;

use weir_api::Event;

use super::fs::{Fs, Mode};
use super::index;
use super::record;
use super::scan::{Item, Scanner};
use super::segment::Segment;
use super::tail::Published;
use super::walk;
use crate::{Entry, Stored};

impl Published {
    /// The offset of the first event stored at or after `nanos`; the end if there is none.
    pub(crate) fn seek(&self, fs: &dyn Fs, nanos: i64) -> io::Result<u64> {
        let end = self.end().next;
        let segments = self.segments();
        let first = segments.partition_point(|segment| segment.header.created_at_nanos < nanos).saturating_sub(1);
        for segment in segments.iter().skip(first) {
            let mut scanner = match open(fs, segment, |index| index.position_of_time(nanos)) {
                Ok(scanner) => scanner,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            while let Some(item) = scanner.next()? {
                if let Item::Record { header, .. } = item
                    && header.stored_at_nanos >= nanos
                {
                    return Ok(header.offset.min(end));
                }
            }
        }
        Ok(end)
    }

    /// Events with this id, and source if given, oldest first.
    pub(crate) fn find(&self, fs: &dyn Fs, id: &str, source: Option<&str>, limit: usize) -> io::Result<Vec<Stored>> {
        let end = self.end().next;
        let mut found = Vec::new();
        for segment in self.segments() {
            let candidates = match index::ask(fs, &segment, |index| index.candidates(record::hash(id))) {
                Ok(candidates) => candidates,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if candidates.is_empty() {
                continue;
            }
            let file = fs.open(&segment.path, Mode::Read)?;
            for position in candidates {
                if found.len() == limit {
                    return Ok(found);
                }
                let mut scanner =
                    Scanner::new(file.clone(), segment.header.salt, position, segment.end()).with_chunk(8 << 10);
                let Some(Item::Record { header, payload, .. }) = scanner.next()? else { continue };
                let Entry::Event(stored) = walk::decode(&header, payload) else { continue };
                let wanted = stored.event.id() == id && source.is_none_or(|source| stored.event.source() == source);
                if wanted && header.offset < end {
                    found.push(stored);
                }
            }
        }
        Ok(found)
    }

    /// The event at `offset`; `None` if it is damaged or its segment is gone.
    pub(crate) fn event_at(&self, fs: &dyn Fs, offset: u64) -> io::Result<Option<Event>> {
        if let Some(stored) = self.recent_event(offset) {
            return Ok(Some(stored.event));
        }
        let Some((segment, _)) = self.segment_of(offset) else { return Ok(None) };
        let mut scanner = match open(fs, &segment, |index| index.position_of_offset(offset)) {
            Ok(scanner) => scanner,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        while let Some(item) = scanner.next()? {
            match item {
                Item::Record { header, payload, .. } if header.offset == offset => {
                    let Entry::Event(stored) = walk::decode(&header, payload) else { return Ok(None) };
                    return Ok(Some(stored.event));
                }
                Item::Record { header, .. } if header.offset > offset => return Ok(None),
                Item::Record { .. } | Item::Damage { .. } => {}
            }
        }
        Ok(None)
    }
}

fn open(fs: &dyn Fs, segment: &Segment, place: impl Fn(&index::Index) -> u64) -> io::Result<Scanner> {
    let position = index::ask(fs, segment, place)?;
    let file = fs.open(&segment.path, Mode::Read)?;
    Ok(Scanner::new(file, segment.header.salt, position, segment.end()).with_chunk(64 << 10))
}
