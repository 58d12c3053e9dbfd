//! What a Revision gets that it does not say. Source: resources.md 6.3, whose steps and order these are.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Capabilities, Container, GRPCAction, PodSecurityContext, PodSpec, Probe, SeccompProfile, SecurityContext,
    TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::config::{SecurePodDefaults, ServingConfig, ServingDefaults};
use super::pod;
use super::revision::RevisionSpec;
use crate::names::child_name;

/// Fills in the defaults of a Revision's spec. `new` is whether the object that holds it is being created.
pub(super) fn apply(spec: &mut RevisionSpec, config: &ServingConfig, new: bool) {
    let defaults = &config.defaults;
    apply_limits(spec, defaults);
    if new && spec.pod.enable_service_links.is_none() {
        spec.pod.enable_service_links = defaults.enable_service_links;
    }
    apply_names(&mut spec.pod, defaults);
    let count = spec.pod.containers.len();
    for container in &mut spec.pod.containers {
        apply_resources(container, defaults);
        apply_probes(container, pod::serves(container, count));
    }
    apply_read_only(&mut spec.pod);
    apply_security(&mut spec.pod, config.features.secure_pod_defaults);
}

fn apply_limits(spec: &mut RevisionSpec, defaults: &ServingDefaults) {
    let timeout = match spec.timeout_seconds {
        None | Some(0) => *spec.timeout_seconds.insert(defaults.timeout_seconds),
        Some(timeout) => timeout,
    };
    // As shipped neither is filled in: 300 is not below 300, and 0 is none.
    for (field, default) in [
        (&mut spec.response_start_timeout_seconds, defaults.response_start_timeout_seconds),
        (&mut spec.idle_timeout_seconds, defaults.idle_timeout_seconds),
    ] {
        if field.is_none() && default != 0 && default < timeout {
            *field = Some(default);
        }
    }
    spec.container_concurrency.get_or_insert(defaults.container_concurrency);
}

fn apply_names(pod: &mut PodSpec, defaults: &ServingDefaults) {
    let all = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let mut taken: BTreeSet<String> = all.map(|container| container.name.clone()).collect();
    name_containers(&mut pod.containers, &defaults.container_name, &mut taken);
    name_containers(pod.init_containers.get_or_insert_default(), &defaults.init_container_name, &mut taken);
    pod.init_containers = pod.init_containers.take().filter(|containers| !containers.is_empty());
}

fn name_containers(containers: &mut [Container], name: &str, taken: &mut BTreeSet<String>) {
    let several = containers.len() > 1;
    for container in containers.iter_mut().filter(|container| container.name.is_empty()) {
        let numbered = (0..).map(|number| child_name(name, &format!("-{number}")));
        let plain = (!several).then(|| name.to_owned());
        container.name = plain.into_iter().chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(container.name.clone());
    }
}

fn apply_resources(container: &mut Container, defaults: &ServingDefaults) {
    let resources = container.resources.get_or_insert_default();
    for (amounts, defaults) in
        [(&mut resources.requests, &defaults.requests), (&mut resources.limits, &defaults.limits)]
    {
        if !defaults.is_empty() {
            fill(amounts.get_or_insert_default(), defaults);
        }
    }
}

fn fill(amounts: &mut BTreeMap<String, Quantity>, defaults: &BTreeMap<String, Quantity>) {
    for (resource, amount) in defaults {
        amounts.entry(resource.clone()).or_insert_with(|| amount.clone());
    }
}

fn apply_probes(container: &mut Container, serving: bool) {
    if serving {
        let probe = container.readiness_probe.get_or_insert_default();
        let Probe { http_get, tcp_socket, exec, grpc, .. } = probe;
        if http_get.is_none() && tcp_socket.is_none() && exec.is_none() && grpc.is_none() {
            // Without a port: the one that requests go to.
            *tcp_socket = Some(TCPSocketAction::default());
        }
    }
    if let Some(probe) = &mut container.readiness_probe {
        let default = |field: &mut Option<i32>, value| {
            *field = Some(field.filter(|&written| written != 0).unwrap_or(value));
        };
        default(&mut probe.success_threshold, 1);
        if probe.period_seconds.unwrap_or(0) != 0 {
            default(&mut probe.failure_threshold, 3);
            default(&mut probe.timeout_seconds, 1);
        }
    }
    let Container { readiness_probe, liveness_probe, startup_probe, .. } = container;
    for probe in [readiness_probe, liveness_probe, startup_probe].into_iter().flatten() {
        if let Some(GRPCAction { service, .. }) = &mut probe.grpc {
            service.get_or_insert_default();
        }
    }
}

fn apply_read_only(pod: &mut PodSpec) {
    let writable: BTreeSet<&str> = pod
        .volumes
        .iter()
        .flatten()
        .filter(|v| v.empty_dir.is_some() || v.persistent_volume_claim.is_some() || v.ephemeral.is_some())
        .map(|volume| volume.name.as_str())
        .collect();
    for mount in pod.containers.iter_mut().flat_map(|container| container.volume_mounts.iter_mut().flatten()) {
        if !writable.contains(mount.name.as_str()) {
            mount.read_only = Some(true);
        }
    }
}

fn apply_security(pod: &mut PodSpec, level: SecurePodDefaults) {
    if level == SecurePodDefaults::Disabled {
        return;
    }
    let of_pod = pod.security_context.clone().unwrap_or_default();
    for container in pod.containers.iter_mut().chain(pod.init_containers.iter_mut().flatten()) {
        let low_port = container.ports.iter().flatten().any(|port| (1..1024).contains(&port.container_port));
        secure(container.security_context.get_or_insert_default(), &of_pod, low_port, level);
    }
}

/// Fills in what the `restricted` profile asks for.
fn secure(context: &mut SecurityContext, of_pod: &PodSecurityContext, low_port: bool, level: SecurePodDefaults) {
    context.allow_privilege_escalation.get_or_insert(false);
    let says_type = |profile: Option<&SeccompProfile>| profile.is_some_and(|profile| !profile.type_.is_empty());
    if !says_type(of_pod.seccomp_profile.as_ref()) && !says_type(context.seccomp_profile.as_ref()) {
        "RuntimeDefault".clone_into(&mut context.seccomp_profile.get_or_insert_default().type_);
    }
    context.capabilities.get_or_insert_with(|| Capabilities {
        drop: Some(vec!["ALL".to_owned()]),
        add: low_port.then(|| vec![pod::NET_BIND_SERVICE.to_owned()]),
    });
    if level == SecurePodDefaults::Enabled && of_pod.run_as_non_root.is_none() {
        context.run_as_non_root.get_or_insert(true);
    }
}
