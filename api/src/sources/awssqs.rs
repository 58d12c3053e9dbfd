//! AwsSqsSource, `sources.knative.dev/v1alpha1`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::SecretKeySelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::validate_selector;
use super::source::{CloudEventOverrides, SourceStatus, validate_overrides};
use crate::admission::Admit;
use crate::destination::{Destination, KReference, is_http_url};
use crate::names::{QUALIFIED_NAME, is_qualified_name};
use crate::validation::{FieldError, Path};

/// AwsSqsSource sends the messages of an SQS queue.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1alpha1",
    kind = "AwsSqsSource",
    namespaced,
    status = "SourceStatus",
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
        r#"[{"type":"aws.sqs.message","description":"A message of the queue"}]"#
    ),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct AwsSqsSourceSpec {
    /// QueueURL is the URL of the queue; the second part of its host name is the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// AwsCredsSecret holds a credentials file of AWS; none leaves the credentials to the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_creds_secret: Option<SecretKeySelector>,
    /// Annotations of the pod that does the work.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Sink receives the events. The older form, a reference without a `ref` around it, becomes `ref` on admission;
    /// where a manifest has both, `ref` counts.
    #[serde(default, skip_serializing_if = "LegacySink::is_empty")]
    pub sink: LegacySink,
    /// CEOverrides change every event before it is sent. Knative's source of this kind has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ce_overrides: Option<CloudEventOverrides>,
    /// ServiceAccountName is the account the work runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// A destination, or the older form of it. Admission leaves nothing of the older form, so nothing else has to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LegacySink {
    /// The destination.
    #[serde(flatten)]
    pub destination: Destination,
    /// API version of the referent, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the referent, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the referent, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the referent, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl LegacySink {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Moves the older form into `ref`. `old` is the stored sink on an update.
    ///
    /// `kubectl apply` lays a manifest of the older form over the stored `ref`: when that is as it was, the older form
    /// is what the manifest says now.
    fn modernise(&mut self, old: Option<&Self>) {
        let flat = [&mut self.api_version, &mut self.kind, &mut self.name, &mut self.namespace].map(Option::take);
        if flat.iter().all(Option::is_none) {
            return;
        }
        let stored = old.and_then(|old| old.destination.r#ref.as_ref());
        if self.destination.r#ref.as_ref().is_none_or(|reference| Some(reference) == stored) {
            let [api_version, kind, name, namespace] = flat;
            self.destination.r#ref = Some(KReference {
                api_version,
                kind: kind.unwrap_or_default(),
                name: name.unwrap_or_default(),
                namespace,
                ..KReference::default()
            });
        }
    }
}

impl Admit for AwsSqsSource {
    fn set_defaults(&mut self, old: Option<&Self>) {
        self.spec.sink.modernise(old.map(|old| &old.spec.sink));
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let queue = spec.field("queueUrl");
        match self.spec.queue_url.as_deref().unwrap_or_default() {
            "" => errors.push(FieldError::missing(queue)),
            url if !is_http_url(url) => {
                let detail = "expected an absolute URL such as https://sqs.us-west-2.amazonaws.com/123456789012/q";
                errors.push(FieldError::invalid(queue, &url, detail));
            }
            _ => {}
        }
        if let Some(secret) = &self.spec.aws_creds_secret {
            validate_selector(secret, &spec.field("awsCredsSecret"), &mut errors);
        }
        for key in self.spec.annotations.keys() {
            // As for the annotations of any object, the case of the prefix does not count.
            if !is_qualified_name(&key.to_ascii_lowercase()) {
                errors.push(FieldError::invalid_key(spec.field("annotations"), key, QUALIFIED_NAME));
            }
        }
        self.spec.sink.destination.validate(&spec.field("sink"), &mut errors);
        validate_overrides(self.spec.ce_overrides.as_ref(), &spec, &mut errors);
        errors
    }
}
