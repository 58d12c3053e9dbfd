//! Checks 29, 30.

use super::{assert_holds, with_each_kubectl};

#[tokio::test(flavor = "multi_thread")]
async fn check_29_create_commands() {
    with_each_kubectl(async |kubectl, _| {
        let namespace = format!("made-{}", kubectl.namespace);
        for (line, told) in [
            ("create configmap m --from-literal=a=b", "configmap/m created"),
            ("create secret generic s --from-literal=password=hunter2", "secret/s created"),
            (&format!("create namespace {namespace}"), "created"),
            ("create deployment d --image=nginx", "deployment.apps/d created"),
            ("create job j --image=busybox -- echo hello", "job.batch/j created"),
            ("create serviceaccount sa", "serviceaccount/sa created"),
            ("create role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r created"),
            ("create rolebinding rb --role=r --serviceaccount=default:sa", "created"),
            ("create service clusterip svc --tcp=80:8080", "service/svc created"),
            ("autoscale deployment d --max=3 --min=1 --cpu-percent=80", "autoscaled"),
        ] {
            assert_holds(&kubectl.ok(line).await, &[told]);
        }
        assert_eq!(kubectl.path("secret/s", "{.data.password}").await, "aHVudGVyMg==");
        assert_eq!(kubectl.path("cm/m", "{.data.a}").await, "b");
        assert_eq!(kubectl.path("job/j", "{.spec.template.spec.containers[0].command[*]}").await, "echo hello");
        assert_eq!(
            kubectl.path("deploy/d", "{.spec.template.spec.containers[0].image} {.spec.replicas}").await,
            "nginx 1"
        );
        assert_eq!(kubectl.path("role/r", "{.rules[0].verbs[0]} {.rules[0].resources[0]}").await, "get pods");
        assert_eq!(kubectl.path("svc/svc", "{.spec.ports[0].port} {.spec.ports[0].targetPort}").await, "80 8080");
        let target = "{.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}";
        assert_eq!(kubectl.path("horizontalpodautoscalers.v2.autoscaling/d", target).await, "3 80");
        assert_eq!(
            kubectl.path("horizontalpodautoscalers.v1.autoscaling/d", "{.spec.targetCPUUtilizationPercentage}").await,
            "80"
        );
        assert_holds(&kubectl.ok(&format!("delete namespace {namespace}")).await, &["deleted"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_30_generated_names_and_missing_namespaces() {
    with_each_kubectl(async |kubectl, _| {
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: gen-}}";
        let told = kubectl.ok_with("create -f -", map).await;
        let name = told.split(['/', ' ']).nth(1).unwrap_or_default().to_owned();
        assert!(name.starts_with("gen-") && name.len() == 9, "{told}");
        let missing = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: nowhere}}";
        let refused = kubectl.fails("create -n nowhere -f -", missing).await;
        assert_holds(&refused, &["namespaces \"nowhere\" not found"]);
    })
    .await;
}
