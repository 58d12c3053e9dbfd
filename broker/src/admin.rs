//! What operators ask the data plane, as JSON over HTTP: where an event went, dead letters, the state of Triggers, and a
//! tail of what is stored. Mounted by the root package; who may ask is decided there.

use std::sync::Arc;

use axum::Router;

use crate::dispatcher::Dispatcher;
use crate::dispatcher::engine::Engine;

/// Every path begins with this.
pub const PREFIX: &str = "/weir/v1";

/// The routes, with [`PREFIX`].
pub(crate) fn router(dispatcher: Arc<Dispatcher<Engine>>) -> Router {
    Router::new().with_state(dispatcher)
}
