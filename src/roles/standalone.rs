//! Every role in one process: embedded logs, embedded API.
//!
//! The reconcilers get a client whose server is the API in this process; nothing else tells them from a cluster's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry as Metrics;
use sqlx::AnyPool;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use weir_api::observed::Observed;
use weir_api::resources::Resources;
use weir_broker::delivery::{Deliverer, DeliverySettings, HostMap};
use weir_broker::ledger::{Ledger, LedgerSettings};
use weir_broker::{DataPlane, Logs};
use weir_channels::Registry as Channels;
use weir_channels::embedded;
use weir_controller::Election;
use weir_standalone::api::{self, Api};

use super::guard::Guard;
use crate::client::Client;
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure, OrFail, Outcome};
use crate::telemetry::{self, Health, Readiness};

/// Who this process is to its own API.
const CONTROLLER: &str = "weir-controller";
const OPERATOR: &str = "weir";

/// How long the start waits for logs to open.
const OPENING: Duration = Duration::from_secs(10);

/// Where the process listens.
pub(crate) struct Listeners {
    /// For events.
    pub(crate) data_plane: TcpListener,
    /// For the API, metrics, health and administration.
    pub(crate) api: TcpListener,
}

/// A running standalone Weir, as those see it who work with it.
pub(crate) struct Standalone {
    api: Api,
    /// Base URL of the API.
    pub(crate) api_url: Url,
    /// Base URL of the data plane.
    pub(crate) data_plane_url: Url,
    kubeconfig: String,
    logs: Logs,
    health: Health,
}

/// Its tasks, for the one who stops them.
pub(crate) struct Running {
    data_plane: JoinSet<Outcome>,
    stop_data_plane: CancellationToken,
    control: JoinSet<Outcome>,
    stop_control: CancellationToken,
    api: Api,
    database: AnyPool,
    health: Health,
}

/// Opens the stores and starts every role. The process is not ready before [`Standalone::set_ready`].
pub(crate) async fn start(
    settings: &Settings,
    data_dir: &DataDir,
    listeners: Listeners,
) -> Outcome<(Standalone, Running)> {
    let health = Health::default();
    health.set("start", Readiness::NotReady("starting".to_owned()));
    let api_settings = api::Settings { hosts: settings.api_access.hosts.clone(), ..api::Settings::default() };
    // A database that others can reach may have other processes on it.
    let shared = settings.store.as_ref().is_some_and(|url| weir_migrations::is_shared(url.reveal()));
    let election = shared.then(|| Election {
        namespace: api_settings.system_namespace.clone(),
        name: "weir-controller".to_owned(),
        identity: uuid::Uuid::now_v7().to_string(),
    });
    let guard = Guard::prepare(settings, data_dir, &listeners.api)?;
    let (api_url, data_plane_url) = (guard.url(&listeners.api)?, url_of(&listeners.data_plane)?);
    let mut metrics = Metrics::default();
    let database = open_database(settings, data_dir).await?;
    let api = Api::open(database.clone(), api_settings)
        .await
        .or_fail(Exit::Failure, || "cannot read the stored objects".to_owned())?;
    let (open, remove) =
        embedded::backend(data_dir.join("logs"), weir_channels::metrics::Metrics::register(&mut metrics));
    let channels = Arc::new(Channels::default().with("embedded", open, remove));
    let (resources, wanted) = watch::channel(Arc::new(Resources::default()));
    let (observed, acted_on) = watch::channel(Arc::new(Observed::default()));
    let mut running = Running {
        data_plane: JoinSet::new(),
        stop_data_plane: CancellationToken::new(),
        control: JoinSet::new(),
        stop_control: CancellationToken::new(),
        api: api.clone(),
        database,
        health: health.clone(),
    };

    let (admin, logs) = running.start_data_plane(
        &settings.data_plane,
        listeners.data_plane,
        Arc::clone(&channels),
        (wanted, observed),
        &mut metrics,
    )?;
    let controller = weir_controller::Collaborators {
        client: api.client(CONTROLLER),
        resources,
        observed: acted_on,
        channels,
        metrics: weir_controller::Metrics::register(&mut metrics),
    };
    running.start_control(
        (data_plane_url.clone(), election),
        controller,
        (listeners.api, guard.access.clone()),
        telemetry::router(metrics, health.clone()).merge(admin),
    );
    let kubeconfig = api::kubeconfig("weir", api_url.as_str().trim_end_matches('/'), guard.credentials.as_ref());
    Ok((Standalone { api, api_url, data_plane_url, kubeconfig, logs, health }, running))
}

async fn open_database(settings: &Settings, data_dir: &DataDir) -> Outcome<AnyPool> {
    let url = match &settings.store {
        Some(url) => url.reveal().to_owned(),
        None => weir_migrations::sqlite_url(&data_dir.join("control.db")),
    };
    weir_migrations::open(&url).await.or_fail(Exit::Failure, || "cannot open the control plane's database".to_owned())
}

impl Running {
    /// Returns what the data plane answers beside the API.
    fn start_data_plane(
        &mut self,
        settings: &weir_broker::Settings,
        listener: TcpListener,
        channels: Arc<Channels>,
        (resources, observed): (watch::Receiver<Arc<Resources>>, watch::Sender<Arc<Observed>>),
        metrics: &mut Metrics,
    ) -> Outcome<(axum::Router, Logs)> {
        let address = address_of(&listener)?;
        let hosts = HostMap::new(move |host| is_ingress(host).then_some(address));
        let ledger = Ledger::start(self.database.clone(), &LedgerSettings::default());
        let delivery =
            DeliverySettings { max_reply_bytes: settings.ingress.max_event_bytes, hosts, ingress: Some(address) };
        let deliverer = Deliverer::new(delivery, Arc::new(ledger.clone()))
            .or_fail(Exit::Failure, || "cannot set up deliveries".to_owned())?;
        let data_plane = DataPlane::new(
            settings.clone(),
            weir_broker::Collaborators {
                listener,
                resources,
                observed,
                channels,
                deliverer,
                ledger: ledger.clone(),
                metrics: weir_broker::Metrics::register(metrics),
            },
        );
        let logs = data_plane.logs().clone();
        self.health.check("logs", {
            let logs = logs.clone();
            move || logs.health()
        });
        let (admin, stop) = (data_plane.admin(), self.stop_data_plane.clone());
        self.data_plane.spawn(async move {
            data_plane.run(stop).await;
            ledger.close().await;
            Ok(())
        });
        Ok((admin, logs))
    }

    fn start_control(
        &mut self,
        (data_plane_url, election): (Url, Option<Election>),
        controller: weir_controller::Collaborators,
        (listener, access): (TcpListener, Option<api::Access>),
        others: axum::Router,
    ) {
        let stop = self.stop_control.clone();
        let settings = weir_controller::Settings { election, ..weir_controller::Settings::new(data_plane_url) };
        self.control.spawn(async move {
            weir_controller::run(settings, controller, stop).await;
            Ok(())
        });
        let (api, stop) = (self.api.clone(), self.stop_control.clone());
        self.control.spawn(async move {
            api.serve(listener, access, others, stop)
                .await
                .or_fail(Exit::Failure, || "the API cannot be served".to_owned())
        });
    }

    /// Returns when a part that should run for ever has ended: always an error.
    pub(crate) async fn failed(&mut self) -> Failure {
        let ended = tokio::select! {
            Some(ended) = self.data_plane.join_next() => ended,
            Some(ended) = self.control.join_next() => ended,
        };
        match ended {
            Ok(Err(failure)) => failure,
            Ok(Ok(())) => Failure::text(Exit::Failure, "a part of weir ended by itself"),
            Err(panic) => Failure::new(Exit::Failure, panic).context("a part of weir hit a bug"),
        }
    }

    /// Stops in order: readiness, then the data plane with what is in flight, then what it relied on.
    pub(crate) async fn stop(mut self) {
        self.health.set("stop", Readiness::NotReady("draining".to_owned()));
        self.stop_data_plane.cancel();
        while self.data_plane.join_next().await.is_some() {}
        self.stop_control.cancel();
        while self.control.join_next().await.is_some() {}
        self.api.shutdown().await;
        self.database.close().await;
    }
}

impl Standalone {
    /// A client of the API in this process.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.api.client(OPERATOR), "the API of this process".to_owned())
    }

    /// The way in for `kubectl` and other clients, as a file of theirs.
    pub(crate) fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// `object`, asked for at the start, is not ready for this `reason`.
    pub(crate) fn wait_for(&self, object: &str, reason: &str) {
        self.health.set("start", Readiness::NotReady(format!("waiting for {object}: {reason}")));
    }

    /// Until events can be posted to every Broker of an earlier run. One whose log does not open holds up the start for
    /// a while only: its condition says why.
    pub(crate) async fn opened(&self) {
        if tokio::time::timeout(OPENING, self.logs.opened()).await.is_err() {
            tracing::warn!("Not every Broker is open; `weir get broker` tells which, and why.");
        }
    }

    /// Everything asked for at the start is there.
    pub(crate) fn set_ready(&self) {
        self.health.set("start", Readiness::Ready);
    }
}

/// The name that Knative's own manifests and status give the ingress; in this process it is our listener.
fn is_ingress(host: &str) -> bool {
    host.strip_prefix("broker-ingress.knative-eventing.svc").is_some_and(|rest| matches!(rest, "" | ".cluster.local"))
}

/// The URL at which this machine reaches a listener.
fn url_of(listener: &TcpListener) -> Outcome<Url> {
    Ok(format!("http://{}", address_of(listener)?).parse()?)
}

/// The address at which this machine reaches a listener.
pub(super) fn address_of(listener: &TcpListener) -> Outcome<SocketAddr> {
    let address = listener.local_addr()?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, address.port()))
}
