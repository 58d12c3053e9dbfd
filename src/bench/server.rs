//! A `weir run` of the bench's own: started as a child process, told what to do through its API, stopped or killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use url::Url;

use super::api::Api;
use super::client::EVENT_TYPE;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// When a Broker may answer 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    Fsync,
    Os,
}

impl Durability {
    pub(super) const BOTH: [Self; 2] = [Self::Fsync, Self::Os];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Os => "os",
        }
    }
}

/// A Broker's manifest.
pub(super) fn broker(name: &str, durability: Durability) -> Value {
    json!({
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": name, "annotations": {"weir.dev/durability": durability.as_str()}},
    })
}

/// A Trigger's manifest: events of type `event_type`, or the bench's, go to `subscriber`.
pub(super) fn trigger(name: &str, broker: &str, subscriber: &str, event_type: Option<&str>) -> Value {
    json!({
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name},
        "spec": {
            "broker": broker,
            "filter": {"attributes": {"type": event_type.unwrap_or(EVENT_TYPE)}},
            "subscriber": {"uri": subscriber},
        },
    })
}

/// What `--ready-file` holds.
#[derive(Deserialize)]
struct Addresses {
    api: Url,
    data_plane: Url,
}

/// A running server. Killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) pid: u32,
    api: Api,
    /// Base URL of the API.
    pub(super) api_url: Url,
    data_plane: Url,
}

/// How to start a server.
pub(super) struct Start<'a> {
    /// Holds the data directory, the ready file and the server's log.
    pub(super) home: &'a Path,
    /// The data plane's address.
    pub(super) listen: SocketAddr,
    /// Manifests to apply.
    pub(super) manifests: Option<&'a Path>,
}

/// Any free port on loopback.
pub(super) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A process that may not be ready yet. Killed when dropped.
struct Starting {
    child: Child,
    ready_file: PathBuf,
    log: PathBuf,
}

impl Start<'_> {
    fn exec(&self) -> anyhow::Result<Starting> {
        let ready_file = self.home.join("ready.json");
        let log = self.home.join("server.log");
        match std::fs::remove_file(&ready_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", ready_file.display()));
            }
            _ => {}
        }
        let output = std::fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.arg("run").arg("--data-dir").arg(self.home.join("data")).arg("--ready-file").arg(&ready_file);
        command.arg("--listen").arg(self.listen.to_string()).args(["--api-listen", "127.0.0.1:0"]);
        if let Some(manifests) = self.manifests {
            command.arg("-f").arg(manifests);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `weir run`")?;
        Ok(Starting { child, ready_file, log })
    }

    /// Executes the program and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready within a minute; the message holds the end of its log.
    pub(super) async fn run(&self) -> anyhow::Result<Server> {
        self.exec()?.ready().await
    }
}

impl Starting {
    /// Waits for the ready file.
    async fn ready(mut self) -> anyhow::Result<Server> {
        let deadline = Instant::now() + START_LIMIT;
        let addresses = loop {
            // Until it is whole the file may be missing, empty or cut short.
            let found = std::fs::read(&self.ready_file).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(addresses) = found {
                break addresses;
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("`weir run` ended with {status}: {}", self.last_words());
            }
            if Instant::now() >= deadline {
                bail!("`weir run` is not ready after {} s: {}", START_LIMIT.as_secs(), self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let Addresses { api, data_plane } = addresses;
        let pid = self.child.id().context("`weir run` has ended")?;
        Ok(Server { child: self.child, pid, api: Api::connect(&api).await?, api_url: api, data_plane })
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Server {
    /// Creates objects, Brokers before the Triggers on them, and waits until all are Ready.
    ///
    /// # Errors
    /// When the API refuses one, or one does not become Ready.
    pub(super) async fn apply(&mut self, brokers: &[Value], triggers: &[Value]) -> anyhow::Result<()> {
        for broker in brokers {
            self.api.create("brokers", broker).await?;
        }
        self.api.all_ready("brokers").await?;
        for trigger in triggers {
            self.api.create("triggers", trigger).await?;
        }
        self.api.all_ready("triggers").await?;
        Ok(())
    }

    /// The address of a Broker, from its status.
    ///
    /// # Errors
    /// When it has none.
    pub(super) async fn address(&mut self, broker: &str) -> anyhow::Result<Url> {
        let brokers = self.api.all_ready("brokers").await?;
        let url = brokers
            .iter()
            .find(|object| object["metadata"]["name"] == broker)
            .and_then(|object| object["status"]["address"]["url"].as_str())
            .with_context(|| format!("broker {broker} has no address"))?;
        url.parse().with_context(|| format!("the address of broker {broker} is not a URL: {url}"))
    }

    /// The address that Broker has by construction, without asking.
    ///
    /// # Errors
    /// When the data plane's URL cannot hold a path.
    pub(super) fn expected_address(&self, broker: &str) -> anyhow::Result<Url> {
        self.data_plane.join(&format!("/default/{broker}")).context("the data plane's address cannot hold a path")
    }

    /// SIGTERM, then waits for a clean end.
    ///
    /// # Errors
    /// When it does not end in time, or not with code 0.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        signal(self.pid, rustix::process::Signal::TERM)?;
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        let status = ended.context("`weir run` did not end on SIGTERM")??;
        if !status.success() {
            bail!("`weir run` ended with {status} on SIGTERM");
        }
        Ok(())
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill `weir run`")
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("not a process id")?;
    rustix::process::kill_process(pid, signal).context("cannot signal `weir run`")
}
