//! The kinds of `eventing.knative.dev`.

pub mod annotations;
mod broker;
mod filters;
mod trigger;

pub use broker::{BROKER_CLASS_ANNOTATION, Broker, BrokerSpec, BrokerStatus};
pub use filters::validate_filters;
pub use trigger::{
    BROKER_LABEL, DEPENDENCY_ANNOTATION, SubscriptionsApiFilter, Trigger, TriggerFilter, TriggerSpec, TriggerStatus,
};

#[cfg(test)]
mod tests;
