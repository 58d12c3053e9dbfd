//! `latency`: from the intended send time to the subscriber, at a fixed rate far below the limit.

use super::Fresh;
use crate::bench::lab::Lab;
use crate::bench::pace::Pace;
use crate::bench::report::{Figure, Finding, Limit};
use crate::bench::server::{Durability, broker, trigger};

const RATE: f64 = 500.0;

/// With fsync at most one sync of the disk and 0.5 ms (p50), three and 2 ms (p99); without, 0.4 ms and 2 ms.
pub(super) async fn run(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    let rate = lab.args.rate.unwrap_or(RATE);
    "latency".clone_into(&mut finding.name);
    finding.about = format!("intended send to delivery at {rate} events per second, one Trigger");
    let brokers = Durability::BOTH.map(|durability| broker(durability.as_str(), durability));
    let triggers = Durability::BOTH.map(Durability::as_str).map(|on| trigger(on, on, &lab.sink.inbox_url(0), None));
    let mut fresh = Fresh::start(lab, &brokers, &triggers).await?;
    let subjects = [lab.relay(), fresh.subject("fsync", 1).await?, fresh.subject("os", 1).await?];
    // The disk just before: its pace is half of the figure.
    let sync_ms = lab.sync_ms().await?.median;
    let pace = Pace::Open { rate, duration: lab.args.duration };
    finding.rows = lab.compare("latency", &subjects, pace).await?;
    finding.figures.push(Figure::fact("one fdatasync of 4 KiB, just before", sync_ms, "ms"));
    let limits = [("fsync", sync_ms + 0.5, 3.0 * sync_ms + 2.0), ("os", 0.4, 2.0)];
    for (name, p50, p99) in limits {
        let row = finding.rows.iter().find(|row| row.name == name);
        if let Some(latency) = row.and_then(|row| row.delivery_latency) {
            finding.figures.push(Figure::new(format!("{name}: p50"), latency.p50_ms, "ms", Limit::AtMost(p50)));
            finding.figures.push(Figure::new(format!("{name}: p99"), latency.p99_ms, "ms", Limit::AtMost(p99)));
        }
    }
    fresh.stop().await
}
