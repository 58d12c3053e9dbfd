//! `weir run`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::signals::Signals;
use super::{Invocation, broker, output, wait};
use crate::apply::Report;
use crate::client::Client;
use crate::config::{Flags, LogFormat, Settings};
use crate::data_dir::{DataDir, write_atomically};
use crate::failure::{Exit, Failure, OrFail, Outcome};
use crate::roles::standalone::{self, Listeners, Standalone};
use crate::telemetry;

mod demo;
mod files;

use demo::Demo;
use files::Files;

/// An object that is not ready after so long gets its reason told, again and again.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Manifests to apply, again whenever they change: files, directories or - for standard input
    #[arg(short, long, value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Add a Broker, a Trigger and a subscriber, and show a few events delivered
    #[arg(long)]
    demo: bool,
    /// Address of the data plane [127.0.0.1:8080]; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of API, metrics, health and administration [127.0.0.1:7080]
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// Names and addresses, separated by commas, that others call the API by
    #[arg(long, value_name = "NAMES")]
    api_hosts: Option<String>,
    /// Certificate chain of the API in PEM; off loopback one is made if not given
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Private key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Certificate of the authority that signed it, for kubeconfigs [the client system's]
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_ca_file: Option<PathBuf>,
    /// Users of the API: lines of token,user,uid; off loopback one token is made if not given
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<PathBuf>,
    /// Database of objects and dead letters: postgres://USER@HOST/DATABASE [SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Write the addresses here, as JSON, once everything is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Command {
    /// What the flags say about configuration keys.
    pub(super) fn flags(&self) -> Flags {
        let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
        let file = |value: &Option<PathBuf>| value.as_ref().map(|path| json!(path));
        let flags = [
            ("listen", "--listen", text(&self.listen)),
            ("apiListen", "--api-listen", text(&self.api_listen)),
            ("apiHosts", "--api-hosts", text(&self.api_hosts)),
            ("tlsCertFile", "--tls-cert-file", file(&self.tls_cert_file)),
            ("tlsKeyFile", "--tls-private-key-file", file(&self.tls_private_key_file)),
            ("tlsCaFile", "--tls-ca-file", file(&self.tls_ca_file)),
            ("tokenFile", "--token-auth-file", file(&self.token_auth_file)),
            ("store", "--store", text(&self.store)),
        ];
        flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?))).collect()
    }

    pub(super) async fn run(self, invocation: &Invocation) -> Outcome {
        let settings = invocation.settings()?;
        let telemetry = telemetry::start(&settings.log, &settings.tracing, invocation.colour())?;
        let outcome = self.serve(invocation, &settings).await;
        telemetry.flush().await;
        outcome
    }

    /// Everything that can be wrong is found before the first file is opened or changed.
    async fn serve(&self, invocation: &Invocation, settings: &Settings) -> Outcome {
        let mut signals = Signals::listen()?;
        let files = Files::read(&self.filename)?;
        let data_dir = DataDir::open(&settings.data_dir)?;
        let listeners = Listeners {
            data_plane: listen(settings.listen, "--listen").await?,
            api: listen(settings.api_listen, "--api-listen").await?,
        };
        self.remove_ready_file()?;
        for name in invocation.unknown_variables() {
            tracing::warn!(
                variable = name,
                "An environment variable looks like ours but sets nothing; see `weir config`."
            );
        }
        let (standalone, mut running) = tokio::select! {
            started = standalone::start(settings, &data_dir, listeners) => started?,
            () = signals.stop() => return Ok(()),
        };
        let shutdown = CancellationToken::new();
        let ended = tokio::select! {
            () = signals.stop() => Ok(()),
            worked = self.work(invocation, settings, &data_dir, &standalone, files, &shutdown) => worked,
            failure = running.failed() => Err(failure),
        };
        shutdown.cancel();
        if ended.is_ok() {
            tracing::info!("Stopping: finishing what is in flight. Once more stops at once.");
        }
        tokio::select! {
            () = running.stop() => {}
            () = signals.stop() => tracing::warn!("Stopped at once: what was in flight is delivered again after the next start."),
        }
        ended
    }

    /// Applies manifests, says when everything is ready, and goes on until `shutdown`.
    async fn work(
        &self,
        invocation: &Invocation,
        settings: &Settings,
        data_dir: &DataDir,
        standalone: &Standalone,
        files: Files,
        shutdown: &CancellationToken,
    ) -> Outcome {
        let (api, data_plane) = (text(&standalone.api_url), text(&standalone.data_plane_url));
        let kubeconfig = data_dir.join("kubeconfig");
        write_atomically(&kubeconfig, standalone.kubeconfig().as_bytes(), 0o600)
            .or_fail(Exit::Failure, || format!("cannot write {}", kubeconfig.display()))?;
        let client = standalone.client();
        let mut applied = files.apply(&client).await?;
        let demo = if self.demo { Some(Demo::listen().await?) } else { None };
        if let Some(demo) = &demo {
            applied.extend(files::apply(&client, &demo.documents()?).await?);
        }
        // Files are followed from now on: what keeps an object from being ready may be in one of them.
        let following = files.follow(client.clone(), shutdown.clone());
        let ready = async {
            for report in files::with_readiness(&applied) {
                until_ready(&client, report, standalone).await?;
            }
            standalone.opened().await;
            standalone.set_ready();
            if let Some(file) = &self.ready_file {
                let ready = json!({"api": api, "data_plane": data_plane, "kubeconfig": kubeconfig});
                write_atomically(file, format!("{ready}\n").as_bytes(), 0o644)
                    .or_fail(Exit::Failure, || format!("cannot write {}", file.display()))?;
            }
            match settings.log.format {
                LogFormat::Human => output::tell(&summary(api, data_plane, data_dir)),
                LogFormat::Json => tracing::info!(api, data_plane, "Ready."),
            }
            match demo {
                // Without it there is nothing more to do.
                None => shutdown.cancelled().await,
                Some(demo) => {
                    let url = broker::url(&client, "default", "demo").await?;
                    let hint = format!("{} send demo --data '{{\"hello\":\"weir\"}}' --wait", invocation.program());
                    demo.run(url, &hint, shutdown.clone()).await?;
                    // The demo ends when nobody reads it any more: so does this process.
                    shutdown.cancel();
                }
            }
            Ok(())
        };
        tokio::try_join!(following, ready).map(drop)
    }

    /// One of an earlier run would say that this one is ready.
    fn remove_ready_file(&self) -> Outcome {
        let Some(file) = &self.ready_file else { return Ok(()) };
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).or_fail(Exit::Failure, || format!("cannot replace {}", file.display()))
            }
            _ => Ok(()),
        }
    }
}

/// A base URL without its final slash.
fn text(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

async fn listen(address: SocketAddr, flag: &str) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let reason =
            if error.kind() == std::io::ErrorKind::AddrInUse { "address in use".to_owned() } else { error.to_string() };
        Failure::text(Exit::Failure, format!("cannot listen on {address}: {reason}"))
    });
    listener.map_err(|failure| failure.next(format!("choose another address with {flag}, or stop what listens there")))
}

fn summary(api: &str, data_plane: &str, data_dir: &DataDir) -> String {
    format!(
        "\
weir {} is ready
  events   {}/NAMESPACE/BROKER
  API      {}   (kubectl: export KUBECONFIG={})
  data     {}",
        env!("CARGO_PKG_VERSION"),
        data_plane,
        api,
        data_dir.join("kubeconfig").display(),
        data_dir.path().display()
    )
}

/// Waits until an applied object is Ready. `/readyz` says that this is waited for, and after a while also the log, with
/// the object's own reason.
async fn until_ready(client: &Client, report: &Report, standalone: &Standalone) -> Outcome {
    let text = |pointer: &str| report.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let goal = wait::Goal::ready();
    standalone.wait_for(&report.name, &files::unready(&report.object));
    loop {
        let place = wait::Place { kind: &report.kind, namespace, name };
        match wait::until(client, place, &goal, wait::Deadline::after(PATIENCE)).await {
            Err(failure) if failure.exit() == Exit::Unavailable => {
                let object = match client.get(&report.path).await {
                    Err(error) if error.is_not_found() => return Ok(()),
                    object => object?,
                };
                let reason = files::unready(&object);
                standalone.wait_for(&report.name, &reason);
                tracing::warn!(object = report.name, reason, "Still waiting for an object to become ready.");
            }
            // Deleted meanwhile: nobody waits for it any more.
            Err(failure) if failure.exit() == Exit::NotFound => return Ok(()),
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_told_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = taken.local_addr().expect("address");
        let failure = listen(address, "--api-listen").await.expect_err("taken");
        let message = failure.to_string();
        for part in ["in use", "--api-listen", &address.to_string()] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(failure.exit(), Exit::Failure);
    }
}
