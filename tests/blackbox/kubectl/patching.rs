//! Checks 11–13, 20–22, 35.

use super::{DEPLOYMENT, assert_holds, trigger, with_each_kubectl};

#[tokio::test(flavor = "multi_thread")]
async fn check_11_the_kinds_of_patch() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let merge = "{\"spec\":{\"filter\":{\"attributes\":{\"type\":\"one\"}}}}";
        assert_holds(&kubectl.ok(&format!("patch trigger t1 --type=merge -p '{merge}'")).await, &["patched"]);
        let json = "[{\"op\":\"replace\",\"path\":\"/spec/filter/attributes/type\",\"value\":\"two\"}]";
        assert_holds(&kubectl.ok(&format!("patch trigger t1 --type=json -p '{json}'")).await, &["patched"]);
        assert_eq!(kubectl.path("trigger/t1", "{.spec.filter.attributes.type}").await, "two");
        let refused = kubectl.fails(&format!("patch trigger t1 -p '{merge}'"), "").await;
        let told = match kubectl.is_old() {
            true => "UnsupportedMediaType",
            false => "strategic-merge-patch+json is not supported by eventing.knative.dev/v1, Kind=Trigger",
        };
        assert_holds(&refused, &[told]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_12_the_status_is_patched_alone() {
    with_each_kubectl(async |kubectl, _| {
        if kubectl.is_old() {
            return;
        }
        kubectl.apply("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {replicas: 2}}").await;
        let patch = "{\"status\":{\"replicas\":7},\"spec\":{\"replicas\":9}}";
        kubectl.ok(&format!("patch sts s --subresource=status --type=merge -p '{patch}'")).await;
        let found = kubectl.path("sts/s", "{.status.replicas} {.spec.replicas} {.metadata.generation}").await;
        assert_eq!(found, "7 2 1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_13_labels_and_annotations() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        kubectl.ok("label trigger t1 tier=front").await;
        assert_eq!(kubectl.ok("get triggers -l tier=front,app=web -o name").await.lines().count(), 1);
        kubectl.fails("label trigger t1 tier=back", "").await;
        kubectl.ok("label trigger t1 tier=back --overwrite").await;
        kubectl.ok("label trigger t1 app-").await;
        assert_eq!(kubectl.ok("get triggers -l app=web -o name").await, "");
        kubectl.ok("annotate trigger t1 note=x").await;
        kubectl.ok("annotate trigger t1 note=y --overwrite").await;
        assert_eq!(kubectl.path("trigger/t1", "{.metadata.annotations.note}").await, "y");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_20_set_image_and_restart_change_one_thing() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(DEPLOYMENT).await;
        kubectl.ok("set image deploy/d1 c=new").await;
        let containers = "{.spec.template.spec.containers[*].image} {.spec.template.spec.containers[0].env[*].name}";
        assert_eq!(kubectl.path("deploy/d1", containers).await, "new two A B");
        kubectl.ok("rollout restart deploy d1").await;
        let annotations = kubectl.path("deploy/d1", "{.spec.template.metadata.annotations}").await;
        assert_holds(&annotations, &["kubectl.kubernetes.io/restartedAt"]);
        assert_eq!(kubectl.path("deploy/d1", containers).await, "new two A B");
        kubectl.ok("set env deploy/d1 -c c D=d").await;
        assert_holds(&kubectl.path("deploy/d1", containers).await, &["A B D"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_21_scale() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(DEPLOYMENT).await;
        assert_holds(&kubectl.ok("scale deploy d1 --replicas=3").await, &["scaled"]);
        assert_eq!(kubectl.path("deploy/d1", "{.spec.replicas} {.metadata.generation}").await, "3 2");
        let refused = kubectl.fails("scale deploy d1 --current-replicas=9 --replicas=1", "").await;
        assert_holds(&refused, &["xpected replicas to be 9, was 3"]);
        kubectl.ok("scale deploy d1 --current-replicas=3 --replicas=4").await;
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/d1/scale", kubectl.namespace);
        let scale: serde_json::Value =
            serde_json::from_str(&kubectl.ok(&format!("get --raw {path}")).await).expect("JSON");
        assert_eq!(scale["status"]["selector"], "app=d1");
        assert_eq!(scale["spec"]["replicas"], 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_22_what_has_no_scale_is_not_scaled() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let refused = kubectl.fails("scale trigger t1 --replicas=2", "").await;
        assert_holds(&refused, &["could not find the requested resource"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_35_replace() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let stale = kubectl.ok("get trigger t1 -o yaml").await;
        kubectl.ok("label trigger t1 new=label").await;
        let refused = kubectl.fails("replace -f -", &stale).await;
        assert_holds(&refused, &["Conflict", "the object has been modified"]);
        let fresh = kubectl.ok("get trigger t1 -o yaml").await;
        assert_holds(&kubectl.ok_with("replace -f -", &fresh).await, &["replaced"]);
        let uid = kubectl.path("trigger/t1", "{.metadata.uid}").await;
        assert_holds(&kubectl.ok_with("replace --force -f -", &trigger("t1", "")).await, &["replaced"]);
        assert_ne!(kubectl.path("trigger/t1", "{.metadata.uid}").await, uid);
    })
    .await;
}
