//! Waits between attempts at something of our own: opening a log, reading it, saving progress.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// 50 ms, 100 ms, 200 ms … 5 s.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// After a success the next failure waits the shortest time again.
    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }

    pub(crate) async fn wait(&mut self) {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        tokio::time::sleep(wait).await;
    }
}
