//! What the records of the progress store say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Progress, SubscriptionId};

/// Progress by subscription and partition.
pub(crate) type Subscriptions = BTreeMap<SubscriptionId, BTreeMap<u32, Progress>>;

/// One thing to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A subscription is this far with a partition.
    Progress(SubscriptionId, u32, Progress),
    /// A subscription no longer exists.
    Forgotten(SubscriptionId),
    /// The log began the segment with this base.
    Segment(u64),
    /// Something was lost before this generation.
    Lossy,
    /// The log was closed in order; anything that follows takes it back.
    Closed,
    /// A newer generation holds everything and more.
    Superseded,
}

const PROGRESS: u8 = 1;
const FORGOTTEN: u8 = 2;
const SEGMENT: u8 = 3;
const LOSSY: u8 = 4;
const CLOSED: u8 = 5;
const SUPERSEDED: u8 = 6;

impl Note {
    /// Appends its bytes.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Progress(id, partition, progress) => {
                bytes.push(PROGRESS);
                put_id(bytes, id);
                bytes.extend_from_slice(&partition.to_le_bytes());
                bytes.extend_from_slice(&progress.start.to_le_bytes());
                bytes.extend_from_slice(&progress.next.to_le_bytes());
                for (from, until) in progress.settled.ranges() {
                    bytes.extend_from_slice(&from.to_le_bytes());
                    bytes.extend_from_slice(&until.to_le_bytes());
                }
            }
            Self::Forgotten(id) => {
                bytes.push(FORGOTTEN);
                put_id(bytes, id);
            }
            Self::Segment(base) => {
                bytes.push(SEGMENT);
                bytes.extend_from_slice(&base.to_le_bytes());
            }
            Self::Lossy => bytes.push(LOSSY),
            Self::Closed => bytes.push(CLOSED),
            Self::Superseded => bytes.push(SUPERSEDED),
        }
    }

    /// Reads what [`Note::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let kind = *take(&mut rest, 1)?.first()?;
        let note = match kind {
            PROGRESS => {
                let id = take_id(&mut rest)?;
                let partition = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
                let start = take_u64(&mut rest)?;
                let mut progress = Progress { start, next: take_u64(&mut rest)?, ..Progress::default() };
                while !rest.is_empty() {
                    progress.settle(take_u64(&mut rest)?, take_u64(&mut rest)?);
                }
                Self::Progress(id, partition, progress)
            }
            FORGOTTEN => Self::Forgotten(take_id(&mut rest)?),
            SEGMENT => Self::Segment(take_u64(&mut rest)?),
            LOSSY => Self::Lossy,
            CLOSED => Self::Closed,
            SUPERSEDED => Self::Superseded,
            _ => return None,
        };
        rest.is_empty().then_some(note)
    }
}

fn put_id(bytes: &mut Vec<u8>, id: &str) {
    bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
    bytes.extend_from_slice(id.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

fn take_id(rest: &mut &[u8]) -> Option<SubscriptionId> {
    let length = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    let id = take(rest, length as usize)?;
    Some(Arc::from(std::str::from_utf8(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_the_round_trip_and_nothing_else_decodes() {
        let mut progress = Progress::at(5);
        progress.settle(7, 9);
        progress.settle(20, 21);
        let id: SubscriptionId = Arc::from("b7d1-ü");
        let notes = [
            Note::Progress(id.clone(), 3, progress),
            Note::Forgotten(id),
            Note::Segment(u64::MAX),
            Note::Lossy,
            Note::Closed,
            Note::Superseded,
        ];
        for note in notes {
            let mut bytes = Vec::new();
            note.encode(&mut bytes);
            assert_eq!(Note::decode(&bytes).as_ref(), Some(&note));
            for cut in 0..bytes.len() {
                assert_ne!(Note::decode(&bytes[..cut]).as_ref(), Some(&note));
            }
        }
        assert_eq!(Note::decode(&[99]), None);
    }
}
