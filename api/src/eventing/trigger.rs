//! Trigger, `eventing.knative.dev/v1`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{CustomResource, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::annotations::TriggerOptions;
use super::filters::{validate_attributes, validate_filters};
use crate::admission::Admit;
use crate::condition::Condition;
use crate::delivery::{DeliverySpec, DeliveryStatus};
use crate::destination::{Destination, KReference};
use crate::schema::any_object;
use crate::validation::{FieldError, Path, exactly_one};

/// Label that names a Trigger's Broker; admission sets it.
pub const BROKER_LABEL: &str = "eventing.knative.dev/broker";
/// Annotation that names an object, as a JSON ObjectReference, that has to be Ready before the Trigger is.
pub const DEPENDENCY_ANNOTATION: &str = "knative.dev/dependency";
/// Annotation of the older way to get a Broker `default`; validated as Knative does, no effect.
const INJECTION_ANNOTATION: &str = "eventing.knative.dev/injection";

/// Trigger represents a request to have events delivered to a subscriber from a Broker's event pool.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1",
    kind = "Trigger",
    namespaced,
    status = "TriggerStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    printcolumn = r#"{"name":"Broker","type":"string","jsonPath":".spec.broker"}"#,
    printcolumn = r#"{"name":"Subscriber_URI","type":"string","jsonPath":".status.subscriberUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct TriggerSpec {
    /// Broker is the broker in the same namespace that this Trigger receives events from. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// BrokerRef refers to a Broker by reference; exactly one of broker and brokerRef is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_ref: Option<KReference>,
    /// Filter selects events by exact attribute values; used only when `filters` is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<TriggerFilter>,
    /// Filters all have to match for an event to be delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SubscriptionsApiFilter>,
    /// Subscriber receives the events that match.
    #[serde(default, skip_serializing_if = "Destination::is_empty")]
    pub subscriber: Destination,
    /// Delivery options; if present at all they replace the Broker's, except for the dead letter sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// The older filter: attribute names and exact values; an empty value matches any non-empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerFilter {
    /// Attributes all have to match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// One filter of the CloudEvents Subscriptions API; exactly one dialect may be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionsApiFilter {
    /// All nested filters match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "nested_list")]
    pub all: Option<Vec<SubscriptionsApiFilter>>,
    /// At least one nested filter matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "nested_list")]
    pub any: Option<Vec<SubscriptionsApiFilter>>,
    /// The nested filter does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub not: Option<Box<SubscriptionsApiFilter>>,
    /// Every named attribute equals its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<BTreeMap<String, String>>,
    /// Every named attribute starts with its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<BTreeMap<String, String>>,
    /// Every named attribute ends with its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<BTreeMap<String, String>>,
    /// A CloudEvents SQL expression that evaluates to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cesql: Option<String>,
}

/// Filters inside a filter. A CRD's schema cannot refer to itself, so the API server sees any object there, as in
/// Knative's schema; admission checks the rest.
fn nested_list(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": any_object(generator)})
}

/// What is known of a Trigger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// ObservedGeneration is the generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Resolved URI of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_uri: Option<String>,
    /// CA certificates of the subscriber in PEM format.
    #[serde(default, rename = "subscriberCACerts", skip_serializing_if = "Option::is_none")]
    pub subscriber_ca_certs: Option<String>,
    /// OIDC audience of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_audience: Option<String>,
    /// Where dead letters go.
    #[serde(flatten)]
    pub delivery: DeliveryStatus,
}

impl Trigger {
    /// Name of the Broker, by whichever field names it; empty if none does.
    pub fn broker(&self) -> &str {
        match (&self.spec.broker, &self.spec.broker_ref) {
            (Some(broker), _) if !broker.is_empty() => broker,
            (_, Some(reference)) => &reference.name,
            _ => "",
        }
    }

    /// What [`DEPENDENCY_ANNOTATION`] refers to, its namespace filled in; an error says what is wrong with it.
    pub fn dependency(&self) -> Option<Result<ObjectReference, FieldError>> {
        let text = self.annotations().get(DEPENDENCY_ANNOTATION)?;
        let refuse = |detail: &str| Err(FieldError::invalid(Path::annotation(DEPENDENCY_ANNOTATION), text, detail));
        let Ok(mut reference) = serde_json::from_str::<ObjectReference>(text) else {
            return Some(refuse("expected a JSON object with kind, name and apiVersion"));
        };
        let namespace = self.namespace();
        let empty = |field: &Option<String>| field.as_deref().unwrap_or_default().is_empty();
        if empty(&reference.namespace) {
            reference.namespace = namespace;
        } else if reference.namespace != namespace {
            return Some(refuse("the namespace has to be the Trigger's own"));
        }
        if [&reference.kind, &reference.name, &reference.api_version].into_iter().any(empty) {
            return Some(refuse("kind, name and apiVersion are required"));
        }
        Some(Ok(reference))
    }

    fn validate_broker(&self, old: Option<&Self>, errors: &mut Vec<FieldError>) {
        let spec = Path::new("spec");
        let (broker, reference) = (spec.field("broker"), spec.field("brokerRef"));
        let has_broker = self.spec.broker.as_ref().is_some_and(|broker| !broker.is_empty());
        let one = exactly_one((&broker, has_broker), (&reference, self.spec.broker_ref.is_some()), errors);
        if let Some(target) = self.spec.broker_ref.as_ref().filter(|_| one) {
            target.validate(&reference, errors);
            if target.namespace.is_some() {
                let why = "a Trigger takes events from a Broker of its own namespace";
                errors.push(FieldError::forbidden(reference.field("namespace"), why));
            }
        }
        // By name, so that going from one field to the other is no change, but another Broker always is.
        if let Some(old) = old.filter(|old| old.broker() != self.broker()) {
            errors.push(FieldError::immutable(broker, &self.broker(), &old.broker()));
        }
    }

    fn validate_injection(&self, errors: &mut Vec<FieldError>) {
        let Some(value) = self.annotations().get(INJECTION_ANNOTATION) else { return };
        let mut refuse =
            |detail| errors.push(FieldError::invalid(Path::annotation(INJECTION_ANNOTATION), value, detail));
        if !matches!(value.as_str(), "enabled" | "disabled") {
            refuse("expected enabled or disabled");
        } else if self.broker() != "default" {
            refuse("works only with the Broker named default");
        }
    }
}

impl Admit for Trigger {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        let broker = self.broker().to_owned();
        if !broker.is_empty() {
            self.labels_mut().insert(BROKER_LABEL.to_owned(), broker);
        }
        self.spec.filter.get_or_insert_default();
        self.spec.subscriber.default_namespace(&namespace);
        if let Some(delivery) = &mut self.spec.delivery {
            delivery.default_namespace(&namespace);
        }
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        self.validate_broker(old, &mut errors);
        if let Some(filter) = &self.spec.filter {
            validate_attributes(&filter.attributes, &spec.field("filter").field("attributes"), &mut errors);
        }
        validate_filters(&self.spec.filters, &spec.field("filters"), &mut errors);
        self.spec.subscriber.validate(&spec.field("subscriber"), &mut errors);
        if let Some(delivery) = &self.spec.delivery {
            delivery.validate(&spec.field("delivery"), &mut errors);
        }
        TriggerOptions::read(self.annotations(), &mut errors);
        errors.extend(self.dependency().and_then(Result::err));
        self.validate_injection(&mut errors);
        errors
    }
}
