//! The kinds of `eventing.knative.dev`.

pub mod annotations;
mod broker;
mod event_policy;
pub mod event_type;
mod filters;
mod kafka_sink;
mod trigger;

pub use broker::{BROKER_CLASS_ANNOTATION, Broker, BrokerSpec, BrokerStatus};
pub use event_policy::{
    EventPolicy, EventPolicyFrom, EventPolicyFromReference, EventPolicySelector, EventPolicySpec, EventPolicyStatus,
    EventPolicyTo, EventPolicyToReference,
};
pub use event_type::{EventType, EventTypeSpec, EventTypeStatus};
pub use filters::validate_filters;
pub use kafka_sink::{
    KafkaSink, KafkaSinkAuth, KafkaSinkSecret, KafkaSinkSecretReference, KafkaSinkSpec, KafkaSinkStatus,
};
pub use trigger::{
    BROKER_LABEL, DEPENDENCY_ANNOTATION, SubscriptionsApiFilter, Trigger, TriggerFilter, TriggerSpec, TriggerStatus,
};

#[cfg(test)]
mod tests;
