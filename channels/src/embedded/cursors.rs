//! Progress of the subscriptions: a small log of its own beside the segments.
//!
//! Every change is a record; many changes share one sync. A generation begins with everything known, is written whole
//! before it gets its name, and replaces the one before, which stays as its fall-back. Each opening begins a new one, so
//! nothing is ever appended to bytes another run, or a failed sync, left behind.
//!
//! What a single damaged record must not cost is written twice: the first progress of a subscription, and whatever goes
//! back. If more is lost, the store says so ([`Saved::lossy`]) and who is missing starts from the oldest event:
//! duplicates, never a skip.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::faults::{Faults, planted};
use super::fs::{File, Fs, Mode, write_all};
use super::record;
use super::scan::{Item, Scanner};
use super::segment::{BadHeader, DATA_START, SegmentHeader};
use super::state::{Note, Subscriptions};
use crate::{Progress, SubscriptionId};

/// A generation is replaced when it has grown beyond this and beyond four times what it began with.
const COMPACT_BYTES: u64 = 1 << 20;

/// A change of saved progress.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Settles what `progress` has settled; never goes back.
    Save(SubscriptionId, u32, Progress),
    /// Replaces what is saved.
    Reset(SubscriptionId, u32, Progress),
    /// Removes a subscription.
    Forget(SubscriptionId),
}

/// What is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    pub(crate) subscriptions: Subscriptions,
    /// Something was lost to damage: a subscription that is not here may have been.
    pub(crate) lossy: bool,
}

impl Saved {
    fn apply(&mut self, after: Subscriptions) {
        for (id, partitions) in after {
            if partitions.is_empty() {
                self.subscriptions.remove(&id);
            } else {
                self.subscriptions.insert(id, partitions);
            }
        }
    }
}

/// The store of one log's progress.
pub(crate) struct Cursors {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    faults: Faults,
    generation: u64,
    file: Arc<dyn File>,
    salt: u32,
    write_at: u64,
    began_with: u64,
    sequence: u64,
    newest_segment: u64,
    /// The file can no longer be trusted: the next change begins a new generation.
    broken: bool,
    saved: Arc<RwLock<Saved>>,
}

/// What opening the store tells about the log beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// The last segment begun.
    pub(crate) newest_segment: u64,
    /// Any offset below was given out.
    pub(crate) settled_before: u64,
    /// The log was closed in order.
    pub(crate) closed: bool,
    /// There was a store: the log is not a new one.
    pub(crate) existed: bool,
}

#[derive(Default)]
struct Loaded {
    subscriptions: Subscriptions,
    newest_segment: u64,
    lossy: bool,
    closed: bool,
    superseded: bool,
    damaged: bool,
}

impl Cursors {
    /// Opens the store in `dir`. `log_existed` says that there are segments, so that there should be a store.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        faults: Faults,
        log_existed: bool,
        salt: u32,
    ) -> io::Result<(Self, Hints)> {
        let mut generations: Vec<u64> = fs.list(dir)?.iter().filter_map(|name| generation_of(name)).collect();
        generations.sort_unstable();
        let newest = generations.last().copied();
        let loaded = match newest {
            None => Loaded { lossy: log_existed, ..Loaded::default() },
            Some(newest) => {
                let mut loaded = Loaded::default();
                read_generation(&*fs, &dir.join(file_name(newest)), &mut loaded)?;
                if loaded.damaged {
                    // What the damaged one still says goes on top of what the one before said.
                    let mut both = Loaded { lossy: true, ..Loaded::default() };
                    if let Some(&before) = generations.iter().rev().nth(1) {
                        read_generation(&*fs, &dir.join(file_name(before)), &mut both)?;
                    }
                    read_generation(&*fs, &dir.join(file_name(newest)), &mut both)?;
                    loaded = both;
                }
                loaded.lossy |= loaded.superseded;
                loaded
            }
        };
        if loaded.lossy {
            tracing::warn!(path = %dir.display(), "Saved progress was damaged; what is missing starts over");
        }
        let hints = Hints {
            newest_segment: loaded.newest_segment,
            settled_before: settled_before(&loaded.subscriptions),
            closed: loaded.closed,
            existed: newest.is_some(),
        };
        let saved = Saved { subscriptions: loaded.subscriptions, lossy: loaded.lossy };
        let generation = newest.map_or(0, |newest| newest + 1);
        let (file, write_at) = write_generation(&*fs, dir, generation, salt, &saved, loaded.newest_segment)?;
        if let Some(newest) = newest {
            retire(&*fs, dir, newest, &generations);
        }
        let cursors = Self {
            fs,
            dir: dir.to_owned(),
            faults,
            generation,
            file,
            salt,
            write_at,
            began_with: write_at,
            sequence: 0,
            newest_segment: loaded.newest_segment,
            broken: false,
            saved: Arc::new(RwLock::new(saved)),
        };
        Ok((cursors, hints))
    }

    /// What is durable, shared with those who ask.
    pub(crate) fn saved(&self) -> Arc<RwLock<Saved>> {
        self.saved.clone()
    }

    /// Makes `changes`, in order, durable: all of them, or an error.
    pub(crate) fn commit(&mut self, changes: &[Change]) -> io::Result<()> {
        let (notes, after) = self.plan(changes);
        if notes.is_empty() {
            return Ok(());
        }
        if notes.iter().any(|(_, goes_back)| *goes_back) {
            self.repeat_in_previous(&notes)?;
        }
        let frames = self.frames(&notes);
        if self.broken || self.write(&frames).is_err() {
            // A fresh file holds everything at once: nothing depends on what the failed one looks like now.
            let mut all = self.saved.read().clone();
            all.apply(after);
            self.begin_generation(&all)?;
            *self.saved.write() = all;
            return Ok(());
        }
        self.saved.write().apply(after);
        if self.write_at > COMPACT_BYTES && self.write_at > 4 * self.began_with {
            let all = self.saved.read().clone();
            self.begin_generation(&all)?;
        }
        Ok(())
    }

    /// Remembers that the segment `base` was begun; durable with the next change.
    pub(crate) fn note_segment(&mut self, base: u64) -> io::Result<()> {
        self.newest_segment = base;
        if self.broken {
            let all = self.saved.read().clone();
            return self.begin_generation(&all);
        }
        let frames = self.frames(&[(Note::Segment(base), false)]);
        self.write(&frames)
    }

    /// Remembers that the log was closed in order; after damage, also that everybody had the time to start over.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let mut all = self.saved.read().clone();
        if self.broken || all.lossy {
            all.lossy = false;
            self.begin_generation(&all)?;
            *self.saved.write() = all;
        }
        let frames = self.frames(&[(Note::Closed, false)]);
        self.write(&frames)
    }

    /// What to write, and whether it goes back or is new; and what then holds.
    fn plan(&self, changes: &[Change]) -> (Vec<(Note, bool)>, Subscriptions) {
        let saved = self.saved.read();
        let mut after = Subscriptions::new();
        let mut goes_back: BTreeSet<SubscriptionId> = BTreeSet::new();
        for change in changes {
            let (Change::Save(id, ..) | Change::Reset(id, ..) | Change::Forget(id)) = change;
            let known = || saved.subscriptions.get(id).cloned().unwrap_or_default();
            let partitions = after.entry(id.clone()).or_insert_with(known);
            match change {
                Change::Save(_, partition, progress) => match partitions.get_mut(partition) {
                    Some(held) => held.merge(progress),
                    None => {
                        partitions.insert(*partition, progress.clone());
                    }
                },
                Change::Reset(_, partition, progress) => {
                    goes_back.insert(id.clone());
                    partitions.insert(*partition, progress.clone());
                }
                Change::Forget(_) => {
                    goes_back.insert(id.clone());
                    partitions.clear();
                }
            }
        }
        let mut notes = Vec::new();
        for (id, partitions) in &after {
            let before = saved.subscriptions.get(id);
            if partitions.is_empty() {
                if before.is_some() {
                    notes.push((Note::Forgotten(id.clone()), true));
                }
                continue;
            }
            for (&partition, progress) in partitions {
                let held = before.and_then(|held| held.get(&partition));
                if held == Some(progress) {
                    continue;
                }
                let mut progress = progress.clone();
                if planted!(self.faults, SaveCursorAhead) {
                    progress.settle(progress.next, progress.next + 1);
                }
                let precious = held.is_none() || goes_back.contains(id);
                notes.push((Note::Progress(id.clone(), partition, progress), precious));
            }
        }
        (notes, after)
    }

    fn frames(&mut self, notes: &[(Note, bool)]) -> Vec<u8> {
        let mut frames = Vec::new();
        for (note, precious) in notes {
            for _ in 0..1 + usize::from(*precious) {
                push_note(&mut frames, note, self.salt, &mut self.sequence);
            }
        }
        frames
    }

    /// Appends and syncs; after an error the file is not to be used any more.
    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let written = write_all(&*self.file, frames, self.write_at)
            .and_then(|()| if planted!(self.faults, SkipCursorSync) { Ok(()) } else { self.file.sync_data() });
        match written {
            Ok(()) => self.write_at += frames.len() as u64,
            Err(_) => self.broken = true,
        }
        written
    }

    /// Writes everything into a new file.
    fn begin_generation(&mut self, all: &Saved) -> io::Result<()> {
        self.broken = true;
        let (generation, salt) = (self.generation + 1, self.salt.rotate_left(7) ^ 0x9E37_79B9);
        let (file, write_at) = write_generation(&*self.fs, &self.dir, generation, salt, all, self.newest_segment)?;
        retire(&*self.fs, &self.dir, self.generation, &[self.generation.wrapping_sub(1)]);
        (self.generation, self.file, self.salt) = (generation, file, salt);
        (self.write_at, self.began_with, self.broken) = (write_at, write_at, false);
        Ok(())
    }

    /// What goes back is also told to the fall-back, which would otherwise skip ahead.
    fn repeat_in_previous(&mut self, notes: &[(Note, bool)]) -> io::Result<()> {
        let Some(previous) = self.generation.checked_sub(1) else { return Ok(()) };
        let file = match self.fs.open(&self.dir.join(file_name(previous)), Mode::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(header) = SegmentHeader::read(&*file)? else { return Ok(()) };
        let mut frames = Vec::new();
        for (note, precious) in notes {
            if *precious {
                push_note(&mut frames, note, header.salt, &mut self.sequence);
            }
        }
        write_all(&*file, &frames, file.length()?)?;
        file.sync_data()
    }
}

fn push_note(frames: &mut Vec<u8>, note: &Note, salt: u32, sequence: &mut u64) {
    let start = frames.len();
    record::push(frames, "", "", |frames| note.encode(frames));
    record::seal(&mut frames[start..], salt, 0, *sequence, 0);
    *sequence += 1;
}

/// Any offset below was given out: somebody settled it.
fn settled_before(subscriptions: &Subscriptions) -> u64 {
    let ends = subscriptions.values().flat_map(BTreeMap::values).map(|progress| {
        let beyond = progress.settled.ranges().last().map_or(0, |&(_, until)| until);
        progress.next.max(beyond)
    });
    ends.max().unwrap_or(0)
}

fn file_name(generation: u64) -> String {
    format!("{generation:020}.cursors")
}

fn generation_of(name: &std::ffi::OsStr) -> Option<u64> {
    name.to_str()?.strip_suffix(".cursors")?.parse().ok()
}

/// Writes a generation, everything twice, and gives it its name once it is durable.
fn write_generation(
    fs: &dyn Fs,
    dir: &Path,
    generation: u64,
    salt: u32,
    saved: &Saved,
    newest_segment: u64,
) -> io::Result<(Arc<dyn File>, u64)> {
    let header =
        SegmentHeader { base: generation, previous_base: None, created_at_nanos: 0, salt, previous_torn: false };
    let mut bytes = header.encode().to_vec();
    let mut sequence = 0;
    for _ in 0..2 {
        if saved.lossy {
            push_note(&mut bytes, &Note::Lossy, salt, &mut sequence);
        }
        push_note(&mut bytes, &Note::Segment(newest_segment), salt, &mut sequence);
        for (id, partitions) in &saved.subscriptions {
            for (&partition, progress) in partitions {
                let note = Note::Progress(id.clone(), partition, progress.clone());
                push_note(&mut bytes, &note, salt, &mut sequence);
            }
        }
    }
    let path = dir.join(file_name(generation));
    let unfinished = path.with_extension("tmp");
    let file = fs.open(&unfinished, Mode::Create)?;
    write_all(&*file, &bytes, 0)?;
    file.sync_data()?;
    fs.rename(&unfinished, &path)?;
    fs.sync_dir(dir)?;
    Ok((file, bytes.len() as u64))
}

/// Marks a generation as followed by another and removes those it was the fall-back of. Failing costs disk space only.
fn retire(fs: &dyn Fs, dir: &Path, generation: u64, older: &[u64]) {
    let mark = || -> io::Result<()> {
        let file = fs.open(&dir.join(file_name(generation)), Mode::Write)?;
        if let Ok(header) = SegmentHeader::read(&*file)? {
            let mut frame = Vec::new();
            push_note(&mut frame, &Note::Superseded, header.salt, &mut 0);
            write_all(&*file, &frame, file.length()?)?;
            file.sync_data()?;
        }
        for older in older.iter().filter(|older| **older < generation) {
            match fs.remove(&dir.join(file_name(*older))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    if let Err(error) = mark() {
        tracing::debug!(path = %dir.display(), %error, "Could not tidy up after saved progress");
    }
}

fn read_generation(fs: &dyn Fs, path: &Path, into: &mut Loaded) -> io::Result<()> {
    let file = match fs.open(path, Mode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            into.damaged = true;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let header = match SegmentHeader::read(&*file)? {
        Ok(header) => header,
        Err(BadHeader::Damaged | BadHeader::Newer(_)) => {
            into.damaged = true;
            return Ok(());
        }
    };
    let end = file.length()?;
    let mut scanner = Scanner::new(file, header.salt, DATA_START, end);
    let mut damage_before = false;
    (into.superseded, into.closed) = (false, false);
    while let Some(item) = scanner.next()? {
        match item {
            Item::Record { payload, .. } => {
                // Damage with nothing behind it is a write that a crash cut off.
                into.damaged |= damage_before;
                match Note::decode(payload) {
                    Some(note) => into.take(note),
                    None => into.damaged = true,
                }
            }
            Item::Damage { .. } => damage_before = true,
        }
    }
    Ok(())
}

impl Loaded {
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
}
