//! Broker, `eventing.knative.dev/v1`.

use std::collections::BTreeMap;

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::annotations::LogOptions;
use crate::admission::Admit;
use crate::condition::Condition;
use crate::delivery::{DeliverySpec, DeliveryStatus};
use crate::destination::{Addressable, KReference};
use crate::validation::{FieldError, Path};

/// Annotation that names who serves a Broker. Immutable.
pub const BROKER_CLASS_ANNOTATION: &str = "eventing.knative.dev/broker.class";

/// The class of a Broker that names none; Knative's shipped default, so that manifests and tools agree.
const DEFAULT_CLASS: &str = "MTChannelBasedBroker";
/// The classes Weir serves. A Broker of another class is somebody else's.
const CLASSES: [&str; 2] = [DEFAULT_CLASS, "Weir"];

/// Broker collects a pool of events that are consumable using Triggers.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1",
    kind = "Broker",
    namespaced,
    status = "BrokerStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    label("duck.knative.dev/addressable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Class","type":"string","priority":1,"jsonPath":".metadata.annotations.eventing\\.knative\\.dev/broker\\.class"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSpec {
    /// Config refers to the object that configures the Broker's log. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<KReference>,
    /// Delivery options that Triggers without their own inherit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// What is known of a Broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerStatus {
    /// ObservedGeneration is the generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Annotations hold facts about the Broker's log.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Address to post events to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Addressable>,
    /// Addresses lists every address, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Addressable>,
    /// Where dead letters go.
    #[serde(flatten)]
    pub delivery: DeliveryStatus,
}

impl Broker {
    /// Whether Weir serves this Broker.
    pub fn is_ours(&self) -> bool {
        CLASSES.contains(&self.class().unwrap_or(DEFAULT_CLASS))
    }

    fn class(&self) -> Option<&str> {
        self.annotations().get(BROKER_CLASS_ANNOTATION).map(String::as_str).filter(|class| !class.is_empty())
    }
}

impl Admit for Broker {
    fn set_defaults(&mut self, old: Option<&Self>) {
        if self.class().is_none() {
            let class = old.and_then(Self::class).unwrap_or(DEFAULT_CLASS).to_owned();
            self.annotations_mut().insert(BROKER_CLASS_ANNOTATION.to_owned(), class);
        }
        let namespace = self.namespace().unwrap_or_default();
        if let Some(config) = &mut self.spec.config
            && config.namespace.is_none()
        {
            config.namespace = Some(namespace.clone());
        }
        self.spec.delivery.get_or_insert_with(DeliverySpec::broker_default).default_namespace(&namespace);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if self.class().is_none() {
            errors.push(FieldError::missing(Path::annotation(BROKER_CLASS_ANNOTATION)));
        }
        if let Some(config) = &self.spec.config {
            config.validate(&spec.field("config"), &mut errors);
        }
        if let Some(delivery) = &self.spec.delivery {
            delivery.validate(&spec.field("delivery"), &mut errors);
        }
        LogOptions::read(self.annotations(), &mut errors);
        if let Some(old) = old {
            if self.class() != old.class() {
                let path = Path::annotation(BROKER_CLASS_ANNOTATION);
                errors.push(FieldError::immutable(path, &self.class(), &old.class()));
            }
            if self.spec.config != old.spec.config {
                let path = spec.field("config");
                errors.push(FieldError::immutable(path, &self.spec.config, &old.spec.config));
            }
        }
        errors
    }
}
