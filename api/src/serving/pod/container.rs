//! Rules of one container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvFromSource, EnvVar, ResourceRequirements, Volume};

use super::image::check_image;
use super::{expect_one, ports_of, probe, security, volume};
use crate::serving::config::{Feature, Features};
use crate::serving::quantity::{QUANTITY, is_quantity};
use crate::validation::{FieldError, Path, one_of, require};

/// Ports of the pod that Knative's own processes listen on: queue, queue over HTTP/2, its admin port, its metrics, the
/// container's metrics, profiling.
const RESERVED_PORTS: [i32; 6] = [8012, 8013, 8022, 9090, 9091, 8008];
/// Environment variables that are set for every container.
const RESERVED_ENV: [&str; 3] = ["K_SERVICE", "K_CONFIGURATION", "K_REVISION"];

/// What a container is checked against.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) features: &'a Features,
    pub(super) volumes: &'a BTreeMap<&'a str, &'a Volume>,
}

impl Rules<'_> {
    /// The container that requests go to.
    pub(super) fn validate_serving(self, container: &Container, path: &Path, errors: &mut Vec<FieldError>) {
        let port = ports_of(container).first();
        let name = port.and_then(|port| port.name.as_deref()).filter(|name| !name.is_empty());
        // Without a name it counts as "http", as in Knative.
        let scope = probe::Scope::Serving { port_name: name.unwrap_or("http") };
        validate_probes(container, scope, path, errors);
        validate_env(container, true, path, errors);
        if let Some(port) = port {
            validate_serving_port(port, &path.field("ports").index(0), errors);
        }
        self.validate_common(container, path, errors);
    }

    /// A container beside it.
    pub(super) fn validate_sidecar(self, container: &Container, path: &Path, errors: &mut Vec<FieldError>) {
        if self.features.allow(Feature::MultiContainerProbing) {
            validate_probes(container, probe::Scope::Sidecar, path, errors);
        } else {
            refuse_probes(container, &Feature::MultiContainerProbing.is_off(), path, errors);
        }
        validate_env(container, false, path, errors);
        self.validate_common(container, path, errors);
    }

    /// A container that runs before the others.
    pub(super) fn validate_init(self, container: &Container, path: &Path, errors: &mut Vec<FieldError>) {
        refuse_probes(container, "an init container ends before anything would ask", path, errors);
        validate_env(container, false, path, errors);
        for (index, port) in ports_of(container).iter().enumerate() {
            validate_port(port, &path.field("ports").index(index), errors);
        }
        self.validate_common(container, path, errors);
    }

    fn validate_common(self, container: &Container, path: &Path, errors: &mut Vec<FieldError>) {
        if container.name == "queue-proxy" {
            let detail = "queue-proxy is a reserved container name";
            errors.push(FieldError::invalid(path.field("name"), &container.name, detail));
        }
        match container.image.as_deref().unwrap_or_default() {
            "" => errors.push(FieldError::missing(path.field("image"))),
            image => {
                if let Err(detail) = check_image(image) {
                    errors.push(FieldError::invalid(path.field("image"), &image, detail));
                }
            }
        }
        if let Some(resources) = &container.resources {
            validate_resources(resources, &path.field("resources"), errors);
        }
        if let Some(context) = &container.security_context {
            security::validate_container(context, self.features, &path.field("securityContext"), errors);
        }
        if let Some(policy) = container.termination_message_policy.as_ref().filter(|policy| !policy.is_empty()) {
            one_of(policy, &["File", "FallbackToLogsOnError"], &path.field("terminationMessagePolicy"), errors);
        }
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        volume::validate_mounts(mounts, self, &path.field("volumeMounts"), errors);
    }
}

fn probes(container: &Container) -> [(&'static str, Option<&k8s_openapi::api::core::v1::Probe>); 3] {
    [
        ("livenessProbe", container.liveness_probe.as_ref()),
        ("readinessProbe", container.readiness_probe.as_ref()),
        ("startupProbe", container.startup_probe.as_ref()),
    ]
}

fn validate_probes(container: &Container, scope: probe::Scope<'_>, path: &Path, errors: &mut Vec<FieldError>) {
    for (field, found) in probes(container) {
        if let Some(found) = found {
            probe::validate(found, scope, &path.field(field), errors);
        }
    }
    if let Some(readiness) = &container.readiness_probe {
        probe::validate_readiness(readiness, &path.field("readinessProbe"), errors);
    }
}

fn refuse_probes(container: &Container, why: &str, path: &Path, errors: &mut Vec<FieldError>) {
    for (field, _) in probes(container).iter().filter(|(_, probe)| probe.is_some()) {
        errors.push(FieldError::forbidden(path.field(field), why));
    }
}

fn validate_env(container: &Container, serving: bool, path: &Path, errors: &mut Vec<FieldError>) {
    let list = path.field("env");
    for (index, EnvVar { name, value_from, .. }) in container.env.iter().flatten().enumerate() {
        let path = list.index(index);
        if name.is_empty() {
            errors.push(FieldError::missing(path.field("name")));
        } else if RESERVED_ENV.contains(&name.as_str()) || (serving && name == "PORT") {
            let detail = "a reserved environment variable: it is set for you";
            errors.push(FieldError::invalid(path.field("name"), name, detail));
        }
        let path = path.field("valueFrom");
        let Some(source) = value_from else { continue };
        if let Some(entry) = &source.config_map_key_ref {
            require([("name", &entry.name), ("key", &entry.key)], &path.field("configMapKeyRef"), errors);
        }
        if let Some(entry) = &source.secret_key_ref {
            require([("name", &entry.name), ("key", &entry.key)], &path.field("secretKeyRef"), errors);
        }
    }
    let list = path.field("envFrom");
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        let EnvFromSource { config_map_ref, secret_ref, prefix: _ } = source;
        let mut found = Vec::new();
        found.extend(config_map_ref.as_ref().map(|_| "configMapRef"));
        found.extend(secret_ref.as_ref().map(|_| "secretRef"));
        expect_one(&found, "configMapRef, secretRef", &list.index(index), errors);
    }
}

fn validate_serving_port(port: &ContainerPort, path: &Path, errors: &mut Vec<FieldError>) {
    validate_port(port, path, errors);
    let protocol = port.protocol.as_deref().unwrap_or_default();
    if !matches!(protocol, "" | "TCP") {
        errors.push(FieldError::invalid(path.field("protocol"), &protocol, "expected TCP"));
    }
    let name = port.name.as_deref().unwrap_or_default();
    if !matches!(name, "" | "http1" | "h2c") {
        errors.push(FieldError::invalid(path.field("name"), &name, "expected no name, http1 or h2c"));
    }
}

fn validate_port(port: &ContainerPort, path: &Path, errors: &mut Vec<FieldError>) {
    let (path, number) = (path.field("containerPort"), port.container_port);
    if RESERVED_PORTS.contains(&number) {
        errors.push(FieldError::invalid(path, &number, "a reserved port, please use a different value"));
    } else if !(0..=65535).contains(&number) {
        errors.push(FieldError::invalid(path, &number, "expected 0 to 65535"));
    }
}

fn validate_resources(resources: &ResourceRequirements, path: &Path, errors: &mut Vec<FieldError>) {
    for (field, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        for (resource, amount) in amounts.iter().flatten().filter(|(_, amount)| !is_quantity(&amount.0)) {
            errors.push(FieldError::invalid(path.field(field).key(resource), amount, QUANTITY));
        }
    }
}
