//! GitHubSource, `sources.knative.dev/v1alpha1`.

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::secret::SecretValueFrom;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::destination::is_http_url;
use crate::validation::{FieldError, Path, exactly_one};

/// The events of GitHub there are, as its header `X-GitHub-Event` names them.
pub const EVENT_NAMES: &[&str] = &[
    "check_run",
    "check_suite",
    "commit_comment",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "fork",
    "gollum",
    "installation",
    "installation_repositories",
    "integration_installation",
    "integration_installation_repositories",
    "issue_comment",
    "issues",
    "label",
    "member",
    "membership",
    "milestone",
    "org_block",
    "organization",
    "page_build",
    "ping",
    "project",
    "project_card",
    "project_column",
    "public",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "release",
    "repository",
    "repository_vulnerability_alert",
    "security_advisory",
    "status",
    "team",
    "team_add",
    "watch",
];

/// GitHubSource sends what happens in a repository or an organisation of GitHub.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1alpha1",
    kind = "GitHubSource",
    namespaced,
    status = "GitHubSourceStatus",
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
        r#"[
  {"type":"dev.knative.source.github.check_run"},
  {"type":"dev.knative.source.github.check_suite"},
  {"type":"dev.knative.source.github.commit_comment"},
  {"type":"dev.knative.source.github.create"},
  {"type":"dev.knative.source.github.delete"},
  {"type":"dev.knative.source.github.deployment"},
  {"type":"dev.knative.source.github.deployment_status"},
  {"type":"dev.knative.source.github.fork"},
  {"type":"dev.knative.source.github.gollum"},
  {"type":"dev.knative.source.github.installation"},
  {"type":"dev.knative.source.github.installation_repositories"},
  {"type":"dev.knative.source.github.integration_installation"},
  {"type":"dev.knative.source.github.integration_installation_repositories"},
  {"type":"dev.knative.source.github.issue_comment"},
  {"type":"dev.knative.source.github.issues"},
  {"type":"dev.knative.source.github.label"},
  {"type":"dev.knative.source.github.member"},
  {"type":"dev.knative.source.github.membership"},
  {"type":"dev.knative.source.github.milestone"},
  {"type":"dev.knative.source.github.org_block"},
  {"type":"dev.knative.source.github.organization"},
  {"type":"dev.knative.source.github.page_build"},
  {"type":"dev.knative.source.github.ping"},
  {"type":"dev.knative.source.github.project"},
  {"type":"dev.knative.source.github.project_card"},
  {"type":"dev.knative.source.github.project_column"},
  {"type":"dev.knative.source.github.public"},
  {"type":"dev.knative.source.github.pull_request"},
  {"type":"dev.knative.source.github.pull_request_review"},
  {"type":"dev.knative.source.github.pull_request_review_comment"},
  {"type":"dev.knative.source.github.push"},
  {"type":"dev.knative.source.github.release"},
  {"type":"dev.knative.source.github.repository"},
  {"type":"dev.knative.source.github.repository_vulnerability_alert"},
  {"type":"dev.knative.source.github.security_advisory"},
  {"type":"dev.knative.source.github.status"},
  {"type":"dev.knative.source.github.team"},
  {"type":"dev.knative.source.github.team_add"},
  {"type":"dev.knative.source.github.watch"}
]"#
    ),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct GitHubSourceSpec {
    /// Where the events go; exactly one of sink.ref and sink.uri is set.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// OwnerAndRepository is a repository as `owner/repository`, or an organisation as `owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_and_repository: Option<String>,
    /// EventTypes are the events to send, in GitHub's names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "event_names")]
    pub event_types: Vec<String>,
    /// AccessToken lets the source register its webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<SecretValueFrom>,
    /// SecretToken is what GitHub signs its requests with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_token: Option<SecretValueFrom>,
    /// GitHubAPIURL is the base URL of a GitHub Enterprise, with a slash at its end.
    #[serde(default, rename = "githubAPIURL", skip_serializing_if = "Option::is_none")]
    pub github_api_url: Option<String>,
    /// Secure has GitHub call back with https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
    /// ServiceAccountName is the account the receiver runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

fn event_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "enum": EVENT_NAMES}})
}

/// What is known of a GitHubSource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubSourceStatus {
    /// What every source tells.
    #[serde(flatten)]
    pub source: SourceStatus,
    /// WebhookIDKey is GitHub's id of the webhook.
    #[serde(default, rename = "webhookIDKey", skip_serializing_if = "Option::is_none")]
    pub webhook_id_key: Option<String>,
}

impl GitHubSource {
    fn validate_repository(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let name = self.spec.owner_and_repository.as_deref().unwrap_or_default();
        let parts: Vec<&str> = name.split('/').collect();
        if name.is_empty() {
            errors.push(FieldError::missing(path.clone()));
        } else if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains(char::is_whitespace)) {
            errors.push(FieldError::invalid(path.clone(), &name, "expected owner/repository or owner"));
        }
    }

    fn validate_event_types(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if self.spec.event_types.is_empty() {
            errors.push(FieldError::missing(path.clone()));
        }
        for (index, name) in self.spec.event_types.iter().enumerate() {
            if !EVENT_NAMES.contains(&name.as_str()) {
                let detail = format!("expected an event of GitHub: {}", EVENT_NAMES.join(", "));
                errors.push(FieldError::invalid(path.index(index), name, detail));
            }
        }
    }

    /// Unlike other sources it takes no URI next to a reference.
    fn validate_sink(&self, spec: &Path, errors: &mut Vec<FieldError>) {
        let sink = spec.field("sink");
        let (has_ref, has_uri) = (self.spec.source.sink.r#ref.is_some(), self.spec.source.sink.uri.is_some());
        if exactly_one((&sink.field("ref"), has_ref), (&sink.field("uri"), has_uri), errors) {
            self.spec.source.validate(spec, errors);
        }
    }
}

impl Admit for GitHubSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        self.validate_repository(&spec.field("ownerAndRepository"), &mut errors);
        self.validate_event_types(&spec.field("eventTypes"), &mut errors);
        for (field, value) in [("accessToken", &self.spec.access_token), ("secretToken", &self.spec.secret_token)] {
            SecretValueFrom::validate_required(value.as_ref(), &spec.field(field), &mut errors);
        }
        if let Some(url) = self.spec.github_api_url.as_deref().filter(|url| !url.is_empty())
            && !(is_http_url(url) && url.ends_with('/'))
        {
            let detail = "expected an absolute URL with a slash at its end such as https://host/api/v3/";
            errors.push(FieldError::invalid(spec.field("githubAPIURL"), &url, detail));
        }
        self.validate_sink(&spec, &mut errors);
        errors
    }
}
