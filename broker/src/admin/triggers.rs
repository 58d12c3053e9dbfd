//! How far the Triggers of a Broker are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{Admin, Path, Problem};
use crate::dispatcher::TriggerView;
use crate::dispatcher::engine::LastFailure;
use crate::dispatcher::lane::Counts;

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: Arc<str>,
    /// Events not settled, whether or not they will match.
    lag: u64,
    in_flight: usize,
    waiting: usize,
    queued: usize,
    queued_bytes: usize,
    held: bool,
    behind: bool,
    /// Since this process took the Trigger on.
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<LastFailure>,
}

pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Answer>, Problem> {
    let log = admin.log(&namespace, &name)?;
    let mut bounds = Vec::new();
    for partition in 0..log.channel.partitions() {
        bounds.push(log.channel.bounds(partition).await?);
    }
    let item = |view: TriggerView| Item {
        name: Arc::clone(&view.lane.trigger.name.name),
        lag: view.lag(&bounds),
        in_flight: view.lane.in_flight,
        waiting: view.lane.waiting,
        queued: view.lane.queued,
        queued_bytes: view.lane.queued_bytes,
        held: view.lane.held,
        behind: view.lane.behind,
        counts: view.lane.counts,
        last_failure: view.last_failure,
    };
    Ok(Json(Answer { items: admin.triggers(&log)?.into_iter().map(item).collect() }))
}
