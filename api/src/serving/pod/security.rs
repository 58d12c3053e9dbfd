//! Rules of security contexts, of the pod and of a container.

use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

use crate::serving::config::{Feature, Features, SecurePodDefaults};
use crate::validation::{FieldError, Path};

/// The one capability that the `restricted` profile lets a container add: to listen below port 1024.
pub(in crate::serving) const NET_BIND_SERVICE: &str = "NET_BIND_SERVICE";

/// Rules of a pod's context. Whether it may have one is the field mask's business.
pub(super) fn validate_pod(context: &PodSecurityContext, path: &Path, errors: &mut Vec<FieldError>) {
    validate_id(context.run_as_user, &path.field("runAsUser"), errors);
    validate_id(context.run_as_group, &path.field("runAsGroup"), errors);
    validate_id(context.fs_group, &path.field("fsGroup"), errors);
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        validate_id(Some(*group), &path.field("supplementalGroups").index(index), errors);
    }
}

/// Rules of a container's context.
pub(super) fn validate_container(
    context: &SecurityContext,
    features: &Features,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    validate_id(context.run_as_user, &path.field("runAsUser"), errors);
    validate_id(context.run_as_group, &path.field("runAsGroup"), errors);
    if context.privileged == Some(true) {
        errors.push(FieldError::forbidden(path.field("privileged"), "it can only be false"));
    }
    let added = context.capabilities.as_ref().and_then(|capabilities| capabilities.add.as_deref()).unwrap_or_default();
    let restricted = features.secure_pod_defaults != SecurePodDefaults::Disabled
        && added.iter().all(|capability| capability == NET_BIND_SERVICE);
    if !added.is_empty() && !restricted && !features.allow(Feature::AddCapabilities) {
        let path = path.field("capabilities").field("add");
        errors.push(FieldError::forbidden(path, Feature::AddCapabilities.is_off()));
    }
}

fn validate_id(id: Option<i64>, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(id) = id
        && !(0..=i64::from(i32::MAX)).contains(&id)
    {
        errors.push(FieldError::invalid(path.clone(), &id, format_args!("expected 0 to {}", i32::MAX)));
    }
}
