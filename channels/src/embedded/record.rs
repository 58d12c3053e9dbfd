//! One record: an event, framed so that a torn, stale or damaged one is never taken for an event.
//!
//! ```text
//!  0 marker      4  constant, not valid UTF-8: where the next record may begin
//!  4 checksum    4  CRC-32 of everything after it
//!  8 length      4  of the payload
//! 12 flags       2
//! 14 check       2  low half of the CRC-32 of the header: its length can be trusted if the payload cannot
//! 16 offset      8
//! 24 stored at   8  nanoseconds since 1970
//! 32 id hash     4
//! 36 source hash 4
//! 40 payload        the event, `weir_api::event::wire`
//! ```
//!
//! Numbers are little endian. Both checksums start from the segment's salt, which is random: bytes of another segment,
//! or bytes a sender put into an event to look like a record, do not pass.

use crc32fast::Hasher;

pub(crate) const HEADER_BYTES: usize = 40;
const MARKER: [u8; 4] = [0xF5, b'W', b'R', 0x01];
/// Larger than any event the log takes; a length beyond it is damage.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 64 << 20;
/// The smallest record there can be: bounds how many offsets unreadable bytes may have used.
pub(crate) const MIN_RECORD_BYTES: u64 = HEADER_BYTES as u64;

/// Every byte before this record in its segment was synced before this record was written.
pub(crate) const FLAG_SYNCED_BEFORE: u16 = 1;

/// The header of a record, without its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_bytes: u32,
    pub(crate) flags: u16,
    pub(crate) offset: u64,
    pub(crate) stored_at_nanos: i64,
    pub(crate) id_hash: u32,
    pub(crate) source_hash: u32,
}

impl Header {
    /// Bytes of the whole record.
    pub(crate) fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes as usize
    }
}

/// What is found where a record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole, undamaged record.
    Record(Header),
    /// An undamaged header whose payload is damaged.
    BadPayload(Header),
    /// The beginning of a record; this many bytes are needed to tell.
    NeedBytes(usize),
    /// Nothing that can be understood.
    Nothing,
}

/// Hash of an id or a source, as records and indexes carry it. Only narrows a search: whoever finds one compares.
pub(crate) fn hash(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

/// Appends an unsealed record whose payload `encode` writes.
pub(crate) fn push(frames: &mut Vec<u8>, id: &str, source: &str, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = frames.len();
    frames.extend_from_slice(&[0; HEADER_BYTES]);
    encode(frames);
    // The log refuses events beyond MAX_PAYLOAD_BYTES before they come here.
    let payload_bytes = (frames.len() - start - HEADER_BYTES) as u32;
    frames[start + 8..start + 12].copy_from_slice(&payload_bytes.to_le_bytes());
    frames[start + 32..start + 36].copy_from_slice(&hash(id).to_le_bytes());
    frames[start + 36..start + 40].copy_from_slice(&hash(source).to_le_bytes());
}

/// Bytes of the record that [`push`] put at the start of `frames`.
pub(crate) fn pushed_bytes(frames: &[u8]) -> usize {
    HEADER_BYTES + u32_at(frames, 8) as usize
}

/// The hashes of id and source of the record at the start of `frame`.
pub(crate) fn pushed_hashes(frame: &[u8]) -> (u32, u32) {
    (u32_at(frame, 32), u32_at(frame, 36))
}

/// Completes a pushed record: its place, its time, its checksums. `frame` is exactly that record.
pub(crate) fn seal(frame: &mut [u8], salt: u32, flags: u16, offset: u64, stored_at_nanos: i64) {
    frame[0..4].copy_from_slice(&MARKER);
    frame[12..14].copy_from_slice(&flags.to_le_bytes());
    frame[16..24].copy_from_slice(&offset.to_le_bytes());
    frame[24..32].copy_from_slice(&stored_at_nanos.to_le_bytes());
    let check = header_check(frame, salt);
    frame[14..16].copy_from_slice(&check.to_le_bytes());
    let checksum = checksum(frame, salt);
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// The header of the sealed record at the start of `bytes`, taken at its word.
pub(crate) fn header(bytes: &[u8]) -> Header {
    Header {
        payload_bytes: u32_at(bytes, 8),
        flags: u16::from_le_bytes([bytes[12], bytes[13]]),
        offset: u64_at(bytes, 16),
        stored_at_nanos: u64_at(bytes, 24) as i64,
        id_hash: u32_at(bytes, 32),
        source_hash: u32_at(bytes, 36),
    }
}

/// Looks at the start of `bytes`; whatever follows the record is ignored.
pub(crate) fn parse(bytes: &[u8], salt: u32) -> Found {
    if bytes.len() < HEADER_BYTES {
        let known = bytes.len().min(MARKER.len());
        return if bytes[..known] == MARKER[..known] { Found::NeedBytes(HEADER_BYTES) } else { Found::Nothing };
    }
    if bytes[0..4] != MARKER {
        return Found::Nothing;
    }
    let header = header(bytes);
    let check = u16::from_le_bytes([bytes[14], bytes[15]]);
    if check != header_check(bytes, salt) || header.payload_bytes as usize > MAX_PAYLOAD_BYTES {
        return Found::Nothing;
    }
    let Some(record) = bytes.get(..header.record_bytes()) else {
        return Found::NeedBytes(header.record_bytes());
    };
    if u32_at(bytes, 4) == checksum(record, salt) { Found::Record(header) } else { Found::BadPayload(header) }
}

/// Where, from `from` on, a record may begin.
pub(crate) fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        at += bytes[at..].iter().position(|&byte| byte == MARKER[0])?;
        let known = (bytes.len() - at).min(MARKER.len());
        if bytes[at..at + known] == MARKER[..known] {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn checksum(record: &[u8], salt: u32) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(&record[8..]);
    hasher.finalize()
}

fn header_check(header: &[u8], salt: u32) -> u16 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(&header[8..14]);
    hasher.update(&header[16..HEADER_BYTES]);
    hasher.finalize() as u16
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(payload: &[u8], salt: u32, offset: u64) -> Vec<u8> {
        let mut frame = Vec::new();
        push(&mut frame, "id", "/source", |frames| frames.extend_from_slice(payload));
        seal(&mut frame, salt, FLAG_SYNCED_BEFORE, offset, 17);
        frame
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(payload in prop::collection::vec(any::<u8>(), 0..200), bit in any::<prop::sample::Index>()) {
            let mut frame = record(&payload, 9, 3);
            let bit = bit.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(parse(&frame, 9), Found::Record(_)), "bit {bit} was not noticed");
        }

        #[test]
        fn a_record_parses_whatever_follows_it(payload in prop::collection::vec(any::<u8>(), 0..200), rest in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut frame = record(&payload, 1, 77);
            frame.extend_from_slice(&rest);
            let Found::Record(header) = parse(&frame, 1) else { panic!("not found") };
            prop_assert_eq!(header.offset, 77);
            prop_assert_eq!(header.record_bytes(), HEADER_BYTES + payload.len());
        }
    }

    #[test]
    fn a_record_of_another_segment_is_nothing() {
        assert_eq!(parse(&record(b"payload", 1, 0), 2), Found::Nothing);
    }

    #[test]
    fn a_damaged_payload_leaves_the_length_known() {
        let mut frame = record(b"payload", 1, 5);
        frame[HEADER_BYTES] ^= 1;
        let Found::BadPayload(header) = parse(&frame, 1) else { panic!("expected a bad payload") };
        assert_eq!((header.offset, header.record_bytes()), (5, frame.len()));
    }

    #[test]
    fn a_cut_record_asks_for_its_bytes() {
        let frame = record(b"payload", 1, 5);
        assert_eq!(parse(&frame[..10], 1), Found::NeedBytes(HEADER_BYTES));
        assert_eq!(parse(&frame[..HEADER_BYTES + 2], 1), Found::NeedBytes(frame.len()));
    }

    #[test]
    fn markers_are_found_even_when_cut_off() {
        let mut bytes = vec![0xF5, 0, 0xF5];
        bytes.extend_from_slice(&record(b"", 1, 0));
        assert_eq!(next_marker(&bytes, 0), Some(3));
        assert_eq!(next_marker(&bytes[..5], 0), Some(3));
        assert_eq!(next_marker(&bytes[..2], 0), None);
    }
}
