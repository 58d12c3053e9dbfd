//! What the event address answers (data-plane.md section 3, reliability.md 1.1 and 3.1), through a real socket.

use crate::support::{Subscriber, Weir, client, eventually, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BINARY: &[(&str, &str)] =
    &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/tests"), ("ce-type", "com.example.test")];
const STRUCTURED: &str = "application/cloudevents+json";

/// Sends raw bytes; the status code of the answer, 0 if the connection ended without one.
async fn raw(address: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    // The server may close while we still write; what it answered counts.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(crate::support::PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, text)
}

fn with(base: &[(&str, &str)], change: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = base.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    for (name, value) in change {
        headers.retain(|(known, _)| known != name);
        if let Some(value) = value {
            headers.push(((*name).into(), (*value).into()));
        }
    }
    headers
}

async fn send(method: &str, url: &str, headers: &[(String, String)], body: &str) -> reqwest::Response {
    let mut request = client().request(method.parse().expect("method"), url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_gets_the_stated_status() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let event = |change: &[(&str, Option<&str>)]| with(BINARY, change);
    let json = |ty: &str| vec![("content-type".to_owned(), ty.to_owned())];
    let good = r#"{"specversion":"1.0","id":"1","source":"/t","type":"t","data":{"a":1}}"#;
    let big = "x".repeat(1_100_000);
    let base = weir.data_plane.clone();

    type Case<'a> = (&'a str, &'a str, String, Vec<(String, String)>, &'a str, u16);
    let cases: Vec<Case<'_>> = vec![
        ("a binary event", "POST", url.clone(), event(&[]), "{}", 202),
        ("no data", "POST", url.clone(), event(&[]), "", 202),
        ("a trailing slash", "POST", format!("{url}/"), event(&[]), "", 202),
        ("a structured event", "POST", url.clone(), json(STRUCTURED), good, 202),
        (
            "structured with charset",
            "POST",
            url.clone(),
            json("application/cloudevents+json; charset=utf-8"),
            good,
            202,
        ),
        ("spec version 0.3", "POST", url.clone(), event(&[("ce-specversion", Some("0.3"))]), "", 202),
        ("encoded header value", "POST", url.clone(), event(&[("ce-subject", Some("a%20%C3%A9%"))]), "", 202),
        ("OPTIONS", "OPTIONS", url.clone(), vec![], "", 200),
        ("OPTIONS to a missing Broker", "OPTIONS", format!("{base}/default/none"), vec![], "", 200),
        ("GET", "GET", url.clone(), vec![], "", 405),
        ("PUT", "PUT", url.clone(), event(&[]), "", 405),
        ("DELETE", "DELETE", url.clone(), vec![], "", 405),
        ("the root", "POST", format!("{base}/"), event(&[]), "", 404),
        ("one segment", "POST", format!("{base}/default"), event(&[]), "", 400),
        ("three segments", "POST", format!("{url}/more"), event(&[]), "", 400),
        ("a missing Broker", "POST", format!("{base}/default/none"), event(&[]), "", 404),
        ("a missing namespace", "POST", format!("{base}/none/default"), event(&[]), "", 404),
        ("a query", "POST", format!("{url}?a=b"), event(&[]), "", 404),
        ("no id", "POST", url.clone(), event(&[("ce-id", None)]), "", 400),
        ("an empty id", "POST", url.clone(), event(&[("ce-id", Some(""))]), "", 400),
        ("a blank source", "POST", url.clone(), event(&[("ce-source", Some("%20"))]), "", 400),
        ("no type", "POST", url.clone(), event(&[("ce-type", None)]), "", 400),
        ("an unknown specversion", "POST", url.clone(), event(&[("ce-specversion", Some("2.0"))]), "", 400),
        ("no event at all", "POST", url.clone(), vec![], "hello", 400),
        ("a bad time", "POST", url.clone(), event(&[("ce-time", Some("yesterday"))]), "", 400),
        ("a bad dataschema", "POST", url.clone(), event(&[("ce-dataschema", Some("not absolute"))]), "", 400),
        ("a bad extension name", "POST", url.clone(), event(&[("ce-my_ext", Some("1"))]), "", 400),
        ("overlong UTF-8", "POST", url.clone(), event(&[("ce-subject", Some("%C0%A0"))]), "", 400),
        ("an encoded control character", "POST", url.clone(), event(&[("ce-subject", Some("a%0Ab"))]), "", 400),
        ("a used-up TTL", "POST", url.clone(), event(&[("ce-knativebrokerttl", Some("1"))]), "", 400),
        ("a TTL of zero", "POST", url.clone(), event(&[("ce-knativebrokerttl", Some("0"))]), "", 400),
        ("a negative TTL", "POST", url.clone(), event(&[("ce-knativebrokerttl", Some("-5"))]), "", 400),
        ("a TTL that is no number", "POST", url.clone(), event(&[("ce-knativebrokerttl", Some("many"))]), "", 202),
        ("structured, not JSON", "POST", url.clone(), json(STRUCTURED), "{", 400),
        ("structured, not an object", "POST", url.clone(), json(STRUCTURED), "[]", 400),
        (
            "structured, duplicate key",
            "POST",
            url.clone(),
            json(STRUCTURED),
            r#"{"specversion":"1.0","id":"1","id":"2","source":"/t","type":"t"}"#,
            400,
        ),
        (
            "structured, wrong type",
            "POST",
            url.clone(),
            json(STRUCTURED),
            r#"{"specversion":"1.0","id":1,"source":"/t","type":"t"}"#,
            400,
        ),
        (
            "structured, both kinds of data",
            "POST",
            url.clone(),
            json(STRUCTURED),
            r#"{"specversion":"1.0","id":"1","source":"/t","type":"t","data":1,"data_base64":"AA=="}"#,
            400,
        ),
        (
            "structured, bad base64",
            "POST",
            url.clone(),
            json(STRUCTURED),
            r#"{"specversion":"1.0","id":"1","source":"/t","type":"t","data_base64":"*"}"#,
            400,
        ),
        ("a compressed body", "POST", url.clone(), event(&[("content-encoding", Some("gzip"))]), "x", 415),
        ("a body over the limit", "POST", url.clone(), event(&[]), &big, 413),
        ("dots in the path", "POST", format!("{base}/default/%2e%2e/default"), event(&[]), "", 400),
        ("an encoded slash", "POST", format!("{base}/default%2fdefault"), event(&[]), "", 400),
    ];
    for (what, method, url, headers, body, expected) in cases {
        let answer = send(method, &url, &headers, body).await;
        let status = answer.status().as_u16();
        let allow = answer.headers().get("allow").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        assert_eq!(status, expected, "{what}: {}\n{}", answer.text().await.unwrap_or_default(), weir.log());
        assert_eq!(allow, "POST, OPTIONS", "{what}: Allow");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_answers_the_webhook_handshake() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let answer = send("OPTIONS", &url, &[], "").await;
    for name in ["webhook-allowed-origin", "webhook-allowed-rate"] {
        assert_eq!(answer.headers().get(name).and_then(|v| v.to_str().ok()), Some("*"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_http_library_would_send_is_refused() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let address = weir.data_plane.strip_prefix("http://").expect("http URL").to_owned();
    let path = url.strip_prefix(&weir.data_plane).expect("our URL").to_owned();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /t\r\nce-type: t\r\n"
    );
    let cases = [
        ("two ce-id", format!("{head}ce-id: 2\r\ncontent-length: 0\r\n\r\n"), 400),
        (
            "two content types",
            format!("{head}content-type: a/b\r\ncontent-type: a/c\r\ncontent-length: 0\r\n\r\n"),
            400,
        ),
        ("a signed length", format!("{head}content-length: +5\r\n\r\nhello"), 400),
        ("two lengths", format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello"), 400),
        ("an unknown coding", format!("{head}transfer-encoding: zip\r\n\r\nhello"), 400),
        ("a raw control character", format!("{head}ce-subject: a\x01b\r\ncontent-length: 0\r\n\r\n"), 400),
        ("a declared length over the limit", format!("{head}content-length: 99999999999\r\n\r\nhello"), 413),
        ("raw UTF-8", format!("{head}ce-subject: é\r\ncontent-length: 0\r\n\r\n"), 202),
        ("a double slash", head.replace(&path, &format!("/{path}")) + "content-length: 0\r\n\r\n", 400),
    ];
    for (what, request, expected) in cases {
        let (status, text) = raw(&address, request.as_bytes()).await;
        assert_eq!(status, expected, "{what}: {text}");
    }
    let latin1 = [head.as_bytes(), b"ce-subject: \xe9\r\ncontent-length: 0\r\n\r\n"].concat();
    assert_eq!(raw(&address, &latin1).await.0, 400, "a byte that is not UTF-8");
    let both = format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let (status, text) = raw(&address, both.as_bytes()).await;
    assert!(status == 400 || (status == 202 && text.to_lowercase().contains("connection: close")), "{text}");
    assert_eq!(post(&client(), &url, "after", "t", "{}").await.expect("an answer"), 202, "others are unaffected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_over_the_limit_is_cut_off() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let address = weir.data_plane.strip_prefix("http://").expect("http URL").to_owned();
    let path = url.strip_prefix(&weir.data_plane).expect("our URL");
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /t\r\nce-type: t\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..40 {
        request.extend_from_slice(&chunk);
    }
    let (status, text) = raw(&address, &request).await;
    // The rest of the body may reset the connection before the answer is read.
    assert!(status == 413 || status == 0, "{text}");
    assert_eq!(post(&client(), &url, "after", "t", "{}").await.expect("an answer"), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let batch = vec![("content-type".to_owned(), "application/cloudevents-batch+json".to_owned())];
    let one = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/t","type":"t"}}"#);
    let bad = format!("[{},{}]", one("bad-1"), r#"{"specversion":"1.0"}"#);
    assert_eq!(send("POST", &url, &batch, &bad).await.status(), 400);
    assert_eq!(send("POST", &url, &batch, "[]").await.status(), 202);
    let good = format!("[{},{},{}]", one("a"), one("b"), one("c"));
    assert_eq!(send("POST", &url, &batch, &good).await.status(), 202);
    subscriber.wait_for(3).await;
    let mut ids = subscriber.ids();
    ids.sort();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_and_data_arrive_as_they_were_sent() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let headers = with(
        BINARY,
        &[
            ("ce-time", Some("2026-01-02T03:04:05.678901+02:00")),
            ("ce-subject", Some("caf%C3%A9 %25 %22x%22")),
            ("ce-dataschema", Some("https://example.com/schema")),
            ("ce-partitionkey", Some("k-1")),
            ("content-type", Some("text/plain; charset=utf-8")),
        ],
    );
    assert_eq!(send("POST", &url, &headers, "odd \u{0} bytes \u{7f} é").await.status(), 202);
    let received = subscriber.wait_for(1).await.remove(0);
    assert_eq!(received.header("ce-time"), "2026-01-02T03:04:05.678901+02:00");
    assert_eq!(
        received.header("ce-subject").replace("%20", " ").to_uppercase(),
        "CAF%C3%A9 %25 %22X%22".to_uppercase()
    );
    assert_eq!(received.header("ce-dataschema"), "https://example.com/schema");
    assert_eq!(received.header("ce-partitionkey"), "k-1");
    assert_eq!(received.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(received.header("prefer"), "reply");
    assert!(received.header("ce-knativearrivaltime").ends_with('Z'), "{:?}", received.headers);
    assert_eq!(received.header("ce-knativebrokerttl"), "", "the TTL is not the subscriber's business");
    assert_eq!(received.body.as_ref(), "odd \u{0} bytes \u{7f} é".as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_answer() {
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202);
    for path in ["/livez", "/readyz"] {
        let status = client().get(format!("{}{path}", weir.api)).send().await.expect("an answer").status();
        assert_eq!(status, 200, "{path}");
    }
    let probe = vec![("user-agent".to_owned(), "kube-probe/1.34".to_owned())];
    assert_eq!(send("GET", &weir.data_plane, &probe, "").await.status(), 200);
    eventually("the accepted event shows in /metrics", async || {
        let text =
            client().get(format!("{}/metrics", weir.api)).send().await.expect("metrics").text().await.expect("text");
        if text.contains("kn_eventing_dispatch_duration_seconds") { Ok(()) } else { Err(text) }
    })
    .await;
}
