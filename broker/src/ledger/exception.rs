//! Exceptions: what happened to events beyond "delivered" and "not matched".

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};
use uuid::Uuid;
use weir_channels::{Position, Stored};

use super::letter::{clean, code, position, recipient};
use super::{LedgerError, Recipient, micros, timestamp};

/// Something worth remembering about one event and one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ExceptionKind,
    /// Whom the event was for.
    pub recipient: Recipient,
    /// Where the event is on the Broker's log.
    pub position: Position,
    /// `id` of the event.
    pub event_id: String,
    /// `source` of the event.
    pub event_source: String,
    /// `type` of the event.
    pub event_type: String,
    /// The attempt, counted from 1; 0 where none was made.
    pub attempt: u32,
    /// Who was asked; empty where nobody was.
    pub destination: String,
    /// The answer's status.
    pub code: Option<u16>,
    /// What happened, in words.
    pub detail: String,
    /// How long it took.
    pub duration: Duration,
}

/// What an [`Exception`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionKind {
    /// An attempt failed.
    FailedAttempt,
    /// An attempt succeeded: one of a sample, for its timing.
    Sample,
    /// The event went to the dead letter sink.
    DeadLetterSink,
    /// The event went to the dead-letter store.
    DeadLetterStore,
    /// The event could not be read from the log.
    Dropped,
    /// The event waited too long.
    Expired,
}

impl ExceptionKind {
    const ALL: [Self; 6] =
        [Self::FailedAttempt, Self::Sample, Self::DeadLetterSink, Self::DeadLetterStore, Self::Dropped, Self::Expired];

    /// A word for labels and columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedAttempt => "failed-attempt",
            Self::Sample => "sample",
            Self::DeadLetterSink => "dead-letter-sink",
            Self::DeadLetterStore => "dead-letter-store",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
        }
    }
}

impl Exception {
    /// Something that happened now to `stored` on its way to `recipient`; the other fields say nothing yet.
    pub fn now(kind: ExceptionKind, recipient: &Recipient, stored: &Stored) -> Self {
        Self {
            at: Timestamp::now(),
            kind,
            recipient: recipient.clone(),
            position: stored.position,
            event_id: stored.event.id().to_owned(),
            event_source: stored.event.source().to_owned(),
            event_type: stored.event.ty().to_owned(),
            attempt: 0,
            destination: String::new(),
            code: None,
            detail: String::new(),
            duration: Duration::ZERO,
        }
    }
}

pub(super) async fn insert(connection: &mut AnyConnection, exception: &Exception) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO exceptions (id, at, kind, subscription, namespace, broker, trigger_name, \
        log_partition, log_offset, event_id, event_source, event_type, attempt, destination, code, detail, \
        duration_micros) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let recipient = &exception.recipient;
    sqlx::query(SQL)
        .bind(Uuid::now_v7().to_string())
        .bind(micros(exception.at))
        .bind(exception.kind.as_str())
        .bind(&*recipient.subscription)
        .bind(&*recipient.namespace)
        .bind(&*recipient.broker)
        .bind(&*recipient.trigger)
        .bind(i64::from(exception.position.partition))
        .bind(exception.position.offset.cast_signed())
        .bind(clean(&exception.event_id))
        .bind(clean(&exception.event_source))
        .bind(clean(&exception.event_type))
        .bind(i64::from(exception.attempt))
        .bind(clean(&exception.destination))
        .bind(exception.code.map(i64::from))
        .bind(clean(&exception.detail))
        .bind(i64::try_from(exception.duration.as_micros()).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map(|_| ())
}

pub(super) async fn of_event(
    pool: &AnyPool,
    id: &str,
    source: Option<&str>,
    limit: u32,
) -> Result<Vec<Exception>, LedgerError> {
    const SQL: &str = "SELECT * FROM exceptions WHERE event_id = $1 AND ($2 = '' OR event_source = $2) \
         ORDER BY CASE WHEN kind IN ('failed-attempt', 'sample') THEN 1 ELSE 0 END, id LIMIT $3";
    let query = sqlx::query(SQL).bind(id).bind(source.unwrap_or_default()).bind(i64::from(limit));
    let rows = query.fetch_all(pool).await?;
    // Of a kind from a newer build nothing can be said.
    let mut found: Vec<_> = rows.iter().filter_map(|row| read(row).transpose()).collect::<Result<_, _>>()?;
    found.sort_by_key(|exception: &Exception| exception.at);
    Ok(found)
}

/// Forgets what is older than `before`, and beyond the newest `keep`.
pub(super) async fn prune(pool: &AnyPool, before: Timestamp, keep: u32) -> Result<u64, sqlx::Error> {
    let old = sqlx::query("DELETE FROM exceptions WHERE at < $1").bind(micros(before)).execute(pool).await?;
    let surplus = "DELETE FROM exceptions WHERE id <= (SELECT id FROM exceptions ORDER BY id DESC LIMIT 1 OFFSET $1)";
    let surplus = sqlx::query(surplus).bind(i64::from(keep)).execute(pool).await?;
    Ok(old.rows_affected() + surplus.rows_affected())
}

fn read(row: &AnyRow) -> Result<Option<Exception>, LedgerError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let kind = text("kind")?;
    let Some(kind) = ExceptionKind::ALL.into_iter().find(|known| known.as_str() == kind) else { return Ok(None) };
    Ok(Some(Exception {
        at: timestamp(row.try_get("at")?),
        kind,
        recipient: recipient(row)?,
        position: position(row)?,
        event_id: text("event_id")?,
        event_source: text("event_source")?,
        event_type: text("event_type")?,
        attempt: u32::try_from(row.try_get::<i64, _>("attempt")?).unwrap_or(u32::MAX),
        destination: text("destination")?,
        code: code(row)?,
        detail: text("detail")?,
        duration: Duration::from_micros(row.try_get::<i64, _>("duration_micros")?.unsigned_abs()),
    }))
}
