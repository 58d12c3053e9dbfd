//! Removes the oldest segments: those too old for anyone, and, over the quota, those that nobody needs any more.

use std::io;
use std::sync::Arc;

use super::faults::planted;
use super::log::{Log, nanos_of};
use super::segment::{DATA_START, Segment};
use crate::Progress;

impl Log {
    /// Removes at most one segment, durably; whether there was one to remove. Progress counts only once it is durable,
    /// and segments go strictly from the oldest on, so a crash in between leaves no hole.
    pub(crate) fn retain(&mut self, now: i64) -> io::Result<bool> {
        if self.poisoned.is_some() {
            return Ok(false);
        }
        let age = nanos_of(self.settings.retention_age);
        let too_old = |segment: &Segment| segment.last_stored_at_nanos() < now.saturating_sub(age);
        if self.write_at > DATA_START && too_old(&self.segment) && self.roll(now).is_err() {
            return Ok(false);
        }
        let segments = self.published.segments();
        let over = self.settings.retention_bytes.is_some_and(|limit| self.bytes() > limit);
        let removable = match &segments[..] {
            [oldest, successor, ..] => {
                (too_old(oldest) || (over && self.is_settled_before(successor.base()))).then(|| oldest.clone())
            }
            _ => None,
        };
        let Some(oldest) = removable else {
            self.space.set_over_quota(over && segments.len() > 1);
            return Ok(false);
        };
        self.remove_oldest(&oldest)?;
        Ok(true)
    }

    fn is_settled_before(&self, offset: u64) -> bool {
        let saved = self.cursors.saved();
        let saved = saved.read();
        let passed = |progress: &Progress| progress.next >= offset;
        planted!(self.settings.faults, DeleteSegmentEarly)
            || (!saved.lossy && saved.subscriptions.values().flat_map(|partitions| partitions.values()).all(passed))
    }

    fn remove_oldest(&mut self, oldest: &Arc<Segment>) -> io::Result<()> {
        self.published.drop_first_segment();
        // Its successor is the first one now, whatever becomes of the file: a file that stays is found at the next start.
        self.finished_bytes -= oldest.end();
        self.metrics.disk_bytes.dec_by(oldest.end() as i64);
        self.metrics.expired_segments.inc();
        tracing::debug!(path = %oldest.path.display(), "Removed a segment");
        self.fs.remove(&oldest.path)?;
        match self.fs.remove(&oldest.index_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.fs.sync_dir(&self.dir)
    }
}
