//! Connections and answers that go wrong.

use super::*;

fn timeout(delivery: &mut Delivery) {
    delivery.retry = 1;
    delivery.timeout = Some(MILLISECOND * 50);
}

#[tokio::test]
async fn subscriber_that_hangs_before_headers_or_in_the_body_times_out_and_is_retried() {
    let hangs = [
        String::new(),
        "HTTP/1.1 200 OK\r\nContent-".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nce-specversion: 1.0\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned(),
        "HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nabc".to_owned(),
    ];
    for hang in hangs {
        let subscriber = Subscriber::start([Step::Hang(hang.clone()), status(200)]).await;
        let bench = Bench::new(&subscriber.url()).delivery(timeout);
        assert_eq!(delivered(&bench.deliver(event()).await), (200, false, 2), "{hang:?}");
        assert_eq!(bench.attempts.results(), [Err(FailureKind::TimedOut), Ok(200)], "{hang:?}");
    }
}

#[tokio::test]
async fn refused_connection_and_unknown_host_are_retried_and_reported_as_500() {
    let closed = Subscriber::start([]).await.url();
    for url in [closed.as_str(), "http://no-such-host.invalid/"] {
        let bench = Bench::new(url);
        let outcome = bench.deliver(event()).await;
        let (home, failure, attempts) = dead(&outcome);
        assert_eq!((home, failure.kind, failure.code, attempts), (Home::Store, FailureKind::Connect, 500, 4), "{url}");
        assert!(failure.body.starts_with(b"dispatch error: "), "{:?}", failure.body);
        assert!(failure.detail.starts_with(&format!("could not connect to {url}: ")), "{}", failure.detail);
    }
}

#[tokio::test]
async fn connection_closed_without_an_answer_is_an_attempt() {
    let subscriber = Subscriber::start([Step::Close, status(200)]).await;
    let bench = Bench::new(&subscriber.url());
    assert_eq!(delivered(&bench.deliver(event()).await), (200, false, 2));
    assert_eq!(bench.attempts.results(), [Err(FailureKind::Lost), Ok(200)]);
}

#[tokio::test]
async fn stale_pooled_connection_is_replaced_without_using_an_attempt() {
    let subscriber = Subscriber::start([status(200), Step::Close, status(201)]).await;
    let bench = Bench::new(&subscriber.url()).delivery(|delivery| delivery.retry = 0);
    assert_eq!(delivered(&bench.deliver(event()).await), (200, false, 1));
    assert_eq!(delivered(&bench.deliver(event()).await), (201, false, 1));
    assert_eq!((subscriber.connections(), subscriber.requests().len()), (2, 3));
}

#[tokio::test]
async fn answer_that_is_no_event_is_a_failure_with_502() {
    let binary = "ce-specversion: 1.0\r\nce-source: /r\r\nce-type: r\r\n";
    let structured = "Content-Type: application/cloudevents+json\r\n";
    let batch = "Content-Type: application/cloudevents-batch+json\r\n";
    let long = "x".repeat(10_001);
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n";
    let cases = [
        (answer(200, "", "OK"), FailureKind::NotAnEvent),
        (Step::Answer(chunks.to_owned()), FailureKind::NotAnEvent),
        (answer(202, "Content-Type: application/json\r\n", "{}"), FailureKind::NotAnEvent),
        (answer(200, binary, ""), FailureKind::InvalidReply),
        (answer(200, structured, "{\"specversion\":"), FailureKind::InvalidReply),
        (answer(200, batch, "[]"), FailureKind::InvalidReply),
        (answer(200, &format!("{binary}ce-id: 1\r\n"), &long), FailureKind::ReplyTooLarge),
        (Step::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned()), FailureKind::NotAnEvent),
        (Step::Endless(format!("HTTP/1.1 200 OK\r\n{binary}ce-id: 1\r\n\r\n")), FailureKind::ReplyTooLarge),
    ];
    for (step, kind) in cases {
        let subscriber = Subscriber::start([step.clone()]).await;
        let bench = Bench::new(&subscriber.url()).delivery(|delivery| delivery.retry = 1);
        let replies = Replies::default();
        let outcome = bench.deliver_replying(event(), Some(&replies)).await;
        let (_, failure, attempts) = dead(&outcome);
        assert_eq!((failure.kind, failure.code, attempts), (kind, 502, 2), "{step:?}");
        assert!(failure.body.len() <= 768);
        assert!(replies.taken.lock().is_empty());
    }
}

#[tokio::test]
async fn empty_body_is_no_reply_however_it_is_framed() {
    let framings = [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
    ];
    for framing in framings {
        let subscriber = Subscriber::start([Step::Answer(framing.to_owned())]).await;
        let bench = Bench::new(&subscriber.url());
        let (_, replied, attempts) = delivered(&bench.deliver(event()).await);
        assert_eq!((replied, attempts), (false, 1), "{framing:?}");
    }
}

#[tokio::test]
async fn error_body_of_any_size_is_cut_to_768_bytes() {
    let cases = [
        (answer(500, "", ""), 0_usize),
        (answer(500, "", &"e".repeat(767)), 767),
        (answer(500, "", &"e".repeat(769)), 768),
        (answer(500, "", &"\u{fffd}\0".repeat(100_000)), 768),
        (Step::Endless("HTTP/1.1 500 Oh\r\n\r\n".to_owned()), 768),
    ];
    for (step, kept) in cases {
        let subscriber = Subscriber::start([step]).await;
        let bench = Bench::new(&subscriber.url()).delivery(|delivery| delivery.retry = 0);
        dead(&bench.deliver(event()).await);
        let letter = bench.letter();
        assert_eq!(letter.error_data.len(), kept.div_ceil(3) * 4);
        assert!(letter.error_data.len() <= 1024);
    }
}

#[tokio::test]
async fn error_body_that_breaks_off_is_explained_in_its_place() {
    let broken = "HTTP/1.1 503 Oh\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n";
    let subscriber = Subscriber::start([Step::Answer(broken.to_owned())]).await;
    let bench = Bench::new(&subscriber.url()).delivery(|delivery| delivery.retry = 0);
    let outcome = bench.deliver(event()).await;
    let (_, failure, _) = dead(&outcome);
    assert_eq!(failure.code, 503);
    assert!(failure.body.starts_with(b"dispatch resulted in status \"503 Service Unavailable\". Could not read"));
}

#[tokio::test]
async fn cancelling_settles_nothing_wherever_the_delivery_is() {
    // In the middle of an attempt, and in the middle of a wait.
    for (step, delay) in [(Step::Hang(String::new()), MILLISECOND), (status(503), Duration::from_secs(3_600))] {
        let subscriber = Subscriber::start([step]).await;
        let bench =
            Bench::new(&subscriber.url()).delivery(|delivery| delivery.backoff = Some((BackoffPolicy::Linear, delay)));
        let cancel = async {
            while subscriber.requests().is_empty() {
                tokio::task::yield_now().await;
            }
            bench.cancel.cancel();
        };
        let (outcome, ()) = tokio::join!(bench.deliver(event()), cancel);
        assert!(matches!(outcome, Outcome::Interrupted), "{outcome:?}");
        assert!(bench.letters.letters.lock().is_empty());
        assert!(matches!(bench.deliver(event()).await, Outcome::Interrupted), "not even begun");
        assert_eq!(subscriber.requests().len(), 1);
    }
}
