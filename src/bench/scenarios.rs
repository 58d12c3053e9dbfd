//! What the design makes promises about (design.md, section 4), each measured on a `weir run` of its own.

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use super::lab::{Lab, Subject};
use super::report::Finding;
use super::server::{ANY_PORT, Server, Start};
use crate::cli::bench::Scenario;

mod backlog;
mod idle;
mod latency;
mod objects;
mod start;
mod throughput;

/// In the order they are run; `recovery` uses the backlog of `backlog`.
const ALL: [Scenario; 9] = [
    Scenario::Accept,
    Scenario::Deliver,
    Scenario::Latency,
    Scenario::Fanout,
    Scenario::Idle,
    Scenario::Objects,
    Scenario::Start,
    Scenario::Backlog,
    Scenario::Recovery,
];

/// Runs the scenarios the user named, or all; `show` is told of each as it ends. One that fails does not stop the others.
///
/// # Errors
/// When `show` fails.
pub(super) async fn run(lab: &Lab, show: impl Fn(&Finding) -> anyhow::Result<()>) -> anyhow::Result<Vec<Finding>> {
    let named = &lab.args.scenarios;
    let wanted = |scenario: &Scenario| named.is_empty() || named.contains(scenario);
    let mut findings = Vec::new();
    let mut backlog = None;
    for scenario in ALL.into_iter().filter(wanted) {
        let mut finding = Finding::default();
        let ended = match scenario {
            Scenario::Accept => throughput::accept(lab, &mut finding).await,
            Scenario::Deliver => throughput::deliver(lab, &mut finding).await,
            Scenario::Latency => latency::run(lab, &mut finding).await,
            Scenario::Fanout => throughput::fanout(lab, &mut finding).await,
            Scenario::Idle => idle::run(lab, &mut finding).await,
            Scenario::Objects => Box::pin(objects::run(lab, &mut finding)).await,
            Scenario::Start => start::run(lab, &mut finding).await,
            Scenario::Backlog => backlog::fill(lab, &mut finding).await.map(|filled| backlog = Some(filled)),
            Scenario::Recovery => Box::pin(backlog::recover(lab, &mut finding, backlog.take())).await,
        };
        finding.error = ended.err().map(|error| format!("{error:#}"));
        show(&finding)?;
        findings.push(finding);
    }
    Ok(findings)
}

/// A server with its directory.
struct Fresh {
    server: Server,
    // Dropped after the server, which is killed by then.
    home: TempDir,
}

impl Fresh {
    /// A server on an empty directory with these objects Ready.
    async fn start(lab: &Lab, brokers: &[Value], triggers: &[Value]) -> anyhow::Result<Self> {
        let home = lab.home()?;
        let start = Start { home: home.path(), listen: ANY_PORT, manifests: None };
        let mut server = start.run().await?;
        server.apply(brokers, triggers).await?;
        Ok(Self { server, home })
    }

    /// The Broker called `name` as something to put under load, with `inboxes` Triggers that match.
    async fn subject(&mut self, name: &str, inboxes: usize) -> anyhow::Result<Subject> {
        let url = self.server.address(name).await?;
        Ok(Subject { name: name.to_owned(), url, inboxes, pid: Some(self.server.pid) })
    }

    /// A clean stop; the directory goes with it.
    async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        self.home.close().context("cannot remove a data directory")
    }
}
