use serde_json::{Value, json};
use weir_api::condition::is_ready;

use super::*;
use crate::tracker::Referent;

const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

fn broker(metadata: Value) -> Broker {
    let mut broker = json!({"metadata": {"name": "b", "namespace": "team", "uid": "u", "generation": 1}, "spec": {}});
    broker["metadata"]["annotations"] = json!({"eventing.knative.dev/broker.class": "MTChannelBasedBroker"});
    if let Value::Object(metadata) = metadata {
        metadata.into_iter().for_each(|(field, value)| broker["metadata"][field] = value);
    }
    serde_json::from_value(broker).expect("Broker")
}

fn fine() -> Observation {
    Observation {
        backend: Ok(EMBEDDED),
        dead_letter_sink: None,
        data_plane: DataPlane::Active,
        address: "http://ingress/team/b".to_owned(),
    }
}

fn report(broker: &Broker, observed: &Observation) -> BrokerStatus {
    match plan(broker, observed, NOW) {
        Plan::Report(status) => *status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn broker_is_ready_when_the_data_plane_acts_on_it() {
    let status = report(&broker(json!({})), &fine());
    assert!(is_ready(&status.conditions), "{:#?}", status.conditions);
    assert_eq!(status.address.and_then(|address| address.url).as_deref(), Some("http://ingress/team/b"));
    assert_eq!(status.annotations[CHANNEL_BACKEND], "embedded");
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.ty.as_str()).collect();
    let all = "Addressable DeadLetterSinkResolved Durable EventPoliciesReady FilterReady IngressReady Ready TriggerChannelReady";
    assert_eq!(types.join(" "), all);
}

#[test]
fn each_obstacle_shows_in_its_condition_and_in_ready() {
    let no_sink = "Unable to get the dead letter sink's URI";
    let cases = [
        (
            Observation { backend: Err("no".to_owned()), ..fine() },
            "TriggerChannelReady",
            Status::False,
            "ChannelTemplateFailed",
        ),
        (
            Observation { data_plane: DataPlane::Pending, ..fine() },
            "TriggerChannelReady",
            Status::Unknown,
            "DataPlanePending",
        ),
        (Observation { data_plane: DataPlane::Pending, ..fine() }, "Addressable", Status::Unknown, "DataPlanePending"),
        (
            Observation { data_plane: DataPlane::Starting, ..fine() },
            "IngressReady",
            Status::Unknown,
            "DataPlanePending",
        ),
        (
            Observation { data_plane: DataPlane::Failed("no".to_owned()), ..fine() },
            "TriggerChannelReady",
            Status::False,
            "ChannelFailure",
        ),
        (
            Observation { dead_letter_sink: Some(Err("no".to_owned())), ..fine() },
            "DeadLetterSinkResolved",
            Status::False,
            no_sink,
        ),
    ];
    for (observed, ty, status, reason) in cases {
        let shown = report(&broker(json!({})), &observed);
        let condition = find(&shown.conditions, ty).expect(ty);
        assert_eq!((condition.status, condition.reason.as_deref()), (status, Some(reason)));
        assert_eq!(find(&shown.conditions, "Ready").expect("Ready").status, status, "{ty}");
    }
}

#[test]
fn durability_is_told_and_has_no_say_in_ready() {
    let annotations = json!({"eventing.knative.dev/broker.class": "Weir", "weir.dev/durability": "os"});
    let status = report(&broker(json!({ "annotations": annotations })), &fine());
    assert_eq!(find(&status.conditions, "Durable").expect("Durable").status, Status::False);
    assert!(is_ready(&status.conditions));
    assert_eq!(status.annotations[DURABILITY], "os");
}

#[test]
fn stored_broker_that_breaks_a_rule_says_so() {
    let annotations = json!({"eventing.knative.dev/broker.class": "Weir", "weir.dev/retention": "7d"});
    let status = report(&broker(json!({ "annotations": annotations })), &fine());
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(ready.status, Status::False);
    assert!(ready.message.as_deref().is_some_and(|why| why.contains("metadata.annotations[weir.dev/retention]")));
    assert_eq!(status.annotations.get(CHANNEL_BACKEND), None, "nothing is opened for it");
}

#[test]
fn starting_data_plane_leaves_ready_as_it_was() {
    let mut broker = broker(json!({}));
    broker.status = Some(report(&broker, &fine()));
    let starting = Observation { data_plane: DataPlane::Starting, ..fine() };
    assert_eq!(Some(report(&broker, &starting)), broker.status);
}

#[test]
fn deleted_broker_goes_after_its_log() {
    let mut broker = broker(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
    let at = |broker: &Broker, data_plane| plan(broker, &Observation { data_plane, ..fine() }, NOW);
    assert_eq!(at(&broker, DataPlane::Pending), Plan::Release(None), "it never had one");
    let annotations = [(CHANNEL_BACKEND.to_owned(), "embedded".to_owned())].into();
    broker.status = Some(BrokerStatus { annotations, ..BrokerStatus::default() });
    for in_use in [DataPlane::Active, DataPlane::Pending, DataPlane::Starting, DataPlane::Failed("no".to_owned())] {
        assert_eq!(at(&broker, in_use), Plan::Wait);
    }
    assert_eq!(at(&broker, DataPlane::Closed), Plan::Release(Some("embedded".to_owned())));
}

#[test]
fn config_map_decides_on_the_backend() {
    let target = |namespace: &str, name: &str| Target {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let holding = |data: Value| {
        let object: Referent = serde_json::from_value(json!({ "data": data })).expect("ConfigMap");
        backend_of(&target("team", "c"), &Lookup::Found(Arc::new(object)))
    };
    let template = |text: &str| holding(json!({ "channel-template-spec": text }));
    assert_eq!(template("apiVersion: messaging.knative.dev/v1\nkind: InMemoryChannel"), Ok("embedded"));
    assert_eq!(holding(json!({"channelTemplateSpec": "kind: InMemoryChannel"})), Ok("embedded"));
    assert_eq!(backend_of(&target("knative-eventing", "config-br-default-channel"), &Lookup::Absent), Ok("embedded"));
    for (found, why) in [
        (template("kind: KafkaChannel"), "asks for a KafkaChannel"),
        (template("kind: InMemoryChannel\nspec: {delivery: {retry: 1}}"), "sets delivery of the channel"),
        (template("- a"), "is not a channel template"),
        (holding(json!({})), "has no key channel-template-spec"),
        (backend_of(&target("team", "c"), &Lookup::Absent), "there is no ConfigMap \"c\" in namespace \"team\""),
        (
            backend_of(&Target { kind: "Secret".to_owned(), ..target("team", "c") }, &Lookup::Absent),
            "spec.config has to be a ConfigMap, not a Secret",
        ),
    ] {
        let told = found.expect_err(why);
        assert!(told.contains(why), "{told}");
    }
}
