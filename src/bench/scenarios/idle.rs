//! `idle`: memory of a server that has nothing to do.

use serde_json::Value;

use super::Fresh;
use crate::bench::lab::Lab;
use crate::bench::process::settled_bytes;
use crate::bench::report::{Figure, Finding, Limit};
use crate::bench::server::{Durability, broker, trigger};

const TRIGGERS: usize = 1000;

/// At most 50 MiB, and 16 KiB for each idle Trigger.
pub(super) async fn run(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "idle".clone_into(&mut finding.name);
    "resident memory at rest, whole product in one process".clone_into(&mut finding.about);
    eprintln!("idle: without Triggers");
    let mut fresh = Fresh::start(lab, &[broker("idle", Durability::Fsync)], &[]).await?;
    let empty = settled_bytes(fresh.server.pid).await? as f64;
    finding.figures.push(Figure::new("without Triggers", empty / 1048576.0, "MiB", Limit::AtMost(50.0)));

    eprintln!("idle: with {TRIGGERS} Triggers");
    let triggers: Vec<Value> = (0..TRIGGERS)
        .map(|number| {
            let event_type = format!("weir.bench.other.{number}");
            trigger(&format!("idle-{number}"), "idle", &lab.sink.inbox_url(0), Some(&event_type))
        })
        .collect();
    fresh.server.apply(&[], &triggers).await?;
    let full = settled_bytes(fresh.server.pid).await? as f64;
    finding.figures.push(Figure::fact(format!("with {TRIGGERS} Triggers"), full / 1048576.0, "MiB"));
    let each = (full - empty) / TRIGGERS as f64 / 1024.0;
    finding.figures.push(Figure::new("each idle Trigger", each, "KiB", Limit::AtMost(16.0)));
    fresh.stop().await
}
