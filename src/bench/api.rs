//! Just enough of a Kubernetes API client for the bench: plain HTTP and JSON, one connection, no watch.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::client::connect;

const GROUP: &str = "/apis/eventing.knative.dev/v1/namespaces/default";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// The API of one server, namespace `default`, group `eventing.knative.dev/v1`.
pub(super) struct Api {
    authority: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Api {
    /// Connects to the API at `url`.
    ///
    /// # Errors
    /// When nothing answers there.
    pub(super) async fn connect(url: &Url) -> anyhow::Result<Self> {
        let host = url.host_str().context("the API's URL has no host")?;
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
        let connection = connect(&authority).await.with_context(|| format!("cannot reach the API at {url}"))?;
        Ok(Self { authority, connection })
    }

    /// Creates `object` in the collection `plural`.
    ///
    /// # Errors
    /// When the API refuses it.
    pub(super) async fn create(&mut self, plural: &str, object: &Value) -> anyhow::Result<()> {
        self.call(Method::POST, &format!("{GROUP}/{plural}"), Some(object)).await?;
        Ok(())
    }

    /// Waits until every object of the collection is Ready and returns them.
    ///
    /// # Errors
    /// When one is not Ready within a minute; the message says which and why.
    pub(super) async fn all_ready(&mut self, plural: &str) -> anyhow::Result<Vec<Value>> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let mut list = self.call(Method::GET, &format!("{GROUP}/{plural}"), None).await?;
            let Value::Array(items) = list["items"].take() else { bail!("the list of {plural} has no items") };
            let Some(waiting) = items.iter().find(|item| !is_ready(item)) else { return Ok(items) };
            if Instant::now() >= deadline {
                let name = waiting["metadata"]["name"].as_str().unwrap_or_default();
                bail!("{plural} {name} is not Ready after {} s: {}", READY_LIMIT.as_secs(), waiting["status"]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let payload = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(payload)))?;
        let answer = async {
            self.connection.ready().await?;
            let (head, body) = self.connection.send_request(request).await?.into_parts();
            hyper::Result::Ok((head.status, body.collect().await?.to_bytes()))
        };
        let (status, bytes) = answer.await.with_context(|| format!("{what}: no answer"))?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            bail!("{what}: {status}: {}", value["message"].as_str().unwrap_or_default());
        }
        Ok(value)
    }
}

/// Ready, and about the spec as it is now.
fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_is_believed_only_of_the_current_generation() {
        let object = |observed, ready| {
            json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": observed, "conditions": [{"type": "Ready", "status": ready}]},
            })
        };
        assert!(is_ready(&object(2, "True")));
        assert!(!is_ready(&object(1, "True")));
        assert!(!is_ready(&object(2, "Unknown")));
        assert!(!is_ready(&json!({"metadata": {"generation": 1}})));
    }
}
