//! ApiServerSource, `sources.knative.dev/v1`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::eventing::{SubscriptionsApiFilter, validate_filters};
use crate::selector::validate_selector;
use crate::validation::{FieldError, Path, one_of};

/// Annotation: `true` skips the check whether the service account may read the resources.
pub const SKIP_PERMISSIONS_ANNOTATION: &str = "features.knative.dev/apiserversource-skip-permissions-check";

const DEFAULT_MODE: &str = "Reference";
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// ApiServerSource sends an event when an object of the Kubernetes API is added, changed or deleted.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1",
    kind = "ApiServerSource",
    namespaced,
    status = "ApiServerSourceStatus",
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
  {"type":"dev.knative.apiserver.resource.add","description":"An object was added; the data is the object"},
  {"type":"dev.knative.apiserver.resource.update","description":"An object was changed; the data is the object"},
  {"type":"dev.knative.apiserver.resource.delete","description":"An object was deleted; the data is the object"},
  {"type":"dev.knative.apiserver.ref.add","description":"An object was added; the data refers to it"},
  {"type":"dev.knative.apiserver.ref.update","description":"An object was changed; the data refers to it"},
  {"type":"dev.knative.apiserver.ref.delete","description":"An object was deleted; the data refers to it"}
]"#
    ),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ApiServerSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Resources to watch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<WatchedResource>,
    /// Owner limits the source to objects whose controller is of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<WatchedKind>,
    /// Mode is `Reference` (the default), where an event's data refers to the object, or `Resource`, where it is the
    /// object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// ServiceAccountName is the account whose permissions count; defaults to `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// NamespaceSelector selects the namespaces to watch; an empty one selects all, none means the source's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Filters all have to match for an event to be sent. Knative has them behind a feature flag, Weir always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SubscriptionsApiFilter>,
}

/// A kind to watch, and which objects of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedResource {
    /// The kind.
    #[serde(flatten)]
    pub kind: WatchedKind,
    /// Selector of the objects by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// A kind and its API version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchedKind {
    /// API version of the objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

impl WatchedKind {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let parts: Vec<&str> = self.api_version.split('/').collect();
        if self.api_version.is_empty() {
            errors.push(FieldError::missing(path.field("apiVersion")));
        } else if parts.len() > 2 || parts.contains(&"") {
            let detail = "expected a version such as v1, or a group and a version such as apps/v1";
            errors.push(FieldError::invalid(path.field("apiVersion"), &self.api_version, detail));
        }
        if self.kind.trim().is_empty() {
            errors.push(FieldError::missing(path.field("kind")));
        }
    }
}

/// What is known of an ApiServerSource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiServerSourceStatus {
    /// What every source tells.
    #[serde(flatten)]
    pub source: SourceStatus,
    /// Namespaces that are watched, sorted; an empty name stands for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

impl Admit for ApiServerSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        for (field, default) in
            [(&mut self.spec.mode, DEFAULT_MODE), (&mut self.spec.service_account_name, DEFAULT_SERVICE_ACCOUNT)]
        {
            if field.as_deref().unwrap_or_default().is_empty() {
                *field = Some(default.to_owned());
            }
        }
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if self.spec.resources.is_empty() {
            errors.push(FieldError::missing(spec.field("resources")));
        }
        for (index, resource) in self.spec.resources.iter().enumerate() {
            let path = spec.field("resources").index(index);
            resource.kind.validate(&path, &mut errors);
            if let Some(selector) = &resource.selector {
                validate_selector(selector, &path.field("selector"), &mut errors);
            }
        }
        if let Some(owner) = &self.spec.owner {
            owner.validate(&spec.field("owner"), &mut errors);
        }
        let mode = self.spec.mode.as_deref().unwrap_or_default();
        one_of(mode, &["Reference", "Resource"], &spec.field("mode"), &mut errors);
        if let Some(selector) = &self.spec.namespace_selector {
            validate_selector(selector, &spec.field("namespaceSelector"), &mut errors);
        }
        validate_filters(&self.spec.filters, &spec.field("filters"), &mut errors);
        self.spec.source.validate(&spec, &mut errors);
        if let Some(skip) = self.annotations().get(SKIP_PERMISSIONS_ANNOTATION) {
            one_of(skip, &["true", "false"], &Path::annotation(SKIP_PERMISSIONS_ANNOTATION), &mut errors);
        }
        errors
    }
}
