//! Lists, pages, selectors, and deleting by selector.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, Server};

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect()
}

#[tokio::test]
async fn empty_list_has_a_revision() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let list = server.get("/apis/eventing.knative.dev/v1/triggers").await?.body;
    assert_eq!((&list["kind"], &list["items"]), (&json!("TriggerList"), &json!([])));
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    assert!(version.parse::<u64>().is_ok_and(|version| version > 0), "{version}");
    Ok(())
}

#[tokio::test]
async fn selectors_choose_by_label_and_field() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.config_map("a", json!({"labels": {"app": "x"}})).await?;
    server.config_map("b", json!({"labels": {"app": "y"}})).await?;
    server.config_map("c", json!({})).await?;
    for (query, expected) in [
        ("labelSelector=app%3Dx", vec!["a"]),
        ("labelSelector=app%20in%20(x,y)", vec!["a", "b"]),
        ("labelSelector=!app", vec!["c"]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db&labelSelector=app", vec!["a"]),
    ] {
        let list = server.get(&format!("{CONFIG_MAPS}?{query}")).await?.body;
        assert_eq!(names(&list), expected, "{query}");
    }
    let refused = server.get(&format!("{CONFIG_MAPS}?fieldSelector=spec.x%3D1")).await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["message"], "field label not supported: spec.x");
    let refused = server.get(&format!("{CONFIG_MAPS}?labelSelector=a%20b")).await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);

    let answer = server.call("DELETE", &format!("{CONFIG_MAPS}?labelSelector=app"), "", &Value::Null).await?;
    assert_eq!(names(&answer.body), ["a", "b"]);
    assert_eq!(names(&server.get(CONFIG_MAPS).await?.body), ["c"]);
    Ok(())
}

#[tokio::test]
async fn pages_report_the_first_revision_and_miss_nothing() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for name in ["a", "b", "c", "d", "e"] {
        server.config_map(name, json!({})).await?;
    }
    let first = server.get(&format!("{CONFIG_MAPS}?limit=2")).await?.body;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    server.call("DELETE", &format!("{CONFIG_MAPS}/c"), "", &Value::Null).await?;
    let token = first["metadata"]["continue"].as_str().unwrap_or_default();
    let second = server.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await?.body;
    assert_eq!(names(&second), ["d", "e"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(second["metadata"].get("continue").is_none());
    let refused = server.get(&format!("{CONFIG_MAPS}?continue=%21%21")).await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn revision_not_reached_yet_is_a_timeout_and_a_past_one_is_gone() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answer = server.get(&format!("{CONFIG_MAPS}?resourceVersion=99999999999999")).await?;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let answer = server.get(&format!("{CONFIG_MAPS}?resourceVersion=1&resourceVersionMatch=Exact")).await?;
    assert_eq!(answer.status, StatusCode::GONE);
    let answer = server.get(&format!("{CONFIG_MAPS}?resourceVersion=0")).await?;
    assert_eq!(answer.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn object_of_more_than_the_limit_is_refused() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let huge = json!({"metadata": {"name": "c"}, "data": {"k": "x".repeat(1_600_000)}});
    let answer = server.post(CONFIG_MAPS, &huge).await?;
    assert_eq!(answer.body["reason"], "RequestEntityTooLarge");
    Ok(())
}
