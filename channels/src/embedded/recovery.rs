//! Opening a log after whatever happened to it.
//!
//! Only the growing segment is read; of the others, the headers. Nothing is cut off: what a crash left half written, or
//! what was damaged, stays where it is and a new segment begins behind it. Its base lies beyond every offset the
//! unreadable bytes may have used, so no offset ever names two events.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{Durability, Settings};
use super::cursors::{Cursors, Hints};
use super::dedupe::Dedupe;
use super::faults::planted;
use super::fs::{File, Fs, Mode, read_file, read_full, replace_file, write_all};
use super::index::Index;
use super::log::{Log, next_salt};
use super::record::{self, FLAG_SYNCED_BEFORE, Found, HEADER_BYTES, MIN_RECORD_BYTES};
use super::scan::{Item, Scanner};
use super::segment::{self, BadHeader, DATA_START, FORMAT, Segment, SegmentHeader};
use super::space::Space;
use super::tail::Published;
use crate::metrics::Metrics;

const FORMAT_FILE: &str = "format";
const FORMAT_PREFIX: &str = "weir log ";
/// More offsets than a segment can hold: skipped when the newest segment is gone and nobody knows how many it used.
const LOST_SEGMENT_OFFSETS: u64 = 1 << 32;
/// More offsets than can be given out between two background syncs.
const LOST_SYNC_OFFSETS: u64 = 1 << 20;
const SECTOR_BYTES: u64 = 512;
const REWRITE_BYTES: usize = 1 << 20;

/// Why a log was not opened. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{path} has format {found}", path = path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{path} is damaged: it does not name a format", path = path.display())]
    Damaged { path: PathBuf },
    #[error("cannot open the log {path}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// What of a log a process brings along.
pub(crate) struct Opening {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    /// The time, in nanoseconds since 1970.
    pub(crate) now: i64,
    /// Something no sender of events can know.
    pub(crate) salt: u32,
}

/// The growing segment, read through.
struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    /// End of the last undamaged record.
    good_end: u64,
    /// End of the file.
    end: u64,
    next: u64,
    /// The first byte that may never have been synced.
    unsynced_from: u64,
    last_stored_at_nanos: i64,
    corrupt: u64,
}

impl Opening {
    /// Opens the log, creating what is missing.
    pub(crate) fn open(self) -> Result<Log, OpenError> {
        let dir = self.dir.clone();
        let at = |source| OpenError::Io { path: dir.clone(), source };
        self.check_format()?;
        let mut bases = self.prepare_dir().map_err(at)?;
        bases.sort_unstable();
        let found = self.read_headers(&mut bases)?;
        let (mut cursors, hints) =
            Cursors::open(self.fs.clone(), &self.dir, self.settings.faults, !bases.is_empty(), self.salt)
                .map_err(at)?;
        let parts = self.assemble(&found, bases.last().copied(), &mut cursors, hints).map_err(at)?;
        self.into_log(parts, cursors).map_err(at)
    }

    /// Refuses what a newer build wrote before anything is touched.
    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.dir.join(FORMAT_FILE);
        let text = match read_file(&*self.fs, &path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        let version = std::str::from_utf8(&text).ok().and_then(|text| text.strip_prefix(FORMAT_PREFIX));
        match version.and_then(|version| version.trim_end().parse::<u32>().ok()) {
            Some(found) if found > FORMAT => Err(OpenError::Newer { path, found }),
            Some(_) => Ok(()),
            None => Err(OpenError::Damaged { path }),
        }
    }

    /// Creates the directory and its format file, removes unfinished files; returns the bases of the segments.
    fn prepare_dir(&self) -> io::Result<Vec<u64>> {
        let format = self.dir.join(FORMAT_FILE);
        if let Err(error) = self.fs.open(&format, Mode::Read) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            self.fs.create_dir_all(&self.dir)?;
            replace_file(&*self.fs, &format, format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())?;
            // The log's directory is <root>/<namespace>/<name>/<uid>: each name above it may be new.
            for above in self.dir.ancestors().skip(1).take(3).filter(|above| !above.as_os_str().is_empty()) {
                self.fs.sync_dir(above)?;
            }
        }
        let mut bases = Vec::new();
        for name in self.fs.list(&self.dir)? {
            if let Some(base) = segment::base_of(&name) {
                bases.push(base);
            } else if Path::new(&name).extension().is_some_and(|extension| extension == "tmp") {
                self.fs.remove(&self.dir.join(name))?;
            }
        }
        Ok(bases)
    }

    /// The segments that can be read. One with a damaged header cannot; its range becomes a gap. One whose creation was
    /// cut short never held anything and is removed.
    fn read_headers(&self, bases: &mut Vec<u64>) -> Result<Vec<(SegmentHeader, u64)>, OpenError> {
        let mut found = Vec::with_capacity(bases.len());
        let mut never_used = Vec::new();
        for &base in &*bases {
            let path = self.dir.join(segment::file_name(base));
            let read = || -> io::Result<_> {
                let file = self.fs.open(&path, Mode::Read)?;
                Ok((SegmentHeader::read(&*file)?, file.length()?))
            };
            match read().map_err(|source| OpenError::Io { path: path.clone(), source })? {
                (Ok(header), length) if header.base == base => found.push((header, length)),
                (Err(BadHeader::Newer(found)), ..) => return Err(OpenError::Newer { path, found }),
                (Ok(_) | Err(BadHeader::Damaged), length) if length > DATA_START => {
                    self.metrics.corrupt_records.inc();
                    tracing::error!(path = %path.display(), "Both headers of a segment are damaged; its events are lost");
                }
                _ => never_used.push(base),
            }
        }
        for base in never_used {
            let path = self.dir.join(segment::file_name(base));
            self.fs.remove(&path).map_err(|source| OpenError::Io { path, source })?;
            bases.retain(|kept| *kept != base);
        }
        Ok(found)
    }

    fn assemble(
        &self,
        found: &[(SegmentHeader, u64)],
        newest_base: Option<u64>,
        cursors: &mut Cursors,
        hints: Hints,
    ) -> io::Result<Parts> {
        let mut segments = Vec::with_capacity(found.len() + 1);
        for (at, (header, length)) in found.iter().enumerate() {
            let successor = found.get(at + 1).map(|(successor, _)| successor);
            let until = successor.map_or(i64::MAX, |successor| successor.created_at_nanos);
            let torn_at = successor.filter(|successor| successor.previous_base == Some(header.base));
            let end = torn_at.and_then(|successor| successor.previous_end).unwrap_or(*length);
            let path = self.dir.join(segment::file_name(header.base));
            segments.push(Segment::new(*header, path, end.min(*length), until));
        }
        let newest_known = newest_base.unwrap_or(0).max(hints.newest_segment);
        let Some(newest) = segments.pop() else {
            // A new log, or one whose segments are all gone.
            let first =
                if hints.existed || newest_base.is_some() { self.beyond(newest_known, hints, newest_base) } else { 0 };
            return self.begin(segments, None, first, None, self.now, cursors);
        };
        let active = self.read_active(newest)?;
        // Nobody noted a segment whose creation was cut short after it had become visible.
        cursors.note_segment(active.segment.base())?;
        let last_time = active.last_stored_at_nanos.max(active.segment.header.created_at_nanos);
        segments.push(active.segment.clone());
        let unreadable = active.end - active.good_end;
        let mut next = active.next;
        if unreadable > 0 && !planted!(self.settings.faults, ReuseOffsets) {
            next += unreadable / MIN_RECORD_BYTES + 1;
        }
        if !planted!(self.settings.faults, ReuseOffsets) {
            next = next.max(hints.settled_before);
            if self.settings.durability == Durability::Os && !hints.closed {
                next += LOST_SYNC_OFFSETS;
            }
        }
        let newest_is_missing = newest_known > active.segment.base();
        if newest_is_missing {
            next = next.max(self.beyond(newest_known, hints, newest_base));
        }
        if next != active.next || unreadable > 0 {
            let salt = active.segment.header.salt;
            let torn = unreadable == 0 || is_torn(&*active.file, salt, active.good_end, active.end)?;
            if unreadable > 0 {
                // What is damaged is shown to readers, what was never acknowledged is not.
                let shown = if torn { active.good_end } else { active.end };
                active.segment.publish(shown, active.last_stored_at_nanos);
                tracing::warn!(path = %active.segment.path.display(), bytes = unreadable, torn,
                    "The log ends in bytes that are no events: a write was cut short, or they are damaged");
            }
            // Where a segment is missing, its own base must stay the one a reader misses.
            let previous = if newest_is_missing { newest_known } else { active.segment.base() };
            let previous_end = (torn && !newest_is_missing).then_some(active.good_end);
            return self.begin(segments, Some(previous), next, previous_end, last_time, cursors);
        }
        Ok(Parts {
            file: self.fs.open(&active.segment.path, Mode::Write)?,
            write_at: active.good_end,
            next,
            last_stored_at_nanos: last_time,
            segments,
        })
    }

    /// An offset no segment up to `newest`, whose file cannot be read or is gone, can have used.
    fn beyond(&self, newest: u64, hints: Hints, newest_base: Option<u64>) -> u64 {
        let length = newest_base.filter(|base| *base == newest).and_then(|base| {
            let path = self.dir.join(segment::file_name(base));
            self.fs.open(&path, Mode::Read).and_then(|file| file.length()).ok()
        });
        let used = match length {
            Some(length) if length <= DATA_START => 0,
            Some(length) => length / MIN_RECORD_BYTES + 1,
            None => LOST_SEGMENT_OFFSETS,
        };
        newest.saturating_add(used).max(hints.settled_before)
    }

    /// Begins the segment that will grow.
    fn begin(
        &self,
        mut segments: Vec<Arc<Segment>>,
        previous_base: Option<u64>,
        next: u64,
        previous_end: Option<u64>,
        last_time: i64,
        cursors: &mut Cursors,
    ) -> io::Result<Parts> {
        let created_at_nanos = self.now.max(last_time);
        let salt = next_salt(self.salt);
        let header = SegmentHeader { base: next, previous_base, created_at_nanos, salt, previous_end };
        let sync_name = !planted!(self.settings.faults, SkipDirectorySync);
        let (path, file) = segment::create(&*self.fs, &self.dir, &header, sync_name)?;
        let segment = Segment::new(header, path, DATA_START, created_at_nanos);
        *segment.index().write() = Some(Index::default());
        cursors.note_segment(next)?;
        segments.push(segment);
        Ok(Parts { segments, file, write_at: DATA_START, next, last_stored_at_nanos: created_at_nanos })
    }

    /// Reads the growing segment through and makes sure that the disk holds what was read.
    fn read_active(&self, segment: Arc<Segment>) -> io::Result<Active> {
        let file = self.fs.open(&segment.path, Mode::Write)?;
        let header = segment.header;
        let mut active = Active {
            end: file.length()?,
            good_end: DATA_START,
            next: header.base,
            unsynced_from: DATA_START,
            last_stored_at_nanos: header.created_at_nanos,
            corrupt: 0,
            file: file.clone(),
            segment,
        };
        active.end = active.end.max(DATA_START);
        let mut index = Index::default();
        let mut scanner = Scanner::new(file, header.salt, DATA_START, active.end)
            .ignoring_checksums(planted!(self.settings.faults, TrustBadChecksum));
        let mut damage = 0;
        while let Some(item) = scanner.next()? {
            match item {
                Item::Damage { .. } => damage += 1,
                // An older offset is what a failed write left behind: it was never acknowledged there.
                Item::Record { header, .. } if header.offset < active.next => {}
                Item::Record { position, header, .. } => {
                    active.corrupt += std::mem::take(&mut damage);
                    if header.flags & FLAG_SYNCED_BEFORE != 0 {
                        active.unsynced_from = position;
                    }
                    index.add(&header, position);
                    active.next = header.offset + 1;
                    active.good_end = position + header.record_bytes() as u64;
                    active.last_stored_at_nanos = active.last_stored_at_nanos.max(header.stored_at_nanos);
                }
            }
        }
        self.metrics.corrupt_records.inc_by(active.corrupt);
        *active.segment.index().write() = Some(index);
        active.segment.publish(active.good_end, active.last_stored_at_nanos);
        if !planted!(self.settings.faults, TrustPageCache) {
            write_all(&*active.file, &header.encode(), 0)?;
            rewrite(&*active.file, active.unsynced_from, active.good_end)?;
        }
        Ok(active)
    }

    fn into_log(self, parts: Parts, cursors: Cursors) -> io::Result<Log> {
        let Parts { segments, file, write_at, next, last_stored_at_nanos } = parts;
        let Some(segment) = segments.last().cloned() else { return Err(io::ErrorKind::NotFound.into()) };
        let finished = segments.split_last().map_or(&[][..], |(_, finished)| finished);
        let finished_bytes: u64 = finished.iter().map(|segment| segment.end()).sum();
        let unindexed: Vec<_> = finished.iter().filter(|segment| segment.index().read().is_some()).cloned().collect();
        self.metrics.disk_bytes.inc_by((finished_bytes + write_at) as i64);
        let mut dedupe = self.settings.dedupe_window.map(Dedupe::new);
        if let Some(dedupe) = &mut dedupe
            && !planted!(self.settings.faults, ForgetDedupe)
        {
            remember(&*self.fs, &segments, dedupe, self.now.max(last_stored_at_nanos))?;
        }
        let space = Arc::new(Space::new(self.fs.clone(), self.dir.clone(), self.settings.reserve_bytes));
        let published = Published::new(segments, next, self.settings.tail_bytes);
        Ok(Log {
            fs: self.fs,
            dir: self.dir,
            settings: self.settings,
            metrics: self.metrics,
            published,
            space,
            cursors,
            dedupe,
            file,
            segment,
            write_at,
            finished_bytes,
            next,
            last_stored_at_nanos,
            unsynced: false,
            poisoned: None,
            must_roll: false,
            salt: next_salt(next_salt(self.salt)),
            unindexed,
        })
    }
}

/// What a log is put together from.
struct Parts {
    segments: Vec<Arc<Segment>>,
    file: Arc<dyn File>,
    write_at: u64,
    next: u64,
    last_stored_at_nanos: i64,
}

/// Writes `from..until` again and syncs it. After a failed sync the page cache may show bytes, and call them clean, that
/// the disk does not have.
fn rewrite(file: &dyn File, mut from: u64, until: u64) -> io::Result<()> {
    let mut buffer = vec![0; REWRITE_BYTES.min((until - from) as usize)];
    while from < until {
        let length = buffer.len().min((until - from) as usize);
        let read = read_full(file, &mut buffer[..length], from)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all(file, &buffer[..read], from)?;
        from += read as u64;
    }
    file.sync_data()
}

/// Whether `from..end` looks like a write a crash cut off: it ends early, or misses a whole sector.
fn is_torn(file: &dyn File, salt: u32, from: u64, end: u64) -> io::Result<bool> {
    let mut bytes = vec![0; (end - from) as usize];
    let read = read_full(file, &mut bytes, from)?;
    bytes.truncate(read);
    if matches!(record::parse(&bytes, salt), Found::NeedBytes(_)) || bytes.len() < HEADER_BYTES {
        return Ok(true);
    }
    let mut sectors = Vec::new();
    let first = (SECTOR_BYTES - from % SECTOR_BYTES).min(bytes.len() as u64) as usize;
    sectors.push(&bytes[..first]);
    sectors.extend(bytes[first..].chunks(SECTOR_BYTES as usize));
    Ok(sectors.iter().any(|sector| sector.len() >= HEADER_BYTES && sector.iter().all(|&byte| byte == 0)))
}

/// Tells `dedupe` what was stored within its window.
fn remember(fs: &dyn Fs, segments: &[Arc<Segment>], dedupe: &mut Dedupe, now: i64) -> io::Result<()> {
    let horizon = dedupe.horizon(now);
    let first = segments.iter().rposition(|segment| segment.header.created_at_nanos < horizon).unwrap_or(0);
    for segment in &segments[first..] {
        let file = fs.open(&segment.path, Mode::Read)?;
        let mut scanner = Scanner::new(file, segment.header.salt, DATA_START, segment.end());
        while let Some(item) = scanner.next()? {
            if let Item::Record { header, .. } = item
                && header.stored_at_nanos >= horizon
            {
                dedupe.remember((header.id_hash, header.source_hash), header.offset, header.stored_at_nanos);
            }
        }
        dedupe.expire(now);
    }
    Ok(())
}
