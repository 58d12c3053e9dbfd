//! The kinds of `eventing.knative.dev`.

mod broker;
mod trigger;

pub use broker::{BROKER_CLASS_ANNOTATION, Broker, BrokerSpec, BrokerStatus};
pub use trigger::{SubscriptionsApiFilter, Trigger, TriggerFilter, TriggerSpec, TriggerStatus};
