//! Memory and CPU time of another process, read from `/proc`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// The unit of CPU time in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux architecture Rust's std supports.
const TICKS_PER_SECOND: f64 = 100.0;
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Resident memory around a measurement, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    pub(super) before_bytes: u64,
    /// The largest of a sample every 20 ms.
    pub(super) peak_bytes: u64,
    pub(super) after_bytes: u64,
}

/// What a measurement cost the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) memory: Memory,
    pub(super) cpu_seconds: f64,
}

/// Resident memory of process `pid` in bytes.
///
/// # Errors
/// When there is no such process, or this is not Linux.
pub(super) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_resident(&status).with_context(|| format!("no VmRSS in {path}"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_cpu(&stat).with_context(|| format!("no CPU time in {path}"))
}

/// User and system time. The fields are counted after the command's name, which may itself hold spaces and brackets.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some((fields.next()?? + fields.next()??) as f64 / TICKS_PER_SECOND)
}

/// Watches a process from [`Watch::begin`] to [`Watch::end`].
pub(super) struct Watch {
    pid: u32,
    before_bytes: u64,
    cpu_seconds: f64,
    peak_bytes: Arc<AtomicU64>,
    sampler: JoinHandle<()>,
}

impl Watch {
    /// Begins to sample process `pid`. Runs on the caller's tokio runtime.
    ///
    /// # Errors
    /// When there is no such process.
    pub(super) fn begin(pid: u32) -> anyhow::Result<Self> {
        let before_bytes = resident_bytes(pid)?;
        let cpu_seconds = cpu_seconds(pid)?;
        let peak_bytes = Arc::new(AtomicU64::new(before_bytes));
        let sampler = tokio::spawn(sample(pid, Arc::clone(&peak_bytes)));
        Ok(Self { pid, before_bytes, cpu_seconds, peak_bytes, sampler })
    }

    /// What the process used meanwhile.
    ///
    /// # Errors
    /// When the process has ended.
    pub(super) fn end(self) -> anyhow::Result<Cost> {
        self.sampler.abort();
        let after_bytes = resident_bytes(self.pid)?;
        let peak_bytes = self.peak_bytes.load(Ordering::Relaxed).max(after_bytes);
        let memory = Memory { before_bytes: self.before_bytes, peak_bytes, after_bytes };
        Ok(Cost { memory, cpu_seconds: cpu_seconds(self.pid)? - self.cpu_seconds })
    }
}

async fn sample(pid: u32, peak_bytes: Arc<AtomicU64>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Ok(now) = resident_bytes(pid) {
        peak_bytes.fetch_max(now, Ordering::Relaxed);
        ticks.tick().await;
    }
}

/// Resident memory of `pid` once it has stopped moving: eight samples in a row within 1 %, or the last one after 10 s.
///
/// # Errors
/// When the process has ended.
pub(super) async fn settled_bytes(pid: u32) -> anyhow::Result<u64> {
    const ROUND: Duration = Duration::from_millis(250);
    let mut last = resident_bytes(pid)?;
    let mut still = 0;
    for _ in 0..40 {
        tokio::time::sleep(ROUND).await;
        let now = resident_bytes(pid)?;
        still = if now.abs_diff(last) <= last / 100 { still + 1 } else { 0 };
        if still == 8 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_kib() {
        assert_eq!(parse_resident("Name:\tweir\nVmHWM:\t  9 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_resident("Name:\tzombie\n"), None);
    }

    #[test]
    fn cpu_time_is_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 3 0 12345 1 2";
        assert_eq!(parse_cpu(stat), Some(4.0));
        assert_eq!(parse_cpu("42 (weir) S 1"), None);
    }

    #[tokio::test]
    async fn a_watch_sees_this_process_and_refuses_one_that_does_not_exist() {
        let watch = Watch::begin(std::process::id()).expect("this process exists");
        let cost = watch.end().expect("still there");
        assert!(cost.memory.peak_bytes >= cost.memory.before_bytes, "{cost:?}");
        assert!(Watch::begin(u32::MAX).is_err());
    }
}
