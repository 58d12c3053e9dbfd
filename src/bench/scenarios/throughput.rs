//! `accept`, `deliver` and `fanout`: events per second in a closed loop.

use serde_json::Value;

use super::Fresh;
use crate::bench::lab::Lab;
use crate::bench::pace::{Pace, Until};
use crate::bench::report::{Figure, Finding, Row};
use crate::bench::server::{Durability, broker, trigger};

/// No Trigger: what the way to the log costs. At least 0.5 of an echo with fsync, 0.7 without.
pub(super) async fn accept(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "accept".clone_into(&mut finding.name);
    "events accepted and stored, no Trigger, against a bare echo".clone_into(&mut finding.about);
    let brokers = Durability::BOTH.map(|durability| broker(durability.as_str(), durability));
    let mut fresh = Fresh::start(lab, &brokers, &[]).await?;
    let subjects = [lab.echo(), fresh.subject("fsync", 0).await?, fresh.subject("os", 0).await?];
    finding.rows = lab.compare("accept", &subjects, lab.closed()).await?;
    judge(finding, "accepted", &[0.5, 0.7]);
    fresh.stop().await
}

/// One Trigger, to the last delivery. At least 0.6 of a relay with fsync, 0.8 without.
pub(super) async fn deliver(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "deliver".clone_into(&mut finding.name);
    "events accepted, stored and delivered, one Trigger, against a bare relay".clone_into(&mut finding.about);
    let brokers = Durability::BOTH.map(|durability| broker(durability.as_str(), durability));
    let triggers = Durability::BOTH.map(Durability::as_str).map(|on| trigger(on, on, &lab.sink.inbox_url(0), None));
    let mut fresh = Fresh::start(lab, &brokers, &triggers).await?;
    let subjects = [lab.relay(), fresh.subject("fsync", 1).await?, fresh.subject("os", 1).await?];
    finding.rows = lab.compare("deliver", &subjects, lab.closed()).await?;
    judge(finding, "delivered", &[0.6, 0.8]);
    fresh.stop().await
}

/// Compares every row with the first and holds it to its limit.
fn judge(finding: &mut Finding, what: &str, least: &[f64]) {
    let [base, rows @ ..] = finding.rows.as_mut_slice() else { return };
    for (row, &least) in rows.iter_mut().zip(least) {
        row.compare(base);
        finding.figures.extend(Figure::ratio(row, what, least));
    }
}

/// How many of a Broker's Triggers match.
enum Matching {
    One,
    All,
}

/// Triggers that do not match cost nothing, those that do share the work: at least 0.9 of one Trigger's deliveries.
pub(super) async fn fanout(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "fanout".clone_into(&mut finding.name);
    "deliveries with many Triggers, against one Trigger on the same server".clone_into(&mut finding.about);
    let kinds = [
        ("1-trigger", 1, Matching::One),
        ("1-of-10", 10, Matching::One),
        ("1-of-1000", 1000, Matching::One),
        ("10-of-10", 10, Matching::All),
    ];
    let brokers = kinds.each_ref().map(|(name, ..)| broker(name, Durability::Fsync));
    let triggers: Vec<Value> =
        kinds.iter().flat_map(|(name, count, matching)| triggers(lab, name, *count, matching)).collect();
    let mut fresh = Fresh::start(lab, &brokers, &triggers).await?;
    let mut subjects = Vec::new();
    for (name, count, matching) in &kinds {
        let inboxes = if matches!(matching, Matching::All) { *count } else { 1 };
        subjects.push(fresh.subject(name, inboxes).await?);
    }
    finding.rows = lab.compare("fanout", &subjects[..3], lab.closed()).await?;
    judge(finding, "delivered", &[0.9, 0.9]);

    // A closed loop would accept far more than ten Triggers deliver meanwhile: send what they deliver in the same time.
    let one = finding.rows.first().and_then(Row::rate).map_or(0.0, |rate| rate.median);
    let events = (one * lab.args.duration.as_secs_f64() / 10.0).max(100.0) as u64;
    let pair = [subjects[0].clone(), subjects[3].clone()];
    let mut rows = lab.compare("fanout", &pair, Pace::Closed(Until::Events(events))).await?;
    if let [one, all] = rows.as_mut_slice() {
        one.name = format!("1-trigger, {events} events");
        all.compare(one);
        finding.figures.extend(Figure::ratio(all, "delivered", 0.9));
    }
    finding.rows.append(&mut rows);
    fresh.stop().await
}

/// `count` Triggers on `broker`. Those that do not match would deliver to an inbox that nobody has: it would be noticed.
fn triggers(lab: &Lab, broker: &str, count: usize, matching: &Matching) -> Vec<Value> {
    (0..count)
        .map(|number| {
            let name = format!("{broker}-{number}");
            let other = format!("weir.bench.other.{number}");
            match matching {
                Matching::One if number > 0 => trigger(&name, broker, &lab.sink.inbox_url(count), Some(&other)),
                Matching::One | Matching::All => trigger(&name, broker, &lab.sink.inbox_url(number), None),
            }
        })
        .collect()
}
