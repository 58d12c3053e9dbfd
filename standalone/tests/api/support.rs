//! An endpoint on a database of its own, and ways to talk to it.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use weir_api::eventing::{Broker, Trigger};
use weir_standalone::api::{Api, Settings};

/// How long anything that should happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running endpoint.
pub(crate) struct Server {
    pub(crate) api: Api,
    pub(crate) pool: sqlx::AnyPool,
    pub(crate) directory: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Value,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?).await
    }

    /// On the database an earlier server left in `directory`: a SQLite file or, if `WEIR_TEST_POSTGRES` names a server
    /// (`postgres://user@host:port`), one there.
    pub(crate) async fn start_in(directory: TempDir) -> anyhow::Result<Self> {
        let pool = weir_migrations::open(&url(directory.path()).await?).await?;
        let api = Api::open(pool.clone(), Settings::default()).await?;
        Ok(Self { api, pool, directory })
    }

    /// Stops, keeping the database.
    pub(crate) async fn stop(self) -> TempDir {
        self.api.shutdown().await;
        self.pool.close().await;
        self.directory
    }

    pub(crate) fn client(&self) -> Client {
        self.api.client("tester")
    }

    pub(crate) fn brokers(&self) -> kube::Api<Broker> {
        kube::Api::default_namespaced(self.client())
    }

    pub(crate) fn triggers(&self) -> kube::Api<Trigger> {
        kube::Api::default_namespaced(self.client())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> anyhow::Result<http::Response<Body>> {
        Ok(self.api.router().oneshot(request).await?)
    }

    /// One request with a JSON body, or none for null.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let bytes = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("content-type", media_type).body(bytes)?;
        let response = self.send(request).await?;
        let status = response.status();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, warnings, body: serde_json::from_slice(&bytes)? })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, "", &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.call("POST", path, "application/json", body).await
    }

    /// Creates a ConfigMap in `default`.
    pub(crate) async fn config_map(&self, name: &str, metadata: Value) -> anyhow::Result<Value> {
        let mut object = json!({"metadata": metadata, "data": {"k": "v"}});
        object["metadata"]["name"] = json!(name);
        let answer = self.post(CONFIG_MAPS, &object).await?;
        anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
        Ok(answer.body)
    }
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const BROKERS: &str = "/apis/eventing.knative.dev/v1/namespaces/default/brokers";
pub(crate) const TRIGGERS: &str = "/apis/eventing.knative.dev/v1/namespaces/default/triggers";

async fn url(directory: &Path) -> anyhow::Result<String> {
    let Some(server) = postgres() else { return Ok(weir_migrations::sqlite_url(&directory.join("weir.db"))) };
    let note = directory.join("database");
    if let Ok(known) = std::fs::read_to_string(&note) {
        return Ok(known);
    }
    let url = create_database(&server).await?;
    std::fs::write(note, &url)?;
    Ok(url)
}

/// The PostgreSQL server of this test run, if there is one.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("WEIR_TEST_POSTGRES").ok()
}

/// An empty database on `server`.
pub(crate) async fn create_database(server: &str) -> anyhow::Result<String> {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await?;
    let name = format!("weir_test_{}", uuid::Uuid::now_v7().simple());
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await?;
    connection.close().await?;
    Ok(format!("{server}/{name}"))
}

/// A Trigger as a manifest has it.
pub(crate) fn trigger(name: &str) -> Value {
    json!({
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name},
        "spec": {"broker": "default", "subscriber": {"uri": "http://localhost:9000/"}},
    })
}

/// Waits until `holds`, failing after [`PATIENCE`].
pub(crate) async fn eventually<F>(what: &str, mut holds: F) -> anyhow::Result<()>
where
    F: AsyncFnMut() -> anyhow::Result<bool>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await? {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The lines of a watch, one at a time.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
}

impl Server {
    pub(crate) async fn watch(&self, path: &str) -> anyhow::Result<Lines> {
        let response = self.send(Request::get(path).body(Body::empty())?).await?;
        anyhow::ensure!(response.status() == StatusCode::OK, "{}", response.status());
        Ok(Lines { body: response.into_body(), buffer: Vec::new() })
    }
}

impl Lines {
    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let Some(frame) = tokio::time::timeout(PATIENCE, self.body.frame()).await? else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// Type and name of the next event.
    pub(crate) async fn summary(&mut self) -> anyhow::Result<(String, String)> {
        let event = self.next().await?.ok_or_else(|| anyhow::anyhow!("the watch ended"))?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((text("/type"), text("/object/metadata/name")))
    }
}
