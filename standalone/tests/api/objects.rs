//! Creating, changing and reading single objects.

use http::StatusCode;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::finalizer::{Event, finalizer};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{BROKERS, CONFIG_MAPS, Server, TRIGGERS, eventually, trigger};

fn typed<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("object")
}

#[tokio::test]
async fn typed_client_creates_reads_replaces_and_deletes() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let triggers = server.triggers();
    let created = triggers.create(&PostParams::default(), &typed(trigger("t"))).await?;
    assert_eq!(created.metadata.generation, Some(1));
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());

    let mut changed = triggers.get("t").await?;
    changed.spec.subscriber.uri = Some("http://localhost:9001/".to_owned());
    let replaced = triggers.replace("t", &PostParams::default(), &changed).await?;
    assert_eq!(replaced.metadata.generation, Some(2));
    let stale = triggers.replace("t", &PostParams::default(), &created).await.expect_err("stale");
    assert!(matches!(&stale, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"), "{stale}");

    triggers.delete("t", &Default::default()).await?;
    assert!(triggers.get_opt("t").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn status_and_specification_are_written_apart() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let brokers = server.brokers();
    let mut with_status = json!({"metadata": {"name": "b"}, "spec": {}, "status": {"annotations": {"a": "b"}}});
    with_status["apiVersion"] = json!("eventing.knative.dev/v1");
    with_status["kind"] = json!("Broker");
    let created = brokers.create(&PostParams::default(), &typed(with_status)).await?;
    assert!(created.status.is_none(), "create drops status");

    let patch = json!({
        "metadata": {"labels": {"ignored": "here"}},
        "spec": {"delivery": {"retry": 7}},
        "status": {"address": {"url": "http://b"}},
    });
    let status = brokers.patch_status("b", &PatchParams::apply("c"), &Patch::Merge(&patch)).await?;
    assert_eq!(status.metadata.generation, Some(1));
    assert_eq!((&status.spec, status.labels()), (&created.spec, created.labels()));
    let patched = brokers.patch("b", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    assert_eq!(patched.metadata.generation, Some(2));
    assert_eq!(patched.spec.delivery.and_then(|delivery| delivery.retry), Some(7));
    let address = patched.status.and_then(|status| status.address).and_then(|address| address.url);
    assert_eq!(address.as_deref(), Some("http://b"));

    let label = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    let labelled = brokers.patch("b", &PatchParams::default(), &label).await?;
    assert_eq!(labelled.metadata.generation, Some(2), "labels are no specification");
    Ok(())
}

#[tokio::test]
async fn write_that_changes_nothing_keeps_its_revision() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let triggers = server.triggers();
    let created = triggers.create(&PostParams::default(), &typed(trigger("t"))).await?;
    let replaced = triggers.replace("t", &PostParams::default(), &created).await?;
    assert_eq!(replaced.resource_version(), created.resource_version());
    let patch = Patch::Merge(json!({"spec": {"broker": "default"}}));
    let patched = triggers.patch("t", &PatchParams::default(), &patch).await?;
    assert_eq!(patched.resource_version(), created.resource_version());
    Ok(())
}

#[tokio::test]
async fn first_finalizer_is_added_and_holds_the_object() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let triggers = server.triggers();
    triggers.create(&PostParams::default(), &typed(trigger("t"))).await?;
    let reconcile = async |expected: &'static str| {
        let object = Arc::new(triggers.get("t").await?);
        finalizer(&triggers, "test/hold", object, |event| async move {
            let seen = match event {
                Event::Apply(_) => "apply",
                Event::Cleanup(_) => "cleanup",
            };
            assert_eq!(seen, expected);
            Ok::<_, std::convert::Infallible>(kube::runtime::controller::Action::await_change())
        })
        .await?;
        anyhow::Ok(())
    };
    reconcile("apply").await?;
    assert_eq!(triggers.get("t").await?.finalizers(), ["test/hold"]);
    let marked = triggers.delete("t", &Default::default()).await?.left().expect("still there");
    assert!(marked.metadata.deletion_timestamp.is_some());
    let patch = json!({"metadata": {"finalizers": ["test/hold", "another"]}});
    let refused = triggers.patch("t", &PatchParams::default(), &Patch::Merge(patch)).await.expect_err("deleting");
    assert!(refused.to_string().contains("no new finalizers can be added"), "{refused}");
    reconcile("cleanup").await?;
    assert!(triggers.get_opt("t").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn invalid_objects_are_refused_in_kubernetes_words() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut wrong_type = trigger("t");
    wrong_type["spec"]["broker"] = json!(5);
    let answer = server.post(TRIGGERS, &wrong_type).await?;
    assert_eq!((answer.status, &answer.body["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("Trigger.eventing.knative.dev \"t\" is invalid: spec.broker: Invalid value: \"integer\": "),
        "{message}"
    );
    assert_eq!(answer.body["details"]["causes"][0]["field"], "spec.broker");

    let mut denied = trigger("t");
    denied["spec"]["broker"] = Value::Null;
    let answer = server.post(TRIGGERS, &denied).await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with(
            "admission webhook \"validation.webhook.eventing.knative.dev\" denied the request: validation failed: "
        ) && message.contains("spec.broker"),
        "{message}"
    );

    for (name, code) in [("", 422), ("Bad_Name", 422)] {
        let answer = server.post(TRIGGERS, &trigger(name)).await?;
        assert_eq!(answer.body["code"], code, "{answer:?}");
    }
    let elsewhere = BROKERS.replace("/default/", "/nowhere/");
    let answer = server.post(&elsewhere, &json!({"metadata": {"name": "b"}})).await?;
    assert_eq!(answer.body["message"], "namespaces \"nowhere\" not found");
    let answer = server.get("/apis/eventing.knative.dev/v1/namespaces/default/nonsense").await?;
    assert_eq!(answer.body["message"], "the server could not find the requested resource");
    let answer = server.get(&format!("{TRIGGERS}/none")).await?;
    assert_eq!(answer.body["message"], "triggers.eventing.knative.dev \"none\" not found");
    let answer = server.call("PUT", BROKERS, "application/json", &json!({})).await?;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let answer = server.call("POST", BROKERS, "text/plain", &json!({})).await?;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let strategic = "application/strategic-merge-patch+json";
    let answer = server.call("PATCH", &format!("{BROKERS}/b"), strategic, &json!({})).await?;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    Ok(())
}

#[tokio::test]
async fn unknown_fields_are_dropped_with_a_warning_or_refused() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut misspelt = trigger("t");
    misspelt["spec"]["subscriber"]["bogus"] = json!(1);
    let answer = server.post(&format!("{TRIGGERS}?fieldValidation=Strict"), &misspelt).await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(message.contains("strict decoding error: unknown field \"spec.subscriber.bogus\""), "{message}");
    let answer = server.post(TRIGGERS, &misspelt).await?;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.warnings, [r#"299 - "unknown field \"spec.subscriber.bogus\"""#]);
    assert!(answer.body["spec"]["subscriber"].get("bogus").is_none());
    Ok(())
}

#[tokio::test]
async fn resource_version_in_a_patch_is_a_lock() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let created = server.config_map("c", json!({})).await?;
    let version = created["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = format!("{CONFIG_MAPS}/c");
    let patch = |version: &str, value: &str| json!({"metadata": {"resourceVersion": version}, "data": {"k": value}});
    let stale = server.call("PATCH", &path, "application/merge-patch+json", &patch("1", "x")).await?;
    assert_eq!(stale.body["reason"], "Conflict");
    let fresh = server.call("PATCH", &path, "application/merge-patch+json", &patch(version, "x")).await?;
    assert_eq!(fresh.status, StatusCode::OK);
    let failing = json!([{"op": "test", "path": "/data/k", "value": "no"}]);
    let failing = server.call("PATCH", &path, "application/json-patch+json", &failing).await?;
    assert_eq!(failing.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}

#[tokio::test]
async fn patches_without_a_version_from_many_clients_all_land() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.config_map("c", json!({})).await?;
    let path = format!("{CONFIG_MAPS}/c");
    let patches: Vec<Value> = (0..4).map(|i| json!({"data": {format!("k{i}"): "v"}})).collect();
    let calls = patches.iter().map(|patch| server.call("PATCH", &path, "application/merge-patch+json", patch));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer?.status, StatusCode::OK);
    }
    let data = server.get(&path).await?.body["data"].clone();
    assert_eq!(data.as_object().map(serde_json::Map::len), Some(5), "{data}");
    Ok(())
}

#[tokio::test]
async fn objects_revisions_and_watches_survive_a_restart() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let before = server.config_map("a", json!({})).await?;
    server.config_map("b", json!({})).await?;
    let server = Server::start_in(server.stop().await).await?;
    let after = server.get(&format!("{CONFIG_MAPS}/a")).await?.body;
    assert_eq!(after, before);
    // From the revision of `a`, the creation of `b` is replayed from the log.
    let version = before["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={version}")).await?;
    assert_eq!(watch.summary().await?, ("ADDED".to_owned(), "b".to_owned()));
    let new = server.config_map("c", json!({})).await?;
    let number =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<i64>().ok());
    assert!(number(&new) > number(&before));
    assert_eq!(watch.summary().await?, ("ADDED".to_owned(), "c".to_owned()));
    Ok(())
}

#[tokio::test]
async fn dependents_follow_their_owner() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let owner = server.config_map("owner", json!({})).await?;
    let reference = |owner: &Value, name: &str| {
        json!({"ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": true,
        }]})
    };
    let child = server.config_map("child", reference(&owner, "owner")).await?;
    server.config_map("grandchild", reference(&child, "child")).await?;
    server.call("DELETE", &format!("{CONFIG_MAPS}/owner"), "", &Value::Null).await?;
    for name in ["child", "grandchild"] {
        eventually("dependents are deleted", async || {
            Ok(server.get(&format!("{CONFIG_MAPS}/{name}")).await?.status == StatusCode::NOT_FOUND)
        })
        .await?;
    }

    let owner = server.config_map("owner", json!({})).await?;
    server.config_map("child", reference(&owner, "owner")).await?;
    let foreground = json!({"propagationPolicy": "Foreground"});
    let answer = server.call("DELETE", &format!("{CONFIG_MAPS}/owner"), "application/json", &foreground).await?;
    assert_eq!(answer.body["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    eventually("the owner goes after its child", async || {
        Ok(server.get(&format!("{CONFIG_MAPS}/owner")).await?.status == StatusCode::NOT_FOUND)
    })
    .await?;
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/child")).await?.status, StatusCode::NOT_FOUND);

    let owner = server.config_map("owner", json!({})).await?;
    server.config_map("child", reference(&owner, "owner")).await?;
    let orphan = json!({"propagationPolicy": "Orphan"});
    server.call("DELETE", &format!("{CONFIG_MAPS}/owner"), "application/json", &orphan).await?;
    eventually("the owner goes", async || {
        Ok(server.get(&format!("{CONFIG_MAPS}/owner")).await?.status == StatusCode::NOT_FOUND)
    })
    .await?;
    let child = server.get(&format!("{CONFIG_MAPS}/child")).await?.body;
    assert!(child["metadata"].get("ownerReferences").is_none(), "{child}");
    Ok(())
}

#[tokio::test]
async fn namespace_empties_before_it_goes() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let namespaces = "/api/v1/namespaces";
    server.post(namespaces, &json!({"metadata": {"name": "demo"}})).await?;
    let held = json!({"metadata": {"name": "held", "finalizers": ["test/hold"]}});
    let inside = format!("{namespaces}/demo/configmaps");
    server.post(&inside, &held).await?;
    let answer = server.call("DELETE", &format!("{namespaces}/demo"), "", &Value::Null).await?;
    assert_eq!(answer.body["status"]["phase"], "Terminating");
    let answer = server.post(&inside, &json!({"metadata": {"name": "late"}})).await?;
    assert_eq!(answer.body["details"]["causes"][0]["reason"], "NamespaceTerminating", "{answer:?}");
    eventually("what is inside is being deleted", async || {
        Ok(server.get(&format!("{inside}/held")).await?.body["metadata"].get("deletionTimestamp").is_some())
    })
    .await?;
    assert_eq!(server.get(&format!("{namespaces}/demo")).await?.status, StatusCode::OK);
    let patch = json!({"metadata": {"finalizers": null}});
    server.call("PATCH", &format!("{inside}/held"), "application/merge-patch+json", &patch).await?;
    eventually("the namespace goes", async || {
        Ok(server.get(&format!("{namespaces}/demo")).await?.status == StatusCode::NOT_FOUND)
    })
    .await?;
    let answer = server.call("DELETE", &format!("{namespaces}/default"), "", &Value::Null).await?;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn names_are_generated_and_secrets_encoded() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answer = server.post(CONFIG_MAPS, &json!({"metadata": {"generateName": "job-"}})).await?;
    let name = answer.body["metadata"]["name"].as_str().unwrap_or_default();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}});
    let answer = server.post("/api/v1/namespaces/default/secrets", &secret).await?;
    assert_eq!(answer.body["data"], json!({"password": "aHVudGVyMg=="}));
    assert!(answer.body.get("stringData").is_none());
    Ok(())
}

/// Each was found by somebody who tried to break the API.
#[tokio::test]
async fn what_would_harm_later_is_refused_now() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
    let map = |metadata: Value| json!({"metadata": metadata});
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u", "controller": true});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let channels = "/apis/messaging.knative.dev/v1/namespaces/default/channels";
    let template = json!({"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "spec": nested(110)});
    for (path, body) in [
        (channels, json!({"metadata": {"name": "x"}, "spec": {"channelTemplate": template}})),
        (deployments, json!({"metadata": {"name": "x"}, "spec": "x"})),
        (deployments, json!({"metadata": {"name": "x"}, "spec": {"replicas": "x"}})),
        (CONFIG_MAPS, json!({"metadata": {"name": "x"}, "data": {"a": 1}})),
        (CONFIG_MAPS, map(json!({"name": "x", "labels": {"a b": "c"}}))),
        (CONFIG_MAPS, map(json!({"name": "x", "labels": {"a": "x".repeat(64)}}))),
        (CONFIG_MAPS, map(json!({"name": "x", "annotations": {"a": "x".repeat(263_000)}}))),
        (CONFIG_MAPS, map(json!({"name": "x", "finalizers": ["a b"]}))),
        (CONFIG_MAPS, map(json!({"name": "x", "ownerReferences": [{}]}))),
        (CONFIG_MAPS, map(json!({"name": "x", "ownerReferences": [owner.clone(), owner]}))),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", map(json!({"name": "a\0b"}))),
        ("/api/v1/namespaces", map(json!({"name": "a.b"}))),
    ] {
        let answer = server.post(path, &body).await?;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{path} {body}: {answer:?}");
    }
    server.config_map("x", json!({"labels": {"keep": "me"}})).await?;
    let path = format!("{CONFIG_MAPS}/x");
    for (media_type, body) in [
        ("application/merge-patch+json", json!({"metadata": null})),
        ("application/json-patch+json", json!([{"op": "remove", "path": "/metadata"}])),
        ("application/merge-patch+json", json!({"data": {"a": 7}})),
    ] {
        let answer = server.call("PATCH", &path, media_type, &body).await?;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{body}: {answer:?}");
    }
    for body in [
        json!({"dryRun": "All"}),
        json!({"preconditions": {"uid": 5}}),
        json!({"preconditions": "x"}),
        json!({"propagationPolicy": 5}),
        json!([]),
        json!({"kind": "ConfigMap", "apiVersion": "v1"}),
    ] {
        let answer = server.call("DELETE", &path, "application/json", &body).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
    let answer = server.post(&format!("{CONFIG_MAPS}?dryRun=All&dryRun="), &map(json!({"name": "y"}))).await?;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    let large = json!({"data": {"a": "x".repeat(900_000)}});
    assert_eq!(server.call("PATCH", &path, "application/merge-patch+json", &large).await?.status, StatusCode::OK);
    let more = json!({"data": {"b": "x".repeat(900_000)}});
    let answer = server.call("PATCH", &path, "application/merge-patch+json", &more).await?;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let found = server.get(&path).await?.body;
    assert_eq!((&found["metadata"]["labels"], found["data"].get("b")), (&json!({"keep": "me"}), None));
    Ok(())
}
