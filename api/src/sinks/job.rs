//! JobSink, `sinks.knative.dev/v1alpha1`.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admission::Admit;
use crate::embedded;
use crate::schema::any_object;
use crate::status::{AddressStatus, PolicyStatus, StatusHead};
use crate::validation::{FieldError, Path, one_of};

/// Environment variable that tells a container to handle one event and end.
const EXECUTION_MODE: &str = "K_EXECUTION_MODE";

/// JobSink runs a Job for each event it gets.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sinks.knative.dev",
    version = "v1alpha1",
    kind = "JobSink",
    namespaced,
    status = "JobSinkStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    category = "sink",
    label("duck.knative.dev/addressable", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.address.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct JobSinkSpec {
    /// Job is a whole `batch/v1` Job, metadata and spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub job: Option<Value>,
}

/// What is known of a JobSink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobSinkStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Where events are taken.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// Who may send them.
    #[serde(flatten)]
    pub policy: PolicyStatus,
    /// Job says how to find the Jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobSinkJobStatus>,
}

/// How to find the Jobs of a JobSink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobSinkJobStatus {
    /// Selector is the label selector of all its Jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

impl Admit for JobSink {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let Some(pod) = self.spec.job.as_mut().and_then(|job| job.pointer_mut("/spec/template/spec")) else { return };
        for list in ["containers", "initContainers"] {
            let containers = pod.get_mut(list).and_then(Value::as_array_mut);
            containers.into_iter().flatten().for_each(set_execution_mode);
        }
    }

    /// Knative has the API server try to create the Job. Without a cluster there is nobody to ask: these are its rules
    /// about what a Job cannot run without, and that it has no other fields than a Job's.
    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let path = Path::new("spec").field("job");
        let Some(written) = &self.spec.job else { return vec![FieldError::missing(path)] };
        let mut errors = Vec::new();
        if let Some(job) = embedded::decode::<Job>(written, &path, &mut errors) {
            match &job.spec {
                Some(spec) => validate_job(spec, &path.field("spec"), &mut errors),
                None => errors.push(FieldError::missing(path.field("spec"))),
            }
        }
        errors
    }
}

/// What is no container or has no list of variables is left as it is: validation tells about it.
fn set_execution_mode(container: &mut Value) {
    let Value::Object(container) = container else { return };
    let env = container.entry("env").or_insert(Value::Null);
    if env.is_null() {
        *env = json!([]);
    }
    if let Value::Array(env) = env
        && env.iter().all(|variable| variable["name"] != EXECUTION_MODE)
    {
        env.push(json!({"name": EXECUTION_MODE, "value": "batch"}));
    }
}

fn validate_job(job: &JobSpec, path: &Path, errors: &mut Vec<FieldError>) {
    let path = path.field("template").field("spec");
    let Some(pod) = &job.template.spec else {
        errors.push(FieldError::missing(path));
        return;
    };
    embedded::validate_pod(pod, &path, errors);
    let path = path.field("restartPolicy");
    match pod.restart_policy.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::missing(path)),
        policy => one_of(policy, &["Never", "OnFailure"], &path, errors),
    }
}
