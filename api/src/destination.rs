//! How a manifest names a sink, and what that name resolves to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::validation::{FieldError, Path, Problem, require};

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

impl Destination {
    /// Whether nothing is set: a manifest left it out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Gives the reference the namespace of the object that holds it.
    pub fn default_namespace(&mut self, namespace: &str) {
        if let Some(reference) = &mut self.r#ref {
            reference.default_namespace(namespace);
        }
    }

    /// Adds every rule this destination breaks.
    ///
    /// Stricter than Knative in one point: a scheme other than `http` and `https`, which nothing could ever deliver to.
    pub fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let uri = self.uri.as_ref().map(|uri| (uri, Url::parse(uri)));
        match (&self.r#ref, uri) {
            (None, None) => {
                let problem = Problem::NoneOf(path.field("uri"));
                errors.push(FieldError { path: path.field("ref"), problem });
            }
            (reference, uri) => {
                if let Some(reference) = reference {
                    reference.validate(&path.field("ref"), errors);
                }
                match (uri, reference) {
                    (None, _) | (Some((_, Err(url::ParseError::RelativeUrlWithoutBase))), Some(_)) => {}
                    (Some((uri, _)), Some(_)) => {
                        let detail = "next to ref the URI is resolved against it and has to be relative";
                        errors.push(FieldError::invalid(path.field("uri"), uri, detail));
                    }
                    (Some((uri, _)), None) => validate_url(uri, &path.field("uri"), errors),
                }
            }
        }
        if let Some(certs) = self.ca_certs.as_deref().filter(|certs| !certs.is_empty() && !has_certificate(certs)) {
            let shown = certs.lines().next().unwrap_or_default();
            errors.push(FieldError::invalid(path.field("CACerts"), &shown, "expected a PEM block of type CERTIFICATE"));
        }
    }
}

/// Adds an error if `text` is no URL that events can be posted to.
pub(crate) fn validate_url(text: &str, path: &Path, errors: &mut Vec<FieldError>) {
    if !is_http_url(text) {
        let detail = "expected an absolute URL such as http://host/path (schemes: http, https)";
        errors.push(FieldError::invalid(path.clone(), &text, detail));
    }
}

/// Whether `text` is an absolute URL of a host, with a scheme one can speak to it.
pub(crate) fn is_http_url(text: &str) -> bool {
    // The parser forgives `http:///path`, which names no host.
    let names_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    names_host && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether `pem` has a certificate block whose body is base64. What it says is for the TLS library to judge.
fn has_certificate(pem: &str) -> bool {
    use base64::Engine as _;
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"));
    body.is_some_and(|(body, _)| {
        let body: String = body.split_ascii_whitespace().collect();
        base64::engine::general_purpose::STANDARD.decode(body).is_ok_and(|der| !der.is_empty())
    })
}

/// Sets a namespace that is not set to that of the object that holds it; an object not stored yet may have none.
pub(crate) fn default_namespace(namespace: &mut Option<String>, holder: &str) {
    if namespace.as_deref().unwrap_or_default().is_empty() && !holder.is_empty() {
        *namespace = Some(holder.to_owned());
    }
}

impl KReference {
    /// Gives it the namespace of the object that holds it, unless it has one.
    pub fn default_namespace(&mut self, namespace: &str) {
        default_namespace(&mut self.namespace, namespace);
    }

    /// Adds every rule this reference breaks.
    ///
    /// `group` without a version (Knative's feature `kreference-group`, off by default there) is refused.
    pub fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let api_version = self.api_version.as_deref().unwrap_or_default();
        require([("kind", &self.kind), ("name", &self.name), ("apiVersion", api_version)], path, errors);
        if self.group.is_some() {
            errors.push(FieldError::forbidden(path.field("group"), "name group and version in apiVersion"));
        }
    }
}

/// A reference to another object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KReference {
    /// Kind of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace of the referent; defaults to the namespace of the object holding the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
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
