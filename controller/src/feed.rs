//! What the data plane runs, from spec and resolved status.
//!
//! A Trigger goes to the data plane once its status has been resolved for the current generation; until then the data
//! plane keeps what it has. A Trigger that cannot be resolved stays in the feed without a subscriber: the data plane
//! has to know that it exists, or its progress would be forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use url::Url;
use weir_api::admission::Admit;
use weir_api::condition::{self, Status};
use weir_api::delivery::{Delivery, DeliveryStatus};
use weir_api::destination::ResolvedDestination;
use weir_api::eventing::annotations::{CHANNEL_BACKEND, Durability, LogOptions, TriggerOptions};
use weir_api::eventing::{Broker, Trigger};
use weir_api::resources::{self, ChannelSpec, ObjectName, Resources};

use crate::watch::{self, Cache};

/// Feeds `resources` until `shutdown`: for a process that runs no reconcilers.
pub async fn run(client: Client, resources: channel::Sender<Arc<Resources>>, shutdown: CancellationToken) {
    let (brokers, fill_brokers) = watch::cache::<Broker>();
    let (triggers, fill_triggers) = watch::cache::<Trigger>();
    let (keys, requests) = keys();
    let broker_keys = keys.clone();
    let watching = futures_util::future::join3(
        watch::run(Api::all(client.clone()), fill_brokers, move |broker, _| broker_keys.broker(broker)),
        watch::run(Api::all(client), fill_triggers, move |trigger, _| keys.trigger(trigger)),
        publish(brokers, triggers, requests, resources),
    );
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = Box::pin(watching) => {}
    }
}

#[derive(Debug)]
pub(crate) enum Key {
    Broker(ObjectName),
    Trigger(ObjectName),
}

/// Tells the feed what changed.
#[derive(Clone, Debug)]
pub(crate) struct Keys(UnboundedSender<Key>);

impl Keys {
    pub(crate) fn broker(&self, broker: &ObjectRef<Broker>) {
        let _ = self.0.send(Key::Broker(name(broker.namespace.as_deref(), &broker.name)));
    }

    pub(crate) fn trigger(&self, trigger: &ObjectRef<Trigger>) {
        let _ = self.0.send(Key::Trigger(name(trigger.namespace.as_deref(), &trigger.name)));
    }
}

pub(crate) fn keys() -> (Keys, UnboundedReceiver<Key>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Keys(sender), receiver)
}

/// Publishes a snapshot once both caches are complete, and one for each burst of changes after that.
pub(crate) async fn publish(
    brokers: Cache<Broker>,
    triggers: Cache<Trigger>,
    mut changes: UnboundedReceiver<Key>,
    resources: channel::Sender<Arc<Resources>>,
) {
    if !brokers.synced().await || !triggers.synced().await {
        return;
    }
    let mut feed = Feed { brokers, triggers, places: HashMap::new(), resources: Resources::default() };
    for broker in feed.brokers.all() {
        feed.broker(&name_of(&*broker));
    }
    for trigger in feed.triggers.all() {
        feed.trigger(&name_of(&*trigger));
    }
    feed.resources.complete = true;
    resources.send_replace(Arc::new(feed.resources.clone()));
    let mut burst = Vec::new();
    while changes.recv_many(&mut burst, 1_000).await > 0 {
        let changes = burst.drain(..).filter(|key| feed.apply(key)).count();
        if changes > 0 {
            resources.send_replace(Arc::new(feed.resources.clone()));
        }
    }
}

struct Feed {
    brokers: Cache<Broker>,
    triggers: Cache<Trigger>,
    /// Where a Trigger is in the snapshot: Broker and UID.
    places: HashMap<ObjectName, (ObjectName, Arc<str>)>,
    resources: Resources,
}

impl Feed {
    /// Brings one object up to date; whether that changed the snapshot.
    fn apply(&mut self, key: &Key) -> bool {
        match key {
            Key::Broker(broker) => self.broker(broker),
            Key::Trigger(trigger) => self.trigger(trigger),
        }
    }

    fn broker(&mut self, name: &ObjectName) -> bool {
        let stored = self.brokers.get(&name.namespace, &name.name);
        let changed = match stored.as_deref().and_then(broker_resource) {
            Some(new) if self.resources.brokers.get(name).is_some_and(|old| **old == new) => false,
            Some(new) => {
                self.resources.brokers.insert(name.clone(), Arc::new(new));
                true
            }
            None => self.resources.brokers.remove(name).is_some(),
        };
        // Its Triggers may be waiting for it, belong to its predecessor, or inherit its delivery options.
        let mut triggers: Vec<ObjectName> = self
            .triggers
            .filter(|trigger| {
                trigger.broker() == &*name.name && trigger.metadata.namespace.as_deref() == Some(&name.namespace)
            })
            .iter()
            .map(|trigger| name_of(&**trigger))
            .collect();
        triggers.extend(
            self.resources
                .triggers
                .get(name)
                .into_iter()
                .flat_map(|known| known.values())
                .map(|known| known.name.clone()),
        );
        triggers.iter().fold(changed, |changed, trigger| self.trigger(trigger) || changed)
    }

    fn trigger(&mut self, name: &ObjectName) -> bool {
        let stored = self.triggers.get(&name.namespace, &name.name);
        let place = stored.as_ref().map(|trigger| {
            let broker = ObjectName { namespace: Arc::clone(&name.namespace), name: trigger.broker().into() };
            (broker, Arc::from(trigger.metadata.uid.as_deref().unwrap_or_default()))
        });
        let old_place = self.places.get(name).cloned();
        let left = old_place.filter(|old| place.as_ref() != Some(old)).is_some_and(|old| self.remove(name, &old));
        let (Some(trigger), Some(place)) = (stored, place) else { return left };
        let broker = self.brokers.get(&name.namespace, &place.0.name);
        let broker = broker.filter(|_| self.resources.brokers.contains_key(&place.0));
        let Some(broker) = broker else { return self.remove(name, &place) || left };
        let known = self.resources.triggers.get(&place.0).and_then(|triggers| triggers.get(&place.1));
        let Some(new) = trigger_resource(&trigger, &broker, known.map(|known| &**known)) else { return left };
        if known.is_some_and(|known| **known == new) {
            return left;
        }
        self.places.insert(name.clone(), place.clone());
        self.resources.triggers.entry(place.0).or_default().insert(place.1, Arc::new(new));
        true
    }

    fn remove(&mut self, name: &ObjectName, (broker, uid): &(ObjectName, Arc<str>)) -> bool {
        self.places.remove(name);
        let Some(triggers) = self.resources.triggers.get_mut(broker) else { return false };
        let removed = triggers.remove(uid).is_some();
        if triggers.is_empty() {
            self.resources.triggers.remove(broker);
        }
        removed
    }
}

/// A Broker as the data plane runs it; `None` until its backend is decided.
fn broker_resource(broker: &Broker) -> Option<resources::Broker> {
    let backend = broker.status.as_ref()?.annotations.get(CHANNEL_BACKEND).filter(|_| broker.is_ours())?;
    // What the annotations get wrong is a condition; the log takes the default there.
    let options = LogOptions::read(broker.annotations(), &mut Vec::new());
    Some(resources::Broker {
        name: name_of(broker),
        uid: broker.metadata.uid.as_deref()?.into(),
        generation: broker.metadata.generation.unwrap_or_default(),
        channel: ChannelSpec { backend: backend.clone(), config: log_config(&options) },
        deleting: broker.metadata.deletion_timestamp.is_some(),
    })
}

/// A Trigger as the data plane runs it; `None` leaves things as they are.
fn trigger_resource(
    trigger: &Trigger,
    broker: &Broker,
    known: Option<&resources::Trigger>,
) -> Option<resources::Trigger> {
    let status = trigger.status.as_ref()?;
    let observed = status.observed_generation?;
    let current = Some(observed) == trigger.metadata.generation;
    if !current && known.is_some() {
        return None;
    }
    let holds = |ty| condition::find(&status.conditions, ty).is_some_and(|found| found.status == Status::True);
    let own = trigger.spec.delivery.as_ref();
    let delivery = own.or(broker.spec.delivery.as_ref()).map(|spec| spec.resolve(dead_letter_sink(&status.delivery)));
    let mut errors = trigger.validate(None);
    let delivery = match delivery {
        Some(Ok(delivery)) => delivery,
        Some(Err(found)) => {
            errors.extend(found.0);
            Delivery::default()
        }
        None => Delivery { dead_letter_sink: dead_letter_sink(&status.delivery), ..Delivery::default() },
    };
    let sound = current && errors.is_empty() && holds(SUBSCRIBER_RESOLVED) && holds(DEAD_LETTER_SINK_RESOLVED);
    let resolved = destination(
        status.subscriber_uri.as_deref(),
        status.subscriber_ca_certs.as_ref(),
        status.subscriber_audience.as_ref(),
    );
    let options = TriggerOptions::read(trigger.annotations(), &mut Vec::new());
    Some(resources::Trigger {
        name: name_of(trigger),
        uid: trigger.metadata.uid.as_deref()?.into(),
        generation: observed,
        filter: trigger.spec.filter.clone(),
        filters: trigger.spec.filters.clone(),
        subscriber: resolved.filter(|_| sound),
        delivery,
        order: options.order,
        max_in_flight: options.max_in_flight,
        paused: options.paused,
        start: options.start,
    })
}

/// Condition of a Trigger: its subscriber has an address.
pub(crate) const SUBSCRIBER_RESOLVED: &str = "SubscriberResolved";
/// Condition of a Broker or Trigger: its dead letter sink has an address, or there is none.
pub(crate) const DEAD_LETTER_SINK_RESOLVED: &str = "DeadLetterSinkResolved";

fn dead_letter_sink(status: &DeliveryStatus) -> Option<ResolvedDestination> {
    destination(
        status.dead_letter_sink_uri.as_deref(),
        status.dead_letter_sink_ca_certs.as_ref(),
        status.dead_letter_sink_audience.as_ref(),
    )
}

fn destination(uri: Option<&str>, ca_certs: Option<&String>, audience: Option<&String>) -> Option<ResolvedDestination> {
    let url = Url::parse(uri?).ok()?;
    Some(ResolvedDestination { url, ca_certs: ca_certs.cloned(), audience: audience.cloned() })
}

/// The settings of the embedded backend (its `EmbeddedConfig`). Only what was asked for: the rest is its own default.
fn log_config(options: &LogOptions) -> Value {
    let mut config = Map::new();
    let mut set = |part: &str, settings: Value| config.insert(part.to_owned(), settings);
    if options.durability == Durability::Os {
        set("durability", json!("os"));
    }
    let seconds = |duration: Duration| json!(duration.as_secs().max(1));
    let mut retention = Map::new();
    retention.extend(options.retention.map(|age| ("ageSeconds".to_owned(), seconds(age))));
    retention.extend(options.retention_bytes.map(|bytes| ("bytes".to_owned(), json!(bytes))));
    if !retention.is_empty() {
        set("retention", Value::Object(retention));
    }
    if let Some(window) = options.dedupe {
        set("dedupe", json!({"enabled": true, "windowSeconds": seconds(window)}));
    }
    Value::Object(config)
}

fn name(namespace: Option<&str>, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.unwrap_or_default().into(), name: name.into() }
}

fn name_of(object: &impl ResourceExt) -> ObjectName {
    name(object.meta().namespace.as_deref(), &object.name_any())
}

#[cfg(test)]
mod tests;
