//! HorizontalPodAutoscalers have two versions over one store: `v2`, which is stored, and `v1`, which knows no metric but
//! the use of CPU. `kubectl autoscale` writes either, depending on its age.

use serde_json::{Value, json};

/// Where v1 objects keep the metrics that v1 cannot say, as Kubernetes does.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

/// A v1 object as v2 has it.
pub(crate) fn to_v2(mut scaler: Value) -> Value {
    let kept = scaler.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let kept = kept.and_then(|annotations| annotations.remove(METRICS));
    let mut metrics: Vec<Value> =
        kept.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if let Some(spec) = scaler.get_mut("spec").and_then(Value::as_object_mut) {
        if let Some(percentage) = spec.remove("targetCPUUtilizationPercentage") {
            let target = json!({"type": "Utilization", "averageUtilization": percentage});
            metrics.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        if !metrics.is_empty() {
            spec.insert("metrics".to_owned(), json!(metrics));
        }
    }
    if let Some(status) = scaler.get_mut("status").and_then(Value::as_object_mut)
        && let Some(percentage) = status.remove("currentCPUUtilizationPercentage")
    {
        let current = json!({"averageUtilization": percentage});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "current": current}});
        status.insert("currentMetrics".to_owned(), json!([metric]));
    }
    scaler
}

/// The reverse of [`to_v2`].
pub(crate) fn to_v1(mut scaler: Value) -> Value {
    let mut others = Vec::new();
    if let Some(spec) = scaler.get_mut("spec").and_then(Value::as_object_mut)
        && let Some(Value::Array(metrics)) = spec.remove("metrics")
    {
        for metric in metrics {
            let target = &metric["resource"]["target"];
            let is_cpu = metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
            match target.get("averageUtilization").filter(|_| is_cpu && target["type"] == "Utilization") {
                Some(percentage) if !spec.contains_key("targetCPUUtilizationPercentage") => {
                    spec.insert("targetCPUUtilizationPercentage".to_owned(), percentage.clone());
                }
                _ => others.push(metric),
            }
        }
    }
    if !others.is_empty() {
        scaler["metadata"]["annotations"][METRICS] = json!(json!(others).to_string());
    }
    if let Some(status) = scaler.get_mut("status").and_then(Value::as_object_mut)
        && let Some(metrics) = status.remove("currentMetrics")
        && let Some(percentage) = metrics.pointer("/0/resource/current/averageUtilization")
    {
        status.insert("currentCPUUtilizationPercentage".to_owned(), percentage.clone());
    }
    scaler
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_say_the_same() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "x"}}});
        for metrics in [json!([cpu]), json!([cpu, pods]), json!([pods])] {
            let v2 = json!({"metadata": {"annotations": {"a": "b"}}, "spec": {"maxReplicas": 3, "metrics": metrics}});
            let v1 = to_v1(v2.clone());
            let has_cpu = metrics[0] == cpu;
            assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], if has_cpu { json!(80) } else { Value::Null });
            assert_eq!(to_v2(v1), v2);
        }
    }
}
