//! `start`: from executing the program to the first event at the subscriber.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::time::Instant;

use crate::bench::client::Client;
use crate::bench::lab::Lab;
use crate::bench::report::{Figure, Finding, Limit};
use crate::bench::server::{ANY_PORT, Durability, Server, Start, broker, trigger};
use crate::bench::stats::Spread;
use crate::bench::tally::Stamp;

const RUNS: usize = 5;
const NAME: &str = "start";
const DELIVERY_LIMIT: Duration = Duration::from_secs(30);

/// At most 300 ms on an empty directory with `-f`; the same again on the directory it left.
pub(super) async fn run(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "start".clone_into(&mut finding.name);
    "exec of `weir run -f` to the first delivered event".clone_into(&mut finding.about);
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for run in 1..=RUNS.max(lab.args.repeat) {
        eprintln!("start: run {run}");
        let home = lab.home()?;
        let manifests = home.path().join("manifests.yaml");
        let list = json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": [broker(NAME, Durability::Fsync), trigger(NAME, NAME, &lab.sink.inbox_url(0), None)],
        });
        // JSON is YAML.
        std::fs::write(&manifests, list.to_string()).context("cannot write a manifest")?;
        first.push(to_first_delivery(lab, home.path(), &manifests).await?);
        again.push(to_first_delivery(lab, home.path(), &manifests).await?);
    }
    let spread = |taken: &[f64]| Spread::of(taken).context("nothing was started");
    let (first, again) = (spread(&first)?, spread(&again)?);
    finding.figures.push(Figure::new("empty directory, median", first.median, "ms", Limit::AtMost(300.0)));
    finding.figures.push(Figure::fact("empty directory, slowest", first.max, "ms"));
    finding.figures.push(Figure::fact("same directory again, median", again.median, "ms"));
    Ok(())
}

/// Milliseconds from exec to the first delivery. Events are posted until one arrives: those accepted before the Trigger
/// is Ready need not be delivered.
async fn to_first_delivery(lab: &Lab, home: &Path, manifests: &Path) -> anyhow::Result<f64> {
    let phase = lab.phase(1);
    let begin_ns = lab.clock.now_ns();
    let start = Start { home, listen: ANY_PORT, manifests: Some(manifests) };
    let server: Server = start.run().await?;
    let mut client = Client::new(lab.target(&server.expected_address(NAME)?)?);
    let deadline = Instant::now() + DELIVERY_LIMIT;
    let mut number = 0;
    let delivered_ns = loop {
        if let Some(at_ns) = phase.first_delivery_ns() {
            break at_ns;
        }
        if Instant::now() >= deadline {
            bail!("no event was delivered within {} s", DELIVERY_LIMIT.as_secs());
        }
        // No answer, or 404 while the Broker is not known yet: the next one.
        let stamp = Stamp { phase: phase.number, number, intended_ns: lab.clock.now_ns() };
        client.send(stamp).await.ok();
        number += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    server.stop().await?;
    Ok((delivered_ns - begin_ns) as f64 / 1e6)
}
