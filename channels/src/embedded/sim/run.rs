//! One history: what is done to the log, in an order the seed decides, and what is checked after every restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::{Disk, Injected, Rates};
use super::model::{Model, Violation, event};
use crate::embedded::config::{Durability, EmbeddedConfig, Settings};
use crate::embedded::cursors::Change;
use crate::embedded::faults::Faults;
use crate::embedded::index;
use crate::embedded::log::{Batch, CommitError, Log};
use crate::embedded::recovery::Opening;
use crate::embedded::segment::DATA_START;
use crate::embedded::tail::Recent;
use crate::embedded::walk::Walk;
use crate::metrics::Metrics;
use crate::{Entry, Progress, SubscriptionId};

const DIR: &str = "/log";
const SUBSCRIPTIONS: [&str; 4] = ["a", "b", "c", "d"];
const SECOND: i64 = 1_000_000_000;

/// What became of one seed.
pub(super) struct Report {
    pub(super) injected: Injected,
    pub(super) violation: Option<Violation>,
}

struct Run {
    random: StdRng,
    disk: Disk,
    settings: Settings,
    model: Model,
    now: i64,
    rates: Rates,
    /// Saved progress was damaged and may be older than it was; just now, or some time ago.
    damaged_progress: bool,
    was_damaged: bool,
    /// Print every step.
    tell: bool,
}

/// Runs one seed.
pub(super) fn run(seed: u64, faults: Faults, tell: bool) -> Report {
    let mut random = StdRng::seed_from_u64(seed);
    let settings = settings(&mut random, faults);
    let rates = if random.random_bool(0.5) {
        Rates { short_write: 0.1, failed_write: 0.03, failed_sync: 0.02, failed_name: 0.02, failed_read: 0.02 }
    } else {
        Rates::default()
    };
    let disk = Disk::new(random.random());
    let (model, now) = (Model::default(), 1_700_000_000 * SECOND);
    let mut run = Run {
        random,
        disk: disk.clone(),
        settings,
        model,
        now,
        rates,
        damaged_progress: false,
        was_damaged: false,
        tell,
    };
    run.tell(|| format!("{settings:?} {rates:?}"));
    let violation = run.history().err();
    Report { injected: disk.injected(), violation }
}

fn settings(random: &mut StdRng, faults: Faults) -> Settings {
    let quota = random.random_bool(0.3).then(|| random.random_range(20_000..60_000));
    let durability = if random.random_bool(0.25) { Durability::Os } else { Durability::Fsync };
    let base = EmbeddedConfig::default().check().expect("the defaults are valid");
    Settings {
        durability,
        retention_age: Duration::from_secs(3600),
        retention_bytes: quota,
        dedupe_window: random.random_bool(0.3).then_some(Duration::from_secs(120)),
        segment_bytes: random.random_range(2_000..12_000),
        reserve_bytes: 4_000,
        tail_bytes: random.random_range(0..20_000),
        faults,
        ..base
    }
}

impl Run {
    fn tell(&self, step: impl FnOnce() -> String) {
        if self.tell {
            eprintln!("{}", step());
        }
    }

    fn history(&mut self) -> Result<(), Violation> {
        let mut log = self.start(false)?;
        for _ in 0..self.random.random_range(30..150) {
            self.step(&mut log)?;
            if self.disk.is_dead() || log.poisoned().is_some() || self.random.random_bool(0.03) {
                log = self.crash(log)?;
            } else if self.random.random_bool(0.02) {
                log = self.stop_and_start(log)?;
            } else if self.random.random_bool(0.02) {
                log = self.damage(log)?;
            }
        }
        self.disk.lose_power();
        self.model.power_lost();
        drop(log);
        self.start(false).map(drop)
    }

    fn step(&mut self, log: &mut Log) -> Result<(), Violation> {
        // Clocks step, sometimes back.
        self.now += self.random.random_range(-SECOND..5 * SECOND);
        if self.random.random_bool(0.02) {
            self.now += 1800 * SECOND;
        }
        match self.random.random_range(0..100) {
            0..60 => self.append(log),
            60..75 => self.save(log),
            75..80 => self.flush(log),
            80..85 => self.retain(log),
            85..88 => {
                self.disk.kill_in(self.random.random_range(0..25));
                Ok(())
            }
            88..92 => {
                let room = if self.random.random_bool(0.5) { self.random.random_range(0..8_000) } else { u64::MAX };
                self.disk.set_room(room);
                Ok(())
            }
            92..95 => {
                for segment in log.take_unindexed() {
                    // A disk that fails here costs a rebuild later.
                    let _ = index::store(&self.disk, &segment);
                }
                Ok(())
            }
            _ => self.read_and_search(log),
        }
    }

    fn append(&mut self, log: &mut Log) -> Result<(), Violation> {
        let mut batch = Batch::default();
        let mut expected = Vec::new();
        for _ in 0..self.random.random_range(1..8) {
            let window = self.settings.dedupe_window.map_or(0, |window| window.as_nanos() as i64 - 60 * SECOND);
            let repeat = (window > 0 && self.random.random_bool(0.2)).then(|| self.random.random_range(0..50));
            let (number, first) = match repeat.and_then(|nth| self.model.recent(self.now, window, nth)) {
                Some((number, offset)) => (number, Some(offset)),
                None => (self.model.send(), None),
            };
            batch.push(event(number));
            expected.push((number, first));
        }
        log.space().ask();
        let mut offsets = Vec::new();
        let result = log.commit(&mut batch, self.now, &mut offsets);
        self.tell(|| format!("append {expected:?}: {result:?} {offsets:?}"));
        match result {
            Ok(()) => {
                let stored_at = log.last_stored_at();
                for ((number, first), offset) in expected.into_iter().zip(offsets) {
                    match first {
                        Some(first) if first == offset => {}
                        Some(first) => {
                            return Err(format!("event {number} is at {first} and was stored again at {offset}"));
                        }
                        None => {
                            let firm = self.settings.durability == Durability::Fsync;
                            self.model.acknowledged(number, offset, stored_at, firm)?;
                        }
                    }
                }
                if self.settings.durability == Durability::Os && !log.is_unsynced() {
                    self.model.synced();
                }
            }
            Err(CommitError::Full) => {
                for (number, first) in expected {
                    if first.is_none() {
                        self.model.refused(number);
                    }
                }
            }
            Err(CommitError::Refused(_) | CommitError::Poisoned(_)) => {}
        }
        Ok(())
    }

    fn save(&mut self, log: &mut Log) -> Result<(), Violation> {
        let end = log.published().end().next;
        let changes: Vec<Change> = (0..self.random.random_range(1..5))
            .map(|_| {
                let id: SubscriptionId = SUBSCRIPTIONS[self.random.random_range(0..4)].into();
                let mut progress = Progress::at(self.random.random_range(0..=end));
                let from = self.random.random_range(0..=end);
                progress.settle(from, end.min(from + 3));
                match self.random.random_range(0..20) {
                    0 => Change::Reset(id, 0, progress),
                    1 => Change::Forget(id),
                    _ => Change::Save(id, 0, progress),
                }
            })
            .collect();
        let saved = log.save(&changes).is_ok();
        self.tell(|| format!("save {changes:?}: {saved}"));
        self.model.changed(&changes, saved);
        Ok(())
    }

    fn flush(&mut self, log: &mut Log) -> Result<(), Violation> {
        let flushed = log.flush();
        self.tell(|| format!("flush {flushed:?}"));
        if flushed.is_ok() {
            self.model.synced();
        }
        Ok(())
    }

    fn retain(&mut self, log: &mut Log) -> Result<(), Violation> {
        let over = self.settings.retention_bytes.is_some_and(|limit| log.bytes() > limit);
        // An error here is one of the disk; what matters is what is left.
        let retained = log.retain(self.now);
        self.tell(|| format!("retain, over quota: {over}: {retained:?}, earliest {}", log.published().earliest()));
        if self.settings.durability == Durability::Os && !log.is_unsynced() && log.poisoned().is_none() {
            self.model.synced();
        }
        let age = self.settings.retention_age.as_nanos() as i64;
        self.model.expired(log.published().earliest(), self.now, age, over)
    }

    /// Reads everything from the segments and the recent part from memory, and looks one event up.
    fn read_and_search(&mut self, log: &Log) -> Result<(), Violation> {
        let published = log.published();
        let Ok(entries) = self.read_all(log) else { return Ok(()) };
        let end = published.end().next;
        let firm_before = self.settings.durability == Durability::Fsync;
        if firm_before {
            self.model.check_entries(&entries, end)?;
        }
        let events: Vec<_> = entries.iter().filter_map(stored).collect();
        if events.is_empty() {
            return Ok(());
        }
        let (offset, event, stored_at) = events[self.random.random_range(0..events.len())].clone();
        if let Recent::Entries(recent, _) = published.recent(offset, 1)
            && recent.iter().filter_map(stored).next().map(|recent| recent.1) != Some(event.clone())
        {
            return Err(format!("offset {offset} is another event in memory than on the disk"));
        }
        match published.find(&self.disk, event.id(), Some(event.source()), usize::MAX) {
            Ok(found) if found.iter().any(|found| found.position.offset == offset) => {}
            Ok(_) => return Err(format!("the event at offset {offset} is not found by its id")),
            Err(_) => return Ok(()),
        }
        let first = events.iter().find(|(_, _, at)| *at >= stored_at).map(|(offset, ..)| *offset);
        match published.seek(&self.disk, crate::embedded::log::nanos(stored_at)) {
            Ok(found) if Some(found) == first => Ok(()),
            Ok(found) => Err(format!("seeking {stored_at} led to {found}, not to {first:?}")),
            Err(_) => Ok(()),
        }
    }

    fn read_all(&self, log: &Log) -> std::io::Result<Vec<Entry>> {
        let published = log.published();
        let end = published.end().next;
        let mut walk = Walk::from(0, self.settings.faults);
        let mut entries = Vec::new();
        while walk.next < end {
            entries.extend(walk.read(&self.disk, &published, &Metrics::default(), end, 7, 3_000)?);
        }
        Ok(entries)
    }

    /// Ends the process or the machine, and starts again.
    fn crash(&mut self, log: Log) -> Result<Log, Violation> {
        drop(log);
        self.fail();
        self.start(true)
    }

    fn fail(&mut self) {
        if self.random.random_bool(0.5) {
            self.tell(|| "kill".to_owned());
            self.disk.kill();
        } else {
            self.tell(|| "lose power".to_owned());
            self.disk.lose_power();
            self.model.power_lost();
        }
    }

    fn stop_and_start(&mut self, mut log: Log) -> Result<Log, Violation> {
        log.close();
        self.tell(|| "stop".to_owned());
        if log.poisoned().is_none() && !self.disk.is_dead() && !log.is_unsynced() {
            self.model.synced();
        }
        drop(log);
        self.disk.kill();
        self.start(false)
    }

    /// Opens the log, perhaps after failing half way a few times, and checks everything.
    fn start(&mut self, may_fail: bool) -> Result<Log, Violation> {
        let mut attempts = if may_fail { self.random.random_range(0..3) } else { 0 };
        let log = loop {
            let fails = attempts > 0;
            attempts -= i32::from(fails);
            self.disk.set_rates(if fails { self.rates } else { Rates::default() });
            if !fails {
                self.disk.set_room(u64::MAX);
            } else if self.random.random_bool(0.5) {
                self.disk.kill_in(self.random.random_range(0..60));
            }
            match self.open() {
                Ok(log) if !self.disk.is_dead() => break log,
                Ok(_) | Err(_) if fails => {
                    self.tell(|| "did not start".to_owned());
                    self.fail();
                }
                Ok(_) => return Err("the disk died by itself".to_owned()),
                Err(error) => return Err(format!("does not start: {error}")),
            }
        };
        self.disk.set_rates(Rates::default());
        self.disk.let_live();
        self.tell(|| {
            let segments: Vec<_> = log.published().segments().iter().map(|s| (s.header, s.end())).collect();
            format!("started: {:?} {segments:?}", log.published().end())
        });
        let saved = log.cursors().saved();
        let lossy = saved.read().lossy;
        let damaged = std::mem::take(&mut self.damaged_progress);
        self.was_damaged |= damaged;
        if lossy && !self.was_damaged {
            return Err("progress is said to be damaged, and nobody damaged it".to_owned());
        }
        self.model.check_progress(&saved.read().subscriptions, damaged, lossy)?;
        let entries = self.read_all(&log).map_err(|error| format!("cannot read: {error}"))?;
        self.model.check_entries(&entries, log.published().end().next)?;
        self.disk.set_rates(self.rates);
        Ok(log)
    }

    fn open(&mut self) -> Result<Log, String> {
        let opening = Opening {
            fs: Arc::new(self.disk.clone()),
            dir: PathBuf::from(DIR),
            settings: self.settings,
            metrics: Metrics::default(),
            now: self.now,
            salt: self.random.random(),
        };
        opening.open().map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    }

    /// Stops the log, flips a bit or removes a file, and starts again.
    fn damage(&mut self, mut log: Log) -> Result<Log, Violation> {
        self.disk.set_rates(Rates::default());
        self.disk.set_room(u64::MAX);
        self.disk.let_live();
        if self.disk.is_dead() || log.flush().is_err() || log.save(&[]).is_err() {
            return self.crash(log);
        }
        self.model.synced();
        let entries = self.read_all(&log).map_err(|error| format!("cannot read: {error}"))?;
        self.model.check_entries(&entries, log.published().end().next)?;
        let bounds: Vec<(PathBuf, u64, u64)> = {
            let segments = log.published().segments();
            let ends = segments.iter().skip(1).map(|s| s.base()).chain([log.published().end().next]);
            segments.iter().zip(ends).map(|(segment, end)| (segment.path.clone(), segment.base(), end)).collect()
        };
        let noted = log.cursors().is_trusted();
        drop(log);
        let before = self.disk.injected();
        match self.random.random_range(0..10) {
            0..5 => {
                if let Some((path, at)) = self.disk.flip_bit(".log", 0) {
                    self.tell(|| format!("flip {} {at}", path.display()));
                    self.excuse_record(&path, at, &bounds);
                }
            }
            5..7 => self.flip_progress(),
            7 => {
                self.disk.flip_bit(".idx", 0);
            }
            8 => {
                let newest = bounds.len() - 1;
                let at = self.random.random_range(0..bounds.len());
                if at < newest || noted {
                    let (path, from, until) = &bounds[at];
                    self.disk.vanish(path);
                    self.model.excuse(*from..*until);
                }
            }
            _ => {
                if let Some(newest) = self.disk.files(".cursors").pop() {
                    self.disk.vanish(&newest);
                    self.damaged_progress = true;
                }
            }
        }
        self.tell(|| format!("damaged: {before:?} {:?}", self.disk.injected()));
        self.disk.kill();
        self.start(false)
    }

    fn flip_progress(&mut self) {
        self.damaged_progress |= self.disk.flip_bit(".cursors", 0).is_some();
    }

    /// A flipped bit may cost the one record it is in; nothing if it is in a header of a segment.
    fn excuse_record(&mut self, path: &Path, at: u64, bounds: &[(PathBuf, u64, u64)]) {
        let Some((_, from, until)) = bounds.iter().find(|(known, ..)| known == path) else { return };
        if at < DATA_START {
            return;
        }
        let hit = self.record_at(path, at, *until).unwrap_or(*from..*until);
        self.tell(|| format!("excused {hit:?}"));
        self.model.excuse(hit);
    }

    /// The offsets of the records whose bytes are at `at`, going by the records around it.
    fn record_at(&self, path: &Path, at: u64, end: u64) -> Option<std::ops::Range<u64>> {
        use crate::embedded::fs::{Fs, Mode};
        use crate::embedded::scan::{Item, Scanner};
        let file = self.disk.open(path, Mode::Read).ok()?;
        let header = crate::embedded::segment::SegmentHeader::read(&*file).ok()?.ok()?;
        let length = file.length().ok()?;
        let mut scanner = Scanner::new(file, header.salt, DATA_START, length);
        let (mut before, mut after) = (header.base, None);
        while let Some(item) = scanner.next().ok()? {
            if let Item::Record { position, header, .. } = item {
                if position + header.record_bytes() as u64 <= at {
                    before = header.offset + 1;
                } else if position > at && after.is_none() {
                    after = Some(header.offset);
                }
            }
        }
        Some(before..after.unwrap_or(end))
    }
}

fn stored(entry: &Entry) -> Option<(u64, weir_api::Event, jiff::Timestamp)> {
    match entry {
        Entry::Event(stored) => Some((stored.position.offset, stored.event.clone(), stored.stored_at)),
        Entry::Undecodable { .. } | Entry::Gap { .. } => None,
    }
}
