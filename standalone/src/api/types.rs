//! The types of the built-in kinds, to find what does not fit them and what they do not know.

use k8s_openapi::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::registry::Kind;

/// `object` as the type of its kind has it: without what that does not know. `None` for a kind whose type is not known.
pub(crate) fn round_trip(kind: &Kind, version: &str, object: &Value) -> Option<Result<Value, serde_json::Error>> {
    let through = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => through::<api::core::v1::Namespace>,
        ("", "ConfigMap") => through::<api::core::v1::ConfigMap>,
        ("", "Endpoints") => through::<api::core::v1::Endpoints>,
        ("", "Pod") => through::<api::core::v1::Pod>,
        ("", "Secret") => through::<api::core::v1::Secret>,
        ("", "ServiceAccount") => through::<api::core::v1::ServiceAccount>,
        ("", "Service") => through::<api::core::v1::Service>,
        ("apps", "Deployment") => through::<api::apps::v1::Deployment>,
        ("apps", "DaemonSet") => through::<api::apps::v1::DaemonSet>,
        ("apps", "ReplicaSet") => through::<api::apps::v1::ReplicaSet>,
        ("apps", "StatefulSet") => through::<api::apps::v1::StatefulSet>,
        ("autoscaling", "HorizontalPodAutoscaler") if version == "v2" => {
            through::<api::autoscaling::v2::HorizontalPodAutoscaler>
        }
        ("autoscaling", "HorizontalPodAutoscaler") => through::<api::autoscaling::v1::HorizontalPodAutoscaler>,
        ("batch", "CronJob") => through::<api::batch::v1::CronJob>,
        ("batch", "Job") => through::<api::batch::v1::Job>,
        ("coordination.k8s.io", "Lease") => through::<api::coordination::v1::Lease>,
        ("discovery.k8s.io", "EndpointSlice") => through::<api::discovery::v1::EndpointSlice>,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => through::<api::rbac::v1::ClusterRoleBinding>,
        ("rbac.authorization.k8s.io", "ClusterRole") => through::<api::rbac::v1::ClusterRole>,
        ("rbac.authorization.k8s.io", "RoleBinding") => through::<api::rbac::v1::RoleBinding>,
        ("rbac.authorization.k8s.io", "Role") => through::<api::rbac::v1::Role>,
        // Events are written in two forms by all sorts of recorders; definitions are not written at all.
        _ => return None,
    };
    Some(through(object))
}

fn through<K: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, serde_json::Error> {
    K::deserialize(object).and_then(serde_json::to_value)
}

/// Paths of the fields that the type of a built-in kind does not know. What does not fit the type at all is told later.
pub(crate) fn unknown_fields(kind: &Kind, version: &str, object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(Ok(known)) = round_trip(kind, version, object) {
        for (name, value) in object.as_object().into_iter().flatten() {
            // Metadata has rules of its own.
            if name != "metadata" {
                compare(value, known.get(name), name.clone(), &mut unknown);
            }
        }
    }
    unknown
}

fn compare(sent: &Value, known: Option<&Value>, path: String, unknown: &mut Vec<String>) {
    match (sent, known) {
        // An absent one says the same as a null, and is how the types write it.
        (Value::Null, _) => {}
        (_, None) => unknown.push(path),
        (Value::Object(sent), Some(known)) => {
            for (name, value) in sent {
                compare(value, known.get(name), format!("{path}.{name}"), unknown);
            }
        }
        (Value::Array(sent), Some(known)) => {
            for (index, value) in sent.iter().enumerate() {
                compare(value, known.get(index), format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::registry::Registry;

    #[test]
    fn what_a_type_does_not_know_or_cannot_hold_is_found() {
        let registry = Registry::new(&[]);
        let kind = registry.named("apps", "Deployment").expect("Deployment");
        let object = |container: Value| {
            let pod = json!({"containers": [container], "volumes": [], "nodeSelector": {"any": "thing"}});
            let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
            json!({"metadata": {"odd": 1}, "spec": {"replicas": 1, "selector": {}, "template": template}})
        };
        let fine = json!({"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}, "args": [], "ports": [
            {"containerPort": 80}], "livenessProbe": {"httpGet": {"port": "http"}}, "tty": null, "env": [{"name": "A", "value": ""}]});
        assert_eq!(unknown_fields(kind, "v1", &object(fine)), [""; 0]);
        let odd = json!({"name": "c", "imagePullPolcy": "x", "env": [{"name": "A", "valeu": "x"}]});
        let found = unknown_fields(kind, "v1", &object(odd));
        let at = "spec.template.spec.containers[0]";
        assert_eq!(found, [format!("{at}.env[0].valeu"), format!("{at}.imagePullPolcy")]);
        for wrong in [json!("x"), json!({"replicas": "x"}), json!({"replicas": 1.5}), json!([])] {
            assert!(round_trip(kind, "v1", &json!({"spec": wrong})).is_some_and(|result| result.is_err()), "{wrong}");
        }
    }
}
