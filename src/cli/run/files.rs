//! `weir run -f`: manifests applied at the start and whenever they change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weir_api::eventing::{BROKER_CLASS_ANNOTATION, Broker};

use crate::apply::{Applied, Applier, Report};
use crate::client::Client;
use crate::failure::{Exit, OrFail, Outcome};
use crate::manifest::{self, Document};

/// Who owns the fields that `weir run -f` sets.
const FIELD_MANAGER: &str = "weir-run";

/// Where objects without a namespace go.
const NAMESPACE: &str = "default";

/// Editors write in several steps: a change is taken up once it has been quiet for so long.
const SETTLE: Duration = Duration::from_millis(50);

/// The manifests of this process.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// What was read last and could be understood.
    documents: Vec<Document>,
}

impl Files {
    /// Reads everything; nothing is applied yet.
    pub(super) fn read(paths: &[PathBuf]) -> Outcome<Self> {
        Ok(Self { paths: paths.to_owned(), documents: manifest::load(paths)? })
    }

    /// Checks all documents, then applies them.
    pub(super) async fn apply(&self, client: &Client) -> Outcome<Vec<Report>> {
        apply(client, &self.documents).await
    }

    /// Applies again what changes, until `shutdown`. What cannot be understood or is refused leaves everything as it
    /// was, and the log says why.
    pub(super) async fn follow(mut self, client: Client, shutdown: CancellationToken) -> Outcome {
        // Standard input does not change.
        self.paths.retain(|path| path.as_os_str() != "-");
        if self.paths.is_empty() {
            return Ok(());
        }
        let (changed, mut changes) = mpsc::channel(1);
        let _watcher = watcher(&self.paths, changed)?;
        // What changed between the first reading and the watch.
        let mut pending = true;
        loop {
            if !pending {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    change = changes.recv() => if change.is_none() { return Ok(()) },
                }
                while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.recv()).await {}
            }
            pending = false;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.reload(&client) => {}
            }
        }
    }

    async fn reload(&mut self, client: &Client) {
        let documents = match manifest::load(&self.paths) {
            Ok(documents) => documents,
            Err(error) => {
                return tracing::warn!(%error, "Changed manifests cannot be read; everything stays as it was.");
            }
        };
        let values = |documents: &[Document]| documents.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
        if values(&documents) == values(&self.documents) {
            return;
        }
        match apply(client, &documents).await {
            Ok(reports) => {
                for report in reports.iter().filter(|report| report.outcome != Applied::Unchanged) {
                    tracing::info!(object = report.name, "A changed manifest was applied.");
                }
                for gone in removed(&self.documents, &documents) {
                    tracing::info!(
                        object = gone,
                        "An object is no longer in the manifests; it stays until it is deleted with `weir delete`."
                    );
                }
                self.documents = documents;
            }
            Err(error) => tracing::warn!(%error, "Changed manifests are refused; everything stays as it was."),
        }
    }
}

/// Applies `documents` in the name of this process.
pub(super) async fn apply(client: &Client, documents: &[Document]) -> Outcome<Vec<Report>> {
    let applier = Applier::new(client, FIELD_MANAGER, NAMESPACE).await?;
    applier.check(documents).await?;
    let mut reports = Vec::new();
    for document in documents {
        let report = applier.apply(document).await?;
        for warning in &report.warnings {
            tracing::warn!(object = report.name, warning, "The API has a warning about a manifest.");
        }
        reports.push(report);
    }
    Ok(reports)
}

/// What `before` names and `after` does not.
fn removed(before: &[Document], after: &[Document]) -> Vec<String> {
    let name = |it: &Document| format!("{} {}/{}", it.kind(), it.namespace().unwrap_or(NAMESPACE), it.name());
    let kept: Vec<_> = after.iter().map(name).collect();
    before.iter().map(name).filter(|name| !kept.contains(name)).collect()
}

/// Sends a word for each change to `paths`. A file is watched through its directory: editors put a new one in its place.
fn watcher(paths: &[PathBuf], changed: mpsc::Sender<()>) -> Outcome<RecommendedWatcher> {
    let failed = || "cannot watch the manifests for changes".to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change; an error may hide one.
        let reading = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
        if !reading {
            // A full channel already says that something changed.
            let _ = changed.try_send(());
        }
    })
    .or_fail(Exit::Failure, failed)?;
    for path in paths {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let watched = if path.is_dir() { path } else { parent };
        watcher.watch(watched, RecursiveMode::NonRecursive).or_fail(Exit::Failure, failed)?;
    }
    Ok(watcher)
}

/// The objects of `reports` that say whether they are ready.
pub(super) fn with_readiness(reports: &[Report]) -> impl Iterator<Item = &Report> {
    reports.iter().filter(|report| {
        let version = report.object["apiVersion"].as_str().unwrap_or_default();
        version.split('/').next().is_some_and(|group| group.ends_with("knative.dev"))
    })
}

/// Why an object is not ready, in its own words where it has some.
pub(super) fn unready(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    match conditions.into_iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) => {
            let text = |name: &str| ready[name].as_str().unwrap_or_default();
            format!("{}: {}", text("reason"), text("message"))
        }
        None if Broker::deserialize(object).is_ok_and(|broker| !broker.is_ours()) => {
            format!("nobody here serves its {BROKER_CLASS_ANNOTATION}")
        }
        None => "nobody has looked at it yet".to_owned(),
    }
}
