//! The kinds of `serving.knative.dev`, and the internal ones between them: what runs, how it scales, and who requests
//! go to.
//!
//! The rules are those of Knative Serving's admission, listed in the reference, `resources.md` sections 3 to 12. Its
//! kinds Ingress, Certificate and Image are not here: the gateway is built in.

mod autoscaling_annotations;
mod changes;
mod cluster_domain_claim;
pub mod config;
mod configuration;
mod defaults;
mod domain_mapping;
mod metadata;
mod metric;
mod pod;
mod pod_autoscaler;
mod quantity;
mod reference;
mod revision;
mod revision_template;
mod route;
mod serverless_service;
mod service;
mod traffic;

pub use autoscaling_annotations::{CLASS, HPA_CLASS, KPA_CLASS, METRIC};
pub use cluster_domain_claim::{ClusterDomainClaim, ClusterDomainClaimSpec};
pub use configuration::{Configuration, ConfigurationSpec, ConfigurationStatus};
pub use domain_mapping::{DomainMapping, DomainMappingSpec, DomainMappingStatus, SecretTls};
pub use metadata::{
    CONFIGURATION_LABEL, PROGRESS_DEADLINE, ROLLOUT_DURATION, ROLLOUT_DURATION_ALTERNATIVE, SERVICE_LABEL,
};
pub use metric::{Metric, MetricSpec, MetricStatus};
pub use pod_autoscaler::{PodAutoscaler, PodAutoscalerSpec, PodAutoscalerStatus};
pub use reference::TargetReference;
pub use revision::{ContainerStatus, Revision, RevisionSpec, RevisionStatus};
pub use revision_template::RevisionTemplateSpec;
pub use route::{Route, RouteSpec, RouteStatus};
pub use serverless_service::{ServerlessService, ServerlessServiceSpec, ServerlessServiceStatus};
pub use service::{Service, ServiceSpec, ServiceStatus};
pub use traffic::TrafficTarget;

#[cfg(test)]
mod tests;
