//! What becomes of events whose delivery failed for good.

use super::*;

fn failing_to(sink: &str) -> impl FnOnce(&mut Delivery) {
    let sink = destination(sink);
    move |delivery| {
        delivery.retry = 1;
        delivery.dead_letter_sink = Some(sink);
    }
}

#[tokio::test]
async fn dead_letter_sink_gets_the_event_with_the_error_attributes() {
    let subscriber = Subscriber::start([answer(503, "", "broken")]).await;
    let sink = Subscriber::start([status(500), answer(202, "", "thanks")]).await;
    let bench = Bench::new(&subscriber.url()).delivery(failing_to(&sink.url()));
    let mut sent = event();
    sent.set_extension("weirheaders", "x-request-id: 7\n");
    let outcome = bench.deliver(sent).await;
    let (home, failure, attempts) = dead(&outcome);
    assert_eq!((home, failure.code, attempts), (Home::Sink, 503, 2));
    assert!(bench.letters.letters.lock().is_empty());
    let attempts: Vec<_> = bench.attempts.0.lock().iter().map(|noted| (noted.dead_letter, noted.result)).collect();
    let failed = Err(FailureKind::Status);
    assert_eq!(attempts, [(false, failed), (false, failed), (true, failed), (true, Ok(202))]);

    let requests = sink.requests();
    let expected = [
        ("prefer", None),
        ("kn-namespace", Some("team-a")),
        ("x-request-id", Some("7")),
        ("ce-weirheaders", None),
        ("ce-id", Some("1")),
        ("ce-knativebrokerttl", Some("200")),
        ("ce-knativeerrordest", Some(&*subscriber.url())),
        ("ce-knativeerrorcode", Some("503")),
        ("ce-knativeerrordata", Some("YnJva2Vu")),
    ]
    .map(|(name, value)| (name, value.map(str::to_owned)));
    for (header, value) in expected {
        assert_eq!(requests[1].header(header), value.as_deref(), "{header}");
    }
    assert_eq!(requests[1].body, "payload");
}

#[tokio::test]
async fn error_attributes_of_an_earlier_hop_are_kept_and_empty_ones_replaced() {
    let subscriber = Subscriber::start([status(500)]).await;
    let sink = Subscriber::start([status(202)]).await;
    let bench = Bench::new(&subscriber.url()).delivery(failing_to(&sink.url()));
    let mut event = event();
    event.set_extension(ERROR_DEST, "http://first/");
    event.set_extension(ERROR_CODE, 0);
    event.set_extension(ERROR_DATA, "");
    dead(&bench.deliver(event).await);
    let [request] = &sink.requests()[..] else { panic!("one request") };
    assert_eq!(request.header("ce-knativeerrordest"), Some("http://first/"));
    assert_eq!(request.header("ce-knativeerrorcode"), Some("0"));
    assert_eq!(request.header("ce-knativeerrordata"), Some(""));
}

#[tokio::test]
async fn failing_dead_letter_sink_is_retried_and_then_the_store_keeps_the_event_as_it_was() {
    let subscriber = Subscriber::start([answer(400, "", "no")]).await;
    let sink = Subscriber::start([status(503)]).await;
    let bench = Bench::new(&subscriber.url()).delivery(failing_to(&sink.url()));
    let outcome = bench.deliver(event()).await;
    assert_eq!(dead(&outcome).0, Home::Store);
    assert_eq!(sink.requests().len(), 2, "one retry");

    let letter = bench.letter();
    assert_eq!(letter.content, Content::Event(event()), "without error attributes, ready to be redriven");
    assert_eq!(letter.position, Position { partition: 2, offset: 40 });
    assert_eq!((&*letter.recipient.subscription, &*letter.recipient.trigger), ("uid-1", "orders"));
    assert_eq!((&*letter.recipient.namespace, &*letter.recipient.broker), ("team-a", "shop"));
    assert_eq!((letter.code, letter.attempts, letter.destination), (Some(400), 1, subscriber.url()));
    assert_eq!((&*letter.kind, &*letter.reason), ("status", "answered 400 Bad Request"));
    assert_eq!(letter.error_data, "bm8=");
    assert!(letter.detail.contains("dead letter sink: ") && letter.detail.contains("503"), "{}", letter.detail);
}

#[tokio::test(start_paused = true)]
async fn store_that_is_down_is_tried_until_it_takes_the_event() {
    let bench = Bench::new("http://unused/");
    bench.letters.failures.store(12, Ordering::Relaxed);
    let failure = Failure::timed_out(&"http://unused/".into(), MILLISECOND);
    let letter = DeadLetter::failed(bench.route().recipient().clone(), &stored(event()), &failure, 1);
    let started = Instant::now();
    bench.deliverer.store(&letter, &()).await.unwrap();
    assert_eq!(bench.letter().kind, "timed-out");
    assert!(started.elapsed() > Duration::from_secs(30), "it backs off");
}

#[tokio::test]
async fn cancelling_while_the_store_is_down_settles_nothing() {
    let subscriber = Subscriber::start([status(400)]).await;
    let bench = Bench::new(&subscriber.url());
    bench.letters.failures.store(usize::MAX, Ordering::Relaxed);
    let cancel = async {
        while bench.letters.failures.load(Ordering::Relaxed) == usize::MAX {
            tokio::task::yield_now().await;
        }
        bench.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.deliver(event()), cancel);
    assert!(matches!(outcome, Outcome::Interrupted), "{outcome:?}");
}
