//! `objects`: the API with ten thousand objects: writing, listing, watching, and what each of them weighs.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Fresh;
use crate::bench::lab::Lab;
use crate::bench::process::settled_bytes;
use crate::bench::report::{Figure, Finding, Limit};
use crate::bench::stats::{self, Percentiles, Spread};

const OBJECTS: usize = 10_000;
/// Clients that write at once.
const WRITERS: usize = 32;
/// Changes whose way to a watcher is timed, and the pause between two.
const CHANGES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(2);
const LISTS: usize = 10;
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

const MIB: f64 = 1_048_576.0;

/// At least 1,000 creates per second; a list of all in at most 300 ms; a change at a watcher in at most 20 ms (p99),
/// counted from before the write is sent; at most 8 KiB of memory for each object beyond its JSON.
pub(super) async fn run(lab: &Lab, finding: &mut Finding) -> anyhow::Result<()> {
    "objects".clone_into(&mut finding.name);
    finding.about = format!("the API with {OBJECTS} ConfigMaps of 1 KiB on SQLite, {WRITERS} clients writing");
    let fresh = Fresh::start(lab, &[], &[]).await?;
    let empty = settled_bytes(fresh.server.pid).await?;
    let objects = Objects::new(fresh.server.api_url.as_str())?;

    eprintln!("objects: creating");
    let began = Instant::now();
    objects.create_all().await?;
    let rate = OBJECTS as f64 / began.elapsed().as_secs_f64();
    finding.figures.push(Figure::new("creates per second", rate, "/s", Limit::AtLeast(1000.0)));

    let full = settled_bytes(fresh.server.pid).await?;
    eprintln!("objects: listing");
    let (mut times, mut bytes, mut revision) = (Vec::new(), 0, String::new());
    for _ in 0..LISTS {
        let began = Instant::now();
        let body = objects.list().await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        let list: Value = serde_json::from_slice(&body)?;
        let items = list["items"].as_array().map_or(0, Vec::len);
        ensure!(items == OBJECTS, "the list has {items} of {OBJECTS} objects");
        bytes = body.len();
        list["metadata"]["resourceVersion"].as_str().unwrap_or_default().clone_into(&mut revision);
    }
    let list = Spread::of(&times).context("no list was taken")?;
    finding.figures.push(Figure::new("list of all, median", list.median, "ms", Limit::AtMost(300.0)));
    finding.figures.push(Figure::fact("JSON of the list", bytes as f64 / MIB, "MiB"));
    let each = (full.saturating_sub(empty) as f64 - bytes as f64) / OBJECTS as f64 / 1024.0;
    finding.figures.push(Figure::new("memory of each beyond its JSON", each, "KiB", Limit::AtMost(8.0)));

    eprintln!("objects: watching");
    let watch = objects.time_changes(&revision).await?;
    finding.figures.push(Figure::fact("change to watcher, p50", watch.p50_ms, "ms"));
    finding.figures.push(Figure::new("change to watcher, p99", watch.p99_ms, "ms", Limit::AtMost(20.0)));
    fresh.stop().await
}

/// ConfigMaps of one server.
#[derive(Clone)]
struct Objects {
    http: reqwest::Client,
    collection: String,
}

impl Objects {
    fn new(api: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().pool_max_idle_per_host(WRITERS).tcp_nodelay(true).build()?;
        let collection = format!("{}/api/v1/namespaces/default/configmaps", api.trim_end_matches('/'));
        Ok(Self { http, collection })
    }

    async fn create_all(&self) -> anyhow::Result<()> {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let this = self.clone();
            writers.spawn(async move {
                for number in (writer..OBJECTS).step_by(WRITERS) {
                    let object = json!({"metadata": {"name": name(number)}, "data": {"payload": "w".repeat(1024)}});
                    let request = this.http.post(&this.collection).json(&object);
                    request.send().await?.error_for_status()?.bytes().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<bytes::Bytes> {
        Ok(self.http.get(&self.collection).send().await?.error_for_status()?.bytes().await?)
    }

    /// Changes one object after the other while a watch looks on.
    async fn time_changes(&self, revision: &str) -> anyhow::Result<Percentiles> {
        let url = format!("{}?watch=true&resourceVersion={revision}", self.collection);
        let mut lines = self.http.get(url).send().await?.error_for_status()?.bytes_stream();
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let watching = tokio::spawn(async move {
            let mut rest = Vec::new();
            while let Some(Ok(chunk)) = lines.next().await {
                let now = Instant::now();
                rest.extend_from_slice(&chunk);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    let event: Value = serde_json::from_slice(&line).unwrap_or_default();
                    let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    if arrived.send((name, now)).is_err() {
                        return;
                    }
                }
            }
        });
        let mut sent = HashMap::new();
        for number in 0..CHANGES {
            sent.insert(name(number), Instant::now());
            let request = self.http.patch(format!("{}/{}", self.collection, name(number)));
            let request =
                request.header("content-type", "application/merge-patch+json").body(r#"{"data":{"seen":"no"}}"#);
            request.send().await?.error_for_status()?.bytes().await?;
            tokio::time::sleep(PAUSE).await;
        }
        let mut times = stats::histogram();
        while !sent.is_empty() {
            let Ok(Some((name, at))) = tokio::time::timeout(ARRIVAL_LIMIT, arrivals.recv()).await else {
                bail!("{} of {CHANGES} changes did not reach the watcher", sent.len());
            };
            if let Some(began) = sent.remove(&name) {
                times.saturating_record(u64::try_from(at.duration_since(began).as_nanos()).unwrap_or(u64::MAX));
            }
        }
        watching.abort();
        Percentiles::of(&times).context("nothing was timed")
    }
}

fn name(number: usize) -> String {
    format!("object-{number:05}")
}
