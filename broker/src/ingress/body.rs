//! Reads a request's body within its limits, without a copy where it comes in one piece.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::admission::Permit;
use super::error::IngressError;

/// Reads all of `body`, at most `limit_bytes`; each piece has `patience` to come.
pub(super) async fn read(
    mut body: Incoming,
    limit_bytes: usize,
    patience: Duration,
    permit: &mut Permit<'_>,
) -> Result<Bytes, IngressError> {
    let announced = body.size_hint().lower();
    if announced > limit_bytes as u64 {
        return Err(IngressError::TooLarge { limit_bytes });
    }
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(piece) = next(&mut body, patience).await? {
        let read = whole.len() + pieces.len() + piece.len();
        if read > limit_bytes {
            return Err(IngressError::TooLarge { limit_bytes });
        }
        permit.grow(piece.len())?;
        if read == piece.len() {
            whole = piece;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&piece);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}

/// The next piece of data; `None` at the end. Trailers are no data.
async fn next(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, IngressError> {
    loop {
        let frame = tokio::time::timeout(patience, body.frame())
            .await
            .map_err(|_elapsed| IngressError::BodyStalled { waited: patience })?;
        match frame {
            Some(frame) => {
                if let Ok(data) = frame.map_err(IngressError::BodyBroken)?.into_data() {
                    return Ok(Some(data));
                }
            }
            None => return Ok(None),
        }
    }
}
