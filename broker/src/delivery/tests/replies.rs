//! Answers that carry an event.

use super::*;

#[tokio::test]
async fn event_in_any_2xx_is_handed_on_with_the_ttl_of_the_event_it_answers() {
    let structured = r#"{"specversion":"1.0","id":"r","source":"/reply","type":"reply","knativebrokerttl":255}"#;
    let steps = [
        reply(200),
        reply(202),
        answer(299, "Content-Type: application/cloudevents+json\r\n", structured),
        Step::Answer(
            "HTTP/1.1 204 No Content\r\nce-specversion: 1.0\r\nce-id: r\r\nce-source: /reply\r\nce-type: reply\r\n\r\n"
                .to_owned(),
        ),
    ];
    for step in steps {
        let subscriber = Subscriber::start([step]).await;
        let bench = Bench::new(&subscriber.url());
        let replies = Replies::default();
        let (_, replied, attempts) = delivered(&bench.deliver_replying(event(), Some(&replies)).await);
        assert_eq!((replied, attempts), (true, 1));
        let taken = replies.taken.lock();
        let [reply] = &taken[..] else { panic!("one reply") };
        assert_eq!((reply.id(), reply.source(), reply.ty()), ("r", "/reply", "reply"));
        assert_eq!(reply.extension(TTL), Some(&Value::Integer(200)));
    }
}

#[tokio::test]
async fn reply_takes_along_the_headers_that_pass_through() {
    let headers = "ce-specversion: 1.0\r\nce-id: r\r\nce-source: /r\r\nce-type: r\r\nx-request-id: 9\r\nServer: s\r\n";
    let subscriber = Subscriber::start([answer(200, headers, "")]).await;
    let replies = Replies::default();
    delivered(&Bench::new(&subscriber.url()).deliver_replying(event(), Some(&replies)).await);
    let carried: Vec<_> =
        crate::carried::hand_over(&replies.taken.lock()[0]).map(|(name, _)| name.to_string()).collect();
    assert_eq!(carried, ["x-request-id"]);
}

#[tokio::test]
async fn reply_without_an_address_is_dropped() {
    let subscriber = Subscriber::start([reply(200)]).await;
    let bench = Bench::new(&subscriber.url());
    assert_eq!(delivered(&bench.deliver(event()).await), (200, false, 1));
}

#[tokio::test]
async fn reply_that_cannot_be_stored_now_fails_the_attempt_and_the_subscriber_is_called_again() {
    let subscriber = Subscriber::start([reply(200)]).await;
    let bench = Bench::new(&subscriber.url());
    let unavailable = || SinkError::Unavailable { reason: "log is full".to_owned() };
    let replies = Replies::failing([unavailable(), unavailable()]);
    assert_eq!(delivered(&bench.deliver_replying(event(), Some(&replies)).await), (200, true, 3));
    assert_eq!(subscriber.requests().len(), 3);
    let failed = Err(FailureKind::ReplyNotStored);
    assert_eq!(bench.attempts.results(), [failed, failed, Ok(200)]);
}

#[tokio::test]
async fn reply_whose_ttl_is_used_up_dead_letters_the_event_and_ends_the_loop() {
    let subscriber = Subscriber::start([reply(200)]).await;
    let bench = Bench::new(&subscriber.url());
    let replies = Replies::failing([SinkError::Refused { status: 400 }]);
    let outcome = bench.deliver_replying(event(), Some(&replies)).await;
    let (home, failure, attempts) = dead(&outcome);
    assert_eq!((home, failure.kind, failure.code, attempts), (Home::Store, FailureKind::ReplyRefused, 400, 1));
    let letter = bench.letter();
    assert_eq!(letter.content, Content::Event(event()), "the event, not the reply");
    assert_eq!(letter.reason, "reply refused with 400");
}
