//! Whether there is room for new events: the disk has more than its reserve, the log less than its quota.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fs::Fs;

/// How old an answer of the file system may be. Well below the 100 ms within which a full disk must be noticed.
const FRESH: Duration = Duration::from_millis(50);

/// Asks the file system now and then, whoever happens to want to know; nothing runs in the background.
pub(crate) struct Space {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    reserve_bytes: u64,
    started: Instant,
    /// When the file system was last asked, in nanoseconds since `started`, plus one; 0 for never.
    asked_at: AtomicU64,
    disk_full: AtomicBool,
    over_quota: AtomicBool,
}

impl Space {
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf, reserve_bytes: u64) -> Self {
        let (asked_at, disk_full, over_quota) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self { fs, dir, reserve_bytes, started: Instant::now(), asked_at, disk_full, over_quota }
    }

    /// Whether new events have to be refused.
    pub(crate) fn is_full(&self) -> bool {
        let now = self.started.elapsed().as_nanos() as u64 + 1;
        let asked_at = self.asked_at.load(Ordering::Relaxed);
        let stale = asked_at == 0 || now.saturating_sub(asked_at) > FRESH.as_nanos() as u64;
        if stale && self.asked_at.compare_exchange(asked_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.ask();
        }
        self.disk_full.load(Ordering::Relaxed) || self.over_quota.load(Ordering::Relaxed)
    }

    /// Asks the file system; whether the reserve has been reached.
    pub(crate) fn ask(&self) -> bool {
        // A file system that cannot tell is found full by the write that fails.
        let full = matches!(self.fs.free_bytes(&self.dir), Ok(free) if free < self.reserve_bytes);
        self.disk_full.store(full, Ordering::Relaxed);
        full
    }

    pub(crate) fn is_over_quota(&self) -> bool {
        self.over_quota.load(Ordering::Relaxed)
    }

    /// Remembers whether the log is over its own limit.
    pub(crate) fn set_over_quota(&self, over: bool) {
        self.over_quota.store(over, Ordering::Relaxed);
    }
}

/// Whether `error` says that there is no room.
pub(crate) fn says_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
