//! Reconcilers: watch what people wrote, make the data plane match, report status.
//!
//! * `watch`, `drive`: one watch per kind and process; what changed goes to the feed and to that kind's reconciler.
//! * `broker`, `trigger`: one file per kind, in the order observe, plan (pure), apply, reconcile.
//! * `lease`: of several processes one reconciles.
//! * `tracker`, `resolve`: the objects that references name, and the addresses they resolve to.
//! * `waiting`: says of objects of all other kinds that they wait for a later version.
//! * [`feed`]: what the data plane runs, from spec and resolved status. It needs no reconciler beside it: a dispatcher
//!   in a cluster runs the feed alone.
//!
//! Everything is level-triggered: a key says that something about an object changed, the rest is read from the caches.
//! At rest nothing is requested but the watches.

use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use weir_api::eventing::{Broker, Trigger};
use weir_api::kinds::{self, Kind};
use weir_api::observed::Observed;
use weir_api::resources::Resources;
use weir_channels::Registry;

mod broker;
mod context;
mod drive;
pub mod feed;
mod lease;
mod metrics;
mod resolve;
mod status;
mod tracker;
mod trigger;
mod waiting;
mod watch;

pub use lease::Election;
pub use metrics::Metrics;

use context::{Context, Queues};

/// What the controller has to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of the addresses in `status.address.url`: a Broker's is `<ingress_url>/<namespace>/<name>`.
    pub ingress_url: Url,
    /// Ends the host name of a core Service: `<name>.<namespace>.svc.<cluster_domain>`.
    pub cluster_domain: String,
    /// How long after the start an object that was Ready stays so without a word from the data plane, which starts at
    /// the same time. Keeps a restart from writing every status twice.
    pub start_grace: Duration,
    /// Whether objects of kinds that no reconciler acts on are told so in their status.
    pub report_waiting: bool,
    /// Set where other processes reconcile the same objects: then only the one that leads writes.
    pub election: Option<Election>,
}

impl Settings {
    /// The settings of a controller whose ingress is at `ingress_url`.
    pub fn new(ingress_url: Url) -> Self {
        Self {
            ingress_url,
            cluster_domain: "cluster.local".to_owned(),
            start_grace: Duration::from_secs(10),
            report_waiting: true,
            election: None,
        }
    }
}

/// What the controller works with.
pub struct Collaborators {
    /// The API, in a cluster or in process.
    pub client: Client,
    /// Where the feed puts what the data plane runs.
    pub resources: channel::Sender<Arc<Resources>>,
    /// What the data plane answers.
    pub observed: channel::Receiver<Arc<Observed>>,
    /// The channel backends, to remove the logs of deleted Brokers.
    pub channels: Arc<Registry>,
    /// From [`Metrics::register`].
    pub metrics: Metrics,
}

/// Reconciles until `shutdown`. Errors of the API are retried and logged, never returned.
///
/// A stop in the middle of a reconcile is safe: the next start finishes it.
pub async fn run(settings: Settings, collaborators: Collaborators, shutdown: CancellationToken) {
    let Collaborators { client, resources, observed, channels, metrics } = collaborators;
    let (brokers, fill_brokers) = watch::cache::<Broker>();
    let (triggers, fill_triggers) = watch::cache::<Trigger>();
    let (queues, requests) = Queues::new();
    let election = settings.election.clone();
    let waiting: Vec<&Kind> = kinds::all().iter().filter(|kind| settings.report_waiting && !kind.reconciled).collect();
    let (leads, leading) = channel::channel(election.is_none());
    let (feed_keys, feed_requests) = feed::keys();
    let context = Arc::new(Context::new(
        settings,
        client.clone(),
        (brokers.clone(), triggers.clone()),
        (observed, leading),
        channels,
        metrics,
        queues,
    ));

    let mut tasks = JoinSet::new();
    for kind in waiting {
        tasks.spawn(waiting::run(client.clone(), kind, leads.subscribe()));
    }
    let (on_broker, keys) = (Arc::clone(&context), feed_keys.clone());
    tasks.spawn(watch::run(Api::all(client.clone()), fill_brokers, move |broker, change| {
        keys.broker(broker);
        on_broker.broker_changed(broker, change);
    }));
    let on_trigger = Arc::clone(&context);
    tasks.spawn(watch::run(Api::all(client.clone()), fill_triggers, move |trigger, change| {
        feed_keys.trigger(trigger);
        on_trigger.trigger_changed(trigger, change);
    }));
    tasks.spawn(feed::publish(brokers.clone(), triggers.clone(), feed_requests, resources));
    tasks.spawn(context::follow_data_plane(Arc::clone(&context)));
    tasks.spawn(context::follow_leadership(Arc::clone(&context)));
    // Kept to the end: without it the others would take leadership for lost.
    let standing = election.map(|election| lease::stand(client, election, leads.clone(), shutdown.clone()));
    tasks.spawn(drive::drive("Broker", brokers, requests.brokers, Arc::clone(&context), broker::reconcile));
    tasks.spawn(drive::drive("Trigger", triggers, requests.triggers, context, trigger::reconcile));

    let ended = async {
        match standing {
            Some(standing) => standing.await,
            None => shutdown.cancelled().await,
        }
    };
    tokio::select! {
        () = ended => {}
        // None of them ends by itself: a panic is the only way here, and it is the caller's to see.
        Some(Err(error)) = tasks.join_next() => {
            if let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[cfg(test)]
mod tests;
