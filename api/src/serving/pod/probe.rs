//! Rules of probes. A readiness probe's `periodSeconds: 0` means: as often as it takes.

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::expect_one;
use crate::validation::{FieldError, Path, in_range};

/// Which container a probe is for.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// The one requests go to: a probe without a port asks its port.
    Serving { port_name: &'a str },
    /// Another: a probe has to say which port.
    Sidecar,
}

/// Rules of every probe.
pub(super) fn validate(probe: &Probe, scope: Scope<'_>, path: &Path, errors: &mut Vec<FieldError>) {
    let mut found = Vec::new();
    found.extend(probe.http_get.as_ref().map(|_| "httpGet"));
    found.extend(probe.tcp_socket.as_ref().map(|_| "tcpSocket"));
    found.extend(probe.exec.as_ref().map(|_| "exec"));
    found.extend(probe.grpc.as_ref().map(|_| "grpc"));
    expect_one(&found, "httpGet, tcpSocket, exec, grpc", path, errors);
    if let Some(get) = &probe.http_get {
        validate_port(&get.port, scope, &path.field("httpGet").field("port"), errors);
    }
    if let Some(socket) = &probe.tcp_socket {
        validate_port(&socket.port, scope, &path.field("tcpSocket").field("port"), errors);
    }
    if let Some(grpc) = &probe.grpc {
        validate_port(&IntOrString::Int(grpc.port), scope, &path.field("grpc").field("port"), errors);
    }
}

fn validate_port(port: &IntOrString, scope: Scope<'_>, path: &Path, errors: &mut Vec<FieldError>) {
    let is_absent = match port {
        IntOrString::Int(number) => *number == 0,
        IntOrString::String(name) => name.is_empty(),
    };
    match (scope, port) {
        (Scope::Sidecar, _) if is_absent => errors.push(FieldError::missing(path.clone())),
        (Scope::Sidecar, IntOrString::String(name)) => {
            let detail = "expected a number: this container has no port with a name";
            errors.push(FieldError::invalid(path.clone(), name, detail));
        }
        (Scope::Serving { port_name }, IntOrString::String(name)) if !is_absent && name != port_name => {
            let detail = format!("Probe port must match container port: expected {port_name} or a number");
            errors.push(FieldError::invalid(path.clone(), name, detail));
        }
        _ => {}
    }
}

/// Rules of a readiness probe, beside those of every probe.
pub(super) fn validate_readiness(probe: &Probe, path: &Path, errors: &mut Vec<FieldError>) {
    let mut at_least = |least: i64, field: &str, value: Option<i32>| {
        in_range(Some(value.unwrap_or(0)), least..=i64::MAX, &path.field(field), errors);
    };
    at_least(0, "periodSeconds", probe.period_seconds);
    at_least(0, "initialDelaySeconds", probe.initial_delay_seconds);
    at_least(1, "successThreshold", probe.success_threshold);
    let limits = [("failureThreshold", probe.failure_threshold), ("timeoutSeconds", probe.timeout_seconds)];
    if probe.period_seconds.unwrap_or(0) != 0 {
        limits.into_iter().for_each(|(field, value)| at_least(1, field, value));
        return;
    }
    for (field, value) in limits.into_iter().filter(|(_, value)| value.unwrap_or(0) != 0) {
        errors.push(FieldError::invalid(path.field(field), &value, "disallowed when periodSeconds is zero"));
    }
}
