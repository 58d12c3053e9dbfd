//! Several processes on one PostgreSQL database. Skipped, with a word, where `tests/run` found no server.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, Server, create_database, eventually, postgres};

/// Endpoints that share a database, as processes would; `None` without a PostgreSQL server.
async fn company(size: usize) -> anyhow::Result<Option<Vec<Server>>> {
    let Some(server) = postgres() else {
        eprintln!("skipped: WEIR_TEST_POSTGRES names no server");
        return Ok(None);
    };
    let url = create_database(&server).await?;
    let start = async || {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("database"), &url)?;
        Server::start_in(directory).await
    };
    // At once: none may stumble over what the others set up.
    Ok(Some(try_join_all((0..size).map(|_| start())).await?))
}

#[tokio::test]
async fn what_one_writes_the_other_reads_at_once() -> anyhow::Result<()> {
    let Some(servers) = company(2).await? else { return Ok(()) };
    let [one, other] = servers.as_slice() else { unreachable!("two servers") };
    for round in 0..20 {
        let name = format!("m{round}");
        let made = one.config_map(&name, json!({})).await?;
        let read = other.get(&format!("{CONFIG_MAPS}/{name}")).await?;
        assert_eq!((read.status, &read.body), (StatusCode::OK, &made));
        let list = other.get(CONFIG_MAPS).await?.body;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(round + 1));
        let patch = json!({"data": {"k": "2"}});
        let path = format!("{CONFIG_MAPS}/{name}");
        let patched = other.call("PATCH", &path, "application/merge-patch+json", &patch).await?;
        assert_eq!(one.get(&path).await?.body, patched.body);
    }
    Ok(())
}

#[tokio::test]
async fn a_write_on_top_of_what_the_other_changed_is_a_conflict() -> anyhow::Result<()> {
    let Some(servers) = company(2).await? else { return Ok(()) };
    let [one, other] = servers.as_slice() else { unreachable!("two servers") };
    let mut made = one.config_map("m", json!({})).await?;
    made["data"]["k"] = json!("first");
    let path = format!("{CONFIG_MAPS}/m");
    assert_eq!(one.call("PUT", &path, "application/json", &made).await?.status, StatusCode::OK);
    let refused = other.call("PUT", &path, "application/json", &made).await?;
    assert_eq!((refused.status, &refused.body["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    let again = other.config_map("m", json!({})).await;
    assert!(again.is_err_and(|error| error.to_string().contains("AlreadyExists")));
    Ok(())
}

#[tokio::test]
async fn a_hundred_writers_leave_no_gap_and_no_duplicate_in_anyones_watch() -> anyhow::Result<()> {
    let Some(servers) = company(2).await? else { return Ok(()) };
    let mut watches = Vec::new();
    for server in &servers {
        watches.push(server.watch(&format!("{CONFIG_MAPS}?watch=true")).await?);
    }
    let writers = (0..100).map(|writer| {
        let server = &servers[writer % servers.len()];
        async move {
            for round in 0..3 {
                server.config_map(&format!("w{writer}-{round}"), json!({})).await?;
            }
            anyhow::Ok(())
        }
    });
    try_join_all(writers).await?;
    for watch in &mut watches {
        let (mut names, mut last) = (BTreeSet::new(), 0);
        while names.len() < 300 {
            let event = watch.next().await?.ok_or_else(|| anyhow::anyhow!("ended after {} events", names.len()))?;
            let revision: i64 = event["object"]["metadata"]["resourceVersion"].as_str().unwrap_or_default().parse()?;
            assert!(revision > last, "{revision} after {last}");
            last = revision;
            assert!(names.insert(event["object"]["metadata"]["name"].to_string()), "told twice: {event}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_was_away_for_longer_than_the_log_reaches_finds_the_difference() -> anyhow::Result<()> {
    let Some(servers) = company(2).await? else { return Ok(()) };
    let [one, other] = servers.as_slice() else { unreachable!("two servers") };
    for name in ["kept", "changed", "removed", "made-anew"] {
        one.config_map(name, json!({})).await?;
    }
    let mut watch = other.watch(&format!("{CONFIG_MAPS}?watch=true")).await?;
    for _ in 0..4 {
        watch.summary().await?;
    }
    // Behind the back of both, as if the changes had been made and trimmed while this process did not look.
    let body = |name: &str, uid: &str, data: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": data},
               "metadata": {"name": name, "namespace": "default", "uid": uid}})
        .to_string()
    };
    let changed = one.get(&format!("{CONFIG_MAPS}/changed")).await?.body;
    let mut tx = one.pool.begin().await?;
    let revision: i64 =
        sqlx::query_scalar("UPDATE k_meta SET v = v + 10 WHERE k = 'rev' RETURNING v").fetch_one(&mut *tx).await?;
    for (statement, name, body) in [
        (
            "UPDATE k_obj SET body = $1, rev = $2 WHERE name = $3",
            "changed",
            body("changed", changed["metadata"]["uid"].as_str().unwrap_or_default(), "new"),
        ),
        ("DELETE FROM k_obj WHERE name = $3 AND $1 <> '' AND $2 > 0", "removed", "x".to_owned()),
        (
            "UPDATE k_obj SET body = $1, rev = $2, uid = 'another' WHERE name = $3",
            "made-anew",
            body("made-anew", "another", "new"),
        ),
    ] {
        sqlx::query(statement).bind(body).bind(revision - 5).bind(name).execute(&mut *tx).await?;
    }
    sqlx::query("UPDATE k_meta SET v = $1 WHERE k = 'compacted'").bind(revision - 1).execute(&mut *tx).await?;
    tx.commit().await?;

    let mut told = BTreeSet::new();
    eventually("all differences are told", async || {
        if told.len() < 4 {
            told.insert(watch.summary().await?);
        }
        Ok(told.len() == 4)
    })
    .await?;
    let expected = [("MODIFIED", "changed"), ("DELETED", "removed"), ("DELETED", "made-anew"), ("ADDED", "made-anew")];
    assert_eq!(told, expected.map(|(ty, name)| (ty.to_owned(), name.to_owned())).into());
    let names: Vec<Value> = other.get(CONFIG_MAPS).await?.body["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["changed", "kept", "made-anew"]);
    Ok(())
}
