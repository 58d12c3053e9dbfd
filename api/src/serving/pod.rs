//! Rules about what a Revision says about its pod. Source: resources.md 6.4 to 6.6.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Map, Value};

use super::config::{Feature, ServingConfig};
use crate::names::{DNS1123_SUBDOMAIN, is_dns1123_subdomain};
use crate::validation::{FieldError, Path};

mod container;
mod fields;
mod image;
mod probe;
mod security;
mod shape;
mod volume;

pub(super) use security::NET_BIND_SERVICE;

/// The part of a Revision's schema that comes from PodSpec.
pub(super) fn properties() -> Map<String, Value> {
    shape::properties(fields::POD)
}

/// Adds every rule `pod` breaks.
pub(super) fn validate(pod: &PodSpec, config: &ServingConfig, path: &Path, errors: &mut Vec<FieldError>) {
    let features = &config.features;
    let json = serde_json::to_value(pod).unwrap_or_default();
    shape::check(&json, fields::POD, features, path, errors);
    if pod.automount_service_account_token == Some(true) {
        let why = "it can only be false";
        errors.push(FieldError::forbidden(path.field("automountServiceAccountToken"), why));
    }
    if let Some(account) = pod.service_account_name.as_ref().filter(|name| !name.is_empty())
        && !is_dns1123_subdomain(account)
    {
        errors.push(FieldError::invalid(path.field("serviceAccountName"), account, DNS1123_SUBDOMAIN));
    }
    if let Some(context) = &pod.security_context {
        security::validate_pod(context, &path.field("securityContext"), errors);
    }
    let volumes = volume::validate(pod, config, path, errors);
    let rules = container::Rules { features, volumes: &volumes };
    // What the field mask has refused as a whole is not worth looking into.
    let init = pod.init_containers.as_deref().filter(|_| features.allow(Feature::InitContainers)).unwrap_or_default();
    for (index, container) in init.iter().enumerate() {
        rules.validate_init(container, &path.field("initContainers").index(index), errors);
    }
    validate_names([("containers", &pod.containers), ("initContainers", init)], path, errors);
    validate_containers(&pod.containers, &rules, &path.field("containers"), errors);
}

fn validate_containers(
    containers: &[Container],
    rules: &container::Rules<'_>,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let ports: usize = containers.iter().map(|container| ports_of(container).len()).sum();
    let all_ports = path.key("*").field("ports");
    match (containers.len(), ports) {
        (0, _) => return errors.push(FieldError::missing(path.clone())),
        (2.., _) if !rules.features.allow(Feature::MultiContainer) => {
            return errors.push(FieldError::invalid(path.clone(), &containers.len(), Feature::MultiContainer.is_off()));
        }
        (2.., 0) => errors.push(FieldError::missing(all_ports)),
        (_, 2..) => {
            let detail = "more than one container port is set: requests go to one";
            errors.push(FieldError::invalid(all_ports, &ports, detail));
        }
        _ => {}
    }
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        if serves(container, containers.len()) {
            rules.validate_serving(container, &path, errors);
        } else {
            rules.validate_sidecar(container, &path, errors);
        }
    }
}

/// Whether requests go to `container`, one of so many.
pub(super) fn serves(container: &Container, containers: usize) -> bool {
    containers == 1 || !ports_of(container).is_empty()
}

fn ports_of(container: &Container) -> &[k8s_openapi::api::core::v1::ContainerPort] {
    container.ports.as_deref().unwrap_or_default()
}

/// Names are unique over containers and init containers. An empty one will get a default.
fn validate_names(lists: [(&str, &[Container]); 2], path: &Path, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            if !container.name.is_empty() && !seen.insert(&container.name) {
                let path = path.field(list).index(index).field("name");
                errors.push(FieldError::invalid(path, &container.name, "another container has this name"));
            }
        }
    }
}

/// Adds an error unless exactly one of the fields was found that exclude each other.
fn expect_one(found: &[&str], options: &str, path: &Path, errors: &mut Vec<FieldError>) {
    if found.len() != 1 {
        errors.push(FieldError::invalid(path.clone(), &found, format_args!("expected exactly one of {options}")));
    }
}
