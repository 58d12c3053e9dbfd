//! `backlog` and `recovery`: a subscriber that is dead while events pile up, then kill -9, then every event accounted for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::Fresh;
use crate::bench::client::Client;
use crate::bench::lab::{self, Lab, Sample, Subject, summarise};
use crate::bench::load::{self, Load, Outcome};
use crate::bench::pace::{Pace, Until};
use crate::bench::process::{Watch, settled_bytes};
use crate::bench::report::{Events, Figure, Finding, Limit, Row};
use crate::bench::server::{Durability, Server, Start, broker, trigger};
use crate::bench::sink::DeadAddress;
use crate::bench::tally::{Phase, Stamp};

const NAME: &str = "backlog";
/// Events accepted after the backlog and before the kill, so that it falls into the middle of appending.
const UNDER_LOAD: u64 = 1000;
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// A subscriber that was dead for long is retried seldom.
const STILL_LIMIT: Duration = Duration::from_secs(90);
/// Duplicates may come after the last first delivery.
const QUIET: Duration = Duration::from_secs(2);

/// A server whose only Trigger has a backlog.
pub(super) struct Filled {
    fresh: Fresh,
    dead: DeadAddress,
    phase: Arc<Phase>,
    url: Url,
    /// Numbers of events used so far.
    sent: u64,
}

/// Memory of a million undelivered events: at most 64 MiB over idle, at any moment.
pub(super) async fn fill(lab: &Lab, finding: &mut Finding) -> anyhow::Result<Filled> {
    let events = lab.args.events;
    "backlog".clone_into(&mut finding.name);
    finding.about = format!("{events} events for a subscriber that refuses connections");
    let dead = DeadAddress::reserve()?;
    let mut fresh = Fresh::start(lab, &[broker(NAME, Durability::Fsync)], &[dead_trigger(&dead)]).await?;
    let subject = Subject { inboxes: 0, ..fresh.subject(NAME, 1).await? };
    let idle_bytes = settled_bytes(fresh.server.pid).await?;
    eprintln!("backlog: {events} events");
    // The events have an inbox to be missing from, although nothing arrives there yet.
    let phase = lab.phase(1);
    let watch = Watch::begin(fresh.server.pid)?;
    let outcome = load::drive(&lab.load(&subject.url, Pace::Closed(Until::Events(events)))?, &phase).await?;
    let after_bytes = settled_bytes(fresh.server.pid).await?;
    let cost = watch.end()?;
    let account = phase.account();
    let over = |bytes: u64| bytes.saturating_sub(idle_bytes) as f64 / 1048576.0;
    finding.figures.push(Figure::fact("idle", idle_bytes as f64 / 1048576.0, "MiB"));
    finding.figures.push(Figure::new("peak over idle", over(cost.memory.peak_bytes), "MiB", Limit::AtMost(64.0)));
    finding.figures.push(Figure::fact("at rest over idle", over(after_bytes), "MiB"));
    let sent = outcome.sent;
    let early = phase.delivered();
    let sample = Sample { outcome, account, latency: phase.latency(), last_ns: None, cost: Some(cost) };
    let mut row = summarise(&subject, vec![sample]);
    // Not lost: nobody could have taken them. `recovery` counts what is.
    row.events.lost = 0;
    finding.rows.push(row);
    if account.acknowledged < events || early > 0 {
        bail!("{} of {events} events were accepted, {early} delivered to nobody", account.acknowledged);
    }
    Ok(Filled { fresh, dead, phase, url: subject.url, sent })
}

/// Never gives up, so nothing becomes a dead letter while the subscriber is away.
fn dead_trigger(dead: &DeadAddress) -> Value {
    let mut object = trigger(NAME, NAME, &dead.inbox_url(), None);
    object["spec"]["delivery"] = json!({"retry": 10_000, "backoffPolicy": "linear", "backoffDelay": "PT0.1S"});
    object
}

/// The first 202 at most 1 s after exec, and no accepted event lost.
pub(super) async fn recover(lab: &Lab, finding: &mut Finding, filled: Option<Filled>) -> anyhow::Result<()> {
    let Filled { fresh, dead, phase, url, sent } = match filled {
        Some(filled) => filled,
        None => fill(lab, &mut Finding::default()).await.context("cannot fill a backlog")?,
    };
    "recovery".clone_into(&mut finding.name);
    finding.about = format!("kill -9 while appending to a backlog of {} events, then start again", lab.args.events);
    let Fresh { server, home } = fresh;
    let load = Load { first: sent, ..lab.load(&url, Pace::Closed(Until::Stopped))? };
    let outcome = kill_under_load(server, &load, &phase, lab.args.events + UNDER_LOAD).await?;
    let first = sent + outcome.sent;

    eprintln!("recovery: start again");
    let listen = url.socket_addrs(|| None)?.into_iter().next().context("the broker's URL has no address")?;
    let begin_ns = lab.clock.now_ns();
    let start = Start { home: home.path(), listen, manifests: None };
    // Together: a server that ends at once says why, and nobody waits for its 202.
    let (server, accepted) = tokio::try_join!(start.run(), first_accepted(lab, &phase, &url, first))?;
    let to_first_ms = (accepted.at_ns - begin_ns) as f64 / 1e6;
    finding.figures.push(Figure::new("exec to the first 202", to_first_ms, "ms", Limit::AtMost(1000.0)));

    eprintln!("recovery: the subscriber comes back");
    let opened_ns = lab.clock.now_ns();
    let sink = dead.open(Arc::clone(&phase))?;
    lab::drained(&phase, STILL_LIMIT).await;
    tokio::time::sleep(QUIET).await;
    let account = phase.account();
    finding.figures.push(Figure::new("accepted events lost", account.lost as f64, "events", Limit::AtMost(0.0)));
    finding.figures.push(Figure::fact("delivered twice", account.duplicates as f64, "events"));
    if let Some(last_ns) = phase.last_delivery_ns() {
        let seconds = last_ns.saturating_sub(opened_ns) as f64 / 1e9;
        finding.figures.push(Figure::fact("backlog delivered, from the subscriber's return", seconds, "s"));
    }
    finding.rows.push(Row {
        name: NAME.to_owned(),
        events: Events {
            sent: accepted.next,
            acknowledged: account.acknowledged,
            delivered: account.delivered,
            lost: account.lost,
            duplicates: account.duplicates,
            unexpected: account.unexpected,
        },
        errors: outcome.errors,
        ..Row::default()
    });
    server.stop().await?;
    drop(sink);
    home.close().context("cannot remove a data directory")
}

/// Drives `load` until `count` events are acknowledged in all, kills the server meanwhile, and returns what was sent.
async fn kill_under_load(server: Server, load: &Load, phase: &Arc<Phase>, count: u64) -> anyhow::Result<Outcome> {
    eprintln!("recovery: kill -9 under load");
    let killed = async {
        let enough = accepted(phase, count).await;
        let killed = server.kill().await;
        load.stop.store(true, Ordering::Relaxed);
        enough.and(killed)
    };
    let (outcome, killed) = tokio::join!(load::drive(load, phase), killed);
    killed?;
    outcome
}

/// Waits until `count` events are acknowledged.
async fn accepted(phase: &Phase, count: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    while phase.account().acknowledged < count {
        if Instant::now() >= deadline {
            bail!("the server stopped accepting events");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The first 202.
struct Accepted {
    at_ns: u64,
    /// The number after the last one used.
    next: u64,
}

/// Posts, at most one event per millisecond, until one is accepted.
async fn first_accepted(lab: &Lab, phase: &Phase, url: &Url, first: u64) -> anyhow::Result<Accepted> {
    let mut client = Client::new(lab.target(url)?);
    let deadline = Instant::now() + ANSWER_LIMIT;
    let mut number = first;
    loop {
        let answer = client.send(Stamp { phase: phase.number, number, intended_ns: lab.clock.now_ns() }).await;
        if answer.is_ok_and(|status| status.is_success()) {
            phase.acknowledge(number);
            return Ok(Accepted { at_ns: lab.clock.now_ns(), next: number + 1 });
        }
        if Instant::now() >= deadline {
            bail!("no event was accepted within {} s of the restart", ANSWER_LIMIT.as_secs());
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
