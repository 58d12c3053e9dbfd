//! WebhookSource, `sources.weir.dev/v1alpha1`: a kind of Weir's own.
//!
//! It receives the webhooks of services that sign what they post with an HMAC over the body, as most do. The body
//! becomes the event's data as it is, its `Content-Type` the `datacontenttype`.

use http::HeaderName;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretValueFrom;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::validation::{FieldError, FieldErrors, Path, exactly_one, require};

mod signature;

pub use signature::{Algorithm, Encoding, Signature, SignatureSpec};

/// Type of the events unless `spec.eventType` says otherwise.
const DEFAULT_EVENT_TYPE: &str = "dev.weir.webhook";

/// WebhookSource receives signed webhooks and sends each as an event.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.weir.dev",
    version = "v1alpha1",
    kind = "WebhookSource",
    namespaced,
    status = "SourceStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "sources",
    category = "weir",
    label("duck.knative.dev/source", "true"),
    annotation(
        "registry.knative.dev/eventTypes",
        r#"[{"type":"dev.weir.webhook","description":"A webhook, unless the source names its type"}]"#
    ),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Path to receive at; defaults to `/<namespace>/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Secret that requests are signed with. Without one, whoever reaches the path can send events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretValueFrom>,
    /// Signature says where and how requests are signed; defaults to GitHub's way. Needs a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureSpec>,
    /// EventType is where the type of an event comes from; defaults to the value `dev.weir.webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventTypeSpec>,
    /// EventID is where the id of an event comes from; defaults to a random one.
    #[serde(default, rename = "eventId", skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventIdSpec>,
}

/// Where the type of an event comes from; exactly one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventTypeSpec {
    /// Header of the request whose value is the type; a request without it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Value is the type of every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Where the id of an event comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventIdSpec {
    /// Header of the request whose value is the id, so that a webhook sent twice is one event; a request without it
    /// gets a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl WebhookSource {
    /// Where it receives: `spec.path`, else `/<namespace>/<name>`. Nothing keeps two sources from naming one path.
    pub fn path(&self) -> String {
        match self.spec.path.as_deref() {
            Some(path) if !path.is_empty() => path.to_owned(),
            _ => format!("/{}/{}", self.namespace().unwrap_or_default(), self.name_any()),
        }
    }
}

impl WebhookSourceSpec {
    /// How requests are signed, every default applied; none if there is no secret to check them with.
    ///
    /// Defaults are not written into the object: the prefix depends on the header, and a stored default would outlive
    /// a change of that.
    pub fn signature(&self) -> Result<Option<Signature>, FieldErrors> {
        if self.secret.is_none() {
            return Ok(None);
        }
        let mut errors = Vec::new();
        let path = Path::new("spec").field("signature");
        let signature = self.signature.clone().unwrap_or_default().resolve(&path, &mut errors);
        FieldErrors::check(errors)?;
        Ok(Some(signature))
    }

    /// The type of every event, where it is not taken from a header.
    pub fn fixed_type(&self) -> Option<&str> {
        match &self.event_type {
            None => Some(DEFAULT_EVENT_TYPE),
            Some(event_type) => event_type.value.as_deref(),
        }
    }
}

impl EventTypeSpec {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let (header, value) = (path.field("header"), path.field("value"));
        exactly_one((&header, self.header.is_some()), (&value, self.value.is_some()), errors);
        match (&self.header, &self.value) {
            (Some(name), None) => validate_header(name, &header, errors),
            (None, Some(text)) => require([("value", text)], path, errors),
            _ => {}
        }
    }
}

fn validate_header(name: &str, path: &Path, errors: &mut Vec<FieldError>) {
    if HeaderName::try_from(name).is_err() {
        errors.push(FieldError::invalid(path.clone(), &name, "expected the name of an HTTP header"));
    }
}

/// Segments of unreserved characters, so that there is one way to write each path.
fn is_path(path: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(unreserved);
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

impl Admit for WebhookSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        if let Some(path) = self.spec.path.as_deref().filter(|path| !path.is_empty() && !is_path(path)) {
            let detail = "expected a path such as /team-a/payments, of letters, digits, -, ., _ and ~ between slashes";
            errors.push(FieldError::invalid(spec.field("path"), &path, detail));
        }
        if let Some(secret) = &self.spec.secret {
            secret.validate(&spec.field("secret"), &mut errors);
        }
        match (&self.spec.signature, &self.spec.secret) {
            (Some(_), None) => {
                let why = "there is no spec.secret to check signatures with";
                errors.push(FieldError::forbidden(spec.field("signature"), why));
            }
            (Some(signature), Some(_)) => {
                signature.clone().resolve(&spec.field("signature"), &mut errors);
            }
            (None, _) => {}
        }
        if let Some(event_type) = &self.spec.event_type {
            event_type.validate(&spec.field("eventType"), &mut errors);
        }
        if let Some(name) = self.spec.event_id.as_ref().and_then(|id| id.header.as_deref()) {
            validate_header(name, &spec.field("eventId").field("header"), &mut errors);
        }
        self.spec.source.validate(&spec, &mut errors);
        errors
    }

    fn warnings(&self) -> Vec<String> {
        let open = self.spec.secret.is_none();
        let warning = "spec.secret is not set: whoever reaches the source's path can send events";
        open.then(|| warning.to_owned()).into_iter().collect()
    }
}
