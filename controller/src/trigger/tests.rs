use serde_json::{Value, json};

use super::*;
use crate::tracker::Referent;

const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

fn trigger(spec: Value) -> Trigger {
    let mut trigger = json!({
        "metadata": {"name": "t", "namespace": "team", "uid": "u", "generation": 3},
        "spec": {"broker": "default", "subscriber": {"uri": "http://example.com/"}},
    });
    if let Value::Object(spec) = spec {
        spec.into_iter().for_each(|(field, value)| trigger["spec"][field] = value);
    }
    serde_json::from_value(trigger).expect("Trigger")
}

fn broker(spec: Value, status: Value) -> Option<Arc<Broker>> {
    let mut broker = json!({"metadata": {"name": "default", "namespace": "team", "generation": 1}});
    broker["spec"] = spec;
    broker["status"] = status;
    Some(Arc::new(serde_json::from_value(broker).expect("Broker")))
}

fn ready(status: &str, reason: Option<&str>) -> Value {
    json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status, "reason": reason}]})
}

fn resolved(url: &str) -> Result<ResolvedDestination, String> {
    Ok(ResolvedDestination { url: url.parse().expect("URL"), ca_certs: None, audience: None })
}

/// Everything is in place.
fn fine() -> Observation {
    Observation {
        broker: broker(json!({}), ready("True", None)),
        subscriber: resolved("http://example.com/"),
        dead_letter_sink: None,
        dependency: None,
        data_plane: DataPlane::Active,
    }
}

/// Status and reason of a condition.
fn shown(status: &TriggerStatus, ty: &str) -> (Status, String) {
    let condition = find(&status.conditions, ty).expect(ty);
    (condition.status, condition.reason.clone().unwrap_or_default())
}

#[test]
fn trigger_is_ready_when_everything_is_in_place() {
    let status = plan(&trigger(json!({})), &fine(), NOW);
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.ty.as_str()).collect();
    let all = "BrokerReady DeadLetterSinkResolved DependencyReady OIDCIdentityCreated Ready SubscriberResolved SubscriptionReady";
    assert_eq!(types.join(" "), all);
    assert!(status.conditions.iter().all(|condition| condition.status == Status::True));
    assert_eq!(shown(&status, "DeadLetterSinkResolved").1, "DeadLetterSinkNotConfigured");
    assert_eq!(shown(&status, "OIDCIdentityCreated").1, "authentication-oidc feature disabled");
    assert_eq!((status.observed_generation, status.subscriber_uri.as_deref()), (Some(3), Some("http://example.com/")));
}

#[test]
fn each_obstacle_shows_in_its_condition_and_in_ready() {
    let missing = || Target {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: "team".to_owned(),
        name: "gone".to_owned(),
    };
    let with_sink = json!({"delivery": {"deadLetterSink": {"uri": "http://dead/"}}});
    let no_uri = "Unable to get the Subscriber's URI";
    let no_sink = "Unable to get the dead letter sink's URI";
    let cases = [
        (Observation { broker: None, ..fine() }, "BrokerReady", Status::False, "BrokerDoesNotExist"),
        (
            Observation { broker: broker(json!({}), json!({})), ..fine() },
            "BrokerReady",
            Status::Unknown,
            "BrokerNotConfigured",
        ),
        (
            Observation { broker: broker(json!({}), ready("False", Some("ChannelFailure"))), ..fine() },
            "BrokerReady",
            Status::False,
            "ChannelFailure",
        ),
        (
            Observation { broker: broker(json!({}), json!({"observedGeneration": 0, "conditions": []})), ..fine() },
            "BrokerReady",
            Status::Unknown,
            "BrokerNotConfigured",
        ),
        (Observation { subscriber: Err("no".to_owned()), ..fine() }, "SubscriberResolved", Status::False, no_uri),
        (
            Observation { dead_letter_sink: Some(Err("no".to_owned())), ..fine() },
            "DeadLetterSinkResolved",
            Status::False,
            no_sink,
        ),
        (
            Observation { broker: broker(with_sink, ready("True", None)), ..fine() },
            "DeadLetterSinkResolved",
            Status::False,
            "Broker default didn't set status.deadLetterSinkURI",
        ),
        (
            Observation { data_plane: DataPlane::Failed("no".to_owned()), ..fine() },
            "SubscriptionReady",
            Status::False,
            "NotSubscribed",
        ),
        (
            Observation { data_plane: DataPlane::Pending, ..fine() },
            "SubscriptionReady",
            Status::Unknown,
            "SubscriptionNotConfigured",
        ),
        (
            Observation { data_plane: DataPlane::Starting, ..fine() },
            "SubscriptionReady",
            Status::Unknown,
            "SubscriptionNotConfigured",
        ),
    ];
    for (observed, ty, status, reason) in cases {
        let shown_status = plan(&trigger(json!({})), &observed, NOW);
        assert_eq!(shown(&shown_status, ty), (status, reason.to_owned()));
        assert_eq!(shown(&shown_status, "Ready"), (status, reason.to_owned()), "{ty}");
    }
    let dependent = |lookup| {
        let mut trigger = trigger(json!({}));
        let dependency = r#"{"kind": "Service", "name": "gone", "apiVersion": "v1"}"#.to_owned();
        trigger.annotations_mut().insert("knative.dev/dependency".to_owned(), dependency);
        let status = plan(&trigger, &Observation { dependency: Some((missing(), lookup)), ..fine() }, NOW);
        shown(&status, "DependencyReady")
    };
    let referent = |object: Value| Lookup::Found(Arc::new(serde_json::from_value::<Referent>(object).expect("object")));
    let unready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Broken"}]});
    let stale = json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}});
    for (lookup, status, reason) in [
        (Lookup::Absent, Status::False, "DependencyDoesNotExist"),
        (Lookup::NoSuchKind, Status::Unknown, "ListerDoesNotExist"),
        (Lookup::Unavailable("no".to_owned()), Status::Unknown, "DependencyGetFailed"),
        (referent(json!({"metadata": {}, "status": unready})), Status::False, "Broken"),
        (referent(stale), Status::Unknown, "GenerationNotEqual"),
        (referent(json!({"metadata": {}})), Status::Unknown, "DependencyNotConfigured"),
    ] {
        assert_eq!(dependent(lookup), (status, reason.to_owned()));
    }
}

#[test]
fn stored_trigger_that_breaks_a_rule_says_so() {
    let broken = trigger(json!({"filters": [{"exact": {"A": "b"}}], "delivery": {"retry": -1}}));
    let status = plan(&broken, &fine(), NOW);
    let condition = find(&status.conditions, "SubscriptionReady").expect("condition");
    assert_eq!(condition.status, Status::False);
    let message = condition.message.as_deref().expect("message");
    assert!(message.contains("spec.filters[0].exact") && message.contains("spec.delivery.retry"), "{message}");
}

#[test]
fn dead_letter_sink_is_the_own_one_else_the_brokers() {
    let spec = json!({"delivery": {"deadLetterSink": {"uri": "http://dead/"}}});
    let mut status = ready("True", None);
    status["deadLetterSinkUri"] = json!("http://broker-dead/");
    let inherited = Observation { broker: broker(spec, status), ..fine() };
    let sink = |observed: &Observation| plan(&trigger(json!({})), observed, NOW).delivery.dead_letter_sink_uri;
    assert_eq!(sink(&inherited).as_deref(), Some("http://broker-dead/"));
    let own = Observation { dead_letter_sink: Some(resolved("http://own/")), ..inherited };
    assert_eq!(sink(&own).as_deref(), Some("http://own/"));
    assert_eq!(sink(&fine()), None);
}

#[test]
fn starting_data_plane_leaves_ready_as_it_was_for_the_same_generation_only() {
    let mut before = trigger(json!({}));
    before.status = Some(plan(&before, &fine(), NOW));
    let starting = Observation { data_plane: DataPlane::Starting, ..fine() };
    assert_eq!(Some(plan(&before, &starting, NOW)), before.status);
    before.metadata.generation = Some(4);
    assert_eq!(shown(&plan(&before, &starting, NOW), "Ready").0, Status::Unknown);
}
