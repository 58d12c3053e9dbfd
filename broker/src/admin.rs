//! What operators ask the data plane, as JSON over HTTP: dead letters, where an event went, a tail of what is stored, the
//! state of Triggers. Mounted by the root package; who may ask is decided there.
//!
//! | | |
//! | --- | --- |
//! | `GET /deadletters` | Dead letters, oldest first; see [`letters`] for the query |
//! | `GET`, `DELETE /deadletters/{id}` | One, with its event; discard it |
//! | `POST /deadletters/{id}/redrive` | One attempt at the Trigger that failed |
//! | `GET /brokers/{namespace}/{name}/events/{id}` | Where the event went: every Trigger, and why |
//! | `GET /brokers/{namespace}/{name}/tail` | Stored events, one JSON per line |
//! | `GET /brokers/{namespace}/{name}/triggers` | How far each Trigger is |
//!
//! All below [`PREFIX`]. An answer that refuses is `{"error": "why"}`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::request::Parts;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use weir_api::Event;
use weir_channels::{Position, ReadError};

use crate::carried;
use crate::delivery::chain;
use crate::dispatcher::engine::Engine;
use crate::dispatcher::{Dispatcher, Refusal, TriggerView};
use crate::ledger::LedgerError;
use crate::logs::{Found, Log};

mod events;
mod letters;
mod tail;

mod triggers;

/// Every path begins with this.
pub const PREFIX: &str = "/weir/v1";

/// What every answer is made from.
struct Admin {
    dispatcher: Arc<Dispatcher<Engine>>,
    /// Dead letters that are being redriven: one at a time each.
    redriving: Mutex<HashSet<String>>,
}

/// The routes, with [`PREFIX`].
pub(crate) fn router(dispatcher: Arc<Dispatcher<Engine>>) -> Router {
    let routes = Router::new()
        .route("/deadletters", get(letters::list))
        .route("/deadletters/{id}", get(letters::show).delete(letters::discard))
        .route("/deadletters/{id}/redrive", post(letters::redrive))
        .route("/brokers/{namespace}/{name}/events/{id}", get(events::explain))
        .route("/brokers/{namespace}/{name}/tail", get(tail::tail))
        .route("/brokers/{namespace}/{name}/triggers", get(triggers::list))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "nothing is answered here"))
        .with_state(Arc::new(Admin { dispatcher, redriving: Mutex::default() }));
    Router::new().nest(PREFIX, routes)
}

impl Admin {
    fn triggers(&self, log: &Log) -> Result<Vec<TriggerView>, Problem> {
        let starting = || {
            let text = format!("the triggers of broker {} are not served yet", log.broker);
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text)
        };
        self.dispatcher.triggers(log).ok_or_else(starting)
    }

    fn log(&self, namespace: &str, name: &str) -> Result<Arc<Log>, Problem> {
        match self.dispatcher.find_log(namespace, name) {
            Found::Open(log) => Ok(log),
            Found::NotOpen => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("broker {namespace}/{name} is not open yet; its condition Ready says why"),
            )),
            Found::Unknown => {
                Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no broker {namespace}/{name}")))
            }
        }
    }
}

/// An answer that refuses.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let status = match error {
            LedgerError::Unavailable(_) | LedgerError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            LedgerError::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, chain(&error))
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, chain(&error))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NoLetter(_) => StatusCode::NOT_FOUND,
            Refusal::NotOpen(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Ledger(error) => return error.into(),
            Refusal::Redriven(_)
            | Refusal::InProgress
            | Refusal::NoEvent
            | Refusal::TriggerGone(_)
            | Refusal::Paused(_)
            | Refusal::NoRoute { .. } => StatusCode::CONFLICT,
        };
        Self::new(status, refusal.to_string())
    }
}

/// Query parameters; what is wrong with them is said like everything else.
struct Query<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// Path parameters, likewise.
struct Path<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// A place on a log.
#[derive(Clone, Copy, Debug, Serialize)]
struct Place {
    partition: u32,
    offset: u64,
}

impl From<Position> for Place {
    fn from(Position { partition, offset }: Position) -> Self {
        Self { partition, offset }
    }
}

/// The event in JSON event format, without what only we need.
fn event_json(event: &Event) -> Box<RawValue> {
    let mut event = event.clone();
    event.remove_extension(carried::CARRIED);
    let text = String::from_utf8_lossy(&weir_api::event::json::encode(&event)).into_owned();
    // The codec writes JSON and nothing else.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
