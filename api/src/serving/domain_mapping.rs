//! DomainMapping, `serving.knative.dev/v1beta1`: a domain of one's own for something Addressable.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metadata;
use crate::admission::Admit;
use crate::destination::KReference;
use crate::names::{DNS1123_SUBDOMAIN, is_dns1123_subdomain};
use crate::status::{AddressStatus, StatusHead};
use crate::validation::{FieldError, Path};

/// The domain whose names are the cluster's own.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// DomainMappingSpec is whom a domain is for. The domain is the name of the object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serving.knative.dev",
    version = "v1beta1",
    kind = "DomainMapping",
    namespaced,
    status = "DomainMappingStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "dm",
    category = "all",
    category = "knative",
    category = "serving",
    label("knative.dev/crd-install", "true"),
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
pub struct DomainMappingSpec {
    /// Ref is the Addressable, in the same namespace.
    #[serde(default, rename = "ref")]
    pub reference: KReference,
    /// TLS brings a certificate of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SecretTls>,
}

/// A certificate and its key, in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretTls {
    /// SecretName is the name of the Secret, in the same namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret_name: String,
}

/// What is known of a DomainMapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainMappingStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// Address; the same as the URL.
    #[serde(flatten)]
    pub address: AddressStatus,
    /// URL of the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl DomainMapping {
    fn validate_domain(&self, errors: &mut Vec<FieldError>) {
        let metadata = Path::new("metadata");
        if self.metadata.generate_name.as_ref().is_some_and(|prefix| !prefix.is_empty()) {
            errors.push(FieldError::forbidden(metadata.field("generateName"), "the name is the domain"));
        }
        let name = self.name_any();
        // A domain has a dot; one of a single label would be a host's.
        if !is_dns1123_subdomain(&name) || !name.contains('.') {
            let detail = format!("the name is the domain: {DNS1123_SUBDOMAIN}");
            errors.push(FieldError::invalid(metadata.field("name"), &name, detail));
        } else if name.strip_suffix(CLUSTER_DOMAIN).is_some_and(|rest| rest.ends_with('.')) {
            let detail = format!("must not be a subdomain of cluster local domain {CLUSTER_DOMAIN:?}");
            errors.push(FieldError::invalid(metadata.field("name"), &name, detail));
        }
    }
}

impl Admit for DomainMapping {
    fn set_defaults(&mut self, old: Option<&Self>) {
        if let Some(old) = old {
            metadata::keep_user(&mut self.metadata, &old.metadata);
        }
        let namespace = self.namespace().unwrap_or_default();
        self.spec.reference.default_namespace(&namespace);
    }

    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        self.validate_domain(&mut errors);
        let path = spec.field("ref");
        self.spec.reference.validate(&path, &mut errors);
        if let (Some(named), Some(own)) = (&self.spec.reference.namespace, self.namespace())
            && *named != own
        {
            let detail = "expected the DomainMapping's own namespace";
            errors.push(FieldError::invalid(path.field("namespace"), named, detail));
        }
        if self.spec.tls.as_ref().is_some_and(|tls| tls.secret_name.is_empty()) {
            errors.push(FieldError::missing(spec.field("tls").field("secretName")));
        }
        if let Some(old) = old {
            metadata::validate_user(&self.metadata, &old.metadata, self.spec == old.spec, &mut errors);
        }
        errors
    }
}
