//! How a manifest names a sink, and what that name resolves to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where events go: a reference to an Addressable, a URI, or a reference and a path relative to its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Ref points to an Addressable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<KReference>,
    /// URI can be an absolute URL with a non-empty scheme and host, or a relative one to be resolved against the ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// CACerts are Certification Authority certificates in PEM format that the destination's certificate must chain to.
    #[serde(default, rename = "CACerts", skip_serializing_if = "Option::is_none")]
    pub ca_certs: Option<String>,
    /// Audience is the OIDC audience; it overrides the audience of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A reference to another object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KReference {
    /// Kind of the referent.
    pub kind: String,
    /// Namespace of the referent; defaults to the namespace of the object holding the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the referent.
    pub name: String,
    /// API version of the referent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Group of the API, without its version (feature `kreference-group`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Address names one of the referent's `status.addresses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An address that events can be posted to, as `status.address` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addressable {
    /// Name of the address, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// URL to post events to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// CA certificates of the address in PEM format.
    #[serde(default, rename = "CACerts", skip_serializing_if = "Option::is_none")]
    pub ca_certs: Option<String>,
    /// OIDC audience of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A [`Destination`] after resolution: what a delivery connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedDestination {
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// CA certificates in PEM format to trust beside the system's.
    pub ca_certs: Option<String>,
    /// OIDC audience a token must be for.
    pub audience: Option<String>,
}
