//! Every configuration key: its path in the file, its default and what it is for.

use std::path::Path;

use serde_json::{Value, json};

use super::Environment;

/// One leaf of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Place in the file: `log.format`.
    pub(crate) path: &'static str,
    /// What it is for, in one line.
    pub(crate) help: &'static str,
    /// Whether `weir config` hides the value.
    pub(crate) secret: bool,
    default: Default,
    /// Environment variables that others know it by, strongest first, all weaker than ours.
    well_known: &'static [&'static str],
    kind: Kind,
}

#[derive(Debug)]
enum Default {
    Text(&'static str),
    Number(u32),
    Nothing,
    DataDir,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Text,
    Number,
}

/// The one variable whose URL takes spans as it is; all others name the collector's base.
pub(super) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Every key there is, in the order `weir config` prints them.
pub(crate) const KEYS: &[Key] = &[
    Key { default: Default::DataDir, ..text("dataDir", "Where standalone Weir keeps everything") },
    Key {
        default: Default::Text("127.0.0.1:8080"),
        ..text("listen", "Address of the data plane; port 0 picks a free one")
    },
    Key {
        default: Default::Text("127.0.0.1:7080"),
        ..text("apiListen", "Address of API, metrics, health and administration")
    },
    text("apiHosts", "Names and addresses, separated by commas, that others call the API by"),
    text("tlsCertFile", "Certificate chain of the API in PEM; off loopback one is made if not set"),
    text("tlsKeyFile", "Private key of the certificate in PEM"),
    text("tlsCaFile", "Certificate of the authority that signed it, for kubeconfigs; the client system's if not set"),
    text("tokenFile", "Users of the API: lines of token,user,uid; off loopback one token is made if not set"),
    Key { secret: true, ..text("store", "URL of the control plane's database; SQLite in dataDir if not set") },
    Key { kind: Kind::Number, ..text("workerThreads", "Threads that run tasks; one per core if not set") },
    number("ingress.maxEventBytes", 1 << 20, "Largest event accepted"),
    number("ingress.maxPendingBytes", 64 << 20, "Bytes of requests being answered at once; more is refused with 429"),
    number("ingress.maxConnections", 10_000, "Connections open at once; further ones wait"),
    number("dispatcher.maxInFlight", 64, "Deliveries at once to one subscriber, where its Trigger does not say"),
    number("dispatcher.totalBytes", 32 << 20, "Bytes of events all Triggers together hold in memory"),
    Key {
        default: Default::Text("info"),
        well_known: &["RUST_LOG"],
        ..text("log.filter", "What is logged: a level, or target=level,…")
    },
    Key { default: Default::Text("human"), ..text("log.format", "human or json") },
    Key {
        well_known: &[TRACES_ENDPOINT, "OTEL_EXPORTER_OTLP_ENDPOINT"],
        ..text("tracing.endpoint", "Base URL of an OTLP/HTTP collector; nothing is exported if not set")
    },
    Key {
        kind: Kind::Number,
        default: Default::Number(1),
        ..text("tracing.sampleRatio", "Share of traces recorded, 0 to 1; a caller's decision wins")
    },
    Key {
        default: Default::Text("weir"),
        well_known: &["OTEL_SERVICE_NAME"],
        ..text("tracing.serviceName", "service.name of exported spans")
    },
    Key { default: Default::Text("0s"), ..text("shutdown.delay", "Between not ready and refusing requests") },
    Key { default: Default::Text("30s"), ..text("shutdown.grace", "Most time for what is in flight") },
];

const fn text(path: &'static str, help: &'static str) -> Key {
    Key { path, help, secret: false, default: Default::Nothing, well_known: &[], kind: Kind::Text }
}

const fn number(path: &'static str, default: u32, help: &'static str) -> Key {
    Key { kind: Kind::Number, default: Default::Number(default), ..text(path, help) }
}

impl Key {
    /// The environment variables that set it, strongest first: `log.format` is `WEIR_LOG_FORMAT`.
    pub(crate) fn environment_names(&self) -> Vec<String> {
        let mut name = "WEIR_".to_owned();
        for c in self.path.chars() {
            match c {
                '.' => name.push('_'),
                c if c.is_ascii_uppercase() => name.extend(['_', c]),
                c => name.push(c.to_ascii_uppercase()),
            }
        }
        std::iter::once(name).chain(self.well_known.iter().copied().map(str::to_owned)).collect()
    }

    /// The value that `text`, from an environment variable, stands for.
    pub(super) fn read(&self, text: &str) -> Value {
        match self.kind {
            Kind::Number => serde_json::from_str::<Value>(text).ok().filter(Value::is_number),
            Kind::Text => None,
        }
        .unwrap_or_else(|| json!(text))
    }

    /// The value when nobody says anything; null if there is none.
    pub(super) fn default_value(&self, environment: &Environment) -> Value {
        match self.default {
            Default::Text(text) => json!(text),
            Default::Number(number) => json!(number),
            Default::Nothing => Value::Null,
            Default::DataDir => {
                let set = |name| environment.get(name).filter(|value| !value.is_empty()).map(Path::new);
                let base = set("XDG_DATA_HOME").map(Path::to_owned);
                let base = base.or_else(|| set("HOME").map(|home| home.join(".local/share")));
                base.map_or(Value::Null, |base| json!(base.join("weir")))
            }
        }
    }
}
