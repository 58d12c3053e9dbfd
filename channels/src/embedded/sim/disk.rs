//! A disk that forgets, tears, reorders, fails, lies, fills up and rots: everything from one seed.
//!
//! Bytes are written to a cache in sectors of 512; a sync makes the dirty ones durable. A power loss keeps of the dirty
//! sectors, and of the names not synced with their directory, whatever the seed says. A killed process loses nothing of
//! the cache, but the write it was in may be cut short. A failed sync leaves dirty sectors unwritten and calls them
//! clean; one of a directory leaves its names to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::embedded::fs::{File, Fs, Mode};

const SECTOR: usize = 512;

/// How often what goes wrong, as probabilities per operation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    pub(super) short_write: f64,
    pub(super) failed_write: f64,
    pub(super) failed_sync: f64,
    /// Opening, renaming, removing a file, or making names durable.
    pub(super) failed_name: f64,
    pub(super) failed_read: f64,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Injected {
    pub(super) kills: u64,
    pub(super) cut_writes: u64,
    pub(super) power_losses: u64,
    pub(super) lost_sectors: u64,
    pub(super) reordered_files: u64,
    pub(super) lost_names: u64,
    pub(super) short_writes: u64,
    pub(super) failed_writes: u64,
    pub(super) failed_syncs: u64,
    pub(super) failed_names: u64,
    pub(super) failed_reads: u64,
    pub(super) full: u64,
    pub(super) flipped_bits: u64,
    pub(super) removed_files: u64,
}

impl Injected {
    pub(super) fn counts(&self) -> [(&'static str, u64); 14] {
        [
            ("kills", self.kills),
            ("cut writes", self.cut_writes),
            ("power losses", self.power_losses),
            ("lost sectors", self.lost_sectors),
            ("reordered files", self.reordered_files),
            ("lost names", self.lost_names),
            ("short writes", self.short_writes),
            ("failed writes", self.failed_writes),
            ("failed syncs", self.failed_syncs),
            ("failed names", self.failed_names),
            ("failed reads", self.failed_reads),
            ("full", self.full),
            ("flipped bits", self.flipped_bits),
            ("removed files", self.removed_files),
        ]
    }
}

#[derive(Default)]
struct Inode {
    cache: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

enum NameChange {
    Set(PathBuf, usize),
    Removed(PathBuf),
    Renamed(PathBuf, PathBuf, usize),
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Set(path, _) | Self::Removed(path) | Self::Renamed(_, path, _) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Removed(path) => {
                names.remove(path);
            }
            Self::Renamed(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

struct State {
    random: StdRng,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    rates: Rates,
    capacity: u64,
    /// Operations until the process is killed.
    killed_in: Option<u64>,
    dead: bool,
    /// Counts restarts: files opened before one are of no use after it.
    life: u64,
    injected: Injected,
}

/// The disk. Cloning shares it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct OpenFile {
    disk: Disk,
    inode: usize,
    life: u64,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            rates: Rates::default(),
            capacity: u64::MAX,
            killed_in: None,
            dead: false,
            life: 0,
            injected: Injected::default(),
        })))
    }

    pub(super) fn set_rates(&self, rates: Rates) {
        self.0.lock().rates = rates;
    }

    /// Space for this many bytes more than there are now.
    pub(super) fn set_room(&self, room: u64) {
        let mut state = self.0.lock();
        state.capacity = state.used().saturating_add(room);
    }

    /// Kills the process in so many operations from now.
    pub(super) fn kill_in(&self, operations: u64) {
        self.0.lock().killed_in = Some(operations);
    }

    /// Takes back [`Disk::kill_in`].
    pub(super) fn let_live(&self) {
        self.0.lock().killed_in = None;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.lock().dead
    }

    pub(super) fn injected(&self) -> Injected {
        self.0.lock().injected
    }

    /// The process is gone, the machine is not.
    pub(super) fn kill(&self) {
        let mut state = self.0.lock();
        state.injected.kills += 1;
        state.restart();
    }

    /// The machine is gone, and with it what was not synced: some of it, in no order.
    pub(super) fn lose_power(&self) {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.injected.power_losses += 1;
        for inode in &mut state.inodes {
            let keep = [0.0, 0.5, 0.9, 1.0][state.random.random_range(0..4)];
            let (mut lost, mut reordered) = (false, false);
            for sector in std::mem::take(&mut inode.dirty) {
                if state.random.random_bool(keep) {
                    reordered |= lost;
                    inode.persist(sector);
                } else {
                    lost = true;
                    state.injected.lost_sectors += 1;
                }
            }
            state.injected.reordered_files += u64::from(reordered);
            inode.cache = inode.durable.clone();
        }
        for change in state.unsynced_names.drain(..) {
            if state.random.random_bool(0.5) {
                change.apply(&mut state.durable_names);
            } else {
                state.injected.lost_names += 1;
            }
        }
        state.names = state.durable_names.clone();
        state.restart();
    }

    /// Flips one bit of a file whose name ends like this, between `from` and its end; where.
    pub(super) fn flip_bit(&self, ending: &str, from: usize) -> Option<(PathBuf, u64)> {
        let mut state = self.0.lock();
        let state = &mut *state;
        let files: Vec<_> = state
            .names
            .iter()
            .filter(|(path, inode)| {
                path.to_string_lossy().ends_with(ending) && state.inodes[**inode].cache.len() > from
            })
            .collect();
        if files.is_empty() {
            return None;
        }
        let (path, inode) = files[state.random.random_range(0..files.len())];
        let inode = &mut state.inodes[*inode];
        let at = state.random.random_range(from..inode.cache.len());
        let bit = 1 << state.random.random_range(0..8);
        inode.cache[at] ^= bit;
        if let Some(byte) = inode.durable.get_mut(at) {
            *byte = inode.cache[at];
        }
        state.injected.flipped_bits += 1;
        Some((path.clone(), at as u64))
    }

    /// Makes a file vanish for good.
    pub(super) fn vanish(&self, path: &Path) {
        let mut state = self.0.lock();
        state.names.remove(path);
        state.durable_names.remove(path);
        state.injected.removed_files += 1;
    }

    /// The files whose name ends like this.
    pub(super) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let state = self.0.lock();
        state.names.keys().filter(|path| path.to_string_lossy().ends_with(ending)).cloned().collect()
    }
}

impl State {
    fn restart(&mut self) {
        self.dead = false;
        self.killed_in = None;
        self.life += 1;
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].cache.len() as u64).sum()
    }

    /// One operation of the process in its `life`.
    fn step(&mut self, life: u64) -> io::Result<()> {
        if self.dead || life != self.life {
            return Err(io::Error::other("killed"));
        }
        if let Some(left) = &mut self.killed_in {
            if *left == 0 {
                self.dead = true;
                return Err(io::Error::other("killed"));
            }
            *left -= 1;
        }
        Ok(())
    }

    /// One operation on names, which may fail without effect.
    fn step_name(&mut self) -> io::Result<()> {
        self.step(self.life)?;
        if self.random.random_bool(self.rates.failed_name) {
            self.injected.failed_names += 1;
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], position: usize) {
        let end = position + bytes.len();
        let grown_from = self.cache.len().min(position);
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[position..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(grown_from / SECTOR..=(end - 1) / SECTOR);
        }
    }

    /// Puts one sector of the cache on the disk.
    fn persist(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let until = (from + SECTOR).min(self.cache.len());
        if from >= until {
            return;
        }
        if self.durable.len() < until {
            self.durable.resize(until, 0);
        }
        self.durable[from..until].copy_from_slice(&self.cache[from..until]);
    }
}

impl Fs for Disk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        let life = state.life;
        state.step_name()?;
        let inode = match state.inode(path) {
            Ok(inode) => inode,
            Err(_) if mode == Mode::Create => {
                state.inodes.push(Inode::default());
                let inode = state.inodes.len() - 1;
                state.change_name(NameChange::Set(path.to_owned(), inode));
                inode
            }
            Err(error) => return Err(error),
        };
        if mode == Mode::Create {
            // Emptied in the cache; on the disk the old bytes live on until something is written over them.
            state.inodes[inode].cache.clear();
            state.inodes[inode].dirty.clear();
        }
        Ok(Arc::new(OpenFile { disk: self.clone(), inode, life }))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.0.lock();
        state.step_name()?;
        let inside = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| name.file_name()).map(OsString::from).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step_name()?;
        let inode = state.inode(from)?;
        state.change_name(NameChange::Renamed(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step_name()?;
        state.inode(path)?;
        state.change_name(NameChange::Removed(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.step_name()?;
        let (inside, outside) =
            state.unsynced_names.drain(..).partition::<Vec<_>, _>(|change| change.dir() == Some(path));
        state.unsynced_names = outside;
        for change in inside {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

impl OpenFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        act(&mut state, self.inode)
    }
}

impl File for OpenFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|state, inode| {
            state.step(self.life)?;
            if state.random.random_bool(state.rates.failed_read) {
                state.injected.failed_reads += 1;
                return Err(io::Error::other("input/output error"));
            }
            let bytes = state.inodes[inode].cache.get(position as usize..).unwrap_or_default();
            let read = bytes.len().min(buffer.len());
            buffer[..read].copy_from_slice(&bytes[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.with(|state, inode| {
            let position = position as usize;
            let some = state.random.random_range(0..=bytes.len());
            let was_dead = state.dead;
            if let Err(error) = state.step(self.life) {
                if !was_dead && state.dead {
                    // Killed while the system was copying.
                    state.inodes[inode].write(&bytes[..some], position);
                    state.injected.cut_writes += 1;
                }
                return Err(error);
            }
            let growth = (position + bytes.len()).saturating_sub(state.inodes[inode].cache.len()) as u64;
            let room = state.capacity.saturating_sub(state.used());
            if growth > room {
                state.injected.full += 1;
                let fits = bytes.len() - (growth - room) as usize;
                state.inodes[inode].write(&bytes[..fits], position);
                return if fits > 0 { Ok(fits) } else { Err(io::ErrorKind::StorageFull.into()) };
            }
            if state.random.random_bool(state.rates.failed_write) {
                state.injected.failed_writes += 1;
                state.inodes[inode].write(&bytes[..some], position);
                return Err(io::Error::other("input/output error"));
            }
            if some > 0 && state.random.random_bool(state.rates.short_write) {
                state.injected.short_writes += 1;
                state.inodes[inode].write(&bytes[..some], position);
                return Ok(some);
            }
            state.inodes[inode].write(bytes, position);
            Ok(bytes.len())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, inode| {
            state.step(self.life)?;
            let fails = state.random.random_bool(state.rates.failed_sync);
            let file = &mut state.inodes[inode];
            let dirty = std::mem::take(&mut file.dirty);
            for sector in dirty {
                // After a failed sync the cache calls every page clean, whether or not it was written.
                if !fails || state.random.random_bool(0.3) {
                    file.persist(sector);
                }
            }
            if fails {
                state.injected.failed_syncs += 1;
                return Err(io::Error::other("input/output error"));
            }
            file.durable.truncate(file.cache.len());
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|state, inode| {
            state.step(self.life)?;
            let file = &mut state.inodes[inode];
            file.cache.resize(length as usize, 0);
            let sectors = length.div_ceil(SECTOR as u64) as usize;
            file.dirty.retain(|sector| *sector < sectors);
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|state, inode| {
            state.step(self.life)?;
            Ok(state.inodes[inode].cache.len() as u64)
        })
    }
}
