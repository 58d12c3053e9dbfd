//! PingSource, `sources.knative.dev/v1` and `v1beta2`, which are the same.

use base64::Engine as _;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule;
use super::source::{SourceSpec, SourceStatus};
use crate::admission::Admit;
use crate::validation::{FieldError, Path, Problem};

/// How often a PingSource without a schedule sends: every minute.
const DEFAULT_SCHEDULE: &str = "* * * * *";
/// The one content type whose data is looked into; with parameters it is another, as in Knative.
const JSON: &str = "application/json";

/// PingSource sends events with a fixed payload on a schedule.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1",
    kind = "PingSource",
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
        r#"[{"type":"dev.knative.sources.ping","description":"A fixed payload, sent on a schedule"}]"#
    ),
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PingSourceSpec {
    /// Where the events go.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// Schedule in cron syntax, such as `*/5 * * * *` (a sixth field in front is the second), or `@hourly` and the
    /// like; defaults to every minute. `@every 90s` works as well, which is Weir's addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Timezone of the schedule, an IANA name such as `Europe/Berlin`; defaults to the one of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// ContentType of the data, for example `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Data is the payload of every event, as text; only one of data and dataBase64 is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// DataBase64 is the payload of every event, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
}

/// PingSource sends events with a fixed payload on a schedule.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sources.knative.dev",
    version = "v1beta2",
    kind = "PingSource",
    root = "PingSourceV1Beta2",
    namespaced,
    deprecated = "sources.knative.dev/v1beta2 PingSource is deprecated; use sources.knative.dev/v1",
    status = "SourceStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Sink","type":"string","jsonPath":".status.sinkUri"}"#,
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
pub struct PingSourceV1Beta2Spec {
    /// The same as in `v1`.
    #[serde(flatten)]
    pub v1: PingSourceSpec,
}

impl PingSourceSpec {
    /// The bytes every event carries; none if there are neither data nor dataBase64.
    pub fn payload(&self) -> Result<Option<Vec<u8>>, FieldError> {
        let spec = Path::new("spec");
        match (set(&self.data), set(&self.data_base64)) {
            (None, None) => Ok(None),
            (Some(data), None) => Ok(Some(data.as_bytes().to_vec())),
            (None, Some(data)) => {
                // A manifest may fold it; Go's decoder, which Knative uses, passes over line breaks as well.
                let data = data.replace(['\r', '\n'], "");
                let decoded = base64::engine::general_purpose::STANDARD.decode(&data);
                decoded.map(Some).map_err(|error| {
                    let detail = format!("expected standard base64 with padding: {error}");
                    FieldError::invalid(spec.field("dataBase64"), &shortened(&data), detail)
                })
            }
            (Some(_), Some(_)) => {
                let problem = Problem::Both(spec.field("dataBase64"));
                Err(FieldError { path: spec.field("data"), problem })
            }
        }
    }

    fn set_defaults(&mut self) {
        if set(&self.schedule).is_none() {
            self.schedule = Some(DEFAULT_SCHEDULE.to_owned());
        }
    }

    fn validate(&self) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let schedule = self.schedule.as_deref().unwrap_or_default();
        if let Err(error) = schedule::check(schedule) {
            errors.push(FieldError::invalid(spec.field("schedule"), &schedule, error));
        }
        if let Some(zone) = set(&self.timezone) {
            if schedule::names_zone(schedule) {
                let why = "the schedule names a time zone itself";
                errors.push(FieldError::forbidden(spec.field("timezone"), why));
            } else if schedule::time_zone(zone).is_err() {
                errors.push(FieldError::invalid(spec.field("timezone"), &zone, schedule::UNKNOWN_TIME_ZONE));
            }
        }
        match self.payload() {
            Err(error) => errors.push(error),
            Ok(Some(payload)) if self.content_type.as_deref() == Some(JSON) => {
                if let Err(error) = serde_json::from_slice::<Map<String, Value>>(&payload) {
                    let field = if set(&self.data).is_some() { "data" } else { "dataBase64" };
                    let text = String::from_utf8_lossy(&payload);
                    let detail = format!("with contentType {JSON} expected a JSON object: {error}");
                    errors.push(FieldError::invalid(spec.field(field), &shortened(&text), detail));
                }
            }
            Ok(_) => {}
        }
        self.source.validate(&spec, &mut errors);
        errors
    }
}

/// An empty text is as good as none, as in Knative.
fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The beginning of a text, enough to recognise it in an error.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(MOST).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

impl Admit for PingSource {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        self.spec.set_defaults();
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        self.spec.validate()
    }
}

impl Admit for PingSourceV1Beta2 {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        self.spec.v1.set_defaults();
    }

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        self.spec.v1.validate()
    }
}
