//! The rules of watching, on the wire and through kube's reflector.

use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::{Value, json};
use weir_api::eventing::Trigger;

use crate::support::{CONFIG_MAPS, PATIENCE, Server, TRIGGERS, trigger};

const MERGE: &str = "application/merge-patch+json";

fn is(ty: &str, name: &str) -> (String, String) {
    (ty.to_owned(), name.to_owned())
}

#[tokio::test]
async fn watch_shows_current_objects_then_each_change_once() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.config_map("a", json!({})).await?;
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true")).await?;
    assert_eq!(watch.summary().await?, is("ADDED", "a"));
    server.config_map("b", json!({})).await?;
    server.call("PATCH", &format!("{CONFIG_MAPS}/a"), MERGE, &json!({"data": {"k": "2"}})).await?;
    let deleted = server.get(&format!("{CONFIG_MAPS}/b")).await?.body;
    server.call("DELETE", &format!("{CONFIG_MAPS}/b"), "", &Value::Null).await?;
    assert_eq!(watch.summary().await?, is("ADDED", "b"));
    assert_eq!(watch.summary().await?, is("MODIFIED", "a"));
    let event = watch.next().await?.expect("event");
    assert_eq!(event["type"], "DELETED");
    let number =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
    assert!(number(&event["object"]) > number(&deleted), "a deletion has a revision of its own");
    Ok(())
}

#[tokio::test]
async fn objects_that_stop_matching_a_selector_disappear() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let created = server.config_map("a", json!({})).await?;
    let since = created["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let query = format!("{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx&resourceVersion={since}");
    let mut live = server.watch(&query).await?;
    for label in ["x", "x", "y", "x"] {
        let patch = json!({"metadata": {"labels": {"app": label}}, "data": {"k": label}});
        server.call("PATCH", &format!("{CONFIG_MAPS}/a"), MERGE, &patch).await?;
        server.call("PATCH", &format!("{CONFIG_MAPS}/a"), MERGE, &json!({"data": {"k": "again"}})).await?;
    }
    let expected = ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED", "ADDED", "MODIFIED"];
    for ty in expected {
        assert_eq!(live.summary().await?, is(ty, "a"));
    }
    // The log tells the same story after a restart.
    let server = Server::start_in(server.stop().await).await?;
    let mut replayed = server.watch(&query).await?;
    for ty in expected {
        assert_eq!(replayed.summary().await?, is(ty, "a"));
    }
    Ok(())
}

#[tokio::test]
async fn revision_that_cannot_be_watched_is_told_in_the_stream() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for version in ["5", "99999999999999"] {
        let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={version}")).await?;
        let event = watch.next().await?.expect("event");
        assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
        assert_eq!(event["object"]["reason"], "Expired");
        assert!(watch.next().await?.is_none());
    }
    Ok(())
}

#[tokio::test]
async fn watch_ends_with_a_bookmark_that_covers_other_kinds_changes() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let list = server.get(TRIGGERS).await?.body;
    let start = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let query = format!("{TRIGGERS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={start}");
    let mut watch = server.watch(&query).await?;
    let event = watch.next().await?.expect("bookmark");
    assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("BOOKMARK"), &json!("Trigger")));
    assert_eq!(event["object"]["metadata"]["resourceVersion"], *start);
    assert!(watch.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.config_map("a", json!({})).await?;
    let query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true";
    let refused = server.get(&format!("{CONFIG_MAPS}?{query}")).await?;
    assert_eq!(refused.body["code"], 422);
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?{query}&resourceVersionMatch=NotOlderThan")).await?;
    assert_eq!(watch.summary().await?, is("ADDED", "a"));
    let event = watch.next().await?.expect("bookmark");
    assert_eq!(event["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    Ok(())
}

#[tokio::test]
async fn kube_reflector_follows_in_both_modes() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let (store, writer) = reflector::store::<Trigger>();
        let stream = reflector(writer, watcher(server.triggers(), config)).default_backoff().applied_objects();
        let mut stream = Box::pin(stream);
        server.post(TRIGGERS, &trigger("t")).await?;
        let next = tokio::time::timeout(PATIENCE, stream.try_next()).await??.expect("object");
        assert_eq!(next.metadata.name.as_deref(), Some("t"));
        let patch = json!({"status": {"subscriberUri": "http://s"}});
        server.call("PATCH", &format!("{TRIGGERS}/t/status"), MERGE, &patch).await?;
        let next = tokio::time::timeout(PATIENCE, stream.next()).await?.expect("object")?;
        assert!(next.status.is_some());
        assert_eq!(store.len(), 1);
        server.call("DELETE", &format!("{TRIGGERS}/t"), "", &Value::Null).await?;
    }
    Ok(())
}

#[tokio::test]
async fn shutdown_ends_watches() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut watch = server.watch(&format!("{TRIGGERS}?watch=1")).await?;
    server.api.shutdown().await;
    assert!(watch.next().await?.is_none());
    Ok(())
}
