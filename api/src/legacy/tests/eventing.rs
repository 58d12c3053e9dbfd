use super::*;

const V1ALPHA1: &str = "eventing.knative.dev/v1alpha1";
const V1ALPHA2: &str = "eventing.knative.dev/v1alpha2";
const V1BETA1: &str = "eventing.knative.dev/v1beta1";

#[test]
fn source_and_type_become_attributes() {
    for (pair, attributes) in [
        (json!({"type": "t", "source": "s"}), json!({"type": "t", "source": "s"})),
        (json!({"type": "t"}), json!({"type": "t", "source": ""})),
        (json!({"source": "s"}), json!({"type": "", "source": "s"})),
        (json!({}), json!({"type": "", "source": ""})),
    ] {
        becomes(
            V1ALPHA1,
            "Trigger",
            json!({"broker": "b", "filter": {"sourceAndType": pair}, "subscriber": {"uri": "http://s/"}}),
            json!({"broker": "b", "filter": {"attributes": attributes}, "subscriber": {"uri": "http://s/"}}),
        );
    }
}

#[test]
fn the_rest_of_a_trigger_is_the_same() {
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1] {
        for spec in [
            json!({"broker": "b", "filter": {"attributes": {"type": "t"}}, "subscriber": {"ref": service("s")}}),
            json!({"broker": "b", "filter": {}, "subscriber": {"ref": service("s"), "uri": "/path"}}),
            json!({"broker": "b", "filters": [{"exact": {"type": "t"}}], "delivery": {"retry": 3}}),
        ] {
            computed(version, "Trigger", spec.clone(), spec);
        }
    }
}

#[test]
fn a_trigger_without_a_broker_has_the_default_one() {
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1] {
        for written in [json!({}), json!({"broker": ""})] {
            becomes(version, "Trigger", written, json!({"broker": "default"}));
        }
        let reference = json!({"brokerRef": reference("eventing.knative.dev/v1", "Broker", "b")});
        becomes(version, "Trigger", reference.clone(), reference);
        let bare = json!({"metadata": {"name": "x"}});
        let converted = form(version, "Trigger").to_current(bare, None).expect("converted").object;
        assert_eq!(converted["spec"], json!({"broker": "default"}));
    }
}

#[test]
fn filters_the_older_webhooks_refused_are_refused() {
    let both = json!({"sourceAndType": {"type": "t"}, "attributes": {"type": "t"}});
    for (filter, error) in [
        (
            json!({"attributes": {}}),
            "spec.filter.attributes: Invalid value: {}: At least one filtered attribute must be specified",
        ),
        (both, "expected exactly one, got both: spec.filter.attributes, spec.filter.sourceAndType"),
        (
            json!({"sourceAndType": "t"}),
            r#"spec.filter.sourceAndType: Invalid value: "t": expected an object with source and type"#,
        ),
    ] {
        refused(V1ALPHA1, "Trigger", json!({ "filter": filter }), error);
    }
    let unknown = json!({"broker": "b", "filter": {"sourceAndType": {"type": "t", "subject": "s"}}});
    let warning = "spec.filter.sourceAndType.subject is not used: unknown field";
    let current = json!({"broker": "b", "filter": {"attributes": {"type": "t", "source": ""}}});
    becomes_with_warnings(V1ALPHA1, "Trigger", unknown, current, &[warning]);
}

#[test]
fn a_current_filter_without_attributes_can_be_written_again() {
    let current = object("eventing.knative.dev/v1", "Trigger", json!({"broker": "b", "filter": {"attributes": {}}}));
    let shown = form(V1BETA1, "Trigger").from_current(current);
    assert_eq!(shown["spec"], json!({"broker": "b", "filter": {}}));
}

#[test]
fn injection_is_asked_for_under_both_names_and_shown_under_the_written_one() {
    let row = form(V1ALPHA1, "Trigger");
    let mut written = object(V1ALPHA1, "Trigger", json!({"broker": "default"}));
    written["metadata"]["annotations"] = json!({"knative-eventing-injection": "enabled"});
    let converted = row.to_current(written.clone(), None).expect("converted").object;
    let current = "/metadata/annotations/eventing.knative.dev~1injection";
    assert_eq!(converted.pointer(current), Some(&"enabled".into()));
    assert_eq!(row.from_current(converted.clone()), written);

    written["metadata"]["annotations"] = json!({"knative-eventing-injection": "disabled"});
    let changed = row.to_current(written, Some(&converted)).expect("converted").object;
    assert_eq!(changed.pointer(current), Some(&"disabled".into()));
}

#[test]
fn names_in_the_status_are_those_of_the_version() {
    let ready = conditions(&["BrokerReady", "DependencyReady", "Ready", "SubscriberResolved", "SubscriptionReady"]);
    status(
        V1ALPHA1,
        "Trigger",
        json!({"subscriberURI": "http://s/", "conditions": ready}),
        json!({"subscriberUri": "http://s/", "conditions": ready}),
    );
    let same = json!({"subscriberUri": "http://s/", "conditions": ready});
    for version in [V1ALPHA2, V1BETA1] {
        status(version, "Trigger", same.clone(), same.clone());
    }
    let annotations = json!({
        "knative.dev/channelAPIVersion": "messaging.knative.dev/v1",
        "knative.dev/channelKind": "InMemoryChannel",
        "knative.dev/channelName": "x-kne-trigger",
    });
    let ready = conditions(&["Addressable", "FilterReady", "IngressReady", "Ready", "TriggerChannelReady"]);
    let current = json!({"address": {"url": "http://h:8080/x"}, "annotations": annotations, "conditions": ready});
    let channel = reference("messaging.knative.dev/v1", "InMemoryChannel", "x-kne-trigger");
    let mut old = current.clone();
    old["triggerChannel"] = channel;
    old["address"]["hostname"] = "h:8080".into();
    status(V1ALPHA1, "Broker", old, current.clone());
    status(V1BETA1, "Broker", current.clone(), current);
    let (old, current) = (conditions(&["BrokerExists", "Ready"]), conditions(&["ReferenceExists", "Ready"]));
    status(V1ALPHA1, "EventType", json!({ "conditions": old }), json!({ "conditions": current }));
    let hostname = json!({"address": {"hostname": "h"}});
    let row = form(V1ALPHA1, "Broker");
    let mut written = object(V1ALPHA1, "Broker", json!({}));
    written["status"] = hostname;
    let converted = row.to_current(written, None).expect("converted").object;
    assert_eq!(converted["status"], json!({"address": {"url": "http://h"}}), "0.5 had no url");
}

#[test]
fn the_channel_template_of_a_broker_becomes_a_config_map() {
    let template = json!({
        "apiVersion": "messaging.knative.dev/v1alpha1",
        "kind": "KafkaChannel",
        "spec": {"numPartitions": 3},
    });
    let written = json!({"channelTemplateSpec": template, "delivery": {"retry": 2}});
    let config = reference("v1", "ConfigMap", "x-channel-template");
    becomes(V1ALPHA1, "Broker", written.clone(), json!({"config": config, "delivery": {"retry": 2}}));

    let companions = converted(V1ALPHA1, "Broker", written).companions;
    let [companion] = companions.as_slice() else { panic!("{companions:?}") };
    assert_eq!(companion["metadata"], json!({"name": "x-channel-template", "namespace": "shop"}));
    assert_eq!((&companion["apiVersion"], &companion["kind"]), (&json!("v1"), &json!("ConfigMap")));
    let text = companion["data"]["channel-template-spec"].as_str().expect("text");
    let kept: Value = serde_yaml_ng::from_str(text).expect("YAML");
    let expected = json!({
        "apiVersion": "messaging.knative.dev/v1",
        "kind": "KafkaChannel",
        "spec": {"numPartitions": 3},
    });
    assert_eq!(kept, expected);
}

#[test]
fn a_broker_has_one_configuration() {
    let template = reference("messaging.knative.dev/v1alpha1", "InMemoryChannel", "");
    let config = |name: &str| reference("v1", "ConfigMap", name);
    let both = json!({"channelTemplateSpec": template, "config": config("mine")});
    let error = "expected exactly one, got both: spec.config, spec.channelTemplateSpec";
    refused(V1ALPHA1, "Broker", both, error);
    let again = json!({"channelTemplateSpec": template, "config": config("x-channel-template")});
    becomes(V1ALPHA1, "Broker", again, json!({"config": config("x-channel-template")}));
    let nameless = json!({"metadata": {"generateName": "b-"}, "spec": {"channelTemplateSpec": template}});
    let error = form(V1ALPHA1, "Broker").to_current(nameless, None).expect_err("refused").to_string();
    let expected = "must not set the field(s): spec.channelTemplateSpec: the ConfigMap it becomes is named after the \
                    Broker, which has no metadata.name";
    assert_eq!(error, expected);
}

#[test]
fn the_rest_of_a_broker_is_the_same() {
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1] {
        let config = reference("v1", "ConfigMap", "c");
        let spec = json!({"config": config, "delivery": {"deadLetterSink": {"uri": "http://d/"}, "retry": 2}});
        computed(version, "Broker", spec.clone(), spec);
    }
}

#[test]
fn the_broker_of_an_event_type_becomes_its_reference() {
    let broker = reference("eventing.knative.dev/v1", "Broker", "b");
    for version in [V1ALPHA1, V1ALPHA2] {
        computed(
            version,
            "EventType",
            json!({"type": "t", "source": "s", "schema": "http://s/", "description": "d", "reference": broker}),
            json!({"type": "t", "source": "s", "schema": "http://s/", "description": "d", "broker": "b"}),
        );
        let channel = json!({"type": "t", "reference": reference("messaging.knative.dev/v1", "Channel", "c")});
        computed(version, "EventType", channel.clone(), channel);
    }
    let mut elsewhere = broker.clone();
    elsewhere["namespace"] = "other".into();
    computed(V1ALPHA1, "EventType", json!({ "reference": elsewhere }), json!({ "reference": elsewhere }));
    let mut own = broker;
    own["namespace"] = "shop".into();
    let current = object("eventing.knative.dev/v1beta2", "EventType", json!({ "reference": own }));
    assert_eq!(form(V1ALPHA1, "EventType").from_current(current)["spec"], json!({"broker": "b"}));
}
