//! Progress of the subscriptions: a small log of its own beside the segments.
//!
//! Every change is a record; many changes share one sync. Two files are there at any time, of which both began with
//! everything known then: the current one takes every change, its fall-back only those that go back or are new, so that
//! it is behind and never ahead. Each opening, and each failure to write, begins two new ones: nothing is ever appended
//! to, or expected from, bytes another run or a failed sync left behind.
//!
//! What a single damaged record must not cost is written twice: the first progress of a subscription, and whatever goes
//! back. If more is lost, the store says so ([`Saved::lossy`]) and who is missing starts from the oldest event:
//! duplicates, never a skip.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::faults::{Faults, planted};
use super::fs::Fs;
use super::log::next_salt;
use super::state::{Note, Subscriptions};
use crate::{Progress, SubscriptionId};
use generation::{Generation, Loaded};

mod generation;

/// A file is replaced when it has grown beyond this and beyond four times what it began with.
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

/// Whether a note goes back or is the first of its kind: no single fault may cost it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Precious(bool);

/// The store of one log's progress.
pub(crate) struct Cursors {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    faults: Faults,
    /// The number of the current file; its fall-back has the one before.
    number: u64,
    salt: u32,
    current: Generation,
    fallback: Generation,
    newest_segment: u64,
    /// The files can no longer be trusted: the next change begins new ones.
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

impl Cursors {
    /// Opens the store in `dir`. `log_existed` says that there are segments, so that there should be a store.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        faults: Faults,
        log_existed: bool,
        salt: u32,
    ) -> io::Result<(Self, Hints)> {
        let generations = generation::list(&*fs, dir)?;
        let loaded = Loaded::read(&*fs, dir, &generations, log_existed)?;
        if loaded.lossy {
            tracing::warn!(path = %dir.display(), "Saved progress was damaged; what is missing starts over");
        }
        let hints = Hints {
            newest_segment: loaded.newest_segment,
            settled_before: loaded.settled_before(),
            closed: loaded.closed,
            existed: !generations.is_empty(),
        };
        let newest_segment = loaded.newest_segment;
        let saved = Saved { subscriptions: loaded.subscriptions, lossy: loaded.lossy };
        let number = generations.last().map_or(1, |newest| newest + 2);
        let (current, fallback) = begin(&*fs, dir, number, salt, &saved, newest_segment)?;
        let saved = Arc::new(RwLock::new(saved));
        let dir = dir.to_owned();
        let store = Self { fs, dir, faults, number, salt, current, fallback, newest_segment, broken: false, saved };
        Ok((store, hints))
    }

    /// What is durable, shared with those who ask.
    pub(crate) fn saved(&self) -> Arc<RwLock<Saved>> {
        self.saved.clone()
    }

    /// Whether everything it was told is in its files.
    #[cfg(test)]
    pub(crate) fn is_trusted(&self) -> bool {
        !self.broken
    }

    /// Makes `changes`, in order, durable: all of them, or an error.
    pub(crate) fn commit(&mut self, changes: &[Change]) -> io::Result<()> {
        let (notes, after) = self.plan(changes);
        // Files that failed may hold more than what is known to be saved.
        if notes.is_empty() && !self.broken {
            return Ok(());
        }
        if self.broken || self.write(&notes).is_err() {
            // Fresh files hold everything at once: nothing depends on what the failed ones look like now.
            let mut all = self.saved.read().clone();
            all.apply(after);
            return self.begin_again(all);
        }
        self.saved.write().apply(after);
        if self.current.end > COMPACT_BYTES && self.current.end > 4 * self.current.began_with {
            let all = self.saved.read().clone();
            if let Err(error) = self.begin_again(all) {
                // What was asked for is durable already.
                tracing::warn!(path = %self.dir.display(), %error, "Could not compact saved progress");
            }
        }
        Ok(())
    }

    /// Remembers, durably, that the segment `base` was begun.
    pub(crate) fn note_segment(&mut self, base: u64) -> io::Result<()> {
        if base <= self.newest_segment {
            return Ok(());
        }
        self.newest_segment = base;
        if self.broken || self.write(&[(Note::Segment(base), Precious(false))]).is_err() {
            let all = self.saved.read().clone();
            return self.begin_again(all);
        }
        Ok(())
    }

    /// Remembers that the log was closed in order; after damage, also that everybody had the time to start over.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let mut all = self.saved.read().clone();
        if self.broken || all.lossy {
            all.lossy = false;
            self.begin_again(all)?;
        }
        self.write(&[(Note::Closed, Precious(false))])
    }

    /// What to write, and whether it goes back or is new; and what then holds.
    fn plan(&self, changes: &[Change]) -> (Vec<(Note, Precious)>, Subscriptions) {
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
                    notes.push((Note::Forgotten(id.clone()), Precious(true)));
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
                let precious = Precious(held.is_none() || goes_back.contains(id));
                notes.push((Note::Progress(id.clone(), partition, progress), precious));
            }
        }
        (notes, after)
    }

    /// Appends and syncs; after an error the files are not to be used any more.
    fn write(&mut self, notes: &[(Note, Precious)]) -> io::Result<()> {
        let written = self.try_write(notes);
        self.broken |= written.is_err();
        written
    }

    fn try_write(&mut self, notes: &[(Note, Precious)]) -> io::Result<()> {
        let is_synced = !planted!(self.faults, SkipCursorSync);
        // The fall-back first: it would otherwise skip ahead.
        if notes.iter().any(|(_, precious)| precious.0) {
            self.fallback.append(notes.iter().filter(|(_, precious)| precious.0))?;
            if is_synced {
                self.fallback.sync()?;
            }
        }
        self.current.append(notes)?;
        if is_synced { self.current.sync() } else { Ok(()) }
    }

    /// Writes everything into new files.
    fn begin_again(&mut self, all: Saved) -> io::Result<()> {
        self.broken = true;
        // Those of an attempt that failed may be there.
        self.number += 2;
        self.salt = next_salt(next_salt(self.salt));
        (self.current, self.fallback) = begin(&*self.fs, &self.dir, self.number, self.salt, &all, self.newest_segment)?;
        self.broken = false;
        *self.saved.write() = all;
        Ok(())
    }
}

/// Begins the file `number` and its fall-back, and removes what was there before.
fn begin(
    fs: &dyn Fs,
    dir: &Path,
    number: u64,
    salt: u32,
    saved: &Saved,
    newest_segment: u64,
) -> io::Result<(Generation, Generation)> {
    // In this order, because a fall-back on its own means that its successor was lost.
    let current = Generation::begin(fs, dir, number, salt, saved, newest_segment, None)?;
    let superseded = Some(&Note::Superseded);
    let fallback = Generation::begin(fs, dir, number - 1, next_salt(salt), saved, newest_segment, superseded)?;
    generation::remove_before(fs, dir, number - 1);
    Ok((current, fallback))
}
