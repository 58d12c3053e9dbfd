//! Channels of every kind, and Subscription.

use serde_json::{Value, json};

use super::Form;
use super::destination::{delivery, destination, reference};
use super::notes::Notes;
use super::object::{Object, each, rename, take, text, within};
use super::status::Rule;
use crate::validation::{FieldError, Path};

/// `spec.provisioner.name` and the channel it made; the first name of a channel is the one shown.
const PROVISIONERS: [(&str, &str, &str); 4] = [
    ("in-memory", "messaging.knative.dev/v1", "InMemoryChannel"),
    ("in-memory-channel", "messaging.knative.dev/v1", "InMemoryChannel"),
    ("kafka", "messaging.knative.dev/v1", "KafkaChannel"),
    ("natss", "messaging.knative.dev/v1alpha1", "NatsJetStreamChannel"),
];

/// Arguments of the provisioner `kafka`, in any case, and the field of a KafkaChannel.
const KAFKA_ARGUMENTS: [&str; 2] = ["numPartitions", "replicationFactor"];

/// Fields of a subscriber in `spec.subscribers`; `deadLetterSinkURI` is what some releases called `deadLetterSink`.
const SUBSCRIBER: [(&str, &str); 4] = [
    ("subscriberURI", "subscriberUri"),
    ("replyURI", "replyUri"),
    ("deadLetterSinkURI", "delivery.deadLetterSink.uri"),
    ("deadLetterSink", "delivery.deadLetterSink.uri"),
];

/// Also InMemoryChannel and KafkaChannel.
pub(super) const CHANNEL: Form = Form { convert: channel, ..Form::SAME };
pub(super) const CHANNEL_V1ALPHA1: Form = Form {
    present: |spec, _| present_subscribers(spec),
    status: &[Rule::Field("subscribableStatus.subscribers", "subscribers"), Rule::Hostname],
    ..CHANNEL
};
/// Up to Knative 0.8.
pub(super) const CHANNEL_PROVISIONED: Form = Form { present: present_provisioned, ..CHANNEL_V1ALPHA1 };

pub(super) const SUBSCRIPTION: Form = Form { convert: subscription, ..Form::SAME };
pub(super) const SUBSCRIPTION_V1ALPHA1: Form = Form {
    status: &[
        Rule::Field("physicalSubscription.subscriberURI", "physicalSubscription.subscriberUri"),
        Rule::Field("physicalSubscription.replyURI", "physicalSubscription.replyUri"),
        Rule::Field("physicalSubscription.deadLetterSinkURI", "physicalSubscription.deadLetterSinkUri"),
        Rule::Condition("Resolved", "ReferencesResolved"),
    ],
    ..SUBSCRIPTION
};
/// Up to Knative 0.8.
pub(super) const SUBSCRIPTION_REPLY_CHANNEL: Form = Form { present: present_reply_channel, ..SUBSCRIPTION_V1ALPHA1 };

fn channel(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    spec.remove("generation");
    notes.rename(spec, &at, "subscribable.subscribers", "subscribers");
    each(spec, "subscribers", |i, subscriber| {
        let at = at.field("subscribers").index(i);
        for (old, current) in SUBSCRIBER {
            notes.rename(subscriber, &at, old, current);
        }
        delivery(subscriber, &at, notes);
    });
    if let Some(provisioner) = take(spec, "provisioner") {
        let arguments = take(spec, "arguments");
        provisioned(spec, &provisioner, arguments, notes);
    }
    reference(spec, "channelTemplate");
    delivery(spec, &at, notes);
}

/// The channel template that stands for a ClusterChannelProvisioner and its arguments.
fn provisioned(spec: &mut Object, written: &Value, arguments: Option<Value>, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    let name = written.get("name").unwrap_or(&Value::Null);
    let Some((provisioner, api_version, kind)) = PROVISIONERS.iter().find(|row| name == row.0) else {
        let known = "expected in-memory, in-memory-channel, kafka or natss";
        return notes.refuse(FieldError::invalid(at.field("provisioner").field("name"), name, known));
    };
    let mut template = json!({"apiVersion": api_version, "kind": kind});
    match arguments {
        None => {}
        Some(Value::Object(arguments)) if arguments.is_empty() => {}
        Some(Value::Object(arguments)) if *provisioner == "kafka" => {
            template["spec"] = kafka_arguments(arguments, &at.field("arguments"), notes);
        }
        Some(_) => {
            let why = format!("the provisioner {provisioner} has none");
            notes.refuse(FieldError::forbidden(at.field("arguments"), why));
        }
    }
    notes.replace(spec, &at, "provisioner", written, "channelTemplate", template);
}

fn kafka_arguments(arguments: Object, at: &Path, notes: &mut Notes<'_>) -> Value {
    let mut spec = Object::new();
    for (argument, value) in arguments {
        match KAFKA_ARGUMENTS.iter().find(|field| field.eq_ignore_ascii_case(&argument)) {
            Some(field) => drop(spec.insert((*field).to_owned(), value)),
            None => notes.refuse(FieldError::forbidden(
                at.field(&argument),
                "the provisioner kafka has NumPartitions and ReplicationFactor only",
            )),
        }
    }
    spec.into()
}

fn present_subscribers(spec: &mut Object) {
    each(spec, "subscribers", |_, subscriber| {
        rename(subscriber, "subscriberUri", "subscriberURI");
        rename(subscriber, "replyUri", "replyURI");
        let sink = subscriber.get("delivery").and_then(|delivery| delivery.get("deadLetterSink")?.as_object());
        if sink.is_some_and(|sink| sink.keys().eq(["uri"])) {
            rename(subscriber, "delivery.deadLetterSink.uri", "deadLetterSink");
        }
    });
    rename(spec, "subscribers", "subscribable.subscribers");
}

fn present_provisioned(spec: &mut Object, _: &str) {
    present_subscribers(spec);
    let Some(Value::Object(template)) = spec.get("channelTemplate") else { return };
    let Some((provisioner, ..)) = PROVISIONERS
        .iter()
        .find(|(_, api_version, kind)| text(template, "apiVersion") == *api_version && text(template, "kind") == *kind)
    else {
        return;
    };
    let arguments = match template.get("spec") {
        None => None,
        Some(Value::Object(spec)) if spec.is_empty() => None,
        Some(Value::Object(spec))
            if *provisioner == "kafka" && spec.keys().all(|field| KAFKA_ARGUMENTS.contains(&field.as_str())) =>
        {
            Some(Value::Object(spec.clone()))
        }
        Some(_) => return,
    };
    let provisioner = json!({
        "apiVersion": "eventing.knative.dev/v1alpha1",
        "kind": "ClusterChannelProvisioner",
        "name": provisioner,
    });
    spec.remove("channelTemplate");
    spec.insert("provisioner".to_owned(), provisioner);
    spec.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments)));
}

fn subscription(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    spec.remove("generation");
    reference(spec, "channel");
    destination(spec, "subscriber", &at, notes);
    within(spec, "reply", |reply| notes.rename(reply, &at.field("reply"), "channel", "ref"));
    destination(spec, "reply", &at, notes);
    delivery(spec, &at, notes);
}

fn present_reply_channel(spec: &mut Object, _: &str) {
    within(spec, "reply", |reply| rename(reply, "ref", "channel"));
}
