//! The controller against a scripted API and a scripted data plane.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use weir_api::observed::{Observed, ObservedState};
use weir_api::resources::{self, ObjectName, Resources};
use weir_channels::{Channel, ChannelName, ConnectError, Registry};

use super::*;

pub(crate) mod fake;
mod standalone;

use fake::Fake;

/// A running controller between a scripted API and a scripted data plane.
struct World {
    api: Arc<Fake>,
    running: Running,
}

/// A running controller and its data plane.
struct Running {
    plane: Arc<Plane>,
    resources: watch::Receiver<Arc<Resources>>,
    removed: Arc<Mutex<Vec<ChannelName>>>,
    controller: JoinHandle<()>,
    shutdown: CancellationToken,
    _guard: DropGuard,
}

impl std::ops::Deref for World {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

/// The scripted data plane: acts on whatever it is given, but for what it is told to fail or to ignore.
#[derive(Default)]
struct Plane {
    failing: Mutex<HashSet<String>>,
    silent: Mutex<HashSet<String>>,
}

impl Plane {
    fn answer(&self, resources: &Resources) -> Observed {
        let mut observed = Observed::new();
        let mut report = |name: &ObjectName, uid: &Arc<str>, generation| {
            let state = if self.failing.lock().contains(&*name.name) {
                ObservedState::Failed { generation, message: "the disk is on fire".to_owned() }
            } else {
                ObservedState::Active { generation }
            };
            if !self.silent.lock().contains(&*name.name) {
                observed.insert(Arc::clone(uid), state);
            }
        };
        for broker in resources.brokers.values().filter(|broker| !broker.deleting) {
            report(&broker.name, &broker.uid, broker.generation);
            for trigger in resources.triggers.get(&broker.name).into_iter().flat_map(|triggers| triggers.values()) {
                report(&trigger.name, &trigger.uid, trigger.generation);
            }
        }
        for broker in resources.brokers.values().filter(|broker| broker.deleting) {
            if !self.silent.lock().contains(&*broker.name.name) {
                observed.insert(Arc::clone(&broker.uid), ObservedState::Closed);
            }
        }
        observed
    }
}

impl Running {
    fn start(client: Client) -> Self {
        let (resources_sender, resources) = watch::channel(Arc::new(Resources::default()));
        let (observed_sender, observed) = watch::channel(Arc::new(Observed::new()));
        let removed = Arc::new(Mutex::new(Vec::new()));
        let plane = Arc::new(Plane::default());
        let shutdown = CancellationToken::new();
        let remove = {
            let removed = Arc::clone(&removed);
            move |name: ChannelName| {
                removed.lock().push(name);
                std::future::ready(Ok(()))
            }
        };
        let open = |_: ChannelName, _: Value| async { Err::<Arc<dyn Channel>, _>(unused()) };
        let collaborators = Collaborators {
            client,
            resources: resources_sender,
            observed,
            channels: Arc::new(Registry::default().with("embedded", open, remove)),
            metrics: Metrics::default(),
        };
        let mut settings = Settings::new("http://127.0.0.1:8080".parse().expect("URL"));
        settings.report_waiting = false;
        settings.start_grace = Duration::ZERO;
        let controller = tokio::spawn(run(settings, collaborators, shutdown.clone()));
        let (answering, mut wanted) = (Arc::clone(&plane), resources.clone());
        tokio::spawn(async move {
            while wanted.changed().await.is_ok() {
                let answer = answering.answer(&wanted.borrow_and_update());
                observed_sender.send_replace(Arc::new(answer));
            }
        });
        Self { plane, resources, removed, controller, shutdown: shutdown.clone(), _guard: shutdown.drop_guard() }
    }
}

impl World {
    fn start(api: Arc<Fake>) -> Self {
        let running = Running::start(api.client());
        Self { api, running }
    }

    async fn until_ready(&self, plural: &str, name: &str) {
        self.api
            .until(&format!("{plural} {name} is Ready"), |api| status_of(api, plural, name, "Ready") == "True")
            .await;
    }

    async fn until_condition(&self, plural: &str, name: &str, ty: &str, reason: &str) {
        let holds = |api: &Fake| condition(api, plural, name, ty)["reason"] == reason;
        self.api.until(&format!("{plural} {name}: {ty} for {reason}"), holds).await;
    }

    /// Waits until the data plane is given something that satisfies `condition`.
    async fn until_given(&self, what: &str, condition: impl Fn(&Resources) -> bool) {
        let mut resources = self.resources.clone();
        let holds = resources.wait_for(|resources| condition(resources));
        tokio::time::timeout(Duration::from_secs(10), holds).await.expect(what).expect("feed runs");
    }

    /// Waits until the controller has no request left that could still change something.
    async fn until_idle(&self) {
        let mut before = usize::MAX;
        while self.api.requests() != before {
            before = self.api.requests();
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn unused() -> ConnectError {
    ConnectError::InvalidConfig { backend: "embedded".to_owned(), reason: "the controller opens no logs".to_owned() }
}

fn condition(api: &Fake, plural: &str, name: &str, ty: &str) -> Value {
    let object = api.get(plural, name).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == ty).unwrap_or_default()
}

fn status_of(api: &Fake, plural: &str, name: &str, ty: &str) -> String {
    condition(api, plural, name, ty)["status"].as_str().unwrap_or_default().to_owned()
}

fn broker(name: &str) -> Value {
    json!({"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": name}})
}

fn trigger(name: &str, spec: Value) -> Value {
    let mut trigger = json!({
        "apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": name},
        "spec": {"broker": "default", "subscriber": {"uri": "http://example.com/"}},
    });
    if let Value::Object(spec) = spec {
        spec.into_iter().for_each(|(field, value)| trigger["spec"][field] = value);
    }
    trigger
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": []}})
}

fn subscriber_of(resources: &Resources, name: &str) -> Option<String> {
    let trigger = given(resources, name)?;
    trigger.subscriber.as_ref().map(|subscriber| subscriber.url.to_string())
}

fn given(resources: &Resources, name: &str) -> Option<Arc<resources::Trigger>> {
    let mut triggers = resources.triggers.values().flat_map(|triggers| triggers.values());
    triggers.find(|trigger| &*trigger.name.name == name).cloned()
}

#[tokio::test]
async fn broker_and_trigger_become_ready() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    world.api.apply(trigger("t", json!({})));
    world.until_ready("triggers", "t").await;
    let broker = world.api.get("brokers", "default").expect("Broker");
    assert_eq!(broker["status"]["address"]["url"], "http://127.0.0.1:8080/team/default");
    assert_eq!(broker["status"]["annotations"]["weir.dev/durability"], "fsync");
    let trigger = world.api.get("triggers", "t").expect("Trigger");
    assert_eq!(trigger["status"]["subscriberUri"], "http://example.com/");
    assert_eq!(trigger["status"]["observedGeneration"], 1);
    let delivery = &given(&world.resources.borrow(), "t").expect("given").delivery;
    assert_eq!(delivery.retry, 10, "a Trigger without delivery options has its Broker's");
}

#[tokio::test]
async fn trigger_may_come_before_its_broker() {
    let world = World::start(Fake::new());
    world.api.apply(trigger("t", json!({})));
    world.until_condition("triggers", "t", "BrokerReady", "BrokerDoesNotExist").await;
    world.api.apply(broker("default"));
    world.until_ready("triggers", "t").await;
}

#[tokio::test]
async fn subscriber_may_come_after_the_trigger_and_go_again() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    let reference = json!({"kind": "Service", "name": "shop", "apiVersion": "v1"});
    world.api.apply(trigger("t", json!({"subscriber": {"ref": reference, "uri": "/orders"}})));
    world.until_condition("triggers", "t", "SubscriberResolved", "Unable to get the Subscriber's URI").await;
    let why = condition(&world.api, "triggers", "t", "SubscriberResolved");
    assert_eq!(why["message"], "there is no Service \"shop\" in namespace \"team\"");

    world.api.apply(service("shop"));
    world.until_ready("triggers", "t").await;
    let url = "http://shop.team.svc.cluster.local/orders";
    world.until_given("the subscriber", |given| subscriber_of(given, "t").as_deref() == Some(url)).await;

    world.api.delete("services", "shop");
    world.until_condition("triggers", "t", "Ready", "Unable to get the Subscriber's URI").await;
    let held = |resources: &Resources| given(resources, "t").is_some_and(|trigger| trigger.subscriber.is_none());
    world.until_given("the Trigger is held, not gone", held).await;
}

#[tokio::test]
async fn reference_to_a_kind_nobody_serves_is_told() {
    let world = World::start(Fake::new());
    let reference = json!({"kind": "Gadget", "name": "g", "apiVersion": "example.com/v1"});
    world.api.apply(trigger("t", json!({"subscriber": {"ref": reference}})));
    let told = |api: &Fake| condition(api, "triggers", "t", "SubscriberResolved")["message"].clone();
    world.api.until("a message", |api| told(api) == "the API serves no kind Gadget in example.com/v1").await;
}

#[tokio::test]
async fn broker_can_be_the_subscriber_of_a_trigger() {
    let world = World::start(Fake::new());
    let reference = json!({"kind": "Broker", "name": "other", "apiVersion": "eventing.knative.dev/v1"});
    world.api.apply(trigger("t", json!({"subscriber": {"ref": reference}})));
    world.api.apply(broker("default"));
    world.api.apply(broker("other"));
    world.until_ready("triggers", "t").await;
    assert_eq!(subscriber_of(&world.resources.borrow(), "t").as_deref(), Some("http://127.0.0.1:8080/team/other"));
}

#[tokio::test]
async fn broker_created_again_starts_with_a_log_of_its_own() {
    let world = World::start(Fake::new());
    let old = world.api.apply(broker("default"));
    world.api.apply(trigger("t", json!({})));
    world.until_ready("triggers", "t").await;

    world.api.delete("brokers", "default");
    world.until_condition("triggers", "t", "BrokerReady", "BrokerDoesNotExist").await;
    world.api.until("the Broker is gone", |api| api.get("brokers", "default").is_none()).await;
    let removed: Vec<_> = world.removed.lock().iter().map(|name| name.uid.to_string()).collect();
    assert_eq!(removed, std::slice::from_ref(&old));
    world.until_given("nothing", |given| given.brokers.is_empty() && given.triggers.is_empty()).await;

    let new = world.api.apply(broker("default"));
    assert_ne!(old, new);
    world.until_ready("triggers", "t").await;
    let uids: Vec<_> = world.resources.borrow().brokers.values().map(|broker| broker.uid.to_string()).collect();
    assert_eq!(uids, [new]);
}

#[tokio::test]
async fn log_is_removed_only_after_the_data_plane_has_closed_it() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    world.until_ready("brokers", "default").await;
    world.plane.silent.lock().insert("default".to_owned());
    world.api.delete("brokers", "default");
    world.until_given("the order to close", |given| given.brokers.values().any(|broker| broker.deleting)).await;
    world.until_idle().await;
    assert!(world.removed.lock().is_empty());
    assert!(world.api.get("brokers", "default").is_some());

    world.plane.silent.lock().clear();
    // Any other change makes the scripted data plane answer again.
    world.api.apply(broker("other"));
    world.api.until("the Broker is gone", |api| api.get("brokers", "default").is_none()).await;
    assert_eq!(world.removed.lock().len(), 1);
}

#[tokio::test]
async fn failure_of_the_data_plane_is_told_and_heals() {
    let world = World::start(Fake::new());
    world.plane.failing.lock().insert("t".to_owned());
    world.api.apply(broker("default"));
    world.api.apply(trigger("t", json!({})));
    world.until_condition("triggers", "t", "SubscriptionReady", "NotSubscribed").await;
    assert_eq!(condition(&world.api, "triggers", "t", "Ready")["message"], "the disk is on fire");
    world.plane.failing.lock().clear();
    world.api.apply(trigger("t", json!({"filter": {"attributes": {"type": "a"}}})));
    world.until_ready("triggers", "t").await;
}

#[tokio::test]
async fn status_is_written_at_most_twice_per_change() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    world.until_ready("brokers", "default").await;
    world.until_idle().await;
    assert!(world.api.status_writes("brokers", "default") <= 2, "{}", world.api.status_writes("brokers", "default"));
    world.api.apply(trigger("t", json!({})));
    world.until_ready("triggers", "t").await;
    world.until_idle().await;
    assert!(world.api.status_writes("triggers", "t") <= 2, "{}", world.api.status_writes("triggers", "t"));
    let before = world.api.status_writes("triggers", "t");
    world.api.apply(trigger("t", json!({"delivery": {"retry": 1}})));
    world
        .api
        .until("the new version is ready", |api| {
            let trigger = api.get("triggers", "t").unwrap_or_default();
            trigger["status"]["observedGeneration"] == 2 && status_of(api, "triggers", "t", "Ready") == "True"
        })
        .await;
    world.until_idle().await;
    assert!(world.api.status_writes("triggers", "t") - before <= 2);
    assert_eq!(given(&world.resources.borrow(), "t").expect("given").delivery.retry, 1);
}

#[tokio::test]
async fn refused_write_is_tried_again_without_another_change() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    world.until_ready("brokers", "default").await;
    world.until_idle().await;
    world.api.refuse_status_writes(3);
    world.api.apply(trigger("t", json!({})));
    world.until_ready("triggers", "t").await;
    assert!(world.api.status_writes("triggers", "t") <= 2);
}

#[tokio::test]
async fn nothing_is_written_about_what_has_not_changed() {
    let api = Fake::new();
    let world = World::start(Arc::clone(&api));
    api.apply(broker("default"));
    api.apply(trigger("t", json!({})));
    world.until_ready("triggers", "t").await;
    world.until_idle().await;
    let writes = (api.status_writes("brokers", "default"), api.status_writes("triggers", "t"));
    drop(world);

    // Another controller, whose data plane is quicker than its first reconcile or slower: either way, nothing to say.
    let mut settings = Settings::new("http://127.0.0.1:8080".parse().expect("URL"));
    settings.report_waiting = false;
    settings.start_grace = Duration::from_secs(3_600);
    let (resources, mut given) = watch::channel(Arc::new(Resources::default()));
    let (_observed, observed) = watch::channel(Arc::new(Observed::new()));
    let (client, channels) = (api.client(), Arc::default());
    let collaborators = Collaborators { client, resources, observed, channels, metrics: Metrics::default() };
    let shutdown = CancellationToken::new();
    let controller = tokio::spawn(run(settings, collaborators, shutdown.clone()));
    given.wait_for(|given| given.complete && !given.triggers.is_empty()).await.expect("feed runs");
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((api.status_writes("brokers", "default"), api.status_writes("triggers", "t")), writes);
    shutdown.cancel();
    controller.await.expect("controller");
}

#[tokio::test]
async fn what_happens_while_a_watch_is_away_is_seen_on_the_next_list() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    world.api.apply(trigger("gone", json!({})));
    world.api.apply(trigger("stays", json!({})));
    world.until_ready("triggers", "gone").await;
    world.until_ready("triggers", "stays").await;
    world.api.compact(|api| {
        api.delete("triggers", "gone");
        api.apply(trigger("new", json!({})));
    });
    world.until_ready("triggers", "new").await;
    world.until_given("the new list", |now| given(now, "gone").is_none() && given(now, "new").is_some()).await;
    assert!(given(&world.resources.borrow(), "stays").is_some());
}

#[tokio::test]
async fn dead_letter_sink_of_the_broker_is_inherited_by_itself() {
    let world = World::start(Fake::new());
    let mut with_sink = broker("default");
    with_sink["spec"] = json!({"delivery": {"retry": 7, "deadLetterSink": {"uri": "http://dead.example.com/"}}});
    world.api.apply(with_sink);
    world.api.apply(trigger("own", json!({"delivery": {"timeout": "PT1S"}})));
    world.api.apply(trigger("none", json!({})));
    world.until_ready("triggers", "own").await;
    world.until_ready("triggers", "none").await;
    let resources = Arc::clone(&world.resources.borrow());
    let delivery = |name: &str| given(&resources, name).expect("given").delivery.clone();
    let sink = |name: &str| delivery(name).dead_letter_sink.map(|sink| sink.url.to_string());
    assert_eq!((delivery("own").retry, delivery("none").retry), (0, 7), "the rest is all or nothing");
    assert_eq!(sink("own").as_deref(), Some("http://dead.example.com/"));
    assert_eq!(sink("none").as_deref(), Some("http://dead.example.com/"));
}

#[tokio::test]
async fn dependency_holds_back_ready() {
    let world = World::start(Fake::new());
    world.api.apply(broker("default"));
    let mut dependent = trigger("t", json!({}));
    let dependency = r#"{"kind": "PingSource", "name": "p", "apiVersion": "sources.knative.dev/v1"}"#;
    dependent["metadata"]["annotations"] = json!({ "knative.dev/dependency": dependency });
    world.api.apply(dependent);
    world.until_condition("triggers", "t", "Ready", "DependencyDoesNotExist").await;
    let mut source = json!({"apiVersion": "sources.knative.dev/v1", "kind": "PingSource", "metadata": {"name": "p"}});
    source["spec"] = json!({"sink": {"uri": "http://127.0.0.1:1/"}});
    source["status"] = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]});
    world.api.apply(source);
    world.until_ready("triggers", "t").await;
}

#[tokio::test]
async fn broker_config_names_the_log_in_plain_words() {
    let world = World::start(Fake::new());
    let config_map = |kind: &str| {
        let template = format!("apiVersion: messaging.knative.dev/v1\nkind: {kind}\n");
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"channel-template-spec": template}})
    };
    world.api.apply(config_map("KafkaChannel"));
    let mut configured = broker("default");
    configured["spec"] = json!({"config": {"kind": "ConfigMap", "name": "c", "apiVersion": "v1"}});
    world.api.apply(configured);
    world.until_condition("brokers", "default", "TriggerChannelReady", "ChannelTemplateFailed").await;
    let why = condition(&world.api, "brokers", "default", "Ready")["message"].to_string();
    assert!(why.contains("ConfigMap team/c asks for a KafkaChannel"), "{why}");
    world.api.apply(config_map("InMemoryChannel"));
    world.until_ready("brokers", "default").await;
}

#[tokio::test]
async fn foreign_brokers_and_their_triggers_are_left_alone() {
    let world = World::start(Fake::new());
    let mut foreign = broker("default");
    foreign["metadata"]["annotations"] = json!({"eventing.knative.dev/broker.class": "Kafka"});
    world.api.apply(foreign);
    world.api.apply(trigger("t", json!({})));
    world.api.apply(broker("ours"));
    world.until_ready("brokers", "ours").await;
    world.until_idle().await;
    assert_eq!(world.api.status_writes("brokers", "default") + world.api.status_writes("triggers", "t"), 0);
}

#[tokio::test]
async fn controller_ends_on_shutdown() {
    let world = World::start(Fake::new());
    world.shutdown.cancel();
    let controller = world.running.controller;
    tokio::time::timeout(Duration::from_secs(5), controller).await.expect("ends").expect("without a panic");
}
