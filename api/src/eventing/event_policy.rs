//! EventPolicy, `eventing.knative.dev/v1alpha1`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SubscriptionsApiFilter;
use super::filters::validate_filters;
use crate::admission::Admit;
use crate::destination::default_namespace;
use crate::selector::{validate_match_expressions, validate_match_labels};
use crate::status::StatusHead;
use crate::validation::{FieldError, Path, exactly_one, require};

/// EventPolicy says who may send which events to the Addressables of its namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.knative.dev",
    version = "v1alpha1",
    kind = "EventPolicy",
    plural = "eventpolicies",
    namespaced,
    status = "EventPolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "knative",
    category = "eventing",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicySpec {
    /// To lists what the policy applies to; nothing means everything in the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<EventPolicyTo>,
    /// From lists who may send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<EventPolicyFrom>,
    /// Filters all have to match for an event to be allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SubscriptionsApiFilter>,
}

/// What a policy applies to; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicyTo {
    /// Ref names one object of the policy's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<EventPolicyToReference>,
    /// Selector selects objects of the policy's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<EventPolicySelector>,
}

/// One object of the policy's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicyToReference {
    /// API version of the referent; its version does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The objects of a kind that have certain labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicySelector {
    /// API version of the objects; its version does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// MatchLabels are labels the objects have, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// MatchExpressions are requirements on the objects' labels, all of which hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// Who may send; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicyFrom {
    /// Ref names an object whose identity may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<EventPolicyFromReference>,
    /// Sub is an identity; a `*` at its end stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

/// An object that sends events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicyFromReference {
    /// API version of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the referent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Namespace of the referent; the policy's own unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What is known of an EventPolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPolicyStatus {
    /// Generation, conditions and annotations.
    #[serde(flatten)]
    pub head: StatusHead,
    /// From lists the identities that spec.from resolved to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

impl Admit for EventPolicy {
    fn set_defaults(&mut self, _old: Option<&Self>) {
        let own = self.namespace().unwrap_or_default();
        for reference in self.spec.from.iter_mut().filter_map(|from| from.r#ref.as_mut()) {
            default_namespace(&mut reference.namespace, &own);
        }
    }

    /// Knative takes no EventPolicy at all while its feature `authentication-oidc` is off. Weir takes them always, so
    /// that manifests work whatever their order: the condition `AuthenticationEnabled` says whether one is in force.
    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        let (to, from) = (spec.field("to"), spec.field("from"));
        for (index, target) in self.spec.to.iter().enumerate() {
            target.validate(&to.index(index), &mut errors);
        }
        for (index, sender) in self.spec.from.iter().enumerate() {
            sender.validate(&from.index(index), &mut errors);
        }
        validate_filters(&self.spec.filters, &spec.field("filters"), &mut errors);
        errors
    }
}

impl EventPolicyTo {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let (reference, selector) = (path.field("ref"), path.field("selector"));
        exactly_one((&reference, self.r#ref.is_some()), (&selector, self.selector.is_some()), errors);
        if let Some(EventPolicyToReference { api_version, kind, name }) = &self.r#ref {
            require([("kind", kind), ("name", name), ("apiVersion", api_version)], &reference, errors);
        }
        if let Some(target) = &self.selector {
            target.validate(&selector, errors);
        }
    }
}

impl EventPolicySelector {
    /// Stricter than Knative, which takes a selector that can select nothing: a policy without effect leaves open what
    /// it should protect.
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("kind", &self.kind), ("apiVersion", &self.api_version)], path, errors);
        validate_match_labels(&self.match_labels, path, errors);
        validate_match_expressions(&self.match_expressions, path, errors);
    }
}

impl EventPolicyFrom {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let (reference, subject) = (path.field("ref"), path.field("sub"));
        // An empty identity is nobody, but next to a reference it is still one too many.
        let has_sub = self.sub.as_ref().is_some_and(|sub| self.r#ref.is_some() || !sub.is_empty());
        exactly_one((&reference, self.r#ref.is_some()), (&subject, has_sub), errors);
        if let Some(EventPolicyFromReference { api_version, kind, name, namespace: _ }) = &self.r#ref {
            require([("kind", kind), ("name", name), ("apiVersion", api_version)], &reference, errors);
        }
        if let Some(sub) = self.sub.as_deref().filter(|sub| sub.find('*').is_some_and(|at| at + 1 < sub.len())) {
            errors.push(FieldError::invalid(subject, &sub, "'*' is only allowed as the last character"));
        }
    }
}
