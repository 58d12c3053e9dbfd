//! Nothing accepted is ever lost: kill -9 under load, restart with a backlog, drain, full disk (reliability.md S1, S5, 1.8).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::journal::Journal;
use crate::support::{Answer, Shared, Start, Subscriber, Weir, client, eventually, post, post_with};
use parking_lot::Mutex;

const KEYS: usize = 8;
const CYCLES: usize = 30;

/// Keeps sending numbered events of one key, each until it is acknowledged.
async fn send_key(key: String, url: Shared<Option<String>>, journal: Shared<Journal>, stop: Arc<AtomicBool>) {
    let http = client();
    let mut number = 1;
    while !stop.load(Ordering::Relaxed) {
        let Some(url) = url.lock().clone() else {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            continue;
        };
        let extensions = [("partitionkey", key.as_str()), ("number", &number.to_string())];
        if let Ok(202) = post_with(&http, &url, &format!("{key}-{number}"), "t", &extensions, "{}").await {
            journal.lock().acknowledged.insert(key.clone(), number);
            number += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_nothing_and_keeps_the_order_of_each_key() {
    let journal: Shared<Journal> = Arc::default();
    let recorder = journal.clone();
    let subscriber = Subscriber::scripted(move |_, received| {
        let number = received.header("ce-number").parse().expect("a number");
        recorder.lock().received.entry(received.header("ce-partitionkey").to_owned()).or_default().push(number);
        Answer::status(202)
    })
    .await;
    let mut weir = Weir::start().await;
    let broker_url = weir.broker("default").await;
    weir.trigger("all", "default", &subscriber.url, "weir.dev/delivery-order: ordered", "").await;

    let (url, stop) = (Arc::new(Mutex::new(Some(broker_url))), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..KEYS)
        .map(|key| tokio::spawn(send_key(format!("k{key}"), url.clone(), journal.clone(), stop.clone())))
        .collect();
    for cycle in 0..CYCLES {
        // Kill at a different amount of progress each time: recovery, first appends, steady state.
        let before: u64 = journal.lock().acknowledged.values().sum();
        let wanted = before + 1 + (cycle as u64 * 37) % 400;
        eventually("more events acknowledged", async || {
            let now: u64 = journal.lock().acknowledged.values().sum();
            if now >= wanted { Ok(()) } else { Err((now, wanted)) }
        })
        .await;
        let start = weir.kill().await;
        *url.lock() = None;
        weir = start.go().await;
        *url.lock() = Some(weir.broker_url("default").await);
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("sender");
    }
    eventually("everything acknowledged has arrived", async || {
        if journal.lock().complete() { Ok(()) } else { Err(journal.lock().violations(CYCLES)) }
    })
    .await;
    let journal = journal.lock();
    let violations = journal.violations(CYCLES);
    assert!(violations.is_empty(), "{violations:#?}\n{}", weir.log());
    let total: u64 = journal.acknowledged.values().sum();
    let received: usize = journal.received.values().map(Vec::len).sum();
    eprintln!("{CYCLES} kills: {total} acknowledged, {} repeated", received as u64 - total.min(received as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_delivered_after_a_restart_and_nothing_twice_after_a_clean_stop() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let subscriber_url = format!("http://{}/", listener.local_addr().expect("address"));
    drop(listener);
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let healthy = Subscriber::start().await;
    let delivery = "  delivery: {retry: 1000, backoffPolicy: linear, backoffDelay: PT0.05S}\n";
    weir.trigger("down", "default", &subscriber_url, "", delivery).await;
    weir.trigger("healthy", "default", &healthy.url, "", "").await;
    for n in 0..500 {
        assert_eq!(post(&client(), &url, &n.to_string(), "t", "{}").await.expect("an answer"), 202);
    }
    healthy.wait_for(500).await;
    let (status, start) = weir.stop().await;
    assert_eq!(status.code(), Some(0), "a clean stop exits 0");
    let address = subscriber_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = tokio::net::TcpListener::bind(&address).await.expect("listen again");
    let late = Subscriber::on(listener, |_, _| Answer::status(202));
    let weir = start.go().await;
    late.wait_for(500).await;
    let (status, start) = weir.stop().await;
    assert_eq!(status.code(), Some(0));
    let weir = start.go().await;
    // A marker behind everything: once it is there, repeats would be too.
    let url = weir.broker_url("default").await;
    assert_eq!(post(&client(), &url, "marker", "t", "{}").await.expect("an answer"), 202);
    healthy.wait_for(501).await;
    late.wait_for(501).await;
    let mut ids = late.ids();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), late.count(), healthy.count()), (501, 501, 501), "lost or repeated");
    assert!(weir.dead_letters().await.is_empty(), "a stop never dead-letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_are_answered_while_draining() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let acknowledged: Shared<Vec<String>> = Arc::default();
    let tasks: Vec<_> = (0..4)
        .map(|sender| {
            let (url, acknowledged) = (url.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let http = client();
                for n in 0.. {
                    let id = format!("{sender}-{n}");
                    match post(&http, &url, &id, "t", "{}").await {
                        Ok(202) => acknowledged.lock().push(id),
                        // Draining or gone: both may be retried elsewhere.
                        Ok(503) | Err(_) => break,
                        Ok(other) => panic!("answered {other} while draining"),
                    }
                }
            })
        })
        .collect();
    subscriber.wait_for(200).await;
    let (status, start) = weir.stop().await;
    assert_eq!(status.code(), Some(0));
    for task in tasks {
        task.await.expect("sender");
    }
    let _weir = start.go().await;
    let wanted = acknowledged.lock().clone();
    eventually("every acknowledged event delivered", async || {
        let ids: std::collections::HashSet<_> = subscriber.ids().into_iter().collect();
        let lost: Vec<_> = wanted.iter().filter(|id| !ids.contains(*id)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_events_and_recovers_by_itself() {
    let Some(disk) = crate::support::part("WEIR_TEST_SMALL_DISK", "a small file system") else { return };
    let data_dir = std::path::Path::new(&disk).join("data");
    let _ = std::fs::remove_dir_all(&data_dir);
    let weir = Start::on(&data_dir).go().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let (http, payload) = (client(), format!("\"{}\"", "x".repeat(200_000)));
    let mut acknowledged = Vec::new();
    let refused = eventually("the disk is full", async || {
        let id = acknowledged.len().to_string();
        match post(&http, &url, &id, "t", &payload).await.expect("an answer") {
            202 => {
                acknowledged.push(id);
                Err(acknowledged.len())
            }
            other => Ok(other),
        }
    })
    .await;
    assert_eq!(refused, 503);
    subscriber.wait_for(acknowledged.len()).await;
    // Space returns: the oldest data is not ours to delete, so make room beside it.
    let remount = std::process::Command::new("mount").args(["-o", "remount,size=96m", &disk]).status();
    assert!(remount.is_ok_and(|status| status.success()), "cannot grow the small file system");
    eventually("events are accepted again", async || {
        match post(&http, &url, "again", "t", "{}").await.expect("an answer") {
            202 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let start = weir.kill().await;
    let weir = start.go().await;
    let url = weir.broker_url("default").await;
    assert_eq!(post(&http, &url, "after", "t", "{}").await.expect("an answer"), 202);
    // Everything acknowledged is on the disk, whatever was delivered before.
    let late = Subscriber::start().await;
    weir.trigger("late", "default", &late.url, "weir.dev/start: earliest", "").await;
    acknowledged.extend(["again".to_owned(), "after".to_owned()]);
    eventually("nothing lost", async || {
        let ids: std::collections::HashSet<_> = late.ids().into_iter().collect();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !ids.contains(*id)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?}")) }
    })
    .await;
    drop(weir);
    let _ = std::fs::remove_dir_all(&data_dir);
}
