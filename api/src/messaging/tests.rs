use serde_json::{Value, json};

use super::CHANNEL_CONTROLLERS;
use crate::admission::testing::{
    admitted, definitions_are, each_is_immutable, each_is_refused, object, refused, updated, with,
};
use crate::admission::{Context, admit};

const V1: &str = "messaging.knative.dev/v1";
const V1BETA1: &str = "messaging.knative.dev/v1beta1";
const V1ALPHA1: &str = "messaging.knative.dev/v1alpha1";

/// The kinds that keep events, each with a spec that is fine.
const BACKING: [(&str, &str); 4] =
    [(V1, "InMemoryChannel"), (V1BETA1, "KafkaChannel"), (V1, "KafkaChannel"), (V1ALPHA1, "NatsJetStreamChannel")];

fn subscription() -> Value {
    json!({
        "channel": {"apiVersion": V1, "kind": "Channel", "name": "c"},
        "subscriber": {"uri": "http://subscriber/"},
    })
}

fn kind_service(name: &str) -> Value {
    json!({"ref": {"apiVersion": "v1", "kind": "Service", "name": name}})
}

#[test]
fn definitions_are_knatives() {
    let (first, last) = ("URL,Age,Ready,Reason", "Ready,Reason,URL,Age");
    let both = "addressable,subscribable";
    definitions_are([
        (V1, "Channel", first, "ch", "messaging,channel", both),
        (V1, "InMemoryChannel", first, "imc", "messaging,channel", both),
        (V1BETA1, "KafkaChannel", last, "kc", "messaging,channel", both),
        (V1, "KafkaChannel", last, "kc", "messaging,channel", both),
        (V1ALPHA1, "NatsJetStreamChannel", last, "natsjsmc", "messaging,channel", both),
        (V1, "Subscription", "Age,Ready,Reason", "sub", "messaging", ""),
    ]);
}

#[test]
fn channel_gets_template_annotation_and_namespaces() {
    let channel =
        admitted(object(V1, "Channel", &json!({"delivery": {"deadLetterSink": kind_service("dead")}}))).object;
    assert_eq!(channel["spec"]["channelTemplate"], json!({"apiVersion": V1, "kind": "InMemoryChannel"}));
    assert_eq!(channel["metadata"]["annotations"], json!({"messaging.knative.dev/subscribable": "v1"}));
    assert_eq!(channel["spec"]["delivery"]["deadLetterSink"]["ref"]["namespace"], "shop");
}

#[test]
fn each_rule_of_a_channel_is_told_with_its_path() {
    let good = json!({"channelTemplate": {"apiVersion": V1BETA1, "kind": "KafkaChannel", "spec": {"any": 1}}});
    let template = |template: Value| json!({ "channelTemplate": template });
    each_is_refused(
        V1,
        "Channel",
        &good,
        [
            (template(json!({"kind": "KafkaChannel"})), "missing field(s): spec.channelTemplate.apiVersion"),
            (template(json!({"apiVersion": V1})), "missing field(s): spec.channelTemplate.kind"),
            (
                json!({"subscribers": [{"subscriberUri": "http://a/"}]}),
                "must not set the field(s): spec.subscribers: subscribers belong to the backing channel",
            ),
            (json!({"delivery": {"retry": -1}}), "spec.delivery.retry: Invalid value: -1: must be 0 or more"),
        ],
    );
}

#[test]
fn template_and_delivery_of_a_channel_cannot_change() {
    let good = json!({
        "channelTemplate": {"apiVersion": V1BETA1, "kind": "KafkaChannel"},
        "delivery": {"retry": 1},
    });
    let template = json!({"apiVersion": V1, "kind": "InMemoryChannel"});
    each_is_immutable(V1, "Channel", &good, [("channelTemplate", template), ("delivery", json!({"retry": 2}))]);

    let old = admitted(object(V1, "Channel", &good)).object;
    let new = updated(object(V1, "Channel", &with(&good, &json!({"channelTemplate": null}))), &old);
    assert_eq!(new["spec"]["channelTemplate"]["kind"], "KafkaChannel", "left out is not changed");
}

#[test]
fn channels_get_the_annotation_and_namespaces() {
    for (api_version, kind) in BACKING {
        let spec = json!({"delivery": {"deadLetterSink": kind_service("dead")}});
        let channel = admitted(object(api_version, kind, &spec)).object;
        assert_eq!(channel["metadata"]["annotations"], json!({"messaging.knative.dev/subscribable": "v1"}), "{kind}");
        assert_eq!(channel["spec"]["delivery"]["deadLetterSink"]["ref"]["namespace"], "shop", "{kind}");
    }
}

#[test]
fn each_rule_of_subscribers_is_told_with_its_path() {
    for (api_version, kind) in BACKING {
        let subscriber = |subscriber: Value| json!({ "subscribers": [{"replyUri": "http://a/"}, subscriber] });
        each_is_refused(
            api_version,
            kind,
            &json!({}),
            [
                (
                    subscriber(json!({"uid": "1"})),
                    "expected at least one, got none: spec.subscribers[1].subscriberUri, spec.subscribers[1].replyUri",
                ),
                (
                    subscriber(json!({"subscriberUri": "/path"})),
                    "spec.subscribers[1].subscriberUri: Invalid value: \"/path\": expected an absolute URL",
                ),
                (
                    subscriber(json!({"replyUri": "ftp://a/"})),
                    "spec.subscribers[1].replyUri: Invalid value: \"ftp://a/\": expected an absolute URL",
                ),
                (
                    subscriber(json!({"subscriberUri": "http://a/", "delivery": {"timeout": "1s"}})),
                    "spec.subscribers[1].delivery.timeout: Invalid value: \"1s\": expected an ISO 8601 duration",
                ),
                (json!({"delivery": {"format": "xml"}}), "spec.delivery.format: Invalid value: \"xml\""),
            ],
        );
    }
}

#[test]
fn scope_of_a_channel_is_cluster_or_namespace() {
    for (api_version, kind) in BACKING {
        let scoped = |scope: &str| {
            let mut channel = object(api_version, kind, &json!({}));
            channel["metadata"]["annotations"] = json!({"eventing.knative.dev/scope": scope});
            channel
        };
        admitted(scoped("cluster"));
        admitted(scoped("namespace"));
        let told = refused(scoped("pod"), None);
        let expected = "metadata.annotations[eventing.knative.dev/scope]: Invalid value: \"pod\": expected cluster or";
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn only_the_controllers_change_subscribers() {
    for (api_version, kind) in &BACKING[..3] {
        let channel =
            |uri: &str| admitted(object(api_version, kind, &json!({"subscribers": [{"subscriberUri": uri}]}))).object;
        let change = |user| admit(channel("http://b/"), Some(&channel("http://a/")), Context { user: Some(user) });
        for user in CHANNEL_CONTROLLERS {
            assert!(change(user).is_ok(), "{kind} by {user}");
        }
        let told = change("ann").expect_err("has to be refused").to_string();
        let expected =
            "must not set the field(s): spec.subscribers: changed by user \"ann\", which is not the eventing";
        assert!(told.starts_with(expected), "{kind}: {told}");

        let mut other = channel("http://a/");
        other["spec"]["delivery"] = json!({"retry": 3});
        let context = Context { user: Some("ann") };
        assert!(admit(other, Some(&channel("http://a/")), context).is_ok(), "{kind}: everything else is anyone's");
        assert!(admit(channel("http://a/"), None, context).is_ok(), "{kind}: a new one may have them");
    }
}

#[test]
fn kafka_channel_gets_topic_settings() {
    for api_version in [V1BETA1, V1] {
        let spec = &admitted(object(api_version, "KafkaChannel", &json!({}))).object["spec"];
        assert_eq!(*spec, json!({"numPartitions": 1, "replicationFactor": 1, "retentionDuration": "PT168H"}));
    }
}

#[test]
fn each_rule_of_a_kafka_channel_is_told_with_its_path() {
    for api_version in [V1BETA1, V1] {
        each_is_refused(
            api_version,
            "KafkaChannel",
            &json!({"retentionDuration": "PT0S"}),
            [
                (json!({"numPartitions": 0}), "spec.numPartitions: Invalid value: 0: must be 1 or more"),
                (json!({"replicationFactor": -1}), "spec.replicationFactor: Invalid value: -1: must be 1 or more"),
                (
                    json!({"replicationFactor": 32_768}),
                    "spec.replicationFactor: Invalid value: 32768: must be 32767 or less",
                ),
                (
                    json!({"retentionDuration": "7d"}),
                    "spec.retentionDuration: Invalid value: \"7d\": expected an ISO 8601 duration",
                ),
                (
                    json!({"retentionDuration": "-PT1H"}),
                    "spec.retentionDuration: Invalid value: \"-PT1H\": must not be negative",
                ),
            ],
        );
    }
}

#[test]
fn topic_settings_of_a_kafka_channel_cannot_change() {
    let good = json!({"numPartitions": 2, "replicationFactor": 3, "retentionDuration": "PT1H"});
    let old = admitted(object(V1BETA1, "KafkaChannel", &good)).object;
    for api_version in [V1BETA1, V1] {
        each_is_immutable(
            api_version,
            "KafkaChannel",
            &good,
            [("numPartitions", json!(4)), ("replicationFactor", json!(1)), ("retentionDuration", json!("PT2H"))],
        );
    }
    let kept = with(&good, &json!({"retentionDuration": null, "delivery": {"retry": 1}}));
    let new = updated(object(V1BETA1, "KafkaChannel", &kept), &old);
    assert_eq!(new["spec"]["retentionDuration"], "PT1H", "left out is not changed");

    let mut older = old;
    older["spec"]["retentionDuration"] = json!("");
    let new = updated(object(V1BETA1, "KafkaChannel", &good), &older);
    assert_eq!(new["spec"]["retentionDuration"], "PT1H", "a channel without one may get one");
}

#[test]
fn subscription_gets_namespaces() {
    let change = json!({
        "subscriber": kind_service("s"), "reply": kind_service("r"),
        "delivery": {"deadLetterSink": kind_service("d")},
    });
    let spec = &admitted(object(V1, "Subscription", &with(&subscription(), &change))).object["spec"];
    for path in ["/subscriber", "/reply", "/delivery/deadLetterSink"] {
        assert_eq!(spec.pointer(path).expect(path)["ref"]["namespace"], "shop", "{path}");
    }
    assert_eq!(spec["channel"], subscription()["channel"], "the channel's is the Subscription's own");
}

#[test]
fn each_rule_of_a_subscription_is_told_with_its_path() {
    let channel = |change: Value| json!({"channel": with(&subscription()["channel"], &change)});
    each_is_refused(
        V1,
        "Subscription",
        &subscription(),
        [
            (json!({"channel": null}), "missing field(s): spec.channel"),
            (channel(json!({"name": null})), "missing field(s): spec.channel.name"),
            (channel(json!({"kind": null})), "missing field(s): spec.channel.kind"),
            (channel(json!({"apiVersion": null})), "missing field(s): spec.channel.apiVersion"),
            (channel(json!({"namespace": "shop"})), "must not set the field(s): spec.channel.namespace: "),
            (json!({"subscriber": null}), "missing field(s): spec.subscriber"),
            (json!({"subscriber": {}, "reply": {"uri": "http://a/"}}), "missing field(s): spec.subscriber"),
            (json!({"subscriber": {"uri": "/a"}}), "spec.subscriber.uri: Invalid value: \"/a\": expected an absolute"),
            (json!({"reply": {"uri": "/a"}}), "spec.reply.uri: Invalid value: \"/a\": expected an absolute URL"),
            (json!({"filters": [{"exact": {"A": "b"}}]}), "invalid key name \"A\": spec.filters[0].exact"),
            (json!({"delivery": {"backoffPolicy": "x"}}), "spec.delivery.backoffPolicy: Invalid value: \"x\""),
        ],
    );
    admitted(object(V1, "Subscription", &with(&subscription(), &json!({"reply": {}}))));
}

#[test]
fn channel_of_a_subscription_cannot_change_and_the_rest_can() {
    let channel = json!({"apiVersion": V1, "kind": "Channel", "name": "other"});
    each_is_immutable(V1, "Subscription", &subscription(), [("channel", channel)]);
    let old = admitted(object(V1, "Subscription", &subscription())).object;
    let change = json!({
        "subscriber": {"uri": "http://other/"}, "reply": {"uri": "http://reply/"}, "delivery": {"retry": 1},
        "filters": [{"exact": {"type": "a"}}],
    });
    updated(object(V1, "Subscription", &with(&subscription(), &change)), &old);
}
