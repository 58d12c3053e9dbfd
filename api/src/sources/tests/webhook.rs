use http::HeaderName;

use super::*;
use crate::sources::{Algorithm, Encoding, Signature, WebhookSource};

fn webhook(spec: &Value) -> Value {
    object("sources.weir.dev/v1alpha1", "WebhookSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "secret": {"secretKeyRef": {"name": "hooks", "key": "key"}}})
}

fn typed(change: &Value) -> WebhookSource {
    serde_json::from_value(admitted(webhook(&with(&base(), change))).object).expect("a WebhookSource")
}

#[test]
fn each_rule_is_told_with_its_path() {
    let mut cases = source_rules();
    for path in ["hooks", "/", "/a//b", "/a/", "/a/../b", "/a?b", "/ä", "/a%20b"] {
        cases.push((json!({ "path": path }), "spec.path: Invalid value: \"/"));
    }
    cases[source_rules().len()].1 = "spec.path: Invalid value: \"hooks\": expected a path such as /team-a/payments";
    cases.extend([
        (json!({"secret": {}}), "missing field(s): spec.secret.secretKeyRef"),
        (
            json!({"secret": {"secretKeyRef": {"name": "a", "key": ""}}}),
            "missing field(s): spec.secret.secretKeyRef.key",
        ),
        (
            json!({"secret": null, "signature": {}}),
            "must not set the field(s): spec.signature: there is no spec.secret to check signatures with",
        ),
        (
            json!({"signature": {"header": "X Sig"}}),
            "spec.signature.header: Invalid value: \"X Sig\": expected the name of an HTTP header",
        ),
        (
            json!({"signature": {"algorithm": "md5"}}),
            "spec.signature.algorithm: Invalid value: \"md5\": expected sha1, sha256 or sha512",
        ),
        (
            json!({"signature": {"encoding": "base32"}}),
            "spec.signature.encoding: Invalid value: \"base32\": expected hex or base64",
        ),
        (json!({"eventType": {}}), "expected exactly one, got neither: spec.eventType.header, spec.eventType.value"),
        (
            json!({"eventType": {"header": "X-Event", "value": "a"}}),
            "expected exactly one, got both: spec.eventType.header, spec.eventType.value",
        ),
        (json!({"eventType": {"value": ""}}), "missing field(s): spec.eventType.value"),
        (json!({"eventType": {"header": ""}}), "spec.eventType.header: Invalid value: \"\": expected the name"),
        (json!({"eventId": {"header": "a:b"}}), "spec.eventId.header: Invalid value: \"a:b\": expected the name"),
    ]);
    assert_refused(webhook, &base(), &cases);
}

#[test]
fn path_and_type_have_defaults() {
    let source = typed(&json!({}));
    assert_eq!((source.path().as_str(), source.spec.fixed_type()), ("/shop/x", Some("dev.weir.webhook")));
    let source = typed(&json!({"path": "/hooks/a-1_b.c~d", "eventType": {"value": "com.example.paid"}}));
    assert_eq!((source.path().as_str(), source.spec.fixed_type()), ("/hooks/a-1_b.c~d", Some("com.example.paid")));
    assert_eq!(typed(&json!({"eventType": {"header": "X-Event"}, "eventId": {}})).spec.fixed_type(), None);
}

#[test]
fn signature_defaults_to_the_way_of_github() {
    let signature = |change: Value| typed(&change).spec.signature().expect("valid");
    let github = Signature {
        header: HeaderName::from_static("x-hub-signature-256"),
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        prefix: "sha256=".to_owned(),
    };
    assert_eq!(signature(json!({})).as_ref(), Some(&github));
    assert_eq!(signature(json!({"signature": {"header": "X-HUB-Signature-256"}})).as_ref(), Some(&github));
    let shopify = json!({"signature": {"header": "X-Shopify-Hmac-Sha256", "encoding": "base64"}});
    let expected = Signature {
        header: HeaderName::from_static("x-shopify-hmac-sha256"),
        encoding: Encoding::Base64,
        prefix: String::new(),
        ..github
    };
    assert_eq!(signature(shopify), Some(expected));
    let other = json!({"signature": {"algorithm": "sha1", "prefix": "sha1="}});
    assert_eq!(signature(other), Some(Signature { algorithm: Algorithm::Sha1, prefix: "sha1=".to_owned(), ..github }));
    assert_eq!(signature(json!({"secret": null})), None);
}

#[test]
fn source_without_a_secret_is_told_to_be_open() {
    assert_eq!(admitted(webhook(&base())).warnings, Vec::<String>::new());
    let warnings = admitted(webhook(&with(&base(), &json!({"secret": null})))).warnings;
    assert!(warnings.len() == 1 && warnings[0].starts_with("spec.secret is not set"), "{warnings:?}");
}

#[test]
fn everything_may_change() {
    let old = admitted(webhook(&base())).object;
    let new = with(&base(), &json!({"path": "/other", "signature": {"encoding": "base64"}}));
    assert_eq!(updated(webhook(&new), &old)["spec"], new);
}
