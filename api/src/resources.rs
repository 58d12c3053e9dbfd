//! What the data plane runs: every Broker and Trigger, resolved. The controller's feed fills it, the broker watches it
//! (`watch::Receiver<Arc<Resources>>`) and cannot tell a cluster's API server from the one in `standalone/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::delivery::Delivery;
use crate::destination::ResolvedDestination;
use crate::eventing::{SubscriptionsApiFilter, TriggerFilter};

/// Every resource the data plane acts on. Snapshots share unchanged entries, so a change costs what changed.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Brokers by namespace and name.
    pub brokers: BTreeMap<ObjectName, Arc<Broker>>,
    /// Triggers by the Broker they belong to, then by UID.
    pub triggers: BTreeMap<ObjectName, BTreeMap<Arc<str>, Arc<Trigger>>>,
    /// False until the feed has seen the whole world once: absence means nothing before.
    pub complete: bool,
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Broker: an address, a log, and what its Triggers inherit.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`: names the log, so that a re-created Broker starts with an empty one.
    pub uid: Arc<str>,
    /// `metadata.generation`
    pub generation: i64,
    /// The log's backend and its settings.
    pub channel: ChannelSpec,
    /// Being deleted: accept nothing more, stop its Triggers, close the log, then report
    /// [`ObservedState::Closed`](crate::observed::ObservedState::Closed); the log is removed after that.
    pub deleting: bool,
}

/// Which backend keeps a log, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSpec {
    /// A name of the channel registry: `embedded`, …
    pub backend: String,
    /// The backend's own settings, deserialised by its `connect`.
    pub config: serde_json::Value,
}

/// A Trigger: a filter and a subscriber on a Broker's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`: names the progress on the log.
    pub uid: Arc<str>,
    /// `metadata.generation`
    pub generation: i64,
    /// `spec.filter`, in force only when `filters` is empty.
    pub filter: Option<TriggerFilter>,
    /// `spec.filters`: all must match.
    pub filters: Vec<SubscriptionsApiFilter>,
    /// Who gets the events. `None` while the subscriber or the dead letter sink cannot be resolved: nothing is
    /// delivered, the log keeps what arrives, and progress stays.
    pub subscriber: Option<ResolvedDestination>,
    /// How they are delivered.
    pub delivery: Delivery,
    /// Whether events of one key wait for each other.
    pub order: Order,
    /// Most deliveries in flight at once; `None` leaves it to the dispatcher's setting.
    pub max_in_flight: Option<u32>,
    /// While true nothing is delivered; the log keeps what arrives.
    pub paused: bool,
    /// Where a Trigger without saved progress begins.
    pub start: Start,
}

/// Order of deliveries to one Trigger (reliability.md 1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// No promise.
    #[default]
    Unordered,
    /// Events of one key in log order, one at a time. The key is `partitionkey`, else this attribute, else none.
    ByKey {
        /// The attribute to use for events without `partitionkey`.
        attribute: Option<String>,
    },
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// After the newest event.
    #[default]
    Now,
    /// At the oldest event kept.
    Earliest,
    /// At the first event stored at or after a time.
    Time(Timestamp),
}

impl Start {
    /// Reads `now`, `earliest` or an RFC 3339 time.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "now" => Some(Self::Now),
            "earliest" => Some(Self::Earliest),
            time => time.parse().ok().map(Self::Time),
        }
    }
}
