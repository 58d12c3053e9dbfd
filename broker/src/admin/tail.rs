//! A tail of what a Broker stores: one JSON per line, every partition, in order within each.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use weir_channels::{Entry, Position, ReadError};

use super::{Admin, Path, Place, Problem, Query, event_json};
use crate::logs::Log;

/// Entries read at once.
const BATCH: usize = 64;
/// Lines that wait for a slow reader.
const LINES: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    /// From the events stored at this time (RFC 3339) on. Without it only what comes, or everything if not following.
    since: Option<String>,
    /// Whether to wait for more at the end.
    follow: bool,
}

impl Default for Which {
    fn default() -> Self {
        Self { since: None, follow: true }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    position: Place,
    stored_at: Timestamp,
    event: Box<RawValue>,
}

pub(super) async fn tail(
    State(admin): State<Arc<Admin>>,
    Path((namespace, name)): Path<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let since = which.since.as_deref().map(str::parse::<Timestamp>).transpose();
    let since = since.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("since: {error}")))?;
    let log = admin.log(&namespace, &name)?;
    let (lines, receiver) = mpsc::channel(LINES);
    for partition in 0..log.channel.partitions() {
        let bounds = log.channel.bounds(partition).await?;
        let offset = match since {
            Some(time) => log.channel.seek(partition, time).await?.offset,
            None if which.follow => bounds.next,
            None => bounds.earliest,
        };
        let until = if which.follow { u64::MAX } else { bounds.next };
        let (log, lines) = (Arc::clone(&log), lines.clone());
        tokio::spawn(async move {
            let closing = log.closing.clone();
            tokio::select! {
                () = lines.closed() => {}
                () = closing.cancelled() => {
                    // Not the end of what was asked for: the answer breaks off.
                    let _gone = lines.send(Err(io::Error::other("the broker was closed"))).await;
                }
                sent = send(&log, Position { partition, offset }, until, &lines) => if let Err(error) = sent {
                    tracing::debug!(kn.broker.name = %log.broker.name, kn.broker.namespace = %log.broker.namespace, %error, "A tail broke off.");
                    let _gone = lines.send(Err(io::Error::other(error))).await;
                },
            }
        });
    }
    let body = stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|line| (line, receiver)) });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

/// Sends what is stored from `from` until `until`, or until nobody listens.
async fn send(log: &Log, from: Position, until: u64, lines: &mpsc::Sender<io::Result<Bytes>>) -> Result<(), ReadError> {
    if from.offset >= until {
        return Ok(());
    }
    let mut reader = log.channel.read(from).await?;
    loop {
        for entry in reader.next(BATCH).await? {
            let next = match entry {
                Entry::Event(stored) => {
                    if stored.position.offset >= until {
                        return Ok(());
                    }
                    let line = Line {
                        position: stored.position.into(),
                        stored_at: stored.stored_at,
                        event: event_json(&stored.event),
                    };
                    // A JSON object of texts and numbers is always written.
                    let mut line = serde_json::to_vec(&line).unwrap_or_default();
                    line.push(b'\n');
                    if lines.send(Ok(line.into())).await.is_err() {
                        return Ok(());
                    }
                    stored.position.offset + 1
                }
                Entry::Undecodable { position, .. } => position.offset + 1,
                Entry::Gap { until, .. } => until,
            };
            if next >= until {
                return Ok(());
            }
        }
    }
}
