//! The rows: every older form there is.

use super::channels::{
    CHANNEL, CHANNEL_PROVISIONED, CHANNEL_V1ALPHA1, SUBSCRIPTION, SUBSCRIPTION_REPLY_CHANNEL, SUBSCRIPTION_V1ALPHA1,
};
use super::containers::{CONTAINER, CONTAINER_SINK_ARGUMENT, CRON_JOB_CONTAINER};
use super::eventing::{BROKER, BROKER_V1ALPHA1, EVENT_TYPE, TRIGGER, TRIGGER_V1ALPHA1};
use super::flows::{CHOICE, PARALLEL, PARALLEL_V1ALPHA1, SEQUENCE, SEQUENCE_MESSAGING, SEQUENCE_V1ALPHA1};
use super::serving::{CONFIGURATION, REVISION, ROUTE, SERVICE};
use super::sources::{API_SERVER, API_SERVER_V1ALPHA1, CRON_JOB, PING, SINK, SINK_FLAT};
use super::{Form, Legacy};

const EVENTING: &str = "eventing.knative.dev";
const MESSAGING: &str = "messaging.knative.dev";
const FLOWS: &str = "flows.knative.dev";
const SOURCES: &str = "sources.knative.dev";
const SOURCES_EVENTING: &str = "sources.eventing.knative.dev";
const SERVING: &str = "serving.knative.dev";

/// A kind and the resource name of all its forms, and what they become.
#[derive(Clone, Copy)]
struct Kind(&'static str, &'static str, (&'static str, &'static str));

const BROKERS: Kind = Kind("Broker", "brokers", ("eventing.knative.dev/v1", "Broker"));
const TRIGGERS: Kind = Kind("Trigger", "triggers", ("eventing.knative.dev/v1", "Trigger"));
/// v1beta3 has no word for `schemaData`.
const EVENT_TYPES: Kind = Kind("EventType", "eventtypes", ("eventing.knative.dev/v1beta2", "EventType"));
const CHANNELS: Kind = Kind("Channel", "channels", ("messaging.knative.dev/v1", "Channel"));
const IN_MEMORY: Kind = Kind("InMemoryChannel", "inmemorychannels", ("messaging.knative.dev/v1", "InMemoryChannel"));
const KAFKA: Kind = Kind("KafkaChannel", "kafkachannels", ("messaging.knative.dev/v1", "KafkaChannel"));
const SUBSCRIPTIONS: Kind = Kind("Subscription", "subscriptions", ("messaging.knative.dev/v1", "Subscription"));
const SEQUENCES: Kind = Kind("Sequence", "sequences", ("flows.knative.dev/v1", "Sequence"));
const PARALLELS: Kind = Kind("Parallel", "parallels", ("flows.knative.dev/v1", "Parallel"));
const CHOICES: Kind = Kind("Choice", "choices", ("flows.knative.dev/v1", "Parallel"));
const PINGS: Kind = Kind("PingSource", "pingsources", ("sources.knative.dev/v1", "PingSource"));
const API_SERVERS: Kind = Kind("ApiServerSource", "apiserversources", ("sources.knative.dev/v1", "ApiServerSource"));
const CONTAINERS: Kind = Kind("ContainerSource", "containersources", ("sources.knative.dev/v1", "ContainerSource"));
const BINDINGS: Kind = Kind("SinkBinding", "sinkbindings", ("sources.knative.dev/v1", "SinkBinding"));
const CRON_JOBS: Kind = Kind("CronJobSource", "cronjobsources", ("sources.knative.dev/v1", "PingSource"));
const CRON_CONTAINERS: Kind = Kind("CronJobSource", "cronjobsources", ("sources.knative.dev/v1", "ContainerSource"));
const SQS: Kind = Kind("AwsSqsSource", "awssqssources", ("sources.knative.dev/v1alpha1", "AwsSqsSource"));
const SERVICES: Kind = Kind("Service", "services", ("serving.knative.dev/v1", "Service"));
const CONFIGURATIONS: Kind = Kind("Configuration", "configurations", ("serving.knative.dev/v1", "Configuration"));
const REVISIONS: Kind = Kind("Revision", "revisions", ("serving.knative.dev/v1", "Revision"));
const ROUTES: Kind = Kind("Route", "routes", ("serving.knative.dev/v1", "Route"));

const fn row(group: &'static str, version: &'static str, kind: Kind, form: Form) -> Legacy {
    let Kind(kind, plural, becomes) = kind;
    Legacy { group, version, kind, plural, becomes, form }
}

/// There never was an `eventing` or `messaging` v1alpha2, nor flows in `eventing`: people mixed versions up, and their
/// manifests have the current shape.
pub(super) static ROWS: &[Legacy] = &[
    row(EVENTING, "v1alpha1", BROKERS, BROKER_V1ALPHA1),
    row(EVENTING, "v1alpha1", TRIGGERS, TRIGGER_V1ALPHA1),
    row(EVENTING, "v1alpha1", EVENT_TYPES, EVENT_TYPE),
    row(EVENTING, "v1alpha1", CHANNELS, CHANNEL_PROVISIONED),
    row(EVENTING, "v1alpha1", SUBSCRIPTIONS, SUBSCRIPTION_REPLY_CHANNEL),
    row(EVENTING, "v1alpha1", SEQUENCES, SEQUENCE_V1ALPHA1),
    row(EVENTING, "v1alpha1", PARALLELS, PARALLEL_V1ALPHA1),
    row(EVENTING, "v1alpha2", BROKERS, BROKER),
    row(EVENTING, "v1alpha2", TRIGGERS, TRIGGER),
    row(EVENTING, "v1alpha2", EVENT_TYPES, EVENT_TYPE),
    row(EVENTING, "v1alpha2", CHANNELS, CHANNEL),
    row(EVENTING, "v1alpha2", SUBSCRIPTIONS, SUBSCRIPTION),
    row(EVENTING, "v1alpha2", SEQUENCES, SEQUENCE),
    row(EVENTING, "v1alpha2", PARALLELS, PARALLEL),
    row(EVENTING, "v1beta1", BROKERS, BROKER),
    row(EVENTING, "v1beta1", TRIGGERS, TRIGGER),
    row(EVENTING, "v1beta1", CHANNELS, CHANNEL),
    row(EVENTING, "v1beta1", SUBSCRIPTIONS, SUBSCRIPTION),
    row(EVENTING, "v1beta1", SEQUENCES, SEQUENCE),
    row(EVENTING, "v1beta1", PARALLELS, PARALLEL),
    row(MESSAGING, "v1alpha1", CHANNELS, CHANNEL_V1ALPHA1),
    row(MESSAGING, "v1alpha1", IN_MEMORY, CHANNEL_V1ALPHA1),
    row(MESSAGING, "v1alpha1", KAFKA, CHANNEL_V1ALPHA1),
    row(MESSAGING, "v1alpha1", SUBSCRIPTIONS, SUBSCRIPTION_V1ALPHA1),
    row(MESSAGING, "v1alpha1", SEQUENCES, SEQUENCE_MESSAGING),
    row(MESSAGING, "v1alpha1", PARALLELS, PARALLEL_V1ALPHA1),
    row(MESSAGING, "v1alpha1", CHOICES, CHOICE),
    row(MESSAGING, "v1alpha2", CHANNELS, CHANNEL),
    row(MESSAGING, "v1alpha2", IN_MEMORY, CHANNEL),
    row(MESSAGING, "v1alpha2", SUBSCRIPTIONS, SUBSCRIPTION),
    row(MESSAGING, "v1alpha2", SEQUENCES, SEQUENCE),
    row(MESSAGING, "v1alpha2", PARALLELS, PARALLEL),
    row(MESSAGING, "v1beta1", CHANNELS, CHANNEL),
    row(MESSAGING, "v1beta1", IN_MEMORY, CHANNEL),
    row(MESSAGING, "v1beta1", SUBSCRIPTIONS, SUBSCRIPTION),
    row(MESSAGING, "v1beta1", SEQUENCES, SEQUENCE),
    row(MESSAGING, "v1beta1", PARALLELS, PARALLEL),
    row(FLOWS, "v1alpha1", SEQUENCES, SEQUENCE_V1ALPHA1),
    row(FLOWS, "v1alpha1", PARALLELS, PARALLEL_V1ALPHA1),
    row(FLOWS, "v1beta1", SEQUENCES, SEQUENCE),
    row(FLOWS, "v1beta1", PARALLELS, PARALLEL),
    row(SOURCES_EVENTING, "v1alpha1", CRON_JOBS, CRON_JOB),
    row(SOURCES_EVENTING, "v1alpha1", CONTAINERS, CONTAINER_SINK_ARGUMENT),
    row(SOURCES_EVENTING, "v1alpha1", API_SERVERS, API_SERVER_V1ALPHA1),
    row(SOURCES_EVENTING, "v1alpha1", SQS, SINK_FLAT),
    row(SOURCES, "v1alpha1", PINGS, PING),
    row(SOURCES, "v1alpha1", API_SERVERS, API_SERVER_V1ALPHA1),
    row(SOURCES, "v1alpha1", CONTAINERS, CONTAINER),
    row(SOURCES, "v1alpha1", BINDINGS, SINK),
    row(SOURCES, "v1alpha2", CRON_CONTAINERS, CRON_JOB_CONTAINER),
    row(SOURCES, "v1alpha2", PINGS, PING),
    row(SOURCES, "v1alpha2", API_SERVERS, API_SERVER),
    row(SOURCES, "v1alpha2", CONTAINERS, CONTAINER),
    row(SOURCES, "v1alpha2", BINDINGS, SINK),
    row(SOURCES, "v1beta1", PINGS, PING),
    row(SOURCES, "v1beta1", API_SERVERS, API_SERVER),
    row(SOURCES, "v1beta1", CONTAINERS, CONTAINER),
    row(SOURCES, "v1beta1", BINDINGS, SINK),
    row(SOURCES, "v1beta2", API_SERVERS, API_SERVER),
    row(SOURCES, "v1beta2", CONTAINERS, CONTAINER),
    row(SOURCES, "v1beta2", BINDINGS, SINK),
    row(SERVING, "v1alpha1", SERVICES, SERVICE),
    row(SERVING, "v1alpha1", CONFIGURATIONS, CONFIGURATION),
    row(SERVING, "v1alpha1", REVISIONS, REVISION),
    row(SERVING, "v1alpha1", ROUTES, ROUTE),
    row(SERVING, "v1beta1", SERVICES, Form::SAME),
    row(SERVING, "v1beta1", CONFIGURATIONS, Form::SAME),
    row(SERVING, "v1beta1", REVISIONS, Form::SAME),
    row(SERVING, "v1beta1", ROUTES, Form::SAME),
];
