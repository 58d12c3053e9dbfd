//! Where an event went. "Filtered" and "delivered" are computed from filter and progress; only what is out of the
//! ordinary was ever written down.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_channels::Stored;

use super::{Admin, Path, Place, Problem, Query, event_json};
use crate::dispatcher::TriggerView;
use crate::filter::Clause;
use crate::ledger::{Exception, ExceptionKind, Letter, LetterQuery};

/// Events of one id that are looked at.
const MOST_EVENTS: usize = 16;
/// Attempts and the like of them.
const MOST_EXCEPTIONS: u32 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    /// `source` of the event: an id may be used by several.
    source: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    events: Vec<Found>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    position: Place,
    stored_at: Timestamp,
    event: Box<RawValue>,
    triggers: Vec<Way>,
}

/// What became of an event on its way to one Trigger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Way {
    name: Arc<str>,
    matched: bool,
    state: Fate,
    /// What decided whether it matched.
    clauses: Vec<Clause>,
    /// Attempts that failed, and a sample of those that did not.
    attempts: Vec<Attempt>,
    /// The dead letter, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// The Trigger does not want it.
    Filtered,
    /// The Trigger began after it.
    BeforeStart,
    /// Not delivered yet.
    Pending,
    /// Not delivered yet, though it was tried.
    Retrying,
    Delivered,
    DeadLettered,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    at: Timestamp,
    kind: ExceptionKind,
    attempt: u32,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    detail: String,
    duration_millis: u64,
}

impl From<&Exception> for Attempt {
    fn from(exception: &Exception) -> Self {
        Self {
            at: exception.at,
            kind: exception.kind,
            attempt: exception.attempt,
            destination: exception.destination.clone(),
            code: exception.code,
            detail: exception.detail.clone(),
            duration_millis: u64::try_from(exception.duration.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

pub(super) async fn explain(
    State(admin): State<Arc<Admin>>,
    Path((namespace, name, id)): Path<(String, String, String)>,
    Query(Which { source }): Query<Which>,
) -> Result<Json<Answer>, Problem> {
    let log = admin.log(&namespace, &name)?;
    let found = log.channel.find(&id, source.as_deref(), MOST_EVENTS).await?;
    if found.is_empty() {
        let text = format!("broker {namespace}/{name} holds no event {id}: it was not accepted here, or has expired");
        return Err(Problem::new(StatusCode::NOT_FOUND, text));
    }
    // In this order: what progress calls settled has been written down by then.
    let triggers = admin.triggers(&log)?;
    let ledger = admin.dispatcher.ledger();
    ledger.flush().await;
    let exceptions = ledger.exceptions(&id, source.as_deref(), MOST_EXCEPTIONS).await?;
    let query =
        LetterQuery { namespace, broker: name, event_id: id, redriven: true, limit: 1_000, ..LetterQuery::default() };
    let letters = ledger.letters(&query).await?;
    let tell = |stored: &Stored| Found {
        position: stored.position.into(),
        stored_at: stored.stored_at,
        event: event_json(&stored.event),
        triggers: triggers.iter().map(|trigger| way(trigger, stored, &exceptions, &letters)).collect(),
    };
    Ok(Json(Answer { events: found.iter().map(tell).collect() }))
}

/// What became of `stored` on its way to `trigger`, out of everything noted about events of its id.
fn way(trigger: &TriggerView, stored: &Stored, exceptions: &[Exception], letters: &[Letter]) -> Way {
    let lane = &trigger.lane;
    let uid = &lane.trigger.uid;
    let noted: Vec<&Exception> = exceptions
        .iter()
        .filter(|noted| noted.recipient.subscription == *uid && noted.position == stored.position)
        .collect();
    let letter = letters
        .iter()
        .find(|letter| letter.letter.recipient.subscription == *uid && letter.letter.position == stored.position);
    let reason = lane.filter.explain(&stored.event);
    Way {
        name: Arc::clone(&lane.trigger.name.name),
        matched: reason.matched,
        state: fate(trigger, stored, reason.matched, &noted, letter),
        clauses: reason.clauses,
        attempts: noted.into_iter().map(Attempt::from).collect(),
        dead_letter: letter.map(|letter| letter.id.clone()),
    }
}

fn fate(trigger: &TriggerView, stored: &Stored, matched: bool, noted: &[&Exception], letter: Option<&Letter>) -> Fate {
    let is_dead = |noted: &&Exception| {
        matches!(noted.kind, ExceptionKind::DeadLetterSink | ExceptionKind::DeadLetterStore | ExceptionKind::Expired)
    };
    let progress = &trigger.lane.progress[stored.position.partition as usize];
    // What was tried counts, whatever the filter says today.
    match letter {
        Some(letter) if letter.redriven_at.is_some() => return Fate::Delivered,
        Some(_) => return Fate::DeadLettered,
        None if noted.iter().any(is_dead) => return Fate::DeadLettered,
        None => {}
    }
    if stored.position.offset < progress.start {
        Fate::BeforeStart
    } else if !matched {
        Fate::Filtered
    } else if progress.is_settled(stored.position.offset) {
        Fate::Delivered
    } else if noted.iter().any(|noted| noted.kind == ExceptionKind::FailedAttempt) {
        Fate::Retrying
    } else {
        Fate::Pending
    }
}
