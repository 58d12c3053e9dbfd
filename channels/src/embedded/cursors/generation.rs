//! One file of the progress store: written whole before it gets its name, then appended to, read when the log opens.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Precious, Saved};
use crate::embedded::fs::{File, Fs, Mode, write_all};
use crate::embedded::record::{self, FLAG_SYNCED_BEFORE};
use crate::embedded::scan::{Item, Scanner};
use crate::embedded::segment::{BadHeader, DATA_START, SegmentHeader};
use crate::embedded::state::{Note, Subscriptions};

/// A file that takes notes.
pub(super) struct Generation {
    file: Arc<dyn File>,
    salt: u32,
    sequence: u64,
    /// Where the next note goes.
    pub(super) end: u64,
    /// Its length when it was begun.
    pub(super) began_with: u64,
}

impl Generation {
    /// Writes the generation `number`: everything in `saved` twice, then `last`. It has its name once it is durable.
    pub(super) fn begin(
        fs: &dyn Fs,
        dir: &Path,
        number: u64,
        salt: u32,
        saved: &Saved,
        newest_segment: u64,
        last: Option<&Note>,
    ) -> io::Result<Self> {
        let header = SegmentHeader { base: number, previous_base: None, created_at_nanos: 0, salt, previous_end: None };
        let mut bytes = header.encode().to_vec();
        let mut sequence = 0;
        let mut push = |note: &Note| push_note(&mut bytes, note, salt, FLAG_SYNCED_BEFORE, &mut sequence);
        for _ in 0..2 {
            if saved.lossy {
                push(&Note::Lossy);
            }
            push(&Note::Segment(newest_segment));
            for (id, partitions) in &saved.subscriptions {
                for (&partition, progress) in partitions {
                    push(&Note::Progress(id.clone(), partition, progress.clone()));
                }
            }
            if let Some(last) = last {
                push(last);
            }
        }
        let path = dir.join(file_name(number));
        let unfinished = path.with_extension("tmp");
        let file = fs.open(&unfinished, Mode::Create)?;
        write_all(&*file, &bytes, 0)?;
        file.sync_data()?;
        fs.rename(&unfinished, &path)?;
        fs.sync_dir(dir)?;
        let end = bytes.len() as u64;
        Ok(Self { file, salt, sequence, end, began_with: end })
    }

    /// Appends `notes`, precious ones twice. They are durable with the next [`Generation::sync`]; after an error the
    /// file is not to be used any more.
    pub(super) fn append<'a>(&mut self, notes: impl IntoIterator<Item = &'a (Note, Precious)>) -> io::Result<()> {
        let mut frames = Vec::new();
        for (note, precious) in notes {
            for _ in 0..1 + usize::from(precious.0) {
                let flags = if frames.is_empty() { FLAG_SYNCED_BEFORE } else { 0 };
                push_note(&mut frames, note, self.salt, flags, &mut self.sequence);
            }
        }
        write_all(&*self.file, &frames, self.end)?;
        self.end += frames.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// What a store says.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) subscriptions: Subscriptions,
    pub(super) newest_segment: u64,
    pub(super) lossy: bool,
    pub(super) closed: bool,
    superseded: bool,
    damaged: bool,
}

impl Loaded {
    /// Reads the newest of `generations`, in ascending order; if it is damaged, on top of what the one before says.
    /// `log_existed` says that there are segments, so that there should be a store.
    pub(super) fn read(fs: &dyn Fs, dir: &Path, generations: &[u64], log_existed: bool) -> io::Result<Self> {
        let mut loaded = Self::default();
        let Some((newest, older)) = generations.split_last() else {
            return Ok(Self { lossy: log_existed, ..loaded });
        };
        loaded.add(fs, dir, *newest)?;
        if loaded.damaged {
            loaded = Self { lossy: true, ..Self::default() };
            if let Some(before) = older.last() {
                loaded.add(fs, dir, *before)?;
            }
            loaded.add(fs, dir, *newest)?;
        }
        loaded.lossy |= loaded.superseded;
        Ok(loaded)
    }

    fn add(&mut self, fs: &dyn Fs, dir: &Path, generation: u64) -> io::Result<()> {
        let file = match fs.open(&dir.join(file_name(generation)), Mode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.damaged = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let header = match SegmentHeader::read(&*file)? {
            Ok(header) => header,
            Err(BadHeader::Damaged | BadHeader::Newer(_)) => {
                self.damaged = true;
                return Ok(());
            }
        };
        let end = file.length()?;
        let mut scanner = Scanner::new(file, header.salt, DATA_START, end);
        let mut damage_before = false;
        (self.superseded, self.closed) = (false, false);
        while let Some(item) = scanner.next()? {
            match item {
                Item::Record { payload, header, .. } => {
                    // Damage that was never followed by a new write is a write that a crash cut off.
                    self.damaged |= damage_before && header.flags & FLAG_SYNCED_BEFORE != 0;
                    match Note::decode(payload) {
                        Some(note) => self.take(note),
                        None => self.damaged = true,
                    }
                }
                Item::Damage { .. } => damage_before = true,
            }
        }
        Ok(())
    }

    fn take(&mut self, note: Note) {
        self.closed = false;
        match note {
            Note::Progress(id, partition, progress) => {
                self.subscriptions.entry(id).or_default().insert(partition, progress);
            }
            Note::Forgotten(id) => {
                self.subscriptions.remove(&id);
            }
            Note::Segment(base) => self.newest_segment = self.newest_segment.max(base),
            Note::Lossy => self.lossy = true,
            Note::Closed => self.closed = true,
            Note::Superseded => self.superseded = true,
        }
    }

    /// Any offset below was given out: somebody settled it.
    pub(super) fn settled_before(&self) -> u64 {
        let ends = self.subscriptions.values().flat_map(BTreeMap::values).map(|progress| {
            let beyond = progress.settled.ranges().last().map_or(0, |&(_, until)| until);
            progress.next.max(beyond)
        });
        ends.max().unwrap_or(0)
    }
}

/// The generations in `dir`, oldest first.
pub(super) fn list(fs: &dyn Fs, dir: &Path) -> io::Result<Vec<u64>> {
    let mut generations: Vec<u64> = fs.list(dir)?.iter().filter_map(|name| number_of(name)).collect();
    generations.sort_unstable();
    Ok(generations)
}

/// Removes the generations before `kept`. Failing costs disk space only.
pub(super) fn remove_before(fs: &dyn Fs, dir: &Path, kept: u64) {
    let remove = || -> io::Result<()> {
        for generation in list(fs, dir)?.into_iter().take_while(|generation| *generation < kept) {
            fs.remove(&dir.join(file_name(generation)))?;
        }
        Ok(())
    };
    if let Err(error) = remove() {
        tracing::debug!(path = %dir.display(), %error, "Could not tidy up after saved progress");
    }
}

pub(super) fn file_name(generation: u64) -> String {
    format!("{generation:020}.cursors")
}

fn number_of(name: &OsStr) -> Option<u64> {
    name.to_str()?.strip_suffix(".cursors")?.parse().ok()
}

fn push_note(frames: &mut Vec<u8>, note: &Note, salt: u32, flags: u16, sequence: &mut u64) {
    let start = frames.len();
    record::push(frames, "", "", |frames| note.encode(frames));
    record::seal(&mut frames[start..], salt, flags, *sequence, 0);
    *sequence += 1;
}
