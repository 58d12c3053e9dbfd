//! SinkBinding, `sources.knative.dev/v1`.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{SourceSpec, SourceStatus};
use super::subject::Subject;
use crate::admission::Admit;
use crate::destination::default_namespace;
use crate::validation::{FieldError, Path};

/// SinkBinding tells the containers of other objects where to send events.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1",
    kind = "SinkBinding",
    namespaced,
    status = "SinkBindingStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "sources",
    category = "bindings",
    label("duck.knative.dev/source", "true"),
    label("duck.knative.dev/binding", "true"),
    label("eventing.knative.dev/source", "true"),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SinkBindingSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Subject is what the sink is told to.
    #[serde(default, skip_serializing_if = "Subject::is_empty")]
    pub subject: Subject,
}

/// What is known of a SinkBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinkBindingStatus {
    /// What every source tells.
    #[serde(flatten)]
    pub source: SourceStatus,
    /// OIDCTokenSecretName is the Secret that holds the token for the sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_token_secret_name: Option<String>,
}

impl Admit for SinkBinding {
    /// The only source besides KafkaSource whose sink gets its namespace here; for the others, as in Knative, the
    /// manifest stays as written and the reconciler takes the source's own.
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let namespace = self.namespace().unwrap_or_default();
        default_namespace(&mut self.spec.subject.namespace, &namespace);
        self.spec.source.sink.default_namespace(&namespace);
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let namespace = self.namespace();
        self.spec.subject.validate(namespace.as_deref(), &spec.field("subject"), &mut errors);
        self.spec.source.validate(&spec, &mut errors);
        errors
    }
}
