//! The controller against the embedded API, as `weir run` puts them together.

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use weir_api::condition::is_ready;
use weir_standalone::api::Settings as ApiSettings;

use super::*;

async fn client() -> Client {
    let pool = weir_migrations::open("sqlite::memory:").await.expect("database");
    let endpoint = weir_standalone::api::Api::open(pool, ApiSettings::default()).await.expect("API");
    endpoint.client("weir-controller")
}

fn ready(trigger: Option<&Trigger>) -> bool {
    trigger.and_then(|trigger| trigger.status.as_ref()).is_some_and(|status| is_ready(&status.conditions))
}

async fn until<K>(what: &str, api: &Api<K>, name: &str, condition: impl conditions::Condition<K>)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let waiting = await_condition(api.clone(), name, condition);
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect(what).expect(what);
}

#[tokio::test]
async fn life_of_a_broker_and_its_trigger() {
    let client = client().await;
    let running = Running::start(client.clone());
    let (brokers, triggers) = (Api::default_namespaced(client.clone()), Api::default_namespaced(client));
    let create = PostParams::default();
    let wanted: Trigger = serde_json::from_value(trigger("t", json!({}))).expect("Trigger");
    triggers.create(&create, &wanted).await.expect("created");
    let wanted: Broker = serde_json::from_value({
        let mut broker = broker("default");
        broker["spec"] = json!({});
        broker
    })
    .expect("Broker");
    let first = brokers.create(&create, &wanted).await.expect("created");
    until("Ready", &triggers, "t", ready).await;

    let before = triggers.get("t").await.expect("Trigger");
    assert_eq!(before.labels()["eventing.knative.dev/broker"], "default");
    assert_eq!(before.annotations()["eventing.knative.dev/creator"], "weir-controller");

    brokers.delete("default", &DeleteParams::default()).await.expect("deleted");
    until("gone", &brokers, "default", conditions::is_deleted(&first.uid().expect("UID"))).await;
    assert_eq!(running.removed.lock().len(), 1);
    until("not Ready", &triggers, "t", |trigger: Option<&Trigger>| !ready(trigger)).await;

    let second = brokers.create(&create, &wanted).await.expect("created");
    assert_ne!(first.uid(), second.uid());
    until("Ready again", &triggers, "t", ready).await;
    let address = brokers.get("default").await.expect("Broker").status.and_then(|status| status.address);
    assert_eq!(address.and_then(|address| address.url).as_deref(), Some("http://127.0.0.1:8080/default/default"));
}

#[tokio::test]
async fn admission_refuses_through_the_api() {
    let client = client().await;
    let triggers: Api<Trigger> = Api::default_namespaced(client);
    let wanted = serde_json::from_value(trigger("t", json!({"delivery": {"backoffDelay": "5s"}}))).expect("Trigger");
    let refused = triggers.create(&PostParams::default(), &wanted).await.expect_err("refused");
    assert!(refused.to_string().contains("spec.delivery.backoffDelay: Invalid value: \"5s\""), "{refused}");
}
