use super::*;

const EVENTING: &str = "eventing.knative.dev/v1alpha1";
const V1ALPHA1: &str = "messaging.knative.dev/v1alpha1";
const V1BETA1: &str = "messaging.knative.dev/v1beta1";

fn template(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind})
}

fn provisioner(name: &str) -> Value {
    reference(EVENTING, "ClusterChannelProvisioner", name)
}

#[test]
fn the_provisioner_of_a_channel_becomes_a_template() {
    for (name, api_version, kind) in [
        ("in-memory", "messaging.knative.dev/v1", "InMemoryChannel"),
        ("in-memory-channel", "messaging.knative.dev/v1", "InMemoryChannel"),
        ("kafka", "messaging.knative.dev/v1", "KafkaChannel"),
        ("natss", "messaging.knative.dev/v1alpha1", "NatsJetStreamChannel"),
    ] {
        let written = json!({"provisioner": provisioner(name)});
        becomes(EVENTING, "Channel", written.clone(), json!({"channelTemplate": template(api_version, kind)}));
        if name != "in-memory-channel" {
            computed(EVENTING, "Channel", json!({"channelTemplate": template(api_version, kind)}), written);
        }
    }
    let mut kafka = template("messaging.knative.dev/v1", "KafkaChannel");
    kafka["spec"] = json!({"numPartitions": 3, "replicationFactor": 2});
    let written =
        json!({"provisioner": provisioner("kafka"), "arguments": {"NumPartitions": 3, "ReplicationFactor": 2}});
    becomes(EVENTING, "Channel", written, json!({ "channelTemplate": kafka }));
    kafka["spec"]["retentionDuration"] = "PT1H".into();
    computed(EVENTING, "Channel", json!({ "channelTemplate": kafka }), json!({ "channelTemplate": kafka }));
}

#[test]
fn a_provisioner_that_stands_for_no_channel_is_refused() {
    let with = |name: &str, arguments: Value| json!({"provisioner": provisioner(name), "arguments": arguments});
    let known = "expected in-memory, in-memory-channel, kafka or natss";
    for (spec, error) in [
        (with("gcp-pubsub", json!({})), format!(r#"spec.provisioner.name: Invalid value: "gcp-pubsub": {known}"#)),
        (json!({"provisioner": {}}), format!("spec.provisioner.name: Invalid value: null: {known}")),
        (
            with("in-memory", json!({"size": 1})),
            "must not set the field(s): spec.arguments: the provisioner in-memory has none".to_owned(),
        ),
        (
            with("kafka", json!({"Brokers": "b"})),
            "must not set the field(s): spec.arguments.Brokers: the provisioner kafka has NumPartitions and \
             ReplicationFactor only"
                .to_owned(),
        ),
    ] {
        refused(EVENTING, "Channel", spec, &error);
    }
}

#[test]
fn subscribers_leave_subscribable() {
    let own = json!({"ref": service("d")});
    let old = json!([
        {"uid": "1", "subscriberURI": "http://s/", "replyURI": "http://r/", "deadLetterSink": "http://d/"},
        {"uid": "2", "generation": 2, "subscriberURI": "http://s/", "delivery": {"retry": 3, "deadLetterSink": own}},
    ]);
    let sink = json!({"deadLetterSink": {"uri": "http://d/"}});
    let current = json!([
        {"uid": "1", "subscriberUri": "http://s/", "replyUri": "http://r/", "delivery": sink},
        {"uid": "2", "generation": 2, "subscriberUri": "http://s/", "delivery": {"retry": 3, "deadLetterSink": own}},
    ]);
    for (version, kind) in
        [(EVENTING, "Channel"), (V1ALPHA1, "Channel"), (V1ALPHA1, "InMemoryChannel"), (V1ALPHA1, "KafkaChannel")]
    {
        computed(
            version,
            kind,
            json!({"subscribers": current, "delivery": {"retry": 1}}),
            json!({"subscribable": {"subscribers": old}, "delivery": {"retry": 1}}),
        );
    }
    computed(V1BETA1, "Channel", json!({ "subscribers": current }), json!({ "subscribers": current }));
    let uri = json!({"subscribable": {"subscribers": [{"deadLetterSinkURI": "http://d/"}]}});
    becomes(V1ALPHA1, "Channel", uri, json!({"subscribers": [{"delivery": sink}]}));
}

#[test]
fn channel_templates_get_their_current_version() {
    let old = |version: &str| json!({"channelTemplate": template(version, "InMemoryChannel")});
    let current = json!({"channelTemplate": template("messaging.knative.dev/v1", "InMemoryChannel")});
    for version in [V1ALPHA1, "messaging.knative.dev/v1alpha2", V1BETA1, "eventing.knative.dev/v1alpha2"] {
        becomes(version, "Channel", old(V1ALPHA1), current.clone());
        becomes(version, "Channel", old(V1BETA1), current.clone());
        computed(version, "Channel", current.clone(), current.clone());
    }
    // What is no legacy form is left alone.
    let nats = json!({"channelTemplate": template(V1ALPHA1, "NatsJetStreamChannel")});
    computed(V1ALPHA1, "Channel", nats.clone(), nats);
}

#[test]
fn a_generation_in_the_spec_means_nothing() {
    for version in [EVENTING, V1ALPHA1] {
        becomes(version, "Channel", json!({"generation": 3}), json!({}));
        becomes(version, "Subscription", json!({"generation": 3}), json!({}));
    }
}

#[test]
fn subscriptions_refer_to_current_kinds() {
    let channel = |version: &str| reference(version, "Channel", "c");
    let current = "messaging.knative.dev/v1";
    for version in [EVENTING, "eventing.knative.dev/v1alpha2", V1ALPHA1, V1BETA1] {
        let written = json!({"channel": channel(version), "subscriber": {"dnsName": "s.shop.svc"}});
        let converted = json!({"channel": channel(current), "subscriber": {"uri": "http://s.shop.svc"}});
        becomes(version, "Subscription", written, converted);
        for reply in [channel(version), reference("eventing.knative.dev/v1alpha1", "Broker", "b")] {
            let target = if reply["kind"] == "Broker" {
                reference("eventing.knative.dev/v1", "Broker", "b")
            } else {
                channel(current)
            };
            for reply in [json!({ "channel": reply }), json!({ "ref": reply }), reply] {
                becomes(
                    version,
                    "Subscription",
                    json!({"channel": channel(current), "reply": reply}),
                    json!({"channel": channel(current), "reply": {"ref": target}}),
                );
            }
        }
    }
    let spec = |reply: &str| {
        json!({
            "channel": channel(current),
            "subscriber": {"ref": service("s"), "uri": "/path"},
            "reply": {reply: channel(current)},
            "delivery": {"retry": 2},
        })
    };
    computed(EVENTING, "Subscription", spec("ref"), spec("channel"));
    computed(V1ALPHA1, "Subscription", spec("ref"), spec("ref"));
    computed(V1BETA1, "Subscription", spec("ref"), spec("ref"));
    let uri = json!({"channel": channel(current), "reply": {"uri": "http://r/"}});
    computed(EVENTING, "Subscription", uri.clone(), uri);
    let error = "spec.subscriber.dnsName: Invalid value: 5: expected a host name";
    refused(EVENTING, "Subscription", json!({"subscriber": {"dnsName": 5}}), error);
}

#[test]
fn dead_letter_sinks_are_destinations_like_others() {
    let written = json!({"delivery": {"deadLetterSink": service("d"), "retry": 1}});
    let current = json!({"delivery": {"deadLetterSink": {"ref": service("d")}, "retry": 1}});
    for kind in ["Channel", "InMemoryChannel", "Subscription"] {
        becomes(V1ALPHA1, kind, written.clone(), current.clone());
    }
    becomes("eventing.knative.dev/v1alpha1", "Broker", written, current);
}

#[test]
fn names_in_the_status_are_those_of_the_version() {
    let subscribers = json!([{"uid": "1", "observedGeneration": 1, "ready": "True"}]);
    let channel = reference("messaging.knative.dev/v1", "InMemoryChannel", "x");
    let old = json!({
        "address": {"hostname": "x.shop.svc", "url": "http://x.shop.svc/"},
        "channel": channel,
        "subscribableStatus": {"subscribers": subscribers},
    });
    let current = json!({"address": {"url": "http://x.shop.svc/"}, "channel": channel, "subscribers": subscribers});
    for (version, kind) in
        [(EVENTING, "Channel"), (V1ALPHA1, "Channel"), (V1ALPHA1, "InMemoryChannel"), (V1ALPHA1, "KafkaChannel")]
    {
        status(version, kind, old.clone(), current.clone());
    }
    status(V1BETA1, "Channel", current.clone(), current);

    let old = json!({
        "physicalSubscription": {
            "subscriberURI": "http://s/",
            "replyURI": "http://r/",
            "deadLetterSinkURI": "http://d/",
        },
        "conditions": conditions(&["AddedToChannel", "ChannelReady", "Ready", "Resolved"]),
    });
    let current = json!({
        "physicalSubscription": {
            "subscriberUri": "http://s/",
            "replyUri": "http://r/",
            "deadLetterSinkUri": "http://d/",
        },
        "conditions": conditions(&["AddedToChannel", "ChannelReady", "Ready", "ReferencesResolved"]),
    });
    for version in [EVENTING, V1ALPHA1] {
        status(version, "Subscription", old.clone(), current.clone());
    }
    for version in ["eventing.knative.dev/v1alpha2", V1BETA1] {
        status(version, "Subscription", current.clone(), current.clone());
    }
}
