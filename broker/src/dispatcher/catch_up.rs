//! A lane that cannot follow the shared reader reads for itself: as fast as its subscriber takes events, and disturbing
//! nobody. It ends when the lane follows again.

use std::sync::Arc;
use std::time::Duration;

use weir_channels::{Entry, Position, ReadError, Reader};

use super::Downstream;
use super::fanout::Fanout;
use super::lane::Lane;
use crate::backoff::Backoff;

/// Most entries read at once.
const BATCH: usize = 128;
/// A reader is kept this long while there is no room; an idle one would hold its buffers and files.
const KEEP_READER: Duration = Duration::from_secs(1);
/// What an event is taken to have before the first was seen.
const TYPICAL_BYTES: usize = 1024;

/// Reads for `lane` until it follows the shared reader, or is stopped.
pub(super) async fn run<D: Downstream>(fanout: Arc<Fanout<D>>, lane: Arc<Lane<D>>, partition: usize) {
    let mut backoff = Backoff::new();
    let mut catching_up = CatchUp {
        fanout: &fanout,
        lane: &lane,
        partition,
        reader: None,
        at_tail: false,
        event_bytes: TYPICAL_BYTES,
        needed: 0,
    };
    tokio::select! {
        () = fanout.stop.cancelled() => {}
        () = async {
            while let Some(room) = catching_up.room().await {
                if fanout.join(&lane, partition, catching_up.at_tail) {
                    return;
                }
                match catching_up.read(room).await {
                    Ok(()) => backoff.reset(),
                    Err(ReadError::Closed) => return,
                    Err(error) => {
                        catching_up.reader = None;
                        tracing::warn!(kn.broker.name = %fanout.log.broker.name, kn.broker.namespace = %fanout.log.broker.namespace, %error, "Cannot read the Broker's log; trying again.");
                        backoff.wait().await;
                    }
                }
            }
        } => {}
    }
}

struct CatchUp<'a, D: Downstream> {
    fanout: &'a Fanout<D>,
    lane: &'a Arc<Lane<D>>,
    partition: usize,
    reader: Option<Box<dyn Reader>>,
    /// The last read found less than it asked for.
    at_tail: bool,
    /// Of the events read last.
    event_bytes: usize,
    /// Of the event that did not fit, if one did not.
    needed: usize,
}

impl<D: Downstream> CatchUp<'_, D> {
    async fn room(&mut self) -> Option<usize> {
        let room = match tokio::time::timeout(KEEP_READER, self.lane.room(self.needed)).await {
            Ok(room) => room,
            Err(_elapsed) => {
                self.reader = None;
                self.lane.room(self.needed).await
            }
        };
        let (events, bytes) = room?;
        Some(events.min(bytes / self.event_bytes.max(1)).clamp(1, BATCH))
    }

    async fn read(&mut self, most: usize) -> Result<(), ReadError> {
        let offset = self.lane.with_cursor(self.partition, |cursor| cursor.read());
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let partition = u32::try_from(self.partition).unwrap_or(u32::MAX);
                none.insert(self.fanout.log.channel.read(Position { partition, offset }).await?)
            }
        };
        let entries = reader.next(most).await?;
        self.at_tail = entries.len() < most;
        let mut events = Vec::with_capacity(entries.len());
        let mut until = offset;
        for entry in entries {
            match entry {
                Entry::Event(stored) => {
                    until = stored.position.offset + 1;
                    events.push(stored);
                }
                Entry::Undecodable { position, raw, reason } => {
                    if !self.hand_in(std::mem::take(&mut events), position.offset) {
                        return Ok(());
                    }
                    self.fanout.set_aside(position, &raw, &reason).await;
                    until = position.offset + 1;
                }
                Entry::Gap { from, until: end, reason } => {
                    if !self.hand_in(std::mem::take(&mut events), from.offset) {
                        return Ok(());
                    }
                    self.fanout.gap(&reason, from, end);
                    self.lane.pass_gap(self.partition, from.offset, end);
                    until = end;
                }
            }
        }
        self.hand_in(events, until);
        // The log may answer from memory without ever waiting; others have work to do, too.
        tokio::task::consume_budget().await;
        Ok(())
    }

    /// False if the lane did not take everything: the rest is read again once there is room.
    fn hand_in(&mut self, events: Vec<weir_channels::Stored>, until: u64) -> bool {
        if !events.is_empty() {
            self.event_bytes = events.iter().map(|stored| stored.event.size_bytes()).sum::<usize>() / events.len();
        }
        self.fanout.shared.metrics.catch_up_reads.inc_by(events.len() as u64);
        let result = self.lane.catch_up(self.partition, events, until);
        self.needed = result.err().unwrap_or_default();
        if result.is_err() {
            self.reader = None;
        }
        result.is_ok()
    }
}
