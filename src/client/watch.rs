//! Following objects as they change, across ends of streams.

use serde_json::Value;

use futures_util::StreamExt;

use super::{Client, Query, RequestError};

/// One change.
#[derive(Debug)]
pub(crate) struct Watched {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(crate) kind: String,
    /// The object, or the table with it.
    pub(crate) object: Value,
}

/// Calls `each` with every change after `version` to what `path` and `query` select, until it returns something.
/// A stream that ends is taken up again where it ended; [`RequestError::is_expired`] says that too much is missing.
pub(crate) async fn watch<T, E: From<RequestError>>(
    client: &Client,
    path: &str,
    query: &Query,
    accept: &str,
    mut version: String,
    mut each: impl FnMut(Watched) -> Result<Option<T>, E>,
) -> Result<T, E> {
    loop {
        let query = query.clone().with("watch", "true").with("allowWatchBookmarks", "true");
        let url = query.with("resourceVersion", &version).on(path);
        let mut lines = std::pin::pin!(client.lines(&url, accept).await?);
        let mut progress = false;
        while let Some(line) = lines.next().await {
            let Ok(line) = line else { break };
            let Ok(Value::Object(mut event)) = serde_json::from_slice::<Value>(&line) else { continue };
            progress = true;
            let object = event.remove("object").unwrap_or_default();
            if let Some(newer) = revision(&object) {
                version = newer.to_owned();
            }
            match event.get("type").and_then(Value::as_str) {
                Some("ERROR") => {
                    let status = serde_json::from_value(object).unwrap_or_else(|_| {
                        kube::core::Status::failure("the watch ended with an error", "InternalError").with_code(500)
                    });
                    return Err(RequestError::Refused(Box::new(status)).into());
                }
                Some(kind @ ("ADDED" | "MODIFIED" | "DELETED")) => {
                    if let Some(done) = each(Watched { kind: kind.to_owned(), object })? {
                        return Ok(done);
                    }
                }
                Some(_) | None => {}
            }
        }
        if !progress {
            // An empty stream that ends at once must not turn into a busy loop.
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    }
}

/// The revision a watch event is at: the object's own, or that of the object in a table's row.
fn revision(object: &Value) -> Option<&str> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("/metadata/resourceVersion").or_else(|| text("/rows/0/object/metadata/resourceVersion"))
}
