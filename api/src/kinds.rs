//! Every kind of Weir, one row each: the only list there is.
//!
//! From it come the CustomResourceDefinitions a cluster installs, what the embedded API serves, which defaults and
//! rules apply to an object, and how its served versions turn into one another.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::admission::{Admit, Admitted, Context, admit_as};
use crate::crd;
use crate::eventing::{Broker, EventPolicy, EventType, KafkaSink, Trigger, event_type};
use crate::flows::{Parallel, Sequence};
use crate::messaging::{Channel, InMemoryChannel, KafkaChannel, NatsJetStreamChannel, Subscription, kafka_channel};
use crate::serving;
use crate::sinks::JobSink;
use crate::sources::{
    ApiServerSource, AwsSqsSource, ContainerSource, GitHubSource, IntegrationSource, KafkaSource, KafkaSourceV1,
    PingSource, PingSourceV1Beta2, SinkBinding, WebhookSource,
};
use crate::validation::FieldErrors;

/// One kind, in all the versions it is served at.
#[derive(Debug)]
pub struct Kind {
    /// The definition a cluster installs, all versions included.
    pub definition: CustomResourceDefinition,
    /// Whether a reconciler of this build acts on it. Objects of the others are stored and say so in their status.
    pub reconciled: bool,
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    name: String,
    admit: AdmitFn,
    conversion: Conversion,
}

pub(crate) type AdmitFn = fn(Value, Option<&Value>, Context<'_>) -> Result<Admitted, FieldErrors>;

/// How objects of one version become those of the stored version, and back. `apiVersion` is not its business.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// From this version to the stored one.
    pub to_stored: fn(Value) -> Value,
    /// From the stored version to this one.
    pub from_stored: fn(Value) -> Value,
}

impl Conversion {
    /// Between versions that differ in nothing but their name.
    pub const NONE: Self = Self { to_stored: std::convert::identity, from_stored: std::convert::identity };
}

/// The rows. A new kind is a new row; nothing else names it.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    // Of two kinds with one name, which only older manifests have, clients take the one whose group comes first.
    vec![
        Kind::of::<Sequence>().waiting(),
        Kind::of::<Parallel>().waiting(),
        Kind::of::<Channel>().waiting(),
        Kind::of::<InMemoryChannel>().waiting(),
        Kind::of::<KafkaChannel>().also::<kafka_channel::v1::KafkaChannel>(Conversion::NONE).waiting(),
        Kind::of::<NatsJetStreamChannel>().waiting(),
        Kind::of::<Subscription>().waiting(),
        Kind::of::<PingSource>().also::<PingSourceV1Beta2>(Conversion::NONE).waiting(),
        Kind::of::<ApiServerSource>().waiting(),
        Kind::of::<ContainerSource>().waiting(),
        Kind::of::<SinkBinding>().waiting(),
        Kind::of::<IntegrationSource>().waiting(),
        Kind::of::<KafkaSource>().also::<KafkaSourceV1>(Conversion::NONE).waiting(),
        Kind::of::<GitHubSource>().waiting(),
        Kind::of::<AwsSqsSource>().waiting(),
        Kind::of::<WebhookSource>().waiting(),
        Kind::of::<JobSink>().waiting(),
        Kind::of::<serving::Service>().waiting(),
        Kind::of::<serving::Configuration>().waiting(),
        Kind::of::<serving::Revision>().waiting(),
        Kind::of::<serving::Route>().waiting(),
        Kind::of::<serving::DomainMapping>().waiting(),
        Kind::of::<serving::PodAutoscaler>().waiting(),
        Kind::of::<serving::Metric>().waiting(),
        Kind::of::<serving::ServerlessService>().waiting(),
        Kind::of::<serving::ClusterDomainClaim>().waiting(),
        Kind::of::<Broker>(),
        Kind::of::<Trigger>(),
        Kind::of::<EventType>()
            .also::<event_type::v1beta1::EventType>(event_type::convert::V1BETA1)
            .also::<event_type::v1beta3::EventType>(event_type::convert::V1BETA3)
            .waiting(),
        Kind::of::<EventPolicy>().waiting(),
        Kind::of::<KafkaSink>().waiting(),
    ]
});

/// Every kind, in the order in which they are listed to clients.
pub fn all() -> &'static [Kind] {
    &KINDS
}

/// The kind of an object by its `apiVersion` and `kind`; none if it is not ours.
pub fn find(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/')?;
    all().iter().find(|row| row.group() == group && row.kind() == kind && row.version(version).is_some())
}

/// Defaults and rules of the objects with this `apiVersion` and `kind`; none if they are not ours.
pub(crate) fn admission(api_version: &str, kind: &str) -> Option<AdmitFn> {
    let (_, version) = api_version.split_once('/')?;
    find(api_version, kind)?.version(version).map(|version| version.admit)
}

impl Kind {
    /// A kind that is stored as `K`.
    fn of<K: Admit + CustomResourceExt>() -> Self {
        let version =
            Version { name: K::version(&()).into_owned(), admit: admit_as::<K>, conversion: Conversion::NONE };
        Self { definition: crd::of::<K>(), reconciled: true, versions: vec![version] }
    }

    /// Served as `K` too, a version that is not the stored one.
    fn also<K: Admit + CustomResourceExt>(mut self, conversion: Conversion) -> Self {
        crd::add_version(&mut self.definition, crd::of::<K>());
        self.versions.push(Version { name: K::version(&()).into_owned(), admit: admit_as::<K>, conversion });
        self
    }

    /// A kind no reconciler of this build acts on yet.
    fn waiting(mut self) -> Self {
        self.reconciled = false;
        self
    }

    /// API group.
    pub fn group(&self) -> &str {
        &self.definition.spec.group
    }

    /// `Trigger`
    pub fn kind(&self) -> &str {
        &self.definition.spec.names.kind
    }

    /// How objects of `version` are converted to the stored one; none if it is not served.
    pub fn conversion(&self, version: &str) -> Option<Conversion> {
        self.version(version).map(|version| version.conversion)
    }

    fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_documented() {
        let page = include_str!("../../docs/api.md");
        for kind in all() {
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{}`", kind.group())));
            let row = row.unwrap_or_else(|| panic!("{} is not in docs/api.md", kind.group()));
            assert!(row.contains(kind.kind()), "{} is not in {row}", kind.kind());
        }
    }
}
