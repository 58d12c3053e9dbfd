//! A Kubernetes-style API endpoint: the same reconcilers, `kubectl` and client libraries work against it as against a
//! cluster, on the kinds Weir knows.
//!
//! One [`axum::Router`] over one store. A `kube::Client` in the same process is the same Router called directly
//! ([`Api::client`]); a listener serves everybody else. The set of kinds is closed: this is not a general API server.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::json;
use sqlx::AnyPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use self::delete::is_namespace;
use self::discovery::Discovery;
use self::failure::Failure;
use self::openapi::OpenApi;
use self::registry::Registry;
use self::request::{Params, Target, User};
use self::store::{Key, Object, ResourceId, Store};
use self::write::Writing;

pub use self::access::{Access, AccessError, Tokens};
pub use self::store::StoreError;

mod access;
mod autoscaling;
mod collect;
mod definitions;
mod delete;
mod discovery;
mod events;
mod failure;
mod fields;
mod guard;
mod list;
mod metadata;
mod openapi;
mod patch;
mod protobuf;
mod registry;
mod request;
mod reviews;
mod routes;
mod scale;
mod schema;
mod selector;
mod store;
mod table;
mod tls;
mod types;
mod view;
mod watch;
mod write;

/// What the endpoint is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of Weir's own configuration. It exists from the start and cannot be deleted, as `default`.
    pub system_namespace: String,
    /// The custom kinds that are served.
    pub definitions: Vec<CustomResourceDefinition>,
    /// Names, beside loopback ones, that requests may use as their `Host`.
    pub hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { system_namespace: "knative-eventing".to_owned(), definitions: weir_api::crd::all(), hosts: Vec::new() }
    }
}

/// The endpoint. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
    tasks: TaskTracker,
}

struct Inner {
    registry: Registry,
    store: Store,
    settings: Settings,
    discovery: Discovery,
    openapi: OpenApi,
    /// Ends watches and background work.
    shutdown: CancellationToken,
}

impl Inner {
    /// The resource of namespaces.
    fn namespaces(&self) -> ResourceId {
        // The first row of the registry.
        ResourceId::new(0)
    }

    /// A namespace, if it exists.
    fn namespace(&self, name: &str) -> Option<Arc<Object>> {
        self.store.get(self.namespaces(), &Key::new("", name))
    }

    /// Creates the namespaces that are always there.
    async fn create_namespaces(&self) -> Result<(), StoreError> {
        let Some(kind) = self.registry.kinds().iter().find(|kind| is_namespace(kind)) else { return Ok(()) };
        let missing = ["default", &self.settings.system_namespace];
        let creations = missing.into_iter().filter(|name| self.namespace(name).is_none()).map(|name| async move {
            let target = Target::stored(kind, None, None);
            let mut writing = Writing {
                inner: self,
                target,
                params: &Params::default(),
                user: &User("system:apiserver".into()),
                manager: "weir",
                api_version: "v1",
                warnings: Vec::new(),
            };
            match writing.create(json!({"metadata": {"name": name}})).await {
                // Another process on the same database was faster.
                Err(failure) if failure.reason == "AlreadyExists" => Ok(()),
                outcome => outcome.map(drop),
            }
        });
        try_join_all(creations).await.map(drop).map_err(|failure| StoreError::Unavailable(failure.message))
    }
}

impl Api {
    /// Reads the objects in `pool` (opened by `weir_migrations::open`) and starts the background work of the endpoint.
    ///
    /// A SQLite database must not be in use by another endpoint; a PostgreSQL database may be.
    pub async fn open(pool: AnyPool, settings: Settings) -> Result<Self, StoreError> {
        let registry = Registry::new(&settings.definitions);
        let (store, notable) = Store::open(pool, &registry).await?;
        let shutdown = CancellationToken::new();
        let inner = Arc::new(Inner {
            registry,
            store,
            settings,
            discovery: Discovery::default(),
            openapi: OpenApi::default(),
            shutdown,
        });
        // Together, so that they share a sync of the disk.
        tokio::try_join!(inner.create_namespaces(), definitions::synchronise(&inner))?;
        let tasks = TaskTracker::new();
        tasks.spawn(collect::run(Arc::clone(&inner), notable));
        tasks.close();
        Ok(Self { inner, tasks })
    }

    /// The endpoint's routes: `/api`, `/apis`, `/version` and what is below, without a fallback, to be merged with
    /// others. Does not check who calls: put [`Api::serve`], or nothing but the own process, in front of it.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.inner))
    }

    /// A client in this process, known as `user`, which also is its field manager where it names none.
    ///
    /// Must be called within a tokio runtime.
    pub fn client(&self, user: &str) -> kube::Client {
        let user = User(user.into());
        let service = self.router().map_request(move |mut request: http::Request<kube::client::Body>| {
            request.extensions_mut().insert(user.clone());
            request
        });
        kube::Client::new(service, "default")
    }

    /// Serves the endpoint, and `others` (metrics, health, console) beside it, until `shutdown`.
    ///
    /// Without `access`, for loopback only: nobody is asked who they are, so requests that a web page may have caused (a
    /// foreign `Origin` or `Host`) are refused, on all routes. With it, over TLS, to whoever has a token. Paths nobody
    /// serves get a Kubernetes `Status`. Connections are served to their end after `shutdown`; watches end at once.
    pub async fn serve(
        &self,
        listener: TcpListener,
        access: Option<Access>,
        others: Router,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        use axum::middleware::from_fn_with_state;
        use axum::serve::ListenerExt as _;
        let app = self.router().merge(others).fallback(|| async { Failure::no_such_path() });
        let watches = self.inner.shutdown.clone();
        let ended = async move {
            shutdown.cancelled().await;
            // Or the connections that carry them would never be done.
            watches.cancel();
        };
        if let Some(access) = access {
            let listener = tls::TlsListener::new(listener, Arc::clone(&access.tls))?;
            let app = app.layer(from_fn_with_state(access, access::authenticate));
            return axum::serve(listener, app).with_graceful_shutdown(ended).await;
        }
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "A connection keeps Nagle's algorithm");
            }
        });
        let app = app.layer(from_fn_with_state(Arc::clone(&self.inner), guard::check));
        axum::serve(listener, app).with_graceful_shutdown(ended).await
    }

    /// Ends watches and background work, and waits for the latter. Requests after this are still answered.
    pub async fn shutdown(&self) {
        self.inner.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// How a client gets in where it has to say who it is.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Certificate of the authority to trust, in PEM; `None` trusts those of the client's system.
    pub authority: Option<String>,
    /// The user's token.
    pub token: String,
}

/// A kubeconfig for the endpoint at `url`, for `kubectl` and other clients. Cluster, user and context are called `name`.
pub fn kubeconfig(name: &str, url: &str, credentials: Option<&Credentials>) -> String {
    let mut cluster = json!({"server": url});
    if let Some(authority) = credentials.and_then(|credentials| credentials.authority.as_ref()) {
        cluster["certificate-authority-data"] = json!(BASE64_STANDARD.encode(authority));
    }
    let user = credentials.map_or_else(|| json!({}), |credentials| json!({"token": credentials.token}));
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    });
    // JSON is YAML, should the conversion ever fail.
    serde_yaml_ng::to_string(&config).unwrap_or_else(|_| config.to_string())
}

/// Whether `host` (without port) is a loopback name or address.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
