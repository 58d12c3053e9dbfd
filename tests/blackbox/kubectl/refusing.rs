//! Checks 27, 28, and what else a client can do wrong: each is told the reason and code that Kubernetes gives.

use serde_json::Value;

use super::{assert_holds, trigger, with_each_kubectl};
use crate::support::{Weir, client};

#[tokio::test(flavor = "multi_thread")]
async fn check_27_unknown_fields() {
    with_each_kubectl(async |kubectl, _| {
        let bogus = trigger("t1", "").replace("subscriber: {", "subscriber: {bogus: 1, ");
        if kubectl.is_old() {
            let refused = kubectl.fails("apply -f -", &bogus).await;
            assert_holds(&refused, &["unknown field \"bogus\""]);
            return;
        }
        let refused = kubectl.fails("apply -f -", &bogus).await;
        assert_holds(&refused, &["strict decoding error: unknown field \"spec.subscriber.bogus\""]);
        let warned = kubectl.ok_with("apply --validate=warn -f -", &bogus).await;
        assert_holds(&warned, &["Warning: unknown field \"spec.subscriber.bogus\"", "created"]);
        assert_eq!(kubectl.path("trigger/t1", "{.spec.subscriber.bogus}").await, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_28_wrong_types_and_broken_rules() {
    with_each_kubectl(async |kubectl, _| {
        let wrong = trigger("t1", "").replace("broker: default", "broker: 5");
        let refused = kubectl.fails("apply --validate=false -f -", &wrong).await;
        assert_holds(&refused, &["spec.broker: Invalid value"]);
        let missing = trigger("t1", "").replace("  broker: default\n", "");
        let refused = kubectl.fails("apply -f -", &missing).await;
        assert_holds(&refused, &["denied the request: validation failed", "spec.broker"]);
        let duration = trigger("t1", "  delivery: {backoffDelay: soon}\n");
        let refused = kubectl.fails("apply -f -", &duration).await;
        assert_holds(&refused, &["spec.delivery.backoffDelay: Invalid value: \"soon\""]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_the_reason_and_code_of_kubernetes() {
    let weir = Weir::start().await;
    let http = client();
    let triggers = "/apis/eventing.knative.dev/v1/namespaces/default/triggers";
    let large = format!("{{\"data\": \"{}\"}}", "x".repeat(1600 << 10));
    let cases: [(&str, String, &str, &str, u16, &str); 13] = [
        ("POST", triggers.into(), "application/json", "{", 400, "BadRequest"),
        ("POST", triggers.into(), "application/yaml", "{a: [", 400, "BadRequest"),
        ("POST", triggers.into(), "application/json", "[]", 400, "BadRequest"),
        ("POST", triggers.into(), "text/html", "<p>", 415, "UnsupportedMediaType"),
        (
            "POST",
            "/api/v1/namespaces/default/configmaps".into(),
            "application/json",
            &large,
            413,
            "RequestEntityTooLarge",
        ),
        ("GET", "/apis/nonsense.dev/v1/things".into(), "", "", 404, "NotFound"),
        ("GET", format!("{triggers}?labelSelector=a%20b"), "", "", 400, "BadRequest"),
        ("GET", format!("{triggers}?fieldSelector=spec.nonsense%3Dx"), "", "", 400, "BadRequest"),
        ("GET", format!("{triggers}?continue=nonsense"), "", "", 400, "BadRequest"),
        ("GET", format!("{triggers}?continue=WzEsIiIsIiJd"), "", "", 410, "Expired"),
        ("GET", format!("{triggers}?resourceVersion=99999999999999999"), "", "", 504, "Timeout"),
        ("PATCH", format!("{triggers}/none"), "application/merge-patch+json", "{}", 404, "NotFound"),
        ("PUT", triggers.into(), "application/json", "{}", 405, "MethodNotAllowed"),
    ];
    for (method, path, media_type, body, code, reason) in cases {
        let request = http.request(method.parse().expect("a method"), format!("{}{path}", weir.api));
        let request = request.header("content-type", media_type).body(body.to_owned());
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("a Status");
        assert_eq!(
            (status, &body["reason"], &body["kind"]),
            (code, &reason.into(), &"Status".into()),
            "{method} {path}: {body}"
        );
        assert_eq!(body["code"], code);
    }
}
