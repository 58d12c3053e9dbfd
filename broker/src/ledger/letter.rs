//! Dead letters: events that could not be delivered, with everything needed to understand and redrive them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Row as _};
use uuid::Uuid;
use weir_api::Event;
use weir_api::event::json;
use weir_api::resources::{ObjectName, Trigger};
use weir_channels::{Position, Stored};

use super::{LedgerError, micros, timestamp};
use crate::delivery::Failure;

/// Whom an event was for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Recipient {
    /// UID of the Trigger; of the Broker where no Trigger is concerned.
    pub subscription: Arc<str>,
    /// Namespace of both.
    pub namespace: Arc<str>,
    /// Name of the Broker.
    pub broker: Arc<str>,
    /// Name of the Trigger; empty where none is concerned.
    pub trigger: Arc<str>,
}

impl Recipient {
    /// A Trigger of a Broker.
    pub fn new(broker: &ObjectName, trigger: &Trigger) -> Self {
        Self {
            subscription: trigger.uid.clone(),
            namespace: trigger.name.namespace.clone(),
            broker: broker.name.clone(),
            trigger: trigger.name.name.clone(),
        }
    }
}

/// An event that could not be delivered, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Whom it was for.
    pub recipient: Recipient,
    /// Where it is on the Broker's log.
    pub position: Position,
    /// When the log took it.
    pub stored_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// What happened, from a closed set: a [`FailureKind`](crate::delivery::FailureKind), `expired` or `undecodable`.
    pub kind: String,
    /// The same in few words: what letters are grouped by.
    pub reason: String,
    /// The same in as many words as it takes.
    pub detail: String,
    /// `knativeerrordest`; empty where nobody was asked.
    pub destination: String,
    /// `knativeerrorcode`
    pub code: Option<u16>,
    /// `knativeerrordata`
    pub error_data: String,
    /// What could not be delivered.
    pub content: Content,
}

/// What a dead letter holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// An event, as it was on the log.
    Event(Event),
    /// A record of the log that is no event.
    Raw(Bytes),
}

impl DeadLetter {
    /// An event whose delivery failed for good.
    pub fn failed(recipient: Recipient, stored: &Stored, failure: &Failure, attempts: u32) -> Self {
        Self {
            recipient,
            position: stored.position,
            stored_at: stored.stored_at,
            attempts,
            kind: failure.kind.as_str().to_owned(),
            reason: failure.reason(),
            detail: failure.detail.clone(),
            destination: failure.destination.to_string(),
            code: Some(failure.code),
            error_data: failure.data(),
            content: Content::Event(stored.event.clone()),
        }
    }

    /// An event that waited longer than its Trigger's backlog may grow. Nobody was asked.
    pub fn expired(recipient: Recipient, stored: &Stored, reason: &str) -> Self {
        let content = Content::Event(stored.event.clone());
        Self::unasked(recipient, stored.position, stored.stored_at, "expired", reason, content)
    }

    /// A record that is no event, found `at` a time.
    pub fn undecodable(recipient: Recipient, position: Position, at: Timestamp, raw: Bytes, reason: &str) -> Self {
        Self::unasked(recipient, position, at, "undecodable", reason, Content::Raw(raw))
    }

    fn unasked(
        recipient: Recipient,
        position: Position,
        stored_at: Timestamp,
        kind: &str,
        reason: &str,
        content: Content,
    ) -> Self {
        Self {
            recipient,
            position,
            stored_at,
            attempts: 0,
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            detail: reason.to_owned(),
            destination: String::new(),
            code: None,
            error_data: String::new(),
            content,
        }
    }
}

/// A dead letter in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Names it; letters sort by it in order of arrival.
    pub id: String,
    /// When it was put here.
    pub dead_at: Timestamp,
    /// When it was delivered after all.
    pub redriven_at: Option<Timestamp>,
    /// What it is.
    pub letter: DeadLetter,
}

/// Which dead letters. An empty text does not restrict.
#[derive(Clone, Debug)]
pub struct LetterQuery {
    /// Namespace of the Broker and Trigger.
    pub namespace: String,
    /// Name of the Broker.
    pub broker: String,
    /// Name of the Trigger.
    pub trigger: String,
    /// UID of the Trigger.
    pub subscription: String,
    /// The reason, exactly.
    pub reason: String,
    /// `id` of the event.
    pub event_id: String,
    /// Whether those that were redriven count too.
    pub redriven: bool,
    /// Only those after the letter with this id: for the next page.
    pub after: String,
    /// How many at most.
    pub limit: u32,
}

impl Default for LetterQuery {
    /// The first hundred that were not redriven.
    fn default() -> Self {
        Self {
            namespace: String::new(),
            broker: String::new(),
            trigger: String::new(),
            subscription: String::new(),
            reason: String::new(),
            event_id: String::new(),
            redriven: false,
            after: String::new(),
            limit: 100,
        }
    }
}

/// Dead letters of one Trigger with one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Namespace of the Broker and Trigger.
    pub namespace: String,
    /// Name of the Broker.
    pub broker: String,
    /// Name of the Trigger.
    pub trigger: String,
    /// The reason they share.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the first one came.
    pub first: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
}

/// A statement on the letters of a [`LetterQuery`], whose values are `$1` to `$8`.
macro_rules! matching {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM dead_letters WHERE ($1 = '' OR namespace = $1) AND ($2 = '' OR broker = $2)",
            " AND ($3 = '' OR trigger_name = $3) AND ($4 = '' OR subscription = $4) AND ($5 = '' OR reason = $5)",
            " AND ($6 = '' OR event_id = $6) AND ($7 = 1 OR redriven_at IS NULL) AND id > $8",
            $rest
        )
    };
}

fn bound<'q>(sql: &'static str, query: &'q LetterQuery) -> Query<'q, Any, AnyArguments> {
    sqlx::query(sql)
        .bind(&query.namespace)
        .bind(&query.broker)
        .bind(&query.trigger)
        .bind(&query.subscription)
        .bind(&query.reason)
        .bind(&query.event_id)
        .bind(i64::from(query.redriven))
        .bind(&query.after)
}

pub(super) async fn select(pool: &AnyPool, query: &LetterQuery) -> Result<Vec<Letter>, LedgerError> {
    let sql = matching!("SELECT *", " ORDER BY id LIMIT $9");
    let rows = bound(sql, query).bind(i64::from(query.limit)).fetch_all(pool).await?;
    // One that cannot be read hides none of the others; its id still names it.
    let readable = |row| match read(row) {
        Err(error @ LedgerError::Damaged { .. }) => {
            tracing::warn!(%error, "A dead letter is left out.");
            None
        }
        letter => Some(letter),
    };
    rows.iter().filter_map(readable).collect()
}

pub(super) async fn by_id(pool: &AnyPool, id: &str) -> Result<Option<Letter>, LedgerError> {
    let row = sqlx::query("SELECT * FROM dead_letters WHERE id = $1").bind(id).fetch_optional(pool).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn groups(pool: &AnyPool, query: &LetterQuery) -> Result<Vec<Group>, LedgerError> {
    let sql = matching!(
        "SELECT namespace, broker, trigger_name, reason, COUNT(*) AS n, MIN(dead_at) AS first_at, MAX(dead_at) AS last_at",
        " GROUP BY namespace, broker, trigger_name, reason ORDER BY n DESC, namespace, trigger_name, reason LIMIT $9"
    );
    let rows = bound(sql, query).bind(i64::from(query.limit)).fetch_all(pool).await?;
    let group = |row: &AnyRow| {
        Ok(Group {
            namespace: row.try_get("namespace")?,
            broker: row.try_get("broker")?,
            trigger: row.try_get("trigger_name")?,
            reason: row.try_get("reason")?,
            count: row.try_get::<i64, _>("n")?.unsigned_abs(),
            first: timestamp(row.try_get("first_at")?),
            last: timestamp(row.try_get("last_at")?),
        })
    };
    rows.iter().map(group).collect()
}

pub(super) async fn count(pool: &AnyPool, query: &LetterQuery) -> Result<u64, LedgerError> {
    let row = bound(matching!("SELECT COUNT(*) AS n", ""), query).fetch_one(pool).await?;
    Ok(row.try_get::<i64, _>("n")?.unsigned_abs())
}

pub(super) async fn delete(pool: &AnyPool, id: &str) -> Result<bool, LedgerError> {
    let done = sqlx::query("DELETE FROM dead_letters WHERE id = $1").bind(id).execute(pool).await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn mark_redriven(pool: &AnyPool, id: &str, at: Timestamp) -> Result<bool, LedgerError> {
    let update = sqlx::query("UPDATE dead_letters SET redriven_at = $2 WHERE id = $1").bind(id).bind(micros(at));
    Ok(update.execute(pool).await?.rows_affected() > 0)
}

/// Writes `letter`, replacing the one of the same subscription and position, which keeps its id.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    letter: &DeadLetter,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO dead_letters (id, subscription, namespace, broker, trigger_name, log_partition, \
        log_offset, stored_at, dead_at, attempts, kind, reason, detail, destination, code, error_data, event_id, \
        event_source, event_type, event, raw) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
        ON CONFLICT (subscription, log_partition, log_offset) DO UPDATE SET \
        dead_at = excluded.dead_at, redriven_at = NULL, attempts = excluded.attempts, kind = excluded.kind, \
        reason = excluded.reason, detail = excluded.detail, destination = excluded.destination, \
        code = excluded.code, error_data = excluded.error_data, event = excluded.event, raw = excluded.raw";
    let (event, raw) = match &letter.content {
        Content::Event(event) => (Some(event), None),
        Content::Raw(raw) => (None, Some(BASE64.encode(raw))),
    };
    let attribute = |attribute: fn(&Event) -> &str| clean(event.map_or("", attribute));
    // JSON escapes every character a database might object to.
    let json = event.map(|event| String::from_utf8_lossy(&json::encode(event)).into_owned());
    let recipient = &letter.recipient;
    sqlx::query(SQL)
        .bind(Uuid::now_v7().to_string())
        .bind(&*recipient.subscription)
        .bind(&*recipient.namespace)
        .bind(&*recipient.broker)
        .bind(&*recipient.trigger)
        .bind(i64::from(letter.position.partition))
        .bind(letter.position.offset.cast_signed())
        .bind(micros(letter.stored_at))
        .bind(micros(now))
        .bind(i64::from(letter.attempts))
        .bind(clean(&letter.kind))
        .bind(clean(&letter.reason))
        .bind(clean(&letter.detail))
        .bind(clean(&letter.destination))
        .bind(letter.code.map(i64::from))
        .bind(&letter.error_data)
        .bind(attribute(Event::id))
        .bind(attribute(Event::source))
        .bind(attribute(Event::ty))
        .bind(json)
        .bind(raw)
        .execute(connection)
        .await
        .map(|_| ())
}

/// PostgreSQL has no NUL in its texts.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn read(row: &AnyRow) -> Result<Letter, LedgerError> {
    let id: String = row.try_get("id")?;
    let damaged = |reason: String| LedgerError::Damaged { id: id.clone(), reason };
    let optional = |column: &str| row.try_get::<Option<String>, _>(column);
    let content = match (optional("event")?, optional("raw")?) {
        (Some(event), _) => Content::Event(json::decode(&event.into()).map_err(|error| damaged(error.to_string()))?),
        (None, Some(raw)) => Content::Raw(BASE64.decode(raw).map_err(|error| damaged(error.to_string()))?.into()),
        (None, None) => return Err(damaged("it is empty".to_owned())),
    };
    let text = |column: &str| row.try_get::<String, _>(column);
    let number = |column: &str| row.try_get::<i64, _>(column);
    let letter = DeadLetter {
        recipient: recipient(row)?,
        position: position(row)?,
        stored_at: timestamp(number("stored_at")?),
        attempts: u32::try_from(number("attempts")?).unwrap_or(u32::MAX),
        kind: text("kind")?,
        reason: text("reason")?,
        detail: text("detail")?,
        destination: text("destination")?,
        code: code(row)?,
        error_data: text("error_data")?,
        content,
    };
    let redriven_at = row.try_get::<Option<i64>, _>("redriven_at")?.map(timestamp);
    let dead_at = timestamp(number("dead_at")?);
    Ok(Letter { id, dead_at, redriven_at, letter })
}

pub(super) fn recipient(row: &AnyRow) -> Result<Recipient, sqlx::Error> {
    let text = |column| row.try_get::<String, _>(column).map(Arc::from);
    Ok(Recipient {
        subscription: text("subscription")?,
        namespace: text("namespace")?,
        broker: text("broker")?,
        trigger: text("trigger_name")?,
    })
}

pub(super) fn position(row: &AnyRow) -> Result<Position, sqlx::Error> {
    Ok(Position {
        partition: u32::try_from(row.try_get::<i64, _>("log_partition")?).unwrap_or(u32::MAX),
        offset: row.try_get::<i64, _>("log_offset")?.cast_unsigned(),
    })
}

pub(super) fn code(row: &AnyRow) -> Result<Option<u16>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>("code")?.and_then(|code| u16::try_from(code).ok()))
}
