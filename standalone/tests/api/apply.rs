//! Server-side apply: ownership, conflicts, force, and what is taken away again.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, CONFIG_MAPS, Server, TRIGGERS, trigger};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

async fn apply(server: &Server, path: &str, manager: &str, force: bool, body: &Value) -> anyhow::Result<Answer> {
    server.call("PATCH", &format!("{path}?fieldManager={manager}&force={force}"), APPLY, body).await
}

fn managers(object: &Value) -> Vec<(String, String)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (text(entry, "manager"), text(entry, "operation"))).collect()
}

#[tokio::test]
async fn apply_creates_repeats_without_change_and_takes_away() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = format!("{TRIGGERS}/t");
    let mut manifest = trigger("t");
    manifest["metadata"]["labels"] = json!({"app": "x"});
    manifest["spec"]["delivery"] = json!({"retry": 3});
    let created = apply(&server, &path, "me", false, &manifest).await?;
    assert_eq!(created.status, StatusCode::CREATED);
    let again = apply(&server, &path, "me", false, &manifest).await?;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &created.body));

    manifest["metadata"].as_object_mut().map(|metadata| metadata.remove("labels"));
    manifest["spec"].as_object_mut().map(|spec| spec.remove("delivery"));
    let less = apply(&server, &path, "me", false, &manifest).await?.body;
    assert!(less["metadata"]["labels"].get("app").is_none() && less["spec"].get("delivery").is_none(), "{less}");
    assert_eq!(managers(&less), [("me".to_owned(), "Apply".to_owned())]);
    let fields = &less["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(*fields, json!({"f:spec": {"f:broker": {}, "f:subscriber": {"f:uri": {}}}}));
    Ok(())
}

#[tokio::test]
async fn conflict_names_manager_and_field_and_force_takes_the_field() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = format!("{TRIGGERS}/t");
    let manifest = trigger("t");
    apply(&server, &path, "me", false, &manifest).await?;
    let patch = json!({"spec": {"subscriber": {"uri": "http://localhost:9/"}}});
    server.call("PATCH", &format!("{path}?fieldManager=kubectl-patch"), MERGE, &patch).await?;
    let refused = apply(&server, &path, "me", false, &manifest).await?;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(
        refused.body["message"],
        "Apply failed with 1 conflict: conflict with \"kubectl-patch\" using eventing.knative.dev/v1: \
         .spec.subscriber.uri"
    );
    assert_eq!(refused.body["details"]["causes"][0]["field"], ".spec.subscriber.uri");
    let forced = apply(&server, &path, "me", true, &manifest).await?;
    assert_eq!(forced.status, StatusCode::OK);
    assert_eq!(forced.body["spec"]["subscriber"]["uri"], "http://localhost:9000/");
    // What the webhook stamps is all that is left to the other manager.
    let others: Vec<_> = forced.body["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    assert!(
        others
            .iter()
            .filter(|entry| entry["manager"] == "kubectl-patch")
            .all(|entry| entry["fieldsV1"].get("f:spec").is_none()),
        "{others:?}"
    );
    Ok(())
}

#[tokio::test]
async fn equal_values_are_shared_and_stay_until_nobody_wants_them() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = format!("{CONFIG_MAPS}/c");
    let both = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"shared": "1", "own": "1"}});
    let shared = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"shared": "1"}});
    apply(&server, &path, "a", false, &both).await?;
    assert_eq!(apply(&server, &path, "b", false, &shared).await?.status, StatusCode::OK);
    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let left = apply(&server, &path, "a", false, &nothing).await?.body;
    assert_eq!(left["data"], json!({"shared": "1"}));
    assert_eq!(managers(&left), [("b".to_owned(), "Apply".to_owned())]);
    let gone = apply(&server, &path, "b", false, &nothing).await?.body;
    assert!(gone.get("data").is_none(), "{gone}");
    Ok(())
}

#[tokio::test]
async fn list_items_are_merged_by_key_and_removed_whole() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = "/apis/apps/v1/namespaces/default/deployments/d";
    let manifest = |env: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [
            {"name": "c", "image": "x", "env": env, "ports": [{"containerPort": 80}]},
        ]}}}})
    };
    let env = |names: &[&str]| names.iter().map(|name| json!({"name": name, "value": "1"})).collect::<Value>();
    apply(&server, path, "me", false, &manifest(env(&["A", "B"]))).await?;
    let sidecar =
        json!([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "side", "image": "y"}}]);
    server.call("PATCH", &format!("{path}?fieldManager=other"), "application/json-patch+json", &sidecar).await?;
    let changed = apply(&server, path, "me", false, &manifest(env(&["A", "C"]))).await?.body;
    let containers = &changed["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["env"], env(&["A", "C"]));
    assert_eq!(containers[1], json!({"name": "side", "image": "y"}));
    let fields = &changed["metadata"]["managedFields"][0]["fieldsV1"];
    let container = &fields["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"];
    assert_eq!(
        container["f:ports"],
        json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}})
    );

    // Nobody else holds anything in the container: it goes as a whole.
    let none =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": []}}}});
    let rest = apply(&server, path, "me", false, &none).await?.body;
    assert_eq!(rest["spec"]["template"]["spec"]["containers"], json!([{"name": "side", "image": "y"}]));
    Ok(())
}

#[tokio::test]
async fn status_is_applied_apart() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = format!("{TRIGGERS}/t");
    let mut manifest = trigger("t");
    manifest["status"] = json!({"subscriberUri": "http://ignored"});
    let created = apply(&server, &path, "me", false, &manifest).await?.body;
    assert!(created.get("status").is_none());
    let status =
        json!({"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "status": {"subscriberUri": "http://s"}});
    let applied = apply(&server, &format!("{path}/status"), "controller", true, &status).await?;
    assert_eq!(applied.status, StatusCode::OK, "{applied:?}");
    assert_eq!(applied.body["status"], json!({"subscriberUri": "http://s"}));
    assert_eq!(applied.body["metadata"]["generation"], 1);
    let again = apply(&server, &path, "me", false, &manifest).await?.body;
    assert_eq!(again["status"], json!({"subscriberUri": "http://s"}));
    assert_eq!(again["metadata"]["resourceVersion"], applied.body["metadata"]["resourceVersion"]);
    let missing = apply(&server, &format!("{TRIGGERS}/none/status"), "controller", true, &status).await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn apply_needs_a_manager_and_no_managed_fields() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let path = format!("{TRIGGERS}/t");
    let answer = server.call("PATCH", &path, APPLY, &trigger("t")).await?;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut manifest = trigger("t");
    manifest["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    let answer = apply(&server, &path, "me", false, &manifest).await?;
    assert_eq!(
        (answer.status, &answer.body["message"]),
        (StatusCode::BAD_REQUEST, &json!("metadata.managedFields must be nil"))
    );
    manifest["metadata"]["managedFields"] = Value::Null;
    manifest["apiVersion"] = json!("eventing.knative.dev/v1beta1");
    let answer = apply(&server, &path, "me", false, &manifest).await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn first_apply_takes_over_from_nobody() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.config_map("c", json!({})).await?;
    let path = format!("{CONFIG_MAPS}/c");
    let clear = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
    let cleared = server.call("PATCH", &path, "application/json-patch+json", &clear).await?.body;
    assert_eq!(managers(&cleared), []);
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "other"}});
    let refused = apply(&server, &path, "me", false, &body).await?;
    assert!(refused.body["message"].as_str().unwrap_or_default().contains("before-first-apply"), "{refused:?}");
    Ok(())
}
