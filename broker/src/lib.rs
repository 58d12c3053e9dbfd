//! The data plane: from `POST /{namespace}/{broker}` to the subscriber.
//!
//! * [`ingress`]: accepts events; 202 leaves once they are durable.
//! * [`dispatcher`]: reads each log once, matches, and settles what [`delivery`] delivers.
//! * [`delivery`]: POST, retry, reply, dead letter.
//! * [`ledger`]: dead letters and failed attempts, in SQL.
//! * [`filter`]: does a Trigger want an event, and why not.
//! * [`admin`]: where an event went, dead letters, tail, over HTTP.
//! * [`Logs`]: the Brokers' logs, opened once per process.
//!
//! Which Brokers and Triggers there are comes in as `Resources`; what is acted on goes out as `Observed`. Either role can
//! run alone; [`DataPlane`] is both in one process.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weir_api::observed::Observed;
use weir_api::resources::Resources;
use weir_channels::Registry;

pub mod admin;
mod backoff;
mod carried;
pub mod delivery;
pub mod dispatcher;
pub mod filter;
pub mod ingress;
pub mod ledger;
mod logs;
mod metrics;
mod observer;
mod server;
mod settings;
mod sink;
mod stamp;
#[cfg(test)]
mod testing;

pub use logs::Logs;
pub use metrics::Metrics;
pub use settings::{DispatcherSettings, IngressSettings, Settings};

use delivery::Deliverer;
use dispatcher::Dispatching;
use ledger::Ledger;

/// What the data plane works with.
pub struct Collaborators {
    /// Where events are posted to.
    pub listener: TcpListener,
    /// Which Brokers and Triggers there are.
    pub resources: watch::Receiver<Arc<Resources>>,
    /// What is acted on.
    pub observed: watch::Sender<Arc<Observed>>,
    /// The channel backends.
    pub channels: Arc<Registry>,
    /// Delivers.
    pub deliverer: Deliverer,
    /// Keeps dead letters; the one the deliverer puts them into.
    pub ledger: Ledger,
    /// From [`Metrics::register`].
    pub metrics: Arc<Metrics>,
}

/// Ingress and dispatcher of one process.
pub struct DataPlane {
    settings: Settings,
    listener: TcpListener,
    logs: Logs,
    dispatching: Dispatching,
    metrics: Arc<Metrics>,
}

impl DataPlane {
    /// Nothing happens until [`DataPlane::run`].
    pub fn new(settings: Settings, collaborators: Collaborators) -> Self {
        let Collaborators { listener, resources, observed, channels, deliverer, ledger, metrics } = collaborators;
        let logs = Logs::new(channels, resources, observed);
        let dispatching = Dispatching::new(&settings, logs.clone(), deliverer, ledger, Arc::clone(&metrics));
        Self { settings, listener, logs, dispatching, metrics }
    }

    /// The Brokers' logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// What is answered under [`admin::PREFIX`]; to be mounted where the API is.
    pub fn admin(&self) -> axum::Router {
        self.dispatching.admin()
    }

    /// Runs until `shutdown`, then drains: requests in progress are answered, deliveries in flight end, progress is
    /// saved, logs are closed. Dropping the future stops at once, losing nothing that was acknowledged.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { settings, listener, logs, dispatching, metrics } = self;
        tokio::join!(
            logs.run(&shutdown),
            dispatching.run(&shutdown),
            ingress::run(settings.ingress, listener, logs.clone(), metrics, shutdown.clone()),
        );
        logs.close().await;
    }
}

/// Runs ingress and dispatcher until `shutdown`; see [`DataPlane::run`].
pub async fn run(settings: Settings, collaborators: Collaborators, shutdown: CancellationToken) {
    DataPlane::new(settings, collaborators).run(shutdown).await;
}
