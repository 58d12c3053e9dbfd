//! Trigger: a filter and a subscriber on a Broker.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use url::Url;
use weir_api::admission::Admit;
use weir_api::condition::{Condition, Conditions, READY, Status, find};
use weir_api::destination::ResolvedDestination;
use weir_api::eventing::{Broker, Trigger, TriggerStatus};
use weir_api::validation::FieldErrors;

use crate::broker::{dead_letter_condition, delivery_status, resolve_destination};
use crate::context::{Context, DataPlane, Subject};
use crate::drive::Error;
use crate::feed::{DEAD_LETTER_SINK_RESOLVED, SUBSCRIBER_RESOLVED};
use crate::resolve;
use crate::status;
use crate::tracker::{Lookup, Target};

/// Condition: the data plane acts on this Trigger, as Knative's Subscription would.
const SUBSCRIPTION_READY: &str = "SubscriptionReady";

/// What a plan is made from.
#[derive(Clone, Debug)]
struct Observation {
    /// The Broker it names, if there is one that is not being deleted.
    broker: Option<Arc<Broker>>,
    subscriber: Result<ResolvedDestination, String>,
    /// The Trigger's own; `None` leaves it to the Broker.
    dead_letter_sink: Option<Result<ResolvedDestination, String>>,
    /// What the dependency annotation names, and what was found of it.
    dependency: Option<(Target, Lookup)>,
    data_plane: DataPlane,
}

async fn observe(trigger: &Trigger, context: &Context) -> Observation {
    let namespace = trigger.namespace().unwrap_or_default();
    let sink = trigger.spec.delivery.as_ref().and_then(|delivery| delivery.dead_letter_sink.as_ref());
    let dependency = trigger.dependency().and_then(Result::ok).map(|reference| Target {
        api_version: reference.api_version.unwrap_or_default(),
        kind: reference.kind.unwrap_or_default(),
        namespace: reference.namespace.unwrap_or_default(),
        name: reference.name.unwrap_or_default(),
    });
    let targets = [
        resolve::target(&trigger.spec.subscriber, &namespace),
        sink.and_then(|sink| resolve::target(sink, &namespace)),
        dependency.clone(),
    ];
    let subject = Subject::Trigger(ObjectRef::from_obj(trigger));
    context.tracker.track(&subject, targets.into_iter().flatten());

    let broker = context.brokers.get(&namespace, trigger.broker());
    Observation {
        broker: broker.filter(|broker| broker.metadata.deletion_timestamp.is_none()),
        subscriber: resolve_destination(&trigger.spec.subscriber, &namespace, context).await,
        dead_letter_sink: match sink {
            Some(sink) => Some(resolve_destination(sink, &namespace, context).await),
            None => None,
        },
        dependency: match dependency {
            Some(target) => Some((target.clone(), context.tracker.lookup(&target).await)),
            None => None,
        },
        data_plane: context.data_plane(trigger),
    }
}

fn plan(trigger: &Trigger, observed: &Observation, now: Timestamp) -> TriggerStatus {
    let before = trigger.status.clone().unwrap_or_default();
    let broker = observed.broker.as_deref();
    let sink = dead_letter_sink(observed, broker);
    let mut conditions = Conditions::new();
    conditions = subscription(conditions, trigger, &before, &observed.data_plane);
    conditions = dependency(conditions, trigger, observed.dependency.as_ref());
    conditions = match &sink {
        Sink::Own(resolved) => dead_letter_condition(conditions, Some(resolved)),
        Sink::None => dead_letter_condition(conditions, None),
        Sink::Inherited(_) => conditions.ok(DEAD_LETTER_SINK_RESOLVED),
        Sink::Missing(broker) => {
            let reason = format!("Broker {broker} didn't set status.deadLetterSinkURI");
            conditions.failed(DEAD_LETTER_SINK_RESOLVED, &reason, "")
        }
    };
    conditions = match &observed.subscriber {
        Ok(_) => conditions.ok(SUBSCRIBER_RESOLVED),
        Err(why) => conditions.failed(SUBSCRIBER_RESOLVED, "Unable to get the Subscriber's URI", why),
    };
    conditions = broker_ready(conditions, trigger.broker(), broker);
    conditions = conditions.ok_because("OIDCIdentityCreated", "authentication-oidc feature disabled", "");

    let subscriber = observed.subscriber.as_ref().ok();
    TriggerStatus {
        observed_generation: trigger.metadata.generation,
        conditions: conditions.finish(&before.conditions, now),
        subscriber_uri: subscriber.map(|subscriber| subscriber.url.to_string()),
        subscriber_ca_certs: subscriber.and_then(|subscriber| subscriber.ca_certs.clone()),
        subscriber_audience: subscriber.and_then(|subscriber| subscriber.audience.clone()),
        delivery: match sink {
            Sink::Own(Ok(sink)) | Sink::Inherited(sink) => delivery_status(Some(sink)),
            Sink::Own(Err(_)) | Sink::Missing(_) | Sink::None => delivery_status(None),
        },
    }
}

/// Where this Trigger's dead letters go.
enum Sink {
    Own(Result<ResolvedDestination, String>),
    Inherited(ResolvedDestination),
    /// The named Broker has one that is not resolved.
    Missing(String),
    None,
}

/// The Trigger's own sink, else the Broker's: the one part of `delivery` that is inherited by itself.
fn dead_letter_sink(observed: &Observation, broker: Option<&Broker>) -> Sink {
    if let Some(own) = &observed.dead_letter_sink {
        return Sink::Own(own.clone());
    }
    let Some(broker) = broker else { return Sink::None };
    if broker.spec.delivery.as_ref().is_none_or(|delivery| delivery.dead_letter_sink.is_none()) {
        return Sink::None;
    }
    let status = broker.status.as_ref().map(|status| &status.delivery);
    let url = status.and_then(|status| Url::parse(status.dead_letter_sink_uri.as_deref()?).ok());
    match (url, status) {
        (Some(url), Some(status)) => Sink::Inherited(ResolvedDestination {
            url,
            ca_certs: status.dead_letter_sink_ca_certs.clone(),
            audience: status.dead_letter_sink_audience.clone(),
        }),
        _ => Sink::Missing(broker.name_any()),
    }
}

fn broker_ready(conditions: Conditions, name: &str, broker: Option<&Broker>) -> Conditions {
    const TYPE: &str = "BrokerReady";
    let Some(broker) = broker else {
        return conditions.failed(TYPE, "BrokerDoesNotExist", format!("Broker {name:?} does not exist"));
    };
    let status = broker.status.as_ref().filter(|status| status.observed_generation == broker.metadata.generation);
    match status.and_then(|status| find(&status.conditions, READY)) {
        Some(ready) => conditions.copied(TYPE, ready),
        None => conditions.unknown(TYPE, "BrokerNotConfigured", "The Broker has not yet been reconciled."),
    }
}

fn subscription(
    conditions: Conditions,
    trigger: &Trigger,
    before: &TriggerStatus,
    data_plane: &DataPlane,
) -> Conditions {
    if let Err(errors) = FieldErrors::check(trigger.validate(None)) {
        return conditions.failed(SUBSCRIPTION_READY, "NotSubscribed", errors.to_string());
    }
    let as_before = || -> Option<&Condition> {
        let current = before.observed_generation == trigger.metadata.generation;
        find(&before.conditions, SUBSCRIPTION_READY).filter(|_| current)
    };
    match (data_plane, as_before()) {
        (DataPlane::Active, _) => conditions.ok(SUBSCRIPTION_READY),
        (DataPlane::Failed(why), _) => conditions.failed(SUBSCRIPTION_READY, "NotSubscribed", why),
        (DataPlane::Starting, Some(before)) => conditions.copied(SUBSCRIPTION_READY, before),
        (DataPlane::Pending | DataPlane::Closed | DataPlane::Starting, _) => {
            let message = "the data plane has not taken up this version of the Trigger yet";
            conditions.unknown(SUBSCRIPTION_READY, "SubscriptionNotConfigured", message)
        }
    }
}

/// Source: resources.md 6; a dependency is ready when its own `Ready` is, for its current generation.
fn dependency(conditions: Conditions, trigger: &Trigger, found: Option<&(Target, Lookup)>) -> Conditions {
    const TYPE: &str = "DependencyReady";
    let (target, lookup) = match (trigger.dependency(), found) {
        (None, _) => return conditions.ok(TYPE),
        (Some(Err(error)), _) => return conditions.failed(TYPE, "ReferenceError", error.to_string()),
        (Some(Ok(_)), None) => return conditions.unknown(TYPE, "DependencyNotConfigured", "not looked up yet"),
        (Some(Ok(_)), Some((target, lookup))) => (target, lookup),
    };
    let object = match (lookup, resolve::found(target, lookup)) {
        (_, Ok(object)) => object,
        (Lookup::Absent, Err(why)) => return conditions.failed(TYPE, "DependencyDoesNotExist", why),
        (Lookup::NoSuchKind, Err(why)) => return conditions.unknown(TYPE, "ListerDoesNotExist", why),
        (_, Err(why)) => return conditions.unknown(TYPE, "DependencyGetFailed", why),
    };
    let (generation, observed) = (object.metadata.generation, object.status.observed_generation);
    if generation.is_some() && generation != observed {
        let message = format!("{target} has generation {generation:?}, its status describes {observed:?}");
        return conditions.unknown(TYPE, "GenerationNotEqual", message);
    }
    match find(&object.status.conditions, READY) {
        Some(Condition { status: Status::True, .. }) => conditions.ok(TYPE),
        Some(ready) => conditions.copied(TYPE, ready),
        None => conditions.unknown(TYPE, "DependencyNotConfigured", format!("{target} has no condition Ready")),
    }
}

pub(crate) async fn reconcile(trigger: Arc<Trigger>, context: Arc<Context>) -> Result<Action, Error> {
    let observed = observe(&trigger, &context).await;
    let foreign = observed.broker.as_ref().is_some_and(|broker| !broker.is_ours());
    if foreign || trigger.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let status = plan(&trigger, &observed, Timestamp::now());
    status::write(&*trigger, status, &context).await?;
    Ok(context.next(&observed.data_plane))
}

#[cfg(test)]
mod tests;
