use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::tracker::Referent;

fn resolved(destination: Value, lookup: Lookup) -> Result<String, String> {
    let destination: Destination = serde_json::from_value(destination).expect("Destination");
    let found = target(&destination, "team").map(|target| (target, lookup));
    resolve(&Looked { destination: &destination, found }, "cluster.local").map(|resolved| resolved.url.into())
}

fn object(status: Value) -> Lookup {
    let mut object = json!({});
    object["status"] = status;
    Lookup::Found(Arc::new(serde_json::from_value::<Referent>(object).expect("object")))
}

fn reference(kind: &str, api_version: &str) -> Value {
    json!({"ref": {"kind": kind, "apiVersion": api_version, "name": "x", "namespace": "other"}})
}

fn with(mut destination: Value, field: &str, value: &str) -> Value {
    destination[field] = json!(value);
    destination
}

#[test]
fn uri_alone_is_the_address() {
    assert_eq!(
        resolved(json!({"uri": "https://example.com/a?b=c"}), Lookup::Absent).as_deref(),
        Ok("https://example.com/a?b=c")
    );
}

#[test]
fn core_service_is_its_host_name() {
    let service = reference("Service", "v1");
    let url = |destination| resolved(destination, object(json!({"loadBalancer": {}})));
    assert_eq!(url(service.clone()).as_deref(), Ok("http://x.other.svc.cluster.local/"));
    assert_eq!(url(with(service.clone(), "uri", "orders")).as_deref(), Ok("http://x.other.svc.cluster.local/orders"));
    assert_eq!(url(with(service, "CACerts", "pem")).as_deref(), Ok("https://x.other.svc.cluster.local/"));
}

#[test]
fn addressable_is_the_named_address_else_the_first_else_the_only_one() {
    let broker = reference("Broker", "eventing.knative.dev/v1");
    let both = json!({
        "address": {"url": "http://one/"},
        "addresses": [{"name": "https", "url": "https://first/base/"}, {"name": "http", "url": "http://second/"}],
    });
    let mut named = broker.clone();
    named["ref"]["address"] = json!("http");
    assert_eq!(resolved(named.clone(), object(both.clone())).as_deref(), Ok("http://second/"));
    assert_eq!(resolved(with(broker.clone(), "uri", "/x"), object(both.clone())).as_deref(), Ok("https://first/x"));
    assert_eq!(resolved(with(broker.clone(), "uri", "x"), object(both)).as_deref(), Ok("https://first/base/x"));
    assert_eq!(resolved(broker, object(json!({"address": {"url": "http://one/"}}))).as_deref(), Ok("http://one/"));
}

#[test]
fn certificates_and_audience_of_the_destination_win() {
    let status = json!({"address": {"url": "http://one/", "CACerts": "theirs", "audience": "theirs"}});
    let resolve = |destination: Value| {
        let destination: Destination = serde_json::from_value(destination).expect("Destination");
        let found = target(&destination, "team").map(|target| (target, object(status.clone())));
        let resolved = resolve(&Looked { destination: &destination, found }, "cluster.local").expect("address");
        (resolved.ca_certs, resolved.audience)
    };
    let broker = reference("Broker", "eventing.knative.dev/v1");
    assert_eq!(resolve(broker.clone()), (Some("theirs".to_owned()), Some("theirs".to_owned())));
    let own = with(with(broker, "CACerts", "own"), "audience", "own");
    assert_eq!(resolve(own), (Some("own".to_owned()), Some("own".to_owned())));
}

#[test]
fn every_failure_is_told_in_plain_words() {
    let broker = reference("Broker", "eventing.knative.dev/v1");
    let mut named = broker.clone();
    named["ref"]["address"] = json!("https");
    let one = json!({"addresses": [{"name": "http", "url": "http://second/"}]});
    for (destination, lookup, why) in [
        (broker.clone(), Lookup::Absent, "there is no Broker \"x\" in namespace \"other\""),
        (broker.clone(), Lookup::NoSuchKind, "the API serves no kind Broker in eventing.knative.dev/v1"),
        (broker.clone(), Lookup::Unavailable("no".to_owned()), "cannot look up Broker other/x: no"),
        (broker.clone(), object(json!({})), "Broker other/x has no address: it is not ready, or takes no events"),
        (broker.clone(), object(json!({"address": {}})), "Broker other/x has an address without a URL"),
        (named, object(one), "Broker other/x has no address named \"https\""),
        (broker.clone(), object(json!({"address": {"url": "ftp://a/"}})), "\"ftp://a/\" is not an http or https URL"),
        (broker, object(json!("unexpected")), "Broker other/x has no address: it is not ready, or takes no events"),
        (json!({}), Lookup::Absent, "\"\" is not a URL: relative URL without a base"),
    ] {
        assert_eq!(resolved(destination, lookup), Err(why.to_owned()));
    }
}
