//! Columns of the built-in kinds, as `kubectl get` shows them on a cluster.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, age};

/// The columns of the built-in kind `kind`.
pub(crate) fn columns(kind: &str) -> Vec<Column> {
    let text = |name: &str, priority, cell| Column::computed(name, "string", priority, cell);
    let own = match kind {
        "Namespace" => vec![text("Status", 0, |o, _| o["status"]["phase"].clone())],
        "ConfigMap" => vec![text("Data", 0, |o, _| json!(count(&o["data"]) + count(&o["binaryData"])))],
        "Secret" => vec![text("Type", 0, |o, _| o["type"].clone()), text("Data", 0, |o, _| json!(count(&o["data"])))],
        "ServiceAccount" => vec![text("Secrets", 0, |o, _| json!(count(&o["secrets"])))],
        "Service" => vec![
            text("Type", 0, |o, _| o["spec"]["type"].clone()),
            text("Cluster-IP", 0, |o, _| or(&o["spec"]["clusterIP"], "<none>")),
            text("External-IP", 0, |o, _| external_address(o)),
            text("Port(s)", 0, |o, _| ports(o)),
        ],
        "Endpoints" => vec![text("Endpoints", 0, |o, _| endpoints(o))],
        "EndpointSlice" => vec![text("AddressType", 0, |o, _| o["addressType"].clone())],
        "Pod" => vec![
            text("Ready", 0, |o, _| pod_ready(o)),
            text("Status", 0, |o, _| or(&o["status"]["phase"], "Unknown")),
            text("Restarts", 0, |o, _| json!(restarts(o).to_string())),
        ],
        "Deployment" => vec![
            text("Ready", 0, |o, _| {
                json!(format!("{}/{}", number(&o["status"]["readyReplicas"]), number(&o["spec"]["replicas"])))
            }),
            text("Up-to-date", 0, |o, _| json!(number(&o["status"]["updatedReplicas"]))),
            text("Available", 0, |o, _| json!(number(&o["status"]["availableReplicas"]))),
        ],
        "ReplicaSet" => vec![
            text("Desired", 0, |o, _| json!(number(&o["spec"]["replicas"]))),
            text("Current", 0, |o, _| json!(number(&o["status"]["replicas"]))),
            text("Ready", 0, |o, _| json!(number(&o["status"]["readyReplicas"]))),
        ],
        "StatefulSet" => vec![text("Ready", 0, |o, _| {
            json!(format!("{}/{}", number(&o["status"]["readyReplicas"]), number(&o["spec"]["replicas"])))
        })],
        "DaemonSet" => vec![
            text("Desired", 0, |o, _| json!(number(&o["status"]["desiredNumberScheduled"]))),
            text("Current", 0, |o, _| json!(number(&o["status"]["currentNumberScheduled"]))),
            text("Ready", 0, |o, _| json!(number(&o["status"]["numberReady"]))),
        ],
        "CronJob" => vec![
            text("Schedule", 0, |o, _| o["spec"]["schedule"].clone()),
            text("Suspend", 0, |o, _| json!(if o["spec"]["suspend"] == true { "True" } else { "False" })),
            text("Active", 0, |o, _| json!(count(&o["status"]["active"]))),
        ],
        "HorizontalPodAutoscaler" => vec![
            text("Reference", 0, |o, _| {
                let target = &o["spec"]["scaleTargetRef"];
                json!(format!("{}/{}", plain(&target["kind"]), plain(&target["name"])))
            }),
            text("MinPods", 0, |o, _| json!(o["spec"]["minReplicas"].as_i64().unwrap_or(1))),
            text("MaxPods", 0, |o, _| o["spec"]["maxReplicas"].clone()),
            text("Replicas", 0, |o, _| json!(number(&o["status"]["currentReplicas"]))),
        ],
        "Job" => vec![
            text("Status", 0, |o, _| job_status(o)),
            text("Completions", 0, |o, _| {
                json!(format!("{}/{}", number(&o["status"]["succeeded"]), number(&o["spec"]["completions"])))
            }),
            text("Duration", 0, duration),
        ],
        "Lease" => vec![text("Holder", 0, |o, _| o["spec"]["holderIdentity"].clone())],
        "Event" => return event(),
        "CustomResourceDefinition" => {
            return vec![Column::name(), text("Created At", 0, |o, _| o["metadata"]["creationTimestamp"].clone())];
        }
        "RoleBinding" | "ClusterRoleBinding" => vec![text("Role", 0, |o, _| {
            json!(format!("{}/{}", plain(&o["roleRef"]["kind"]), plain(&o["roleRef"]["name"])))
        })],
        "Role" | "ClusterRole" => {
            return vec![Column::name(), text("Created At", 0, |o, _| o["metadata"]["creationTimestamp"].clone())];
        }
        _ => Vec::new(),
    };
    let mut columns = vec![Column::name()];
    columns.extend(own);
    columns.push(Column::age());
    columns
}

/// Events are told by when and what, not by their names.
fn event() -> Vec<Column> {
    let text = |name: &str, priority, cell| Column::computed(name, "string", priority, cell);
    vec![
        text("Last Seen", 0, |o, now| {
            let times = [&o["series"]["lastObservedTime"], &o["lastTimestamp"], &o["deprecatedLastTimestamp"]];
            let created = [&o["eventTime"], &o["metadata"]["creationTimestamp"]];
            age(times.into_iter().chain(created).find(|time| time.is_string()).unwrap_or(&Value::Null), now)
        }),
        text("Type", 0, |o, _| o["type"].clone()),
        text("Reason", 0, |o, _| o["reason"].clone()),
        text("Object", 0, |o, _| {
            let object = if o["involvedObject"].is_object() { &o["involvedObject"] } else { &o["regarding"] };
            json!(format!("{}/{}", plain(&object["kind"]).to_lowercase(), plain(&object["name"])))
        }),
        text("Message", 0, |o, _| {
            let message = if o["message"].is_string() { &o["message"] } else { &o["note"] };
            json!(plain(message).trim())
        }),
        Column { format: "name".to_owned(), ..text("Name", 1, |o, _| o["metadata"]["name"].clone()) },
    ]
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn count(value: &Value) -> usize {
    value.as_object().map_or_else(|| value.as_array().map_or(0, Vec::len), serde_json::Map::len)
}

fn or(value: &Value, otherwise: &str) -> Value {
    if plain(value).is_empty() { json!(otherwise) } else { value.clone() }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn external_address(service: &Value) -> Value {
    match plain(&service["spec"]["type"]) {
        "ExternalName" => service["spec"]["externalName"].clone(),
        "LoadBalancer" => {
            let ingress: Vec<&str> = list(&service["status"]["loadBalancer"]["ingress"])
                .map(
                    |ingress| {
                        if ingress["ip"].is_string() { plain(&ingress["ip"]) } else { plain(&ingress["hostname"]) }
                    },
                )
                .collect();
            json!(if ingress.is_empty() { "<pending>".to_owned() } else { ingress.join(",") })
        }
        _ => json!("<none>"),
    }
}

fn ports(service: &Value) -> Value {
    let ports: Vec<String> = list(&service["spec"]["ports"])
        .map(|port| format!("{}/{}", number(&port["port"]), plain(&port["protocol"])))
        .collect();
    json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") })
}

fn endpoints(endpoints: &Value) -> Value {
    let mut all = Vec::new();
    for subset in list(&endpoints["subsets"]) {
        for address in list(&subset["addresses"]) {
            for port in list(&subset["ports"]) {
                all.push(format!("{}:{}", plain(&address["ip"]), number(&port["port"])));
            }
        }
    }
    json!(if all.is_empty() { "<none>".to_owned() } else { all.join(",") })
}

fn pod_ready(pod: &Value) -> Value {
    let ready = list(&pod["status"]["containerStatuses"]).filter(|status| status["ready"] == true).count();
    json!(format!("{ready}/{}", count(&pod["spec"]["containers"])))
}

fn restarts(pod: &Value) -> i64 {
    list(&pod["status"]["containerStatuses"]).map(|status| number(&status["restartCount"])).sum()
}

fn job_status(job: &Value) -> Value {
    let holds = |ty: &str| {
        list(&job["status"]["conditions"]).any(|condition| condition["type"] == ty && condition["status"] == "True")
    };
    json!(if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else {
        "Running"
    })
}

fn duration(job: &Value, now: Timestamp) -> Value {
    let end = plain(&job["status"]["completionTime"]).parse().unwrap_or(now);
    if job["status"]["startTime"].is_string() { age(&job["status"]["startTime"], end) } else { Value::Null }
}
