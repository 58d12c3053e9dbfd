//! What every source has: the duck type of Knative's sources.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::destination::Destination;
use crate::status::{AuthStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// The part of a source's spec that says where its events go. Each kind flattens it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// Sink receives the events.
    #[serde(default, skip_serializing_if = "Destination::is_empty")]
    pub sink: Destination,
    /// CEOverrides change every event before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ce_overrides: Option<CloudEventOverrides>,
}

impl SourceSpec {
    /// Adds every rule this part breaks; `spec` is where it is flattened into.
    pub(super) fn validate(&self, spec: &Path, errors: &mut Vec<FieldError>) {
        self.sink.validate(&spec.field("sink"), errors);
        validate_overrides(self.ce_overrides.as_ref(), spec, errors);
    }
}

/// What is changed in every event of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEventOverrides {
    /// Extensions are set last, over what the source has set; their names are lower-cased.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, String>,
}

/// Adds every rule `spec.ceOverrides` breaks.
///
/// Two names that differ in case alone are one attribute. Knative lets either of them win; we refuse them.
pub(super) fn validate_overrides(overrides: Option<&CloudEventOverrides>, spec: &Path, errors: &mut Vec<FieldError>) {
    let path = spec.field("ceOverrides").field("extensions");
    let mut names = BTreeSet::new();
    for name in overrides.into_iter().flat_map(|overrides| overrides.extensions.keys()) {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            errors.push(FieldError::invalid_key(path.clone(), name, "expected letters and digits only"));
        } else if !names.insert(name.to_ascii_lowercase()) {
            let detail = "names are lower-cased, and another one is the same then";
            errors.push(FieldError::invalid_key(path.clone(), name, detail));
        }
    }
}

/// What is known of a source.
// Kinds that tell more flatten it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Auth is the identity the source has towards its sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
    /// SinkURI is the resolved URI of the sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink_uri: Option<String>,
    /// SinkCACerts are the CA certificates of the sink in PEM format.
    #[serde(default, rename = "sinkCACerts", skip_serializing_if = "Option::is_none")]
    pub sink_ca_certs: Option<String>,
    /// SinkAudience is the OIDC audience of the sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink_audience: Option<String>,
    /// CEAttributes are the types and sources of the events to expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ce_attributes: Vec<CloudEventAttributes>,
    /// LastEventTime is when the source last sent an event, as an RFC 3339 time. Weir's addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_time: Option<String>,
}

/// One kind of event a source sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEventAttributes {
    /// Type of the events.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub ty: String,
    /// Source of the events.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}
