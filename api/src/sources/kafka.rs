//! KafkaSource, `sources.knative.dev/v1beta1` and `v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::SecretValueFrom;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::delivery::DeliverySpec;
use crate::validation::{FieldError, Path, in_range, one_of};

/// Label: how the key of a record becomes an attribute; `string` (the default), `int`, `float` or `byte-array`.
pub const KEY_TYPE_LABEL: &str = "kafkasources.sources.knative.dev/key-type";

/// KafkaSource sends the records of Kafka topics as events.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1beta1",
    kind = "KafkaSource",
    namespaced,
    status = "KafkaSourceStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    category = "sources",
    label("duck.knative.dev/source", "true"),
    label("eventing.knative.dev/source", "true"),
    annotation(
        "registry.knative.dev/eventTypes",
        r#"[{"type":"dev.knative.kafka.event","description":"A record that is no CloudEvent"}]"#
    ),
    scale(
        spec_replicas_path = ".spec.consumers",
        status_replicas_path = ".status.consumers",
        label_selector_path = ".status.selector"
    ),
    printcolumn = r#"{"name":"Topics","type":"string","jsonPath":".spec.topics"}"#,
    printcolumn = r#"{"name":"BootstrapServers","type":"string","jsonPath":".spec.bootstrapServers"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// BootstrapServers are addresses of Kafka brokers, as `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap_servers: Vec<String>,
    /// Topics to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// ConsumerGroup keeps the source's progress; defaults to a name of its own. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// Consumers is how many readers share the partitions; defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<i32>,
    /// InitialOffset is where a new consumer group begins: `latest` (the default) or `earliest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_offset: Option<String>,
    /// Ordering is `ordered` (the default), one event of a partition at a time, or `unordered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering: Option<String>,
    /// Delivery options towards the sink; none means 10 retries, an exponential delay from 0.3 s on, and a timeout of
    /// 600 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
    /// Net is how to connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<KafkaNet>,
}

/// KafkaSource sends the records of Kafka topics as events.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1",
    kind = "KafkaSource",
    root = "KafkaSourceV1",
    namespaced,
    status = "KafkaSourceStatus",
    derive = "Default",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.consumers",
        status_replicas_path = ".status.consumers",
        label_selector_path = ".status.selector"
    ),
    printcolumn = r#"{"name":"Topics","type":"string","jsonPath":".spec.topics"}"#,
    printcolumn = r#"{"name":"BootstrapServers","type":"string","jsonPath":".spec.bootstrapServers"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct KafkaSourceV1Spec {
    /// The same as in `v1beta1`.
    #[serde(flatten)]
    pub v1beta1: KafkaSourceSpec,
}

/// How to connect to Kafka.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KafkaNet {
    /// SASL: as whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
    /// TLS: how encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
}

/// SASL settings; the values live in Secrets.
///
/// Knative has `tokenProvider` and `roleARN` in `v1` only and loses them when it stores `v1beta1`; here both versions
/// have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSasl {
    /// Enable switches SASL on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SecretValueFrom>,
    /// Password of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretValueFrom>,
    /// Type is the mechanism, such as `PLAIN` or `SCRAM-SHA-512`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub ty: Option<SecretValueFrom>,
    /// TokenProvider is who issues tokens, for OAUTHBEARER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_provider: Option<SecretValueFrom>,
    /// RoleARN is the role of AWS to take on.
    #[serde(default, rename = "roleARN", skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<SecretValueFrom>,
}

/// TLS settings; the values live in Secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Enable switches TLS on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Cert is the client's certificate in PEM format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretValueFrom>,
    /// Key of the client's certificate in PEM format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretValueFrom>,
    /// CACert is the certificate of the authority to trust, in PEM format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<SecretValueFrom>,
}

/// What is known of a KafkaSource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSourceStatus {
    /// What every source tells.
    #[serde(flatten)]
    pub source: SourceStatus,
    /// Consumers is how many readers there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<i32>,
    /// Selector is the label selector of what the `scale` subresource scales.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Claims names the partitions that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
    /// Placements says where the readers are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<KafkaPlacement>,
    /// MaxAllowedVReplicas bounds how many readers one place takes.
    #[serde(default, rename = "maxAllowedVReplicas", skip_serializing_if = "Option::is_none")]
    pub max_allowed_vreplicas: Option<i32>,
}

/// How many readers are in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaPlacement {
    /// PodName is the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// VReplicas is how many readers are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vreplicas: Option<i32>,
}

impl KafkaSourceSpec {
    fn group(&self) -> Option<&str> {
        self.consumer_group.as_deref().filter(|group| !group.is_empty())
    }

    fn set_defaults(&mut self, namespace: &str, old: Option<&Self>) {
        if self.group().is_none() {
            let kept = old.and_then(Self::group).map(str::to_owned);
            self.consumer_group = Some(kept.unwrap_or_else(|| format!("knative-kafka-source-{}", Uuid::new_v4())));
        }
        self.consumers.get_or_insert(1);
        for (field, default) in [(&mut self.initial_offset, "latest"), (&mut self.ordering, "ordered")] {
            if field.as_deref().unwrap_or_default().is_empty() {
                *field = Some(default.to_owned());
            }
        }
        self.source.sink.default_namespace(namespace);
        if let Some(delivery) = &mut self.delivery {
            delivery.default_namespace(namespace);
        }
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        for (field, list) in [("bootstrapServers", &self.bootstrap_servers), ("topics", &self.topics)] {
            let path = spec.field(field);
            if list.is_empty() {
                errors.push(FieldError::missing(path.clone()));
            }
            let empty = list.iter().enumerate().filter(|(_, value)| value.is_empty());
            errors.extend(empty.map(|(index, _)| FieldError::missing(path.index(index))));
        }
        in_range(self.consumers, 0..=i64::MAX, &spec.field("consumers"), &mut errors);
        for (field, value, allowed) in [
            ("initialOffset", &self.initial_offset, ["earliest", "latest"]),
            ("ordering", &self.ordering, ["ordered", "unordered"]),
        ] {
            one_of(value.as_deref().unwrap_or_default(), &allowed, &spec.field(field), &mut errors);
        }
        if let Some(delivery) = &self.delivery {
            delivery.validate(&spec.field("delivery"), &mut errors);
        }
        if let Some(net) = &self.net {
            net.validate(&spec.field("net"), &mut errors);
        }
        self.source.validate(&spec, &mut errors);
        if let Some(old) = old.and_then(Self::group).filter(|old| self.group() != Some(old)) {
            errors.push(FieldError::immutable(spec.field("consumerGroup"), &self.consumer_group, &old));
        }
        errors
    }
}

impl KafkaNet {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let sasl = self.sasl.iter().flat_map(|sasl| {
            [
                ("user", &sasl.user),
                ("password", &sasl.password),
                ("type", &sasl.ty),
                ("tokenProvider", &sasl.token_provider),
                ("roleARN", &sasl.role_arn),
            ]
            .map(|(field, value)| (path.field("sasl").field(field), value))
        });
        let tls = self.tls.iter().flat_map(|tls| {
            [("cert", &tls.cert), ("key", &tls.key), ("caCert", &tls.ca_cert)]
                .map(|(field, value)| (path.field("tls").field(field), value))
        });
        for (path, value) in sasl.chain(tls) {
            if let Some(value) = value {
                value.validate(&path, errors);
            }
        }
    }
}

fn validate_key_type(source: &impl ResourceExt, errors: &mut Vec<FieldError>) {
    let Some(key_type) = source.labels().get(KEY_TYPE_LABEL) else { return };
    let path = Path::new("metadata").field("labels").key(KEY_TYPE_LABEL);
    one_of(key_type, &["string", "int", "float", "byte-array"], &path, errors);
}

impl Admit for KafkaSource {
    fn set_defaults(&mut self, old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        self.spec.set_defaults(&namespace, old.map(|old| &old.spec));
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = self.spec.validate(old.map(|old| &old.spec));
        validate_key_type(self, &mut errors);
        errors
    }
}

impl Admit for KafkaSourceV1 {
    fn set_defaults(&mut self, old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        self.spec.v1beta1.set_defaults(&namespace, old.map(|old| &old.spec.v1beta1));
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let mut errors = self.spec.v1beta1.validate(old.map(|old| &old.spec.v1beta1));
        validate_key_type(self, &mut errors);
        errors
    }
}
