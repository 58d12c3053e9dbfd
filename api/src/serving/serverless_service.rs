//! ServerlessService, `networking.internal.knative.dev/v1alpha1`: whether requests for a Revision go to its pods, or to
//! an activator, which holds them until there are some.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::{TargetReference, validate_protocol};
use crate::admission::Admit;
use crate::status::StatusHead;
use crate::validation::{FieldError, Path, in_range, one_of};

/// ServerlessServiceSpec is who gets the requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "networking.internal.knative.dev",
    version = "v1alpha1",
    kind = "ServerlessService",
    namespaced,
    status = "ServerlessServiceStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "sks",
    label("knative.dev/crd-install", "true"),
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Activators","type":"integer","jsonPath":".spec.numActivators"}"#,
    printcolumn = r#"{"name":"ServiceName","type":"string","jsonPath":".status.serviceName"}"#,
    printcolumn = r#"{"name":"PrivateServiceName","type":"string","jsonPath":".status.privateServiceName"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ServerlessServiceSpec {
    /// Mode is `Serve`, to the pods, or `Proxy`, to activators.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// ObjectRef is the workload whose pods they are.
    #[serde(default)]
    pub object_ref: TargetReference,
    /// ProtocolType is what the containers speak: `http1` or `h2c`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub protocol_type: String,
    /// NumActivators is how many activators share the requests; 0 is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_activators: Option<i32>,
}

/// What is known of a ServerlessService.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerlessServiceStatus {
    /// Head of the status.
    #[serde(flatten)]
    pub head: StatusHead,
    /// ServiceName is the Service that requests go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// PrivateServiceName is the Service that leads to the pods and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_service_name: Option<String>,
}

impl Admit for ServerlessService {
    fn set_defaults(&mut self, _old: Option<&Self>) {}

    fn validate(&self, _old: Option<&Self>) -> Vec<FieldError> {
        let spec = Path::new("spec");
        let mut errors = Vec::new();
        match self.spec.mode.as_str() {
            "" => errors.push(FieldError::missing(spec.field("mode"))),
            mode => one_of(mode, &["Serve", "Proxy"], &spec.field("mode"), &mut errors),
        }
        in_range(self.spec.num_activators, 0..=i64::MAX, &spec.field("numActivators"), &mut errors);
        self.spec.object_ref.validate(&spec.field("objectRef"), &mut errors);
        validate_protocol(&self.spec.protocol_type, &spec.field("protocolType"), &mut errors);
        errors
    }

    fn records_user(&self) -> bool {
        false
    }
}
