//! Reads single events again that an ordered lane left in the log.

use tokio_util::sync::CancellationToken;
use weir_channels::{Entry, Position, ReadError, Stored};

use crate::backoff::Backoff;
use crate::logs::Log;

/// Entries read at once: positions of one key are often near each other.
const READ: usize = 32;
/// Beyond this what was found is enough for one turn.
const ENOUGH_BYTES: usize = 256 << 10;

/// What was found of the first `dealt_with` positions asked for; the others of these can no longer be read.
pub(super) struct Fetched {
    pub(super) found: Vec<Stored>,
    pub(super) dealt_with: usize,
}

/// Reads `positions`, which are sorted and of one partition: at least the first, all if they are not too large.
/// `None` if `cancel` came first.
pub(super) async fn fetch(log: &Log, positions: &[Position], cancel: &CancellationToken) -> Option<Fetched> {
    let mut backoff = Backoff::new();
    loop {
        match try_fetch(log, positions).await {
            Ok(fetched) => return Some(fetched),
            Err(ReadError::Closed) => {
                cancel.cancelled().await;
                return None;
            }
            Err(error) => {
                tracing::warn!(kn.broker.name = %log.broker.name, kn.broker.namespace = %log.broker.namespace, %error, "Cannot read the Broker's log; trying again.");
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = backoff.wait() => {}
        }
    }
}

async fn try_fetch(log: &Log, positions: &[Position]) -> Result<Fetched, ReadError> {
    let (mut found, mut bytes, mut dealt_with) = (Vec::new(), 0, 0);
    while dealt_with < positions.len() && (dealt_with == 0 || bytes < ENOUGH_BYTES) {
        let mut reader = log.channel.read(positions[dealt_with]).await?;
        for entry in reader.next(READ).await? {
            let (position, until) = match &entry {
                Entry::Event(stored) => (stored.position, stored.position.offset + 1),
                Entry::Undecodable { position, .. } => (*position, position.offset + 1),
                Entry::Gap { from, until, .. } => (*from, *until),
            };
            if let Entry::Event(stored) = entry
                && positions.get(dealt_with) == Some(&position)
            {
                bytes += stored.event.size_bytes();
                found.push(stored);
            }
            while positions.get(dealt_with).is_some_and(|wanted| wanted.offset < until) {
                dealt_with += 1;
            }
        }
    }
    Ok(Fetched { found, dealt_with })
}
