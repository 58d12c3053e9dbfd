//! Revision, `serving.knative.dev/v1`: one version of a program and its settings, which never changes.

use k8s_openapi::api::core::v1::PodSpec;
use kube::{CustomResource, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changes::changes;
use super::config::ServingConfig;
use super::metadata::{self, CONFIGURATION_LABEL};
use super::{defaults, pod};
use crate::admission::Admit;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path};

/// RevisionSpec is what a pod runs, and how requests reach it.
///
/// The fields of Kubernetes' PodSpec are inlined; of those only some may be set.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "serving.knative.dev",
    version = "v1",
    kind = "Revision",
    namespaced,
    status = "RevisionStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "rev",
    category = "all",
    category = "knative",
    category = "serving",
    label("knative.dev/crd-install", "true"),
    printcolumn = r#"{"name":"Config Name","type":"string","jsonPath":".metadata.labels['serving\\.knative\\.dev/configuration']"}"#,
    printcolumn = r#"{"name":"Generation","type":"string","jsonPath":".metadata.labels['serving\\.knative\\.dev/configurationGeneration']"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Actual Replicas","type":"integer","jsonPath":".status.actualReplicas"}"#,
    printcolumn = r#"{"name":"Desired Replicas","type":"integer","jsonPath":".status.desiredReplicas"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSpec {
    /// Fields of the pod.
    #[serde(flatten)]
    pub pod: PodSpec,
    /// ContainerConcurrency is how many requests a pod gets at once; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_concurrency: Option<i64>,
    /// TimeoutSeconds is how long a request may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// ResponseStartTimeoutSeconds is how long a response may take to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_start_timeout_seconds: Option<i64>,
    /// IdleTimeoutSeconds is how long a request may go on without a byte in either direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<i64>,
}

/// Written by hand: derived, it would have all of PodSpec, most of which may not be set, in a megabyte.
impl JsonSchema for RevisionSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RevisionSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = |description| json!({"type": "integer", "format": "int64", "description": description});
        let mut properties = pod::properties();
        let own = [
            ("containerConcurrency", "Requests a pod gets at once; 0 is no limit."),
            ("timeoutSeconds", "Seconds a request may take."),
            ("responseStartTimeoutSeconds", "Seconds a response may take to begin."),
            ("idleTimeoutSeconds", "Seconds a request may go on without a byte in either direction."),
        ];
        properties.extend(own.map(|(field, description)| (field.to_owned(), number(description))));
        let mut schema = Schema::default();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("description".to_owned(), "What a pod runs, and how requests reach it.".into());
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema
    }
}

/// What is known of a Revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// LogUrl is where the Revision's logs can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// ContainerStatuses has the digest of each container's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_statuses: Vec<ContainerStatus>,
    /// InitContainerStatuses has the digest of each init container's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// ActualReplicas is the number of pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_replicas: Option<i32>,
    /// DesiredReplicas is the number of pods the autoscaler asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
}

/// What the image of a container was resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Name of the container.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// ImageDigest is the image by its digest; absent where it was not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
}

impl RevisionSpec {
    /// Adds every rule this spec breaks.
    pub(super) fn validate(&self, config: &ServingConfig, path: &Path, errors: &mut Vec<FieldError>) {
        pod::validate(&self.pod, config, path, errors);
        let defaults = &config.defaults;
        let least = i64::from(!defaults.allow_container_concurrency_zero);
        for (field, value, least, most) in [
            ("containerConcurrency", self.container_concurrency, least, defaults.container_concurrency_max),
            ("timeoutSeconds", self.timeout_seconds, 0, defaults.max_timeout_seconds),
        ] {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                errors.push(FieldError::invalid(path.field(field), &value, format_args!("expected {least} to {most}")));
            }
        }
    }

    /// What to tell about this spec although it is fine.
    pub(super) fn warnings(&self, path: &Path) -> Vec<String> {
        let of_pod = self.pod.security_context.as_ref().and_then(|context| context.run_as_non_root);
        let unsaid = self.pod.containers.iter().enumerate().filter(|(_, container)| {
            of_pod.or(container.security_context.as_ref().and_then(|context| context.run_as_non_root)).is_none()
        });
        let warning = |(index, _)| {
            let path = path.field("containers").index(index).field("securityContext").field("runAsNonRoot");
            format!(
                "Kubernetes default value is insecure, Knative may default this to secure in a future release: {path}"
            )
        };
        unsaid.map(warning).collect()
    }
}

impl Admit for Revision {
    fn set_defaults(&mut self, old: Option<&Self>) {
        // A default that is newer than the object would be a change, and a Revision cannot change.
        if old.is_none() {
            defaults::apply(&mut self.spec, &ServingConfig::default(), true);
        }
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let config = ServingConfig::default();
        let (metadata, spec) = (Path::new("metadata"), Path::new("spec"));
        let mut errors = Vec::new();
        metadata::validate_name(&self.metadata, &metadata, &mut errors);
        metadata::validate_owner(&self.metadata, CONFIGURATION_LABEL, "Configuration", &mut errors);
        let annotations = metadata.field("annotations");
        metadata::validate_running(self.annotations(), config.autoscaler, &annotations, &mut errors);
        match old {
            Some(old) => {
                if let Some(changes) = changes(&old.spec, &self.spec) {
                    errors.push(FieldError::invalid(spec, &changes, "immutable fields changed"));
                }
            }
            None => self.spec.validate(&config, &spec, &mut errors),
        }
        errors
    }

    fn warnings(&self) -> Vec<String> {
        metadata::warnings(self.annotations())
    }

    /// The Configuration's controller says who: it creates every Revision, on behalf of somebody.
    fn records_user(&self) -> bool {
        false
    }
}
