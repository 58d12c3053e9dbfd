use serde_json::{Value, json};

use super::{NatsJetStreamChannel, Wait};
use crate::admission::testing::{admitted, each_is_refused, object, updated};

const V1ALPHA1: &str = "messaging.knative.dev/v1alpha1";

#[test]
fn nats_channel_takes_every_setting() {
    let source = json!({"name": "S", "optStartSeq": 1, "optStartTime": "2026-01-31T12:00:00Z", "filterSubject": "a.>"});
    let spec = json!({
        "stream": {"overrideName": "S", "config": {
            "additionalSubjects": ["a"], "retention": "Interest", "maxConsumers": 1, "maxMsgs": -1, "maxBytes": 1,
            "discard": "New", "maxAge": "1h30m", "maxMsgSize": 1, "storage": "Memory", "replicas": 3, "noAck": true,
            "duplicateWindow": "2m", "placement": {"cluster": "c", "tags": ["t"]}, "mirror": source,
            "sources": [source],
        }},
        "consumerConfigTemplate": {
            "deliverPolicy": "ByStartTime", "optStartSeq": 1, "optStartTime": "2026-01-31T12:00:00Z", "ackWait": "30s",
            "filterSubject": "a", "replayPolicy": "Original", "rateLimitBPS": 1, "sampleFrequency": "30%",
            "maxAckPending": 1, "consumerType": "Pull", "fetchMaxWait": "200ms", "fetchBatchSize": 1,
        },
    });
    let channel = admitted(object(V1ALPHA1, "NatsJetStreamChannel", &spec));
    assert_eq!((&channel.object["spec"], channel.warnings), (&spec, Vec::new()));
    let typed: NatsJetStreamChannel = serde_json::from_value(channel.object).expect("typed");
    assert_eq!(serde_json::to_value(&typed.spec).expect("JSON"), spec, "no field is lost");
    let wait = Wait::Nanos(5_000_000_000).duration();
    assert_eq!(wait, Wait::Text("5s".to_owned()).duration());
}

#[test]
fn each_rule_of_a_nats_channel_is_told_with_its_path() {
    let config = |config: Value| json!({ "stream": { "config": config } });
    let consumer = |consumer: Value| json!({ "consumerConfigTemplate": consumer });
    let duration = "expected a duration such as 30s, 2m or 1h30m";
    let path = "spec.stream.config";
    let consumers = "spec.consumerConfigTemplate";
    let cases = [
        (
            config(json!({"retention": "limits"})),
            format!("{path}.retention: Invalid value: \"limits\": expected Limits"),
        ),
        (
            config(json!({"discard": "Newest"})),
            format!("{path}.discard: Invalid value: \"Newest\": expected Old or New"),
        ),
        (
            config(json!({"storage": "Disk"})),
            format!("{path}.storage: Invalid value: \"Disk\": expected File or Memory"),
        ),
        (config(json!({"maxAge": "PT1H"})), format!("{path}.maxAge: Invalid value: \"PT1H\": {duration}")),
        (config(json!({"duplicateWindow": "2"})), format!("{path}.duplicateWindow: Invalid value: \"2\": {duration}")),
        (config(json!({"replicas": -1})), format!("{path}.replicas: Invalid value: -1: must be 0 or more")),
        (config(json!({"mirror": {}})), format!("missing field(s): {path}.mirror.name")),
        (
            config(json!({"sources": [{"name": "a", "optStartSeq": -1}]})),
            format!("{path}.sources[0].optStartSeq: Invalid value: -1: must be 0 or more"),
        ),
        (
            config(json!({"mirror": {"name": "a", "optStartTime": "noon"}})),
            format!("{path}.mirror.optStartTime: Invalid value: \"noon\": expected a time such as"),
        ),
        (consumer(json!({"deliverPolicy": "First"})), format!("{consumers}.deliverPolicy: Invalid value: \"First\"")),
        (consumer(json!({"replayPolicy": "Slow"})), format!("{consumers}.replayPolicy: Invalid value: \"Slow\"")),
        (consumer(json!({"consumerType": "pull"})), format!("{consumers}.consumerType: Invalid value: \"pull\"")),
        (consumer(json!({"optStartSeq": -1})), format!("{consumers}.optStartSeq: Invalid value: -1: must be 0")),
        (consumer(json!({"optStartTime": "1"})), format!("{consumers}.optStartTime: Invalid value: \"1\": expected")),
        (consumer(json!({"ackWait": "-1s"})), format!("{consumers}.ackWait: Invalid value: \"-1s\": {duration}")),
        (consumer(json!({"rateLimitBPS": -1})), format!("{consumers}.rateLimitBPS: Invalid value: -1: must be 0")),
        (
            consumer(json!({"sampleFrequency": "101%"})),
            format!("{consumers}.sampleFrequency: Invalid value: \"101%\": expected a share from 0 to 100"),
        ),
        (consumer(json!({"fetchMaxWait": "5"})), format!("{consumers}.fetchMaxWait: Invalid value: \"5\": {duration}")),
        (consumer(json!({"fetchMaxWait": -5})), format!("{consumers}.fetchMaxWait: Invalid value: -5: must be 0")),
        (consumer(json!({"fetchBatchSize": 0})), format!("{consumers}.fetchBatchSize: Invalid value: 0: must be 1")),
        (
            json!({"deploymentSpecTemplate": {"labels": {"a": "b"}}}),
            "missing field(s): spec.deploymentSpecTemplate.affinity".to_owned(),
        ),
    ];
    for (change, expected) in &cases {
        each_is_refused(V1ALPHA1, "NatsJetStreamChannel", &json!({}), [(change.clone(), expected)]);
    }
}

#[test]
fn settings_of_a_nats_channel_without_effect_are_told_and_all_may_change() {
    let spec = json!({"consumerConfigTemplate": {"maxDeliver": 3}, "deploymentSpecTemplate": {"affinity": {}}});
    let channel = admitted(object(V1ALPHA1, "NatsJetStreamChannel", &spec));
    let named = ["spec.consumerConfigTemplate.maxDeliver", "spec.deploymentSpecTemplate"];
    assert_eq!(channel.warnings.len(), named.len());
    assert!(channel.warnings.iter().zip(named).all(|(told, path)| told.starts_with(path)), "{:?}", channel.warnings);
    updated(object(V1ALPHA1, "NatsJetStreamChannel", &json!({"stream": {"overrideName": "S"}})), &channel.object);
}
