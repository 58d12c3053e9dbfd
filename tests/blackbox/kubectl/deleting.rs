//! Checks 8, 9, 32, 33.

use super::{assert_holds, trigger, with_each_kubectl};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn check_8_delete_returns_when_it_is_done() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        assert_holds(&kubectl.ok("delete trigger t1").await, &["trigger.eventing.knative.dev \"t1\" deleted"]);
        let refused = kubectl.fails("get trigger t1", "").await;
        assert_holds(&refused, &["Error from server (NotFound): triggers.eventing.knative.dev \"t1\" not found"]);
        for name in ["a", "b"] {
            kubectl.apply(&trigger(name, "")).await;
        }
        kubectl.ok("delete triggers -l app=web").await;
        assert_eq!(kubectl.ok("get triggers -o name").await, "");
        kubectl.apply(&trigger("a", "")).await;
        kubectl.ok("delete triggers --all").await;
        kubectl.ok_with("delete --ignore-not-found -f -", &trigger("a", "")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_9_finalizers_hold_up_a_deletion() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: m, finalizers: [test.dev/hold]}}").await;
        let mut waiting = kubectl.command("delete cm m --timeout=60s").spawn().expect("kubectl starts");
        eventually("the object is going", async || {
            let time = kubectl.path("cm/m", "{.metadata.deletionTimestamp}").await;
            if time.is_empty() { Err("not yet") } else { Ok(()) }
        })
        .await;
        let held = kubectl.fails("delete cm m --timeout=1s", "").await;
        assert_holds(&held, &["timed out waiting"]);
        let patch = "[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]";
        kubectl.ok(&format!("patch cm m --type=json -p '{patch}'")).await;
        assert!(waiting.wait().await.expect("ended").success());
        kubectl.fails("get cm m", "").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_32_what_becomes_of_dependents() {
    with_each_kubectl(async |kubectl, _| {
        for policy in ["background", "foreground", "orphan"] {
            let make = async |name: &str, owner: Option<&str>| {
                let owner = match owner {
                    None => String::new(),
                    Some(owner) => {
                        let uid = kubectl.path(&format!("cm/{owner}"), "{.metadata.uid}").await;
                        let block = "blockOwnerDeletion: true";
                        format!(", ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: {owner}, uid: {uid}, {block}}}]")
                    }
                };
                kubectl.apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}{owner}}}}}")).await;
            };
            make("par", None).await;
            make("child", Some("par")).await;
            make("grandchild", Some("child")).await;
            kubectl.ok(&format!("delete cm par --cascade={policy}")).await;
            kubectl.fails("get cm par", "").await;
            if policy == "orphan" {
                let references = "{.metadata.ownerReferences[*].name}";
                assert_eq!(kubectl.path("cm/child", references).await, "");
                assert_eq!(kubectl.path("cm/grandchild", references).await, "child");
                kubectl.ok("delete cm child grandchild --ignore-not-found").await;
            }
            if policy == "foreground" {
                // Gone before the owner.
                kubectl.fails("get cm child", "").await;
            }
            eventually("all dependents are gone", async || {
                let left = kubectl.ok("get cm -o name").await;
                if left.is_empty() { Ok(()) } else { Err(left) }
            })
            .await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_33_a_namespace_empties_before_it_goes() {
    with_each_kubectl(async |kubectl, _| {
        let namespace = format!("demo-{}", kubectl.namespace);
        let manifest = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        kubectl.apply(&manifest).await;
        let held = "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [test.dev/hold]}}";
        kubectl.ok_with(&format!("apply -n {namespace} -f -"), held).await;
        kubectl.ok_with(&format!("apply -n {namespace} -f -"), &trigger("t1", "")).await;
        let mut waiting = kubectl.command(&format!("delete ns {namespace}")).spawn().expect("kubectl starts");
        eventually("the namespace is going", async || {
            let phase = kubectl.path(&format!("ns/{namespace}"), "{.status.phase}").await;
            if phase == "Terminating" { Ok(()) } else { Err(phase) }
        })
        .await;
        let refused = kubectl.fails(&format!("create configmap late -n {namespace}"), "").await;
        assert_holds(&refused, &["forbidden", "because it is being terminated"]);
        let patch = "[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]";
        kubectl.ok(&format!("patch cm held -n {namespace} --type=json -p '{patch}'")).await;
        assert!(waiting.wait().await.expect("ended").success());
        kubectl.apply(&manifest).await;
        assert_eq!(kubectl.ok(&format!("get cm,triggers -n {namespace} -o name")).await, "");
    })
    .await;
}
