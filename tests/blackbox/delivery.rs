//! The delivery contract (reliability.md 1.3, 1.4, section 2 rows D1 to D9), seen from the subscriber.

use std::time::Duration;

use crate::support::{Answer, Start, Subscriber, Weir, client, eventually, post, post_with};

/// Three attempts, next to no waits.
const QUICK: &str = "  delivery: {retry: 2, backoffPolicy: linear, backoffDelay: PT0.01S, timeout: PT5S}\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_every_trigger_whose_filter_matches() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let filters = [
        ("none", ""),
        ("legacy", "  filter: {attributes: {type: order.created}}\n"),
        ("legacy-any", "  filter: {attributes: {region: \"\"}}\n"),
        ("exact", "  filters: [{exact: {type: order.created, region: eu}}]\n"),
        ("prefix", "  filters: [{prefix: {type: order.}}]\n"),
        ("suffix", "  filters: [{suffix: {type: .created}}]\n"),
        ("not", "  filters: [{not: {exact: {region: eu}}}]\n"),
        ("any", "  filters: [{any: [{exact: {region: us}}, {prefix: {type: user.}}]}]\n"),
        ("all", "  filters: [{all: [{prefix: {type: order.}}, {exact: {region: us}}]}]\n"),
        // `filters` wins over `filter`.
        ("both", "  filter: {attributes: {type: nothing}}\n  filters: [{exact: {region: eu}}]\n"),
    ];
    let mut subscribers = Vec::new();
    for (name, filter) in filters {
        let subscriber = Subscriber::start().await;
        weir.trigger(name, "default", &subscriber.url, "", filter).await;
        subscribers.push((name, subscriber));
    }
    let http = client();
    for (id, ty, region) in [("1", "order.created", "eu"), ("2", "order.paid", "us"), ("3", "user.created", "eu")] {
        assert_eq!(post_with(&http, &url, id, ty, &[("region", region)], "{}").await.expect("an answer"), 202);
    }
    assert_eq!(post(&http, &url, "4", "user.created", "{}").await.expect("an answer"), 202);
    let expected: &[(&str, &[&str])] = &[
        ("none", &["1", "2", "3", "4"]),
        ("legacy", &["1"]),
        ("legacy-any", &["1", "2", "3"]),
        ("exact", &["1"]),
        ("prefix", &["1", "2"]),
        ("suffix", &["1", "3", "4"]),
        ("not", &["2", "4"]),
        ("any", &["2", "3", "4"]),
        ("all", &["2"]),
        ("both", &["1", "3"]),
    ];
    for ((name, subscriber), (expected_name, ids)) in subscribers.iter().zip(expected) {
        assert_eq!(name, expected_name);
        subscriber.wait_for(ids.len()).await;
        let mut got = subscriber.ids();
        got.sort();
        assert_eq!(&got, ids, "trigger {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retriable_answers_are_retried_and_others_are_dead_lettered_at_once() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::scripted(|_, received| {
        let status = received.header("ce-type").trim_start_matches("status.").parse().expect("a status");
        // With a 2xx it would be a reply that is no event.
        Answer::status(status).body(if status < 300 { "" } else { "no" })
    })
    .await;
    weir.trigger("all", "default", &subscriber.url, "", QUICK).await;
    let table = [
        (202, 1),
        (204, 1),
        (404, 3),
        (408, 3),
        (409, 3),
        (429, 3),
        (500, 3),
        (503, 3),
        (400, 1),
        (401, 1),
        (410, 1),
        (301, 1),
    ];
    let http = client();
    for (status, _) in table {
        let posted = post(&http, &url, &format!("e-{status}"), &format!("status.{status}"), "{}").await;
        assert_eq!(posted.expect("an answer"), 202);
    }
    subscriber.wait_for(table.iter().map(|(_, attempts)| attempts).sum()).await;
    let dead = eventually("ten dead letters", async || {
        let dead = weir.dead_letters().await;
        if dead.len() == 10 { Ok(dead) } else { Err(dead) }
    })
    .await;
    for (status, attempts) in table {
        let id = format!("e-{status}");
        assert_eq!(subscriber.ids().iter().filter(|got| **got == id).count(), attempts, "attempts at {status}");
        let text = serde_json::to_string(&dead).expect("JSON");
        assert_eq!(text.contains(&format!("\"{id}\"")), status >= 300, "{status} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_sink_gets_the_event_with_the_reason() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::scripted(|_, _| Answer::status(500).body(&"x".repeat(5000))).await;
    let sink = Subscriber::start().await;
    let delivery = format!("  delivery: {{retry: 1, deadLetterSink: {{uri: \"{}\"}}}}\n", sink.url);
    weir.trigger("all", "default", &subscriber.url, "", &delivery).await;
    assert_eq!(post(&client(), &url, "1", "t", "{\"a\":1}").await.expect("an answer"), 202);
    let dead = sink.wait_for(1).await.remove(0);
    assert_eq!(subscriber.count(), 2, "one attempt and one retry");
    assert_eq!(dead.header("ce-knativeerrordest").trim_end_matches('/'), subscriber.url.trim_end_matches('/'));
    assert_eq!(dead.header("ce-knativeerrorcode"), "500");
    assert_eq!(dead.header("ce-knativeerrordata").len(), 1024);
    assert_eq!(dead.body.as_ref(), b"{\"a\":1}");
    assert_eq!(dead.header("prefer"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_back_into_the_broker_and_loops_end() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let replier = Subscriber::scripted(|_, received| Answer::reply(&format!("re-{}", received.id()), "answer")).await;
    let reader = Subscriber::start().await;
    weir.trigger("ask", "default", &replier.url, "", "  filter: {attributes: {type: question}}\n").await;
    weir.trigger("read", "default", &reader.url, "", "  filter: {attributes: {type: answer}}\n").await;
    assert_eq!(post(&client(), &url, "1", "question", "{}").await.expect("an answer"), 202);
    assert_eq!(reader.wait_for(1).await[0].id(), "re-1");

    // A subscriber that answers every event with one like it: the TTL ends it.
    let echo = Subscriber::scripted(|_, _| Answer::reply("loop", "loop")).await;
    weir.trigger("echo", "default", &echo.url, "", "  filter: {attributes: {type: loop}}\n").await;
    let posted = post_with(&client(), &url, "loop", "loop", &[("knativebrokerttl", "5")], "{}").await;
    assert_eq!(posted.expect("an answer"), 202);
    eventually("the loop ends as a dead letter", async || {
        let dead = weir.dead_letters().await;
        if dead.is_empty() { Err(dead) } else { Ok(()) }
    })
    .await;
    assert_eq!(echo.count(), 4, "TTL 5 enters as 4, then 3, 2, 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_hanging_subscribers_do_not_disturb_a_healthy_one() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let slow = Subscriber::scripted(|_, _| Answer::status(202).after(Duration::from_millis(300))).await;
    let hanging = Subscriber::scripted(|_, _| Answer::hang()).await;
    let healthy = Subscriber::start().await;
    weir.trigger("slow", "default", &slow.url, "{weir.dev/max-in-flight: \"1\"}".trim_matches(['{', '}']), "").await;
    weir.trigger("hanging", "default", &hanging.url, "", "").await;
    weir.trigger("healthy", "default", &healthy.url, "", "").await;
    let http = client();
    for n in 0..2_000 {
        assert_eq!(post(&http, &url, &n.to_string(), "t", "{}").await.expect("an answer"), 202);
    }
    healthy.wait_for(2_000).await;
    assert!(slow.count() < 2_000, "the slow subscriber cannot have them all yet");
    assert!(hanging.count() < 2_000, "in flight is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_key_keep_their_order_through_failures() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::scripted(|n, _| Answer::status(if n.is_multiple_of(3) { 503 } else { 202 })).await;
    let delivery = "  delivery: {retry: 10, backoffPolicy: linear, backoffDelay: PT0.001S}\n";
    weir.trigger("ordered", "default", &subscriber.url, "weir.dev/delivery-order: ordered", delivery).await;
    let http = client();
    for n in 0..300 {
        let key = format!("k{}", n % 7);
        let posted = post_with(&http, &url, &format!("{n:03}"), "t", &[("partitionkey", &key)], "{}").await;
        assert_eq!(posted.expect("an answer"), 202);
    }
    eventually("every event delivered", async || {
        let mut ids = subscriber.ids();
        ids.sort();
        ids.dedup();
        if ids.len() == 300 { Ok(()) } else { Err(ids.len()) }
    })
    .await;
    for key in 0..7 {
        let key = format!("k{key}");
        let mut ids: Vec<_> = subscriber
            .received()
            .iter()
            .filter(|received| received.header("ce-partitionkey") == key)
            .map(|received| received.id().to_owned())
            .collect();
        ids.dedup();
        assert!(ids.is_sorted(), "key {key}: {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_trigger_gets_everything_once_it_goes_on() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    let control = Subscriber::start().await;
    weir.trigger("paused", "default", &subscriber.url, "weir.dev/paused: \"true\"", "").await;
    weir.trigger("control", "default", &control.url, "", "").await;
    for n in 0..20 {
        assert_eq!(post(&client(), &url, &n.to_string(), "t", "{}").await.expect("an answer"), 202);
    }
    control.wait_for(20).await;
    assert_eq!(subscriber.count(), 0);
    weir.trigger("paused", "default", &subscriber.url, "weir.dev/paused: \"false\"", "").await;
    subscriber.wait_for(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_redriven_to_the_trigger_that_failed() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let broken = Subscriber::scripted(|n, _| Answer::status(if n == 0 { 400 } else { 202 })).await;
    let other = Subscriber::start().await;
    weir.trigger("broken", "default", &broken.url, "", "").await;
    weir.trigger("other", "default", &other.url, "", "").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202);
    eventually("one dead letter", async || {
        let dead = weir.dead_letters().await;
        if dead.len() == 1 { Ok(()) } else { Err(dead) }
    })
    .await;
    weir.cli(&["dead", "redrive", "--all"]).await;
    broken.wait_for(2).await;
    eventually("no dead letter left", async || {
        let dead = weir.dead_letters().await;
        if dead.is_empty() { Ok(()) } else { Err(dead) }
    })
    .await;
    assert_eq!(other.count(), 1, "a redrive goes to the Trigger that failed only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_re_created_under_its_name_starts_anew() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let (first, second) = (Subscriber::start().await, Subscriber::start().await);
    weir.trigger("t", "default", &first.url, "", "").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202);
    first.wait_for(1).await;
    weir.cli(&["delete", "trigger", "t"]).await;
    weir.trigger("t", "default", &second.url, "", "").await;
    assert_eq!(post(&client(), &url, "2", "t", "{}").await.expect("an answer"), 202);
    second.wait_for(1).await;
    assert_eq!(second.ids(), ["2"]);
    assert_eq!(first.ids(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_leads_back_to_its_broker_ends() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    weir.trigger("back", "default", &url, "", "  delivery: {retry: 0}\n").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202);
    let dead = eventually("the last round is a dead letter", async || {
        let dead = weir.dead_letters().await;
        if dead.is_empty() { Err(dead) } else { Ok(dead) }
    })
    .await;
    assert_eq!((dead.len(), &dead[0]["eventId"]), (1, &"1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_deleted_under_a_hanging_subscriber_stops_no_other() {
    let config = tempfile::Builder::new().suffix(".yaml").tempfile().expect("temporary file");
    std::fs::write(config.path(), "shutdown: {grace: 100ms}\n").expect("write");
    let weir = Start::fresh().arg("--config").arg(config.path().display().to_string()).go().await;
    let (gone, stays) = (weir.broker("gone").await, weir.broker("stays").await);
    let hanging = Subscriber::scripted(|_, _| Answer::hang()).await;
    let healthy = Subscriber::start().await;
    weir.trigger("hanging", "gone", &hanging.url, "", "").await;
    weir.trigger("healthy", "stays", &healthy.url, "", "").await;
    assert_eq!(post(&client(), &gone, "1", "t", "{}").await.expect("an answer"), 202);
    hanging.wait_for(1).await;
    weir.cli(&["delete", "broker", "gone"]).await;
    eventually("the deleted Broker takes nothing", async || {
        match post(&client(), &gone, "2", "t", "{}").await.expect("an answer") {
            404 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // Created anew, its log opens once the old one's deliveries were broken off.
    weir.broker("gone").await;
    assert_eq!(post(&client(), &stays, "3", "t", "{}").await.expect("an answer"), 202);
    healthy.wait_for(1).await;
}
