//! Broker: an address and a log.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use url::Url;
use weir_api::admission::Admit;
use weir_api::condition::{Conditions, Status, find};
use weir_api::delivery::DeliveryStatus;
use weir_api::destination::{Addressable, Destination, ResolvedDestination};
use weir_api::eventing::annotations::{CHANNEL_BACKEND, DURABILITY, Durability, LogOptions};
use weir_api::eventing::{Broker, BrokerStatus};
use weir_api::validation::FieldErrors;
use weir_channels::ChannelName;

use crate::context::{Context, DataPlane, Subject};
use crate::drive::Error;
use crate::resolve::{self, Looked};
use crate::status::{self, add_finalizer, remove_finalizer};
use crate::tracker::{Lookup, Target};

/// Keeps a deleted Broker until its log has been removed.
const FINALIZER: &str = "weir.dev/log";
/// Where Knative's own default configuration of Brokers is. Manifests name it without bringing it along.
const SHIPPED_CONFIG: (&str, &str) = ("knative-eventing", "config-br-default-channel");
/// The backend of `InMemoryChannel`, and of Brokers that name none.
const EMBEDDED: &str = "embedded";

/// What a plan is made from.
#[derive(Clone, Debug)]
struct Observation {
    /// The backend `spec.config` asks for; an error says why there is none.
    backend: Result<&'static str, String>,
    /// `None` without a sink of its own.
    dead_letter_sink: Option<Result<ResolvedDestination, String>>,
    data_plane: DataPlane,
    /// Where events for this Broker are posted.
    address: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
enum Plan {
    /// Show this.
    Report(Box<BrokerStatus>),
    /// Being deleted, and still in use: wait for the data plane.
    Wait,
    /// Being deleted and out of use: remove the log on this backend, if there is one, then let the Broker go.
    Release(Option<String>),
}

async fn observe(broker: &Broker, context: &Context) -> Observation {
    let namespace = broker.namespace().unwrap_or_default();
    let config = broker.spec.config.as_ref().map(|config| resolve::of_reference(config, &namespace));
    let sink = broker.spec.delivery.as_ref().and_then(|delivery| delivery.dead_letter_sink.as_ref());
    let sink_target = sink.and_then(|sink| resolve::target(sink, &namespace));
    let subject = Subject::Broker(ObjectRef::from_obj(broker));
    context.tracker.track(&subject, config.iter().chain(&sink_target).cloned());

    let config = match config {
        Some(target) => Some((context.tracker.lookup(&target).await, target)),
        None => None,
    };
    let dead_letter_sink = match sink {
        Some(sink) => Some(resolve_destination(sink, &namespace, context).await),
        None => None,
    };
    Observation {
        backend: config.map_or(Ok(EMBEDDED), |(lookup, target)| backend_of(&target, &lookup)),
        dead_letter_sink,
        data_plane: context.data_plane(broker),
        address: address(&context.settings.ingress_url, &namespace, &broker.name_any()),
    }
}

/// The address `destination` stands for; its object has to be tracked.
pub(crate) async fn resolve_destination(
    destination: &Destination,
    namespace: &str,
    context: &Context,
) -> Result<ResolvedDestination, String> {
    let found = match resolve::target(destination, namespace) {
        Some(target) => {
            let lookup = context.tracker.lookup(&target).await;
            Some((target, lookup))
        }
        None => None,
    };
    resolve::resolve(&Looked { destination, found }, &context.settings.cluster_domain)
}

fn address(ingress: &Url, namespace: &str, name: &str) -> String {
    format!("{}/{namespace}/{name}", ingress.as_str().trim_end_matches('/'))
}

/// Which backend the ConfigMap `target` asks for.
///
/// Source: resources.md 4.1. Both keys hold a channel template; the newer one wins.
fn backend_of(target: &Target, lookup: &Lookup) -> Result<&'static str, String> {
    if target.kind != "ConfigMap" {
        return Err(format!("spec.config has to be a ConfigMap, not a {}", target.kind));
    }
    if matches!(lookup, Lookup::Absent) && (target.namespace.as_str(), target.name.as_str()) == SHIPPED_CONFIG {
        return Ok(EMBEDDED);
    }
    let data = &resolve::found(target, lookup)?.data;
    let Some(template) = data.get("channel-template-spec").or_else(|| data.get("channelTemplateSpec")) else {
        return Err(format!("{target} has no key channel-template-spec"));
    };
    let template: ChannelTemplate = serde_yaml_ng::from_str(template)
        .map_err(|error| format!("channel-template-spec of {target} is not a channel template: {error}"))?;
    if template.kind != "InMemoryChannel" {
        return Err(format!(
            "{target} asks for a {}; this build keeps events in an InMemoryChannel's place",
            template.kind
        ));
    }
    if !template.spec.is_empty() {
        let fields: Vec<&str> = template.spec.keys().map(String::as_str).collect();
        return Err(format!("{target} sets {} of the channel; set spec.delivery of the Broker", fields.join(", ")));
    }
    Ok(EMBEDDED)
}

#[derive(serde::Deserialize)]
struct ChannelTemplate {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    spec: BTreeMap<String, serde_json::Value>,
}

fn plan(broker: &Broker, observed: &Observation, now: Timestamp) -> Plan {
    let before = broker.status.clone().unwrap_or_default();
    // The backend holds the events of this Broker: once chosen it stays, whatever a ConfigMap says later.
    let chosen = before.annotations.get(CHANNEL_BACKEND);
    if broker.metadata.deletion_timestamp.is_some() {
        return match (chosen, &observed.data_plane) {
            (None, _) => Plan::Release(None),
            (Some(backend), DataPlane::Closed) => Plan::Release(Some(backend.clone())),
            (Some(_), _) => Plan::Wait,
        };
    }
    let mut errors = broker.validate(None);
    let options = LogOptions::read(broker.annotations(), &mut Vec::new());
    let backend = match (FieldErrors::check(std::mem::take(&mut errors)), &observed.backend) {
        (Err(errors), _) => Err(errors.to_string()),
        (Ok(()), Ok(backend)) if chosen.is_some_and(|chosen| chosen != backend) => Err(format!(
            "spec.config now asks for another backend; the events of this Broker are kept on {}",
            chosen.map_or("", String::as_str)
        )),
        (Ok(()), other) => other.clone().map(str::to_owned),
    };
    let data_plane = settle(&observed.data_plane, &before, broker.metadata.generation);
    let address = (data_plane == DataPlane::Active || before.address.is_some()).then(|| observed.address.clone());
    let conditions = conditions(&backend, observed, &data_plane, address.as_deref(), &options);
    let mut annotations = before.annotations;
    if let Some(backend) = chosen_backend(&annotations, &backend) {
        annotations.insert(CHANNEL_BACKEND.to_owned(), backend);
        annotations.insert(DURABILITY.to_owned(), durability(&options).to_owned());
    }
    let sink = observed.dead_letter_sink.clone().and_then(Result::ok);
    let address = address.map(|url| Addressable { url: Some(url), ..Addressable::default() });
    Plan::Report(Box::new(BrokerStatus {
        observed_generation: broker.metadata.generation,
        conditions: conditions.finish(&before.conditions, now),
        annotations,
        addresses: address.iter().cloned().collect(),
        address,
        delivery: delivery_status(sink),
    }))
}

fn chosen_backend(annotations: &BTreeMap<String, String>, wanted: &Result<String, String>) -> Option<String> {
    annotations.get(CHANNEL_BACKEND).cloned().or_else(|| wanted.clone().ok())
}

/// While the data plane starts, a Broker that was Ready at this generation counts as active.
fn settle(data_plane: &DataPlane, before: &BrokerStatus, generation: Option<i64>) -> DataPlane {
    let was_active = || {
        before.observed_generation == generation
            && find(&before.conditions, "IngressReady").is_some_and(|condition| condition.status == Status::True)
    };
    match data_plane {
        DataPlane::Starting if was_active() => DataPlane::Active,
        DataPlane::Starting | DataPlane::Closed => DataPlane::Pending,
        other => other.clone(),
    }
}

fn conditions(
    backend: &Result<String, String>,
    observed: &Observation,
    data_plane: &DataPlane,
    address: Option<&str>,
    options: &LogOptions,
) -> Conditions {
    const WAITING: &str = "the data plane has not opened this Broker yet";
    let role = |conditions: Conditions, ty: &str| match data_plane {
        DataPlane::Active => conditions.ok(ty),
        DataPlane::Failed(why) => conditions.failed(ty, "ServiceFailure", why),
        DataPlane::Pending | DataPlane::Starting | DataPlane::Closed => {
            conditions.unknown(ty, "DataPlanePending", WAITING)
        }
    };
    let mut conditions = Conditions::new();
    conditions = role(conditions, "FilterReady");
    conditions = role(conditions, "IngressReady");
    conditions = match address {
        Some(_) => conditions.ok("Addressable"),
        None => conditions.unknown("Addressable", "DataPlanePending", WAITING),
    };
    conditions = match (&observed.dead_letter_sink, backend, data_plane) {
        (_, Err(why), _) => conditions.failed("TriggerChannelReady", "ChannelTemplateFailed", why),
        (_, Ok(_), DataPlane::Active) => conditions.ok("TriggerChannelReady"),
        (_, Ok(_), DataPlane::Failed(why)) => conditions.failed("TriggerChannelReady", "ChannelFailure", why),
        (_, Ok(_), _) => conditions.unknown("TriggerChannelReady", "DataPlanePending", WAITING),
    };
    conditions = dead_letter_condition(conditions, observed.dead_letter_sink.as_ref());
    let (durable, reason, message) = match options.durability {
        Durability::Fsync => (Status::True, "Fsync", "accepted events are on disk and survive power loss"),
        Durability::Os => (Status::False, "Os", "accepted events survive a crash of the process, not power loss"),
    };
    conditions
        .ok_because(
            "EventPoliciesReady",
            "OIDCDisabled",
            "Feature \"authentication-oidc\" must be enabled to support Authorization",
        )
        .info("Durable", durable, reason, message)
}

/// The condition Broker and Trigger share.
pub(crate) fn dead_letter_condition(
    conditions: Conditions,
    sink: Option<&Result<ResolvedDestination, String>>,
) -> Conditions {
    use crate::feed::DEAD_LETTER_SINK_RESOLVED as TYPE;
    match sink {
        None => conditions.ok_because(TYPE, "DeadLetterSinkNotConfigured", "No dead letter sink is configured."),
        Some(Ok(_)) => conditions.ok(TYPE),
        Some(Err(why)) => conditions.failed(TYPE, "Unable to get the dead letter sink's URI", why),
    }
}

/// A resolved dead letter sink as a status shows it.
pub(crate) fn delivery_status(sink: Option<ResolvedDestination>) -> DeliveryStatus {
    sink.map_or_else(DeliveryStatus::default, |sink| DeliveryStatus {
        dead_letter_sink_uri: Some(sink.url.into()),
        dead_letter_sink_ca_certs: sink.ca_certs,
        dead_letter_sink_audience: sink.audience,
    })
}

fn durability(options: &LogOptions) -> &'static str {
    match options.durability {
        Durability::Fsync => "fsync",
        Durability::Os => "os",
    }
}

async fn apply(broker: Arc<Broker>, plan: Plan, context: &Context) -> Result<(), Error> {
    match plan {
        Plan::Report(status) => {
            // Before the status: that is what opens the log.
            let broker = add_finalizer(broker, FINALIZER, context).await?;
            status::write(&*broker, *status, context).await
        }
        Plan::Wait => Ok(()),
        Plan::Release(_) if !broker.finalizers().iter().any(|finalizer| finalizer == FINALIZER) => Ok(()),
        Plan::Release(backend) => {
            if let Some(backend) = backend {
                let text = |text: Option<String>| text.unwrap_or_default().into();
                let (namespace, uid) = (text(broker.namespace()), text(broker.uid()));
                let name = ChannelName { namespace, name: broker.name_any().into(), uid };
                context.channels.remove(&backend, name).await?;
            }
            remove_finalizer(&*broker, FINALIZER, context).await
        }
    }
}

pub(crate) async fn reconcile(broker: Arc<Broker>, context: Arc<Context>) -> Result<Action, Error> {
    if !broker.is_ours() {
        return Ok(Action::await_change());
    }
    let observed = observe(&broker, &context).await;
    let plan = plan(&broker, &observed, Timestamp::now());
    apply(broker, plan, &context).await?;
    Ok(context.next(&observed.data_plane))
}

#[cfg(test)]
mod tests;
