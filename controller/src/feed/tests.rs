use std::collections::BTreeMap;

use tokio::sync::watch as channel;
use weir_channels::embedded::EmbeddedConfig;

use super::*;
use crate::tests::fake::Fake;

fn broker(delivery: Value) -> Broker {
    let class = json!({"eventing.knative.dev/broker.class": "Weir", "weir.dev/durability": "os"});
    let metadata = json!({"name": "b", "namespace": "team", "uid": "ub", "generation": 1, "annotations": class});
    let status = json!({"annotations": {"weir.dev/channel-backend": "embedded"}});
    let mut broker = json!({"metadata": metadata, "spec": {}, "status": status});
    broker["spec"]["delivery"] = delivery;
    serde_json::from_value(broker).expect("Broker")
}

fn trigger(observed_generation: i64, subscriber: &str) -> Trigger {
    let annotations = json!({"weir.dev/paused": "true", "weir.dev/start": "earliest"});
    let metadata = json!({"name": "t", "namespace": "team", "uid": "ut", "generation": 2, "annotations": annotations});
    let status = json!({
        "observedGeneration": observed_generation,
        "subscriberUri": "http://example.com/",
        "deadLetterSinkUri": "http://dead/",
        "conditions": [
            {"type": "SubscriberResolved", "status": subscriber},
            {"type": "DeadLetterSinkResolved", "status": "True"},
        ],
    });
    let spec = json!({"broker": "b", "subscriber": {"uri": "http://example.com/"}});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).expect("Trigger")
}

fn given(trigger: &Trigger, known: Option<&resources::Trigger>) -> Option<resources::Trigger> {
    trigger_resource(trigger, &broker(json!({"retry": 4})), known)
}

#[test]
fn broker_is_given_once_its_backend_is_decided() {
    let mut broker = broker(json!({}));
    let given = broker_resource(&broker).expect("given");
    assert_eq!((given.channel.backend.as_str(), given.deleting), ("embedded", false));
    assert_eq!(given.channel.config["durability"], "os");
    broker.status = None;
    assert_eq!(broker_resource(&broker), None);
}

#[test]
fn resolved_trigger_is_given_with_everything_it_says() {
    let given = given(&trigger(2, "True"), None).expect("given");
    assert_eq!(given.subscriber.map(|subscriber| subscriber.url.to_string()).as_deref(), Some("http://example.com/"));
    assert_eq!((given.generation, given.paused, given.start), (2, true, resources::Start::Earliest));
    assert_eq!(given.delivery.retry, 4);
    assert!(given.delivery.dead_letter_sink.is_some());
}

#[test]
fn trigger_that_cannot_be_resolved_is_held_not_forgotten() {
    assert_eq!(given(&trigger(2, "False"), None).expect("given").subscriber, None);
}

#[test]
fn new_version_waits_until_it_is_resolved() {
    let current = given(&trigger(2, "True"), None).expect("given");
    let mut changed = trigger(1, "True");
    assert_eq!(given(&changed, Some(&current)), None, "the data plane keeps what it has");
    let held = given(&changed, None).expect("after a restart the data plane has nothing, but has to know of it");
    assert_eq!((held.subscriber, held.generation), (None, 1));
    changed.status = None;
    assert_eq!(given(&changed, None), None, "nobody has looked at it yet");
}

#[test]
fn trigger_stored_before_a_rule_existed_is_held() {
    let mut broken = trigger(2, "True");
    broken.spec.delivery = serde_json::from_value(json!({"retry": -1})).expect("delivery");
    assert_eq!(given(&broken, None).expect("given").subscriber, None);
}

#[test]
fn log_options_are_settings_the_embedded_log_takes() {
    let options = LogOptions {
        durability: Durability::Os,
        retention: Some(Duration::from_secs(60)),
        retention_bytes: Some(1 << 30),
        dedupe: Some(Duration::from_secs(5)),
    };
    let config: EmbeddedConfig = serde_json::from_value(log_config(&options)).expect("settings");
    assert_eq!((config.retention.age_seconds, config.retention.bytes), (60, Some(1 << 30)));
    assert_eq!((config.dedupe.enabled, config.dedupe.window_seconds), (true, 5));
    let defaults: EmbeddedConfig = serde_json::from_value(log_config(&LogOptions::default())).expect("settings");
    assert_eq!(defaults, EmbeddedConfig::default());
}

#[tokio::test]
async fn feed_alone_gives_what_is_stored() {
    let api = Fake::new();
    let mut stored = serde_json::to_value(broker(json!({"retry": 4}))).expect("JSON");
    stored["metadata"]["uid"] = Value::Null;
    api.apply(stored);
    api.apply(serde_json::to_value(trigger(1, "True")).expect("JSON"));
    let (sender, mut resources) = channel::channel(Arc::new(Resources::default()));
    let shutdown = CancellationToken::new();
    let feeding = tokio::spawn(run(api.client(), sender, shutdown.clone()));
    let given = resources.wait_for(|resources| resources.complete).await.expect("feed runs").clone();
    assert_eq!((given.brokers.len(), given.triggers.values().map(BTreeMap::len).sum::<usize>()), (1, 1));
    shutdown.cancel();
    feeding.await.expect("ends");
}
