//! From raw to ready, once: defaults, file, environment and flags become [`Settings`]; later wins.
//!
//! [`Config`] mirrors the file, key by key; a misspelt key is an error. [`Layers`] merges the sources and remembers
//! where each value came from, for `weir config` and for error messages. Code receives [`Settings`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::failure::{Exit, Failure, OrFail, Outcome};

mod keys;

use keys::TRACES_ENDPOINT;
pub(crate) use keys::{KEYS, Key};

/// The environment as it was when the process started: nothing reads it later.
pub(crate) type Environment = BTreeMap<String, String>;

/// The configuration file, before it is understood.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    api_listen: Option<String>,
    api_hosts: Option<String>,
    tls_cert_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
    tls_ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    store: Option<Secret>,
    worker_threads: Option<usize>,
    ingress: IngressConfig,
    dispatcher: DispatcherConfig,
    log: LogConfig,
    tracing: TracingConfig,
    shutdown: ShutdownConfig,
}

/// `ingress:` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct IngressConfig {
    max_event_bytes: Option<usize>,
    max_pending_bytes: Option<usize>,
    max_connections: Option<usize>,
}

/// `dispatcher:` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DispatcherConfig {
    max_in_flight: Option<usize>,
    total_bytes: Option<usize>,
}

/// `log:` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LogConfig {
    filter: Option<String>,
    format: Option<LogFormat>,
}

/// `tracing:` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct TracingConfig {
    endpoint: Option<String>,
    sample_ratio: Option<f64>,
    service_name: Option<String>,
}

/// `shutdown:` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ShutdownConfig {
    delay: Option<String>,
    grace: Option<String>,
}

/// What code receives: parsed, checked against each other, complete.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where standalone Weir keeps everything.
    pub(crate) data_dir: PathBuf,
    /// Address of the data plane.
    pub(crate) listen: SocketAddr,
    /// Address of API, metrics, health and administration.
    pub(crate) api_listen: SocketAddr,
    /// Who may use the API, and how they know it.
    pub(crate) api_access: ApiAccess,
    /// Database of the control plane; `None` is SQLite in the data directory.
    pub(crate) store: Option<Secret>,
    /// Threads that run tasks; `None` is one per core.
    pub(crate) worker_threads: Option<NonZeroUsize>,
    /// Limits of ingress and dispatcher, and how long each may take to stop.
    pub(crate) data_plane: weir_broker::Settings,
    /// What is logged, and how.
    pub(crate) log: LogSettings,
    /// Where spans go.
    pub(crate) tracing: TracingSettings,
}

/// Who may use the API, and how they know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiAccess {
    /// What others call it by, beside its address.
    pub(crate) hosts: Vec<String>,
    /// Files of certificate chain and private key; `None` makes them.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// File of the authority's certificate; `None` leaves the certificate to the client's system.
    pub(crate) authority: Option<PathBuf>,
    /// File of tokens; `None` makes one.
    pub(crate) tokens: Option<PathBuf>,
}

impl ApiAccess {
    /// Whether a loopback address is to be guarded like any other.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.certificate.is_some() || self.tokens.is_some()
    }
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    /// `tracing_subscriber`'s filter syntax.
    pub(crate) filter: String,
    /// For people or for machines.
    pub(crate) format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One readable line.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct TracingSettings {
    /// Where spans are posted, OTLP over HTTP; `None` exports nothing.
    pub(crate) endpoint: Option<Url>,
    /// Share of traces that are recorded, 0 to 1; a caller's decision wins.
    pub(crate) sample_ratio: f64,
    /// `service.name` of the resource.
    pub(crate) service_name: String,
}

/// How the process stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShutdownSettings {
    /// Between "not ready" and refusing requests, for load balancers to notice.
    pub(crate) delay: Duration,
    /// Most time for what is in flight.
    pub(crate) grace: Duration,
}

/// A value that is never shown: prints as `***` and does not serialise.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// The merged sources: a value and its origin for every key.
#[derive(Debug)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

/// What the command line says: key, flag, value.
pub(crate) type Flags = Vec<(&'static str, &'static str, Value)>;

impl Layers {
    /// Merges defaults, the file at `path` (or `$WEIR_CONFIG`), `environment` and `flags`.
    pub(crate) fn merge(path: Option<&Path>, environment: &Environment, flags: Flags) -> Outcome<Self> {
        let mut layers = Self { values: BTreeMap::new() };
        for key in KEYS {
            layers.set(key, key.default_value(environment), Origin::Default);
        }
        if let Some(path) = path.or_else(|| environment.get("WEIR_CONFIG").map(Path::new)) {
            let text = std::fs::read_to_string(path)
                .or_fail(Exit::Usage, || format!("cannot read configuration {}", path.display()))?;
            layers.add_file(path, &text)?;
        }
        for key in KEYS {
            let named = key.environment_names().into_iter().find_map(|name| Some((environment.get(&name)?, name)));
            if let Some((text, name)) = named.filter(|(text, _)| !text.is_empty()) {
                layers.set(key, key.read(text), Origin::Environment(name));
            }
        }
        for (path, flag, value) in flags {
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                layers.set(key, value, Origin::Flag(flag));
            }
        }
        Ok(layers)
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Outcome {
        let named = || format!("configuration {}", path.display());
        // Twice on purpose: the typed reading finds misspelt keys and wrong types with their line.
        serde_yaml_ng::from_str::<Option<Config>>(text).or_fail(Exit::Usage, named)?;
        let whole: Value = serde_yaml_ng::from_str(text).or_fail(Exit::Usage, named)?;
        for key in KEYS {
            let found = key.path.split('.').try_fold(&whole, |value, name| value.get(name));
            if let Some(value) = found.filter(|value| !value.is_null()) {
                self.set(key, value.clone(), Origin::File(path.to_owned()));
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &Key, value: Value, origin: Origin) {
        self.values.insert(key.path, (value, origin));
    }

    /// The value in force for a key of [`KEYS`], and where it came from.
    pub(crate) fn get(&self, key: &Key) -> Option<&(Value, Origin)> {
        self.values.get(key.path)
    }

    /// Parses and checks everything.
    pub(crate) fn settings(&self) -> Outcome<Settings> {
        let mut whole = Map::new();
        for (path, (value, _)) in &self.values {
            match path.split_once('.') {
                None => whole.insert((*path).to_owned(), value.clone()),
                Some((section, name)) => whole
                    .entry(section)
                    .or_insert_with(|| json!({}))
                    .as_object_mut()
                    .and_then(|section| section.insert(name.to_owned(), value.clone())),
            };
        }
        self.check_types()?;
        let config: Config = serde_json::from_value(Value::Object(whole))
            .or_fail(Exit::Usage, || "cannot understand the configuration".to_owned())?;
        self.ready(config)
    }

    /// Finds the key whose value has the wrong type, so that the message can name it and its origin.
    fn check_types(&self) -> Outcome {
        for (path, (value, _)) in &self.values {
            let alone = path.rsplit('.').fold(value.clone(), |value, name| json!({ name: value }));
            if let Err(error) = serde_json::from_value::<Config>(alone) {
                return Err(self.invalid(path, error.to_string()));
            }
        }
        Ok(())
    }

    fn ready(&self, config: Config) -> Outcome<Settings> {
        let api_access = self.api_access(&config)?;
        let no_home = || self.invalid("dataDir", "no home directory to put it under").next("set --data-dir");
        let shutdown = ShutdownSettings {
            delay: self.duration("shutdown.delay", config.shutdown.delay)?,
            grace: self.duration("shutdown.grace", config.shutdown.grace)?,
        };
        Ok(Settings {
            data_dir: config.data_dir.ok_or_else(no_home)?,
            listen: self.address("listen", config.listen)?,
            api_listen: self.address("apiListen", config.api_listen)?,
            api_access,
            store: config.store,
            worker_threads: config
                .worker_threads
                .map(|count| self.at_least_one("workerThreads", Some(count)))
                .transpose()?,
            data_plane: self.data_plane(&config.ingress, &config.dispatcher, shutdown)?,
            log: LogSettings {
                filter: self.log_filter(config.log.filter)?,
                format: config.log.format.unwrap_or_default(),
            },
            tracing: self.tracing(config.tracing)?,
        })
    }

    fn api_access(&self, config: &Config) -> Outcome<ApiAccess> {
        let certificate = match (&config.tls_cert_file, &config.tls_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (Some(_), None) => return Err(self.invalid("tlsCertFile", "needs tlsKeyFile beside it")),
            (None, Some(_)) => return Err(self.invalid("tlsKeyFile", "needs tlsCertFile beside it")),
            (None, None) if config.tls_ca_file.is_some() => {
                return Err(self.invalid("tlsCaFile", "needs tlsCertFile and tlsKeyFile beside it"));
            }
            (None, None) => None,
        };
        Ok(ApiAccess {
            hosts: list(config.api_hosts.as_deref()),
            certificate,
            authority: config.tls_ca_file.clone(),
            tokens: config.token_file.clone(),
        })
    }

    fn data_plane(
        &self,
        ingress: &IngressConfig,
        dispatcher: &DispatcherConfig,
        shutdown: ShutdownSettings,
    ) -> Outcome<weir_broker::Settings> {
        let mut settings = weir_broker::Settings::default();
        settings.ingress.max_event_bytes = self.at_least_one("ingress.maxEventBytes", ingress.max_event_bytes)?.get();
        settings.ingress.max_pending_bytes =
            self.at_least_one("ingress.maxPendingBytes", ingress.max_pending_bytes)?.get();
        settings.ingress.max_connections = self.at_least_one("ingress.maxConnections", ingress.max_connections)?.get();
        if settings.ingress.max_pending_bytes < settings.ingress.max_event_bytes {
            let reason = "is less than ingress.maxEventBytes: the largest event could never be accepted";
            return Err(self.invalid("ingress.maxPendingBytes", reason));
        }
        settings.dispatcher.max_in_flight = self.at_least_one("dispatcher.maxInFlight", dispatcher.max_in_flight)?;
        settings.dispatcher.total_bytes = self.at_least_one("dispatcher.totalBytes", dispatcher.total_bytes)?.get();
        settings.ingress.quiet_period = shutdown.delay;
        settings.ingress.grace_period = shutdown.grace;
        settings.dispatcher.grace_period = shutdown.grace;
        Ok(settings)
    }

    fn tracing(&self, config: TracingConfig) -> Outcome<TracingSettings> {
        let endpoint = config.endpoint.filter(|endpoint| !endpoint.is_empty());
        let exact = self.origin("tracing.endpoint") == &Origin::Environment(TRACES_ENDPOINT.to_owned());
        let parse = |text: String| {
            let url = if exact { text } else { traces_url(&text) };
            url.parse::<Url>().map_err(|error| self.invalid("tracing.endpoint", error))
        };
        let sample_ratio = config.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample_ratio) {
            return Err(self.invalid("tracing.sampleRatio", format!("{sample_ratio} is not between 0 and 1")));
        }
        let service_name = self.text("tracing.serviceName", config.service_name)?;
        Ok(TracingSettings { endpoint: endpoint.map(parse).transpose()?, sample_ratio, service_name })
    }

    fn log_filter(&self, value: Option<String>) -> Outcome<String> {
        let filter = self.text("log.filter", value)?;
        match tracing_subscriber::EnvFilter::try_new(&filter) {
            Ok(_) => Ok(filter),
            Err(error) => Err(self.invalid("log.filter", format!("{filter:?}: {error}"))),
        }
    }

    fn text(&self, path: &str, value: Option<String>) -> Outcome<String> {
        value.ok_or_else(|| self.invalid(path, "is not set"))
    }

    fn at_least_one(&self, path: &str, value: Option<usize>) -> Outcome<NonZeroUsize> {
        value.and_then(NonZeroUsize::new).ok_or_else(|| self.invalid(path, "must be at least 1"))
    }

    fn address(&self, path: &str, value: Option<String>) -> Outcome<SocketAddr> {
        let value = self.text(path, value)?;
        let wrong = || format!("{value:?} is not an address such as 127.0.0.1:8080 or [::1]:8080");
        value.parse().map_err(|_| self.invalid(path, wrong()))
    }

    fn duration(&self, path: &str, value: Option<String>) -> Outcome<Duration> {
        let value = self.text(path, value)?;
        let wrong = || self.invalid(path, format!("{value:?} is not a duration such as 30s or 1m 30s"));
        parse_duration(&value).ok_or_else(wrong)
    }

    fn invalid(&self, path: &str, reason: impl fmt::Display) -> Failure {
        let origin = self.origin(path);
        Failure::text(Exit::Usage, format!("invalid configuration: {path}: {reason} ({origin})"))
    }

    fn origin(&self, path: &str) -> &Origin {
        self.values.get(path).map_or(&Origin::Default, |(_, origin)| origin)
    }
}

/// The signal's URL below the collector's base URL, as the OTLP exporter specification has it.
fn traces_url(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

/// The parts of a list separated by commas.
fn list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads a duration as people write it (`30s`, `1m 30s`, `250ms`) or as ISO 8601 (`PT30S`).
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
