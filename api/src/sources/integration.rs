//! IntegrationSource, `sources.knative.dev/v1alpha1`.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pod_template;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::embedded;
use crate::schema::any_object;
use crate::validation::{FieldError, Path, in_range};

mod aws;

pub use aws::{Aws, AwsAuth, AwsCommon, AwsDdbStreams, AwsS3, AwsSecret, AwsSecretRef, AwsSqs};

/// The blocks of which exactly one is set.
const TYPES: &str = "timer, aws.s3, aws.sqs or aws.ddbStreams";

/// IntegrationSource sends events from a timer or from a service of AWS.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1alpha1",
    kind = "IntegrationSource",
    namespaced,
    status = "SourceStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "sources",
    label("duck.knative.dev/source", "true"),
    label("eventing.knative.dev/source", "true"),
    annotation(
        "registry.knative.dev/eventTypes",
        r#"[
  {"type":"dev.knative.eventing.timer","description":"A tick of a timer"},
  {"type":"dev.knative.eventing.aws-s3","description":"An object of an S3 bucket"},
  {"type":"dev.knative.eventing.aws-sqs","description":"A message of an SQS queue"},
  {"type":"dev.knative.eventing.aws-ddb-streams","description":"A change in a DynamoDB table"}
]"#
    ),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Timer sends at regular intervals. Exactly one of timer, aws.s3, aws.sqs and aws.ddbStreams is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
    /// Aws reads from a service of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// Template of the pod that does the work; its containers and its service account are overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub template: Option<Value>,
}

/// What a timer sends, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// Period in milliseconds; defaults to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
    /// Message is the data of every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// ContentType of the message; defaults to `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// RepeatCount is how many events are sent at most; none, or 0, sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_count: Option<i64>,
}

impl Timer {
    fn set_defaults(&mut self) {
        self.period.get_or_insert(1_000);
        self.content_type.get_or_insert_with(|| "text/plain".to_owned());
    }

    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if let Some(period) = self.period.filter(|&period| period < 1) {
            let detail = "expected a whole number of 1 or more";
            errors.push(FieldError::invalid(path.field("period"), &period, detail));
        }
        in_range(self.repeat_count, 0..=i64::MAX, &path.field("repeatCount"), errors);
    }
}

impl Admit for IntegrationSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        if let Some(timer) = &mut self.spec.timer {
            timer.set_defaults();
        }
        if let Some(aws) = &mut self.spec.aws {
            aws.set_defaults();
        }
        if let Some(template) = &mut self.spec.template {
            pod_template::default_container_names(template, &self.metadata);
        }
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let timer = self.spec.timer.iter().map(|_| "timer");
        let types: Vec<&str> = timer.chain(self.spec.aws.iter().flat_map(Aws::types)).collect();
        match types.len() {
            0 => {
                let detail = format!("at least one source type must be specified: {TYPES}");
                errors.push(FieldError::invalid(spec.clone(), &types, detail));
            }
            1 => {}
            _ => {
                let detail = format!("only one source type can be set: {TYPES}");
                errors.push(FieldError::invalid(spec.clone(), &types, detail));
            }
        }
        if let Some(timer) = &self.spec.timer {
            timer.validate(&spec.field("timer"), &mut errors);
        }
        if let Some(aws) = &self.spec.aws {
            aws.validate(&spec.field("aws"), &mut errors);
        }
        if let Some(template) = &self.spec.template {
            embedded::decode::<PodTemplateSpec>(template, &spec.field("template"), &mut errors);
        }
        self.spec.source.validate(&spec, &mut errors);
        errors
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.spec.aws.as_ref().map(|aws| aws.warnings("spec.aws")).unwrap_or_default();
        let pod = self.spec.template.as_ref().and_then(|template| template.get("spec"));
        for field in ["containers", "serviceAccountName"] {
            let given = pod.and_then(|pod| pod.get(field));
            if given.is_some_and(|given| !given.is_null() && *given != Value::Array(Vec::new())) {
                warnings.push(format!("spec.template.spec.{field} is overwritten by the source"));
            }
        }
        warnings
    }
}
