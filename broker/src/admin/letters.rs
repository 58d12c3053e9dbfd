//! Dead letters: list, show, redrive, discard.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Admin, Path, Place, Problem, Query, event_json};
use crate::dispatcher::Refusal;
use crate::ledger::{Content, Letter, LetterQuery};

/// How long a caller waits for the outcome of an attempt.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most letters of one answer.
const MOST: u32 = 1_000;

/// Which letters; what is left out does not restrict.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Which {
    namespace: String,
    broker: String,
    trigger: String,
    /// The reason, exactly.
    reason: String,
    /// `id` of the event.
    event: String,
    /// Whether those count that were delivered after all.
    redriven: bool,
    /// The `next` of the page before.
    after: String,
    limit: u32,
}

impl Default for Which {
    fn default() -> Self {
        let LetterQuery { namespace, broker, trigger, reason, event_id, redriven, after, limit, .. } =
            LetterQuery::default();
        Self { namespace, broker, trigger, reason, event: event_id, redriven, after, limit }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    items: Vec<Item>,
    /// For `after`; absent with the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many there are on all pages.
    total: u64,
}

/// A dead letter as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    id: String,
    dead_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven_at: Option<Timestamp>,
    namespace: Arc<str>,
    broker: Arc<str>,
    trigger: Arc<str>,
    subscription: Arc<str>,
    position: Place,
    stored_at: Timestamp,
    attempts: u32,
    kind: String,
    reason: String,
    detail: String,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    error_data: String,
    event_id: String,
    event_source: String,
    event_type: String,
}

/// A dead letter with what it holds.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    item: Item,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    /// Base64 of a record that is no event.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
}

impl From<Letter> for Item {
    fn from(Letter { id, dead_at, redriven_at, letter }: Letter) -> Self {
        let event = match &letter.content {
            Content::Event(event) => Some(event),
            Content::Raw(_) => None,
        };
        let attribute = |attribute: fn(&weir_api::Event) -> &str| event.map(attribute).unwrap_or_default().to_owned();
        Self {
            id,
            dead_at,
            redriven_at,
            namespace: letter.recipient.namespace,
            broker: letter.recipient.broker,
            trigger: letter.recipient.trigger,
            subscription: letter.recipient.subscription,
            position: letter.position.into(),
            stored_at: letter.stored_at,
            attempts: letter.attempts,
            kind: letter.kind,
            reason: letter.reason,
            detail: letter.detail,
            destination: letter.destination,
            code: letter.code,
            error_data: letter.error_data,
            event_id: attribute(weir_api::Event::id),
            event_source: attribute(weir_api::Event::source),
            event_type: attribute(weir_api::Event::ty),
        }
    }
}

pub(super) async fn list(State(admin): State<Arc<Admin>>, Query(which): Query<Which>) -> Result<Json<Page>, Problem> {
    let Which { namespace, broker, trigger, reason, event, redriven, after, limit } = which;
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit must be between 1 and {MOST}")));
    }
    let query = LetterQuery {
        namespace,
        broker,
        trigger,
        reason,
        event_id: event,
        redriven,
        after,
        // One more tells whether there is another page.
        limit: limit + 1,
        ..LetterQuery::default()
    };
    let ledger = admin.dispatcher.ledger();
    let mut letters = ledger.letters(&query).await?;
    let total = ledger.count(&LetterQuery { after: String::new(), ..query }).await?;
    let is_last = letters.len() <= limit as usize;
    letters.truncate(limit as usize);
    let next = if is_last { None } else { letters.last().map(|letter| letter.id.clone()) };
    Ok(Json(Page { items: letters.into_iter().map(Item::from).collect(), next, total }))
}

pub(super) async fn show(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Result<Json<Whole>, Problem> {
    let letter = find(&admin, &id).await?;
    let (event, raw) = match &letter.letter.content {
        Content::Event(event) => (Some(event_json(event)), None),
        Content::Raw(raw) => (None, Some(BASE64.encode(raw))),
    };
    Ok(Json(Whole { item: letter.into(), event, raw }))
}

pub(super) async fn discard(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let _turn = Turn::take(&admin, &id)?;
    if admin.dispatcher.ledger().delete(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::NoLetter(id).into())
    }
}

/// What came of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct Redriven {
    id: String,
    delivered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn redrive(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Json<Redriven>, Problem> {
    let turn = Turn::take(&admin, &id)?;
    // A task, so that a caller who goes away does not break off a delivery that nobody would know of.
    let attempt = tokio::spawn(async move {
        let letter = find(&turn.admin, &turn.id).await?;
        Ok::<_, Problem>(turn.admin.dispatcher.redrive(&letter).await?.err())
    });
    let error = match tokio::time::timeout(PATIENCE, attempt).await {
        Ok(Ok(result)) => result?,
        Ok(Err(_panicked)) => {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "delivering it hit a bug in weir"));
        }
        Err(_elapsed) => Some(format!("no outcome within {} s; the attempt goes on", PATIENCE.as_secs())),
    };
    Ok(Json(Redriven { id, delivered: error.is_none(), error }))
}

async fn find(admin: &Admin, id: &str) -> Result<Letter, Problem> {
    let letter = admin.dispatcher.ledger().letter(id).await?;
    letter.ok_or_else(|| Refusal::NoLetter(id.to_owned()).into())
}

/// While it lives nobody else redrives or discards the letter.
struct Turn {
    admin: Arc<Admin>,
    id: String,
}

impl Turn {
    fn take(admin: &Arc<Admin>, id: &str) -> Result<Self, Refusal> {
        let free = admin.redriving.lock().insert(id.to_owned());
        if free { Ok(Self { admin: Arc::clone(admin), id: id.to_owned() }) } else { Err(Refusal::InProgress) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.admin.redriving.lock().remove(&self.id);
    }
}
