//! The table of data-plane.md section 3 and reliability.md 3.1, through a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_api::event::Value;
use weir_channels::AppendError;

use super::*;
use crate::testing::{MemoryLog, World};

struct Served {
    world: World,
    address: SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

async fn serve(settings: IngressSettings) -> Served {
    serve_world(settings, World::new(&Arc::new(MemoryLog::default())).with_broker().await).await
}

async fn serve_world(settings: IngressSettings, world: World) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ended = tokio::spawn(run(settings, listener, world.logs.clone(), Arc::clone(&world.metrics), stop.clone()));
    Served { world, address, stop, ended }
}

struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Served {
    /// Sends `request` as it is and reads the answer until the connection is closed.
    async fn raw(&self, request: impl AsRef<[u8]>) -> Got {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may not read everything.
        let _refused_early = stream.write_all(request.as_ref()).await;
        read_answer(&mut stream).await
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Got {
        let body = body.as_ref();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.raw(request).await
    }

    async fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> Got {
        self.send("POST", "/ns/b", headers, body).await
    }
}

async fn read_answer(stream: &mut TcpStream) -> Got {
    let mut bytes = Vec::new();
    let _reset_after_answer = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Got { status, head: head.to_owned(), body: body.to_owned() }
}

const GOOD: &str = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
const STRUCTURED: &str = "Content-Type: application/cloudevents+json\r\n";
const BATCH: &str = "Content-Type: application/cloudevents-batch+json\r\n";

#[tokio::test]
async fn every_request_is_answered_as_the_table_says() {
    let served = serve(IngressSettings::default()).await;
    let ttl = |n: &str| format!("{GOOD}ce-knativebrokerttl: {n}\r\n");
    let structured = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}"#;
    let rows: &[(&str, &str, &str, &str, u16)] = &[
        ("POST", "/ns/b", GOOD, "data", 202),
        ("POST", "/ns/b/", GOOD, "", 202),
        ("POST", "/ns/b", "ce-specversion: 0.3\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n", "", 202),
        ("POST", "/ns/b", STRUCTURED, structured, 202),
        ("POST", "/ns/b", BATCH, "[]", 202),
        // Method before address, address before event.
        ("OPTIONS", "/anything/at/all", "", "", 200),
        ("GET", "/ns/b", GOOD, "", 405),
        ("PUT", "/ns/none", GOOD, "", 405),
        ("POST", "/", GOOD, "", 404),
        ("POST", "/ns", GOOD, "", 400),
        ("POST", "/ns/b/c", GOOD, "", 400),
        ("POST", "//", GOOD, "", 400),
        ("POST", "//ns/b", GOOD, "", 400),
        ("POST", "/ns//b", GOOD, "", 400),
        ("POST", "/x/../ns/b", GOOD, "", 400),
        ("POST", "/ns/%62", GOOD, "", 404),
        ("POST", "/ns%2fb", GOOD, "", 400),
        ("POST", "/ns/b?a=b", GOOD, "", 404),
        ("POST", "/ns/none", GOOD, "", 404),
        ("POST", "/ns/none", "", "no event", 404),
        // The event.
        ("POST", "/ns/b", "", "no event", 400),
        ("POST", "/ns/b", "ce-specversion: 2.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n", "", 400),
        ("POST", "/ns/b", "ce-specversion: 1.0\r\nce-source: /s\r\nce-type: t\r\n", "", 400),
        ("POST", "/ns/b", "ce-specversion: 1.0\r\nce-id:  \r\nce-source: /s\r\nce-type: t\r\n", "", 400),
        ("POST", "/ns/b", STRUCTURED, "{", 400),
        ("POST", "/ns/b", BATCH, r#"[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"id":"2"}]"#, 400),
        ("POST", "/ns/b", &format!("{GOOD}ce-id: 2\r\n"), "", 400),
        ("POST", "/ns/b", &format!("{GOOD}ce-time: yesterday\r\n"), "", 400),
        ("POST", "/ns/b", &format!("{GOOD}Content-Encoding: gzip\r\n"), "", 415),
        ("POST", "/ns/b", &format!("{GOOD}Content-Encoding: identity\r\n"), "", 202),
        // The TTL.
        ("POST", "/ns/b", &ttl("2"), "", 202),
        ("POST", "/ns/b", &ttl("1"), "", 400),
        ("POST", "/ns/b", &ttl("0"), "", 400),
        ("POST", "/ns/b", &ttl("-7"), "", 400),
        ("POST", "/ns/b", &ttl("many"), "", 202),
    ];
    for (method, path, headers, body, status) in rows {
        let got = served.send(method, path, headers, body).await;
        assert_eq!(got.status, *status, "{method} {path} {headers:?} {body:?}: {}\n{}", got.head, got.body);
        assert_eq!(got.header("allow"), Some("POST, OPTIONS"), "{method} {path}");
        assert_eq!(got.body.is_empty(), *status < 300 || *status == 405, "{method} {path}: {}", got.body);
    }
    let accepted = rows.iter().filter(|row| row.4 == 202 && row.2 != BATCH).count();
    assert_eq!(served.world.log.events().len(), accepted, "what is refused is not stored, what is accepted is");
}

#[tokio::test]
async fn handshake_allows_everyone() {
    let served = serve(IngressSettings::default()).await;
    let got = served.send("OPTIONS", "/ns/b", "WebHook-Request-Origin: example.com\r\n", "").await;
    assert_eq!((got.header("webhook-allowed-origin"), got.header("webhook-allowed-rate")), (Some("*"), Some("*")));
}

#[tokio::test]
async fn stored_event_is_as_sent_plus_arrival_ttl_and_headers_that_travel() {
    let served = serve(IngressSettings::default()).await;
    let headers =
        format!("{GOOD}ce-ext: x\r\nce-weirheaders: forged\r\nx-request-id: r1\r\nAuthorization: Bearer s\r\n");
    assert_eq!(served.post(&headers, "data").await.status, 202);
    let stored = served.world.log.events().pop().unwrap();
    assert_eq!((stored.id(), stored.source(), stored.ty()), ("1", "/s", "t"));
    assert_eq!(stored.data().unwrap(), "data");
    assert_eq!(stored.extension("ext"), Some(&Value::from("x")));
    assert_eq!(stored.extension(stamp::TTL), Some(&Value::Integer(255)));
    let arrival = stored.extension(stamp::ARRIVAL_TIME).unwrap().to_string();
    assert!(arrival.ends_with('Z') && arrival.parse::<Timestamp>().is_ok(), "{arrival}");
    assert_eq!(stored.extension(carried::CARRIED), Some(&Value::from("x-request-id: r1\n")));
}

#[tokio::test]
async fn batch_is_stored_in_order_or_not_at_all() {
    let served = serve(IngressSettings::default()).await;
    let one = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t"}}"#);
    assert_eq!(served.post(BATCH, format!("[{},{},{}]", one("1"), one("2"), one("3"))).await.status, 202);
    let ids: Vec<_> = served.world.log.events().iter().map(|event| event.id().to_owned()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    let used_up = r#"{"specversion":"1.0","id":"5","source":"/s","type":"t","knativebrokerttl":1}"#;
    assert_eq!(served.post(BATCH, format!("[{},{used_up}]", one("4"))).await.status, 400);
    let large =
        format!(r#"{{"specversion":"1.0","id":"7","source":"/s","type":"t","data":"{}"}}"#, "x".repeat(950 << 10));
    assert_eq!(served.post(BATCH, format!("[{},{large}]", one("6"))).await.status, 413);
    assert_eq!(served.world.log.events().len(), 3);
}

#[tokio::test]
async fn body_over_the_limit_is_413_as_soon_as_that_is_known() {
    let served = serve(IngressSettings { max_event_bytes: 1000, ..IngressSettings::default() }).await;
    assert_eq!(served.post(GOOD, vec![b'x'; 1000]).await.status, 202);
    // Announced: not a byte of the body has to come.
    let announced = format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\n{GOOD}Content-Length: 1001\r\n\r\n");
    let got = served.raw(announced).await;
    assert_eq!((got.status, got.header("connection")), (413, Some("close")));
    // In pieces: the announcement never comes, nor does the end.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\n{GOOD}Transfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = format!("258\r\n{}\r\n", "x".repeat(600));
    stream.write_all(piece.as_bytes()).await.unwrap();
    stream.write_all(piece.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 413);
    // Fits here, but not in the log.
    let served = serve(IngressSettings::default()).await;
    assert_eq!(served.post(GOOD, vec![b'x'; 950 << 10]).await.status, 413);
    assert!(served.world.log.events().is_empty());
}

#[tokio::test]
async fn chunked_body_in_many_pieces_is_one_event() {
    let served = serve(IngressSettings::default()).await;
    let mut request =
        format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n{GOOD}Transfer-Encoding: chunked\r\n\r\n");
    (0..10).for_each(|_| request.push_str("3\r\nabc\r\n"));
    request.push_str("0\r\n\r\n");
    assert_eq!(served.raw(request).await.status, 202);
    assert_eq!(served.world.log.events()[0].data().unwrap().len(), 30);
}

#[tokio::test]
async fn malformed_framing_is_400() {
    let served = serve(IngressSettings::default()).await;
    for framing in [
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: gzip\r\n",
        "X-Folded: a\r\n b\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Host: other\r\nContent-Length: 5\r\n",
    ] {
        let request = format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\n{GOOD}{framing}\r\nhello");
        assert_eq!(served.raw(request).await.status, 400, "{framing:?}");
    }
    let hostless = format!("POST /ns/b HTTP/1.1\r\n{GOOD}Content-Length: 5\r\n\r\nhello");
    assert_eq!(served.raw(hostless).await.status, 400, "no host");
    assert!(served.world.log.events().is_empty());
}

#[tokio::test]
async fn header_block_over_64_kib_is_refused() {
    let served = serve(IngressSettings::default()).await;
    let got = served.post(&format!("{GOOD}ce-big: {}\r\n", "x".repeat(70 << 10)), "").await;
    assert_eq!(got.status, 431);
    let got = served.post(&format!("{GOOD}ce-big: {}\r\n", "x".repeat(50 << 10)), "").await;
    assert_eq!(got.status, 202);
}

#[tokio::test]
async fn failures_of_the_log_say_when_to_retry() {
    let served = serve(IngressSettings::default()).await;
    type Row = (fn() -> AppendError, u16, Option<&'static str>);
    let rows: [Row; 4] = [
        (|| AppendError::Full, 503, Some("1")),
        (|| AppendError::Overloaded { retry_after: Duration::from_millis(2500) }, 503, Some("3")),
        (|| AppendError::Unavailable("gone".into()), 503, Some("1")),
        (|| AppendError::TooLarge { size_bytes: 2, limit_bytes: 1 }, 413, None),
    ];
    for (error, status, retry_after) in rows {
        served.world.log.fail_appends(Some(error));
        let got = served.post(GOOD, "").await;
        assert_eq!((got.status, got.header("retry-after")), (status, retry_after), "{}", error());
    }
    served.world.log.fail_appends(None);
    assert_eq!(served.post(GOOD, "").await.status, 202);
}

#[tokio::test]
async fn panic_is_one_requests_failure() {
    let served = serve(IngressSettings::default()).await;
    served.world.log.panic_on_append(true);
    assert_eq!(served.post(GOOD, "").await.status, 500);
    served.world.log.panic_on_append(false);
    assert_eq!(served.post(GOOD, "").await.status, 202);
    assert_eq!(served.world.metrics.pending_requests.get(), 0);
}

#[tokio::test]
async fn beyond_the_admission_budget_is_429() {
    let settings = IngressSettings { max_pending_bytes: 100, ..IngressSettings::default() };
    let served = serve(settings).await;
    let got = served.post(GOOD, vec![b'x'; 101]).await;
    assert_eq!((got.status, got.header("retry-after")), (429, Some("1")));
    assert_eq!(served.post(GOOD, vec![b'x'; 100]).await.status, 202);
    assert_eq!(served.world.metrics.pending_bytes.get(), 0);
    let none = serve(IngressSettings { max_pending_requests: 0, ..IngressSettings::default() }).await;
    assert_eq!(none.post(GOOD, "").await.status, 429);
}

#[tokio::test]
async fn broker_is_503_until_it_is_known_and_open() {
    let served = serve_world(IngressSettings::default(), World::new(&Arc::default())).await;
    let got = served.post(GOOD, "").await;
    assert_eq!((got.status, got.header("retry-after")), (503, Some("1")), "nobody knows yet what there is");
    served.world.change(|_nothing_there| {});
    let mut changes = served.world.logs.changes();
    while served.post(GOOD, "").await.status != 404 {
        changes.changed().await.unwrap();
    }
}

#[tokio::test]
async fn deleted_broker_is_404_and_its_log_closed() {
    let served = serve(IngressSettings::default()).await;
    served.world.change(|resources| {
        for broker in resources.brokers.values_mut() {
            *broker = Arc::new(weir_api::resources::Broker { deleting: true, ..(**broker).clone() });
        }
    });
    served.world.observed("broker-uid", &weir_api::observed::ObservedState::Closed).await;
    assert_eq!(served.post(GOOD, "").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn silent_connections_and_stalled_bodies_are_closed() {
    let served = serve(IngressSettings::default()).await;
    let started = tokio::time::Instant::now();
    for silence in ["", "P", "POST /ns/b HTTP/1.1\r\nHost:"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(silence.as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\n{GOOD}Content-Length: 5\r\n\r\nhel").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 408);
    assert!(started.elapsed() >= Duration::from_secs(30));
}

#[tokio::test]
async fn stop_fails_probes_then_finishes_and_ends() {
    let settings = IngressSettings { quiet_period: Duration::from_secs(3600), ..IngressSettings::default() };
    let served = serve(settings).await;
    let probe = "User-Agent: kube-probe/1.34\r\n";
    assert_eq!(served.send("GET", "/anything", probe, "").await.status, 200);
    assert_eq!(served.send("GET", "/healthz", "", "").await.status, 200);
    served.stop.cancel();
    assert_eq!(served.send("GET", "/anything", probe, "").await.status, 503);
    assert_eq!(served.post(GOOD, "").await.status, 202, "senders that have not noticed are served");
    served.ended.abort();

    let served = serve(IngressSettings::default()).await;
    // A request in progress: its answer comes, although the stop came first.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST /ns/b HTTP/1.1\r\nHost: weir\r\nExpect: 100-continue\r\n{GOOD}Content-Length: 2\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    served.stop.cancel();
    stream.write_all(b"ok").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 202);
    served.ended.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}
