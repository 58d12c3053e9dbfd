//! What a subscriber sees, and when it is asked again.

use super::*;

#[tokio::test]
async fn subscriber_gets_the_event_and_only_the_headers_the_reference_lists() {
    let subscriber = Subscriber::start([status(202)]).await;
    let bench = Bench::new(&subscriber.url());
    let mut event = event();
    event.set_extension("region", "eu");
    event.set_extension("knativearrivaltime", "2026-11-25T10:00:00Z");
    event.set_extension("weirheaders", "x-request-id: 7\nknative-x: y\n");
    event.set_extension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(delivered(&bench.deliver(event).await), (202, false, 1));

    let [request] = &subscriber.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /in HTTP/1.1\r\n");
    assert_eq!(request.body, "payload");
    let expected = [
        ("host", Some(subscriber.address.to_string())),
        ("prefer", Some("reply".into())),
        ("kn-namespace", Some("team-a".into())),
        ("content-type", Some("text/plain".into())),
        ("ce-specversion", Some("1.0".into())),
        ("ce-id", Some("1".into())),
        ("ce-source", Some("/shop".into())),
        ("ce-type", Some("order.created".into())),
        ("ce-region", Some("eu".into())),
        ("ce-knativearrivaltime", Some("2026-11-25T10:00:00Z".into())),
        ("ce-knativebrokerttl", None),
        ("ce-weirheaders", None),
        ("x-request-id", Some("7".into())),
        ("knative-x", Some("y".into())),
        ("traceparent", Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into())),
        ("authorization", None),
    ];
    for (header, value) in expected {
        assert_eq!(request.header(header), value.as_deref(), "{header}");
    }
}

#[tokio::test]
async fn format_json_sends_a_structured_event_without_our_own_attributes() {
    let subscriber = Subscriber::start([status(200)]).await;
    let bench = Bench::new(&subscriber.url()).delivery(|delivery| delivery.format = Format::Json);
    delivered(&bench.deliver(event()).await);
    let [request] = &subscriber.requests()[..] else { panic!("one request") };
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    let json: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created",
            "datacontenttype": "text/plain", "data": "payload"})
    );
}

#[tokio::test]
async fn retriable_answers_are_retried_with_growing_waits_until_one_is_good() {
    let subscriber = Subscriber::start([status(503), status(404), status(429), status(204)]).await;
    let bench = Bench::new(&subscriber.url());
    assert_eq!(delivered(&bench.deliver(event()).await), (204, false, 4));
    let attempts = bench.attempts.0.lock();
    let waits: Vec<_> = attempts.iter().map(|noted| noted.retry_in).collect();
    for (at, wait) in (0..).zip(&waits[..3]) {
        let expected = MILLISECOND * 2_u32.pow(at);
        let wait = wait.expect("a wait");
        assert!(wait >= expected && wait <= expected.mul_f64(1.1) + Duration::from_nanos(1), "{at}: {wait:?}");
    }
    assert_eq!(waits[3], None);
    assert_eq!(subscriber.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn refusals_and_redirects_are_final_at_the_first_attempt() {
    for code in [300, 301, 302, 307, 400, 401, 403, 410, 415, 422, 499] {
        let elsewhere = Subscriber::start([status(200)]).await;
        let location = format!("Location: {}\r\n", elsewhere.url());
        let subscriber = Subscriber::start([answer(code, &location, "no")]).await;
        let bench = Bench::new(&subscriber.url());
        let outcome = bench.deliver(event()).await;
        let (home, failure, attempts) = dead(&outcome);
        assert_eq!((home, failure.code, attempts), (Home::Store, code, 1), "{code}");
        assert_eq!(elsewhere.connections(), 0, "{code} was followed");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_on_429_and_503_up_to_its_limit() {
    let wait_for = |code, value: &'static str| async move {
        let header = format!("Retry-After: {value}\r\n");
        let subscriber = Subscriber::start([answer(code, &header, ""), status(200)]).await;
        let bench = Bench::new(&subscriber.url()).delivery(|delivery| {
            delivery.retry_after_max = Some(MILLISECOND * 40);
        });
        delivered(&bench.deliver(event()).await);
        let attempts = bench.attempts.0.lock();
        attempts[0].retry_in.expect("a wait")
    };
    for (code, value) in [(429, "1"), (503, "1"), (503, "99999999999999999999"), (429, "Fri, 01 Jan 2100 00:00:00 GMT")]
    {
        assert!(wait_for(code, value).await >= MILLISECOND * 40, "{code} {value}");
    }
    for (code, value) in
        [(500, "1"), (503, "-1"), (503, "soon"), (429, ""), (429, "0"), (503, "Sat, 01 Jan 2000 00:00:00 GMT")]
    {
        assert!(wait_for(code, value).await < MILLISECOND * 2, "{code} {value}");
    }
}

#[tokio::test]
async fn names_that_exist_only_inside_are_connected_to_where_they_are_served() {
    let subscriber = Subscriber::start([status(200)]).await;
    let address = subscriber.address;
    let hosts = HostMap::new(move |host| (host == "ingress.knative-eventing.svc.cluster.local").then_some(address));
    let settings = DeliverySettings { hosts, ..DeliverySettings::default() };
    let bench = Bench::with("http://ingress.knative-eventing.svc.cluster.local/a/b?c=d", settings);
    delivered(&bench.deliver(event()).await);
    let [request] = &subscriber.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /a/b?c=d HTTP/1.1\r\n");
    assert_eq!(request.header("host"), Some("ingress.knative-eventing.svc.cluster.local"));
}

#[tokio::test]
async fn addresses_that_cannot_be_posted_to_have_no_route() {
    let error = |subscriber: Option<&str>| {
        let mut bench = Bench::new("http://localhost/");
        bench.trigger.subscriber = subscriber.map(destination);
        bench.deliverer.route(&name("shop"), &bench.trigger).expect_err("no route").to_string()
    };
    assert_eq!(error(None), "the subscriber is not resolved");
    assert_eq!(
        error(Some("ftp://host/")),
        "ftp://host/ is not an address events can be posted to: its scheme is neither http nor https"
    );
    let secret = error(Some("http://user:secret@host/"));
    assert!(secret.contains("user name or password") && !secret.contains("secret"), "{secret}");
    let mut bench = Bench::new("https://host/");
    for pem in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let subscriber = ResolvedDestination { ca_certs: Some(pem.into()), ..destination("https://host/") };
        bench.trigger.subscriber = Some(subscriber);
        let error = bench.deliverer.route(&name("shop"), &bench.trigger).expect_err("no route");
        assert!(matches!(error, RouteError::Tls { source: TlsError::CaCerts, .. }), "{pem}: {error}");
    }
}

#[tokio::test]
async fn sink_says_whether_sending_again_may_help() {
    let bench = Bench::new("http://unused/");
    let send = async |steps: Vec<Step>, delivery| {
        let subscriber = Subscriber::start(steps).await;
        let sink = bench.deliverer.sink(&destination(&subscriber.url()), delivery).expect("a sink");
        (sink.send(event()).await, subscriber.requests())
    };
    let once = Delivery::default();
    let (result, requests) = send(vec![answer(200, "", "any text")], once.clone()).await;
    assert!(result.is_ok());
    assert_eq!(requests[0].header("prefer"), None);
    assert_eq!(requests[0].header("ce-knativebrokerttl"), Some("200"), "the next Broker needs it");
    let (result, _) = send(vec![status(400)], once.clone()).await;
    assert!(matches!(result, Err(SinkError::Refused { status: 400 })), "{result:?}");
    let (result, requests) = send(vec![status(503)], once).await;
    assert!(matches!(&result, Err(SinkError::Unavailable { reason }) if reason.contains("503")), "{result:?}");
    assert_eq!(requests.len(), 1);
    let (result, requests) = send(vec![status(503), status(202)], Delivery { retry: 1, ..Delivery::default() }).await;
    assert!(result.is_ok());
    assert_eq!(requests.len(), 2);
}
