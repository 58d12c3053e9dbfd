//! Checks 3–5, 10, 17–19, 23–26, 36.

use serde_json::{Value, json};

use super::{DEPLOYMENT, Kubectl, assert_holds, text, trigger, with_each_kubectl};

const FILTERED: &str = "  filter: {attributes: {type: one}}\n";

fn managers(object: &Value) -> Vec<String> {
    let fields = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    fields.map(|entry| format!("{}/{}", entry["manager"], entry["operation"]).replace('"', "")).collect()
}

impl Kubectl {
    /// An object with its field owners.
    async fn owned(&self, what: &str) -> Value {
        let flag = if self.minor > 20 { "--show-managed-fields" } else { "" };
        self.get(&format!("{what} {flag}")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_3_and_4_apply_creates_leaves_and_configures() {
    with_each_kubectl(async |kubectl, _| {
        let named = |what: &str| format!("trigger.eventing.knative.dev/t1 {what}\n");
        assert_eq!(kubectl.apply(&trigger("t1", "")).await, named("created"));
        let spec = kubectl.get("trigger/t1").await;
        assert_eq!(kubectl.apply(&trigger("t1", "")).await, named("unchanged"));
        assert_eq!(kubectl.apply(&trigger("t1", FILTERED)).await, named("configured"));
        let changed = kubectl.get("trigger/t1").await;
        assert_eq!((&spec["metadata"]["generation"], &changed["metadata"]["generation"]), (&json!(1), &json!(2)));
        let labelled = trigger("t1", FILTERED).replace("app: web", "app: web, tier: front");
        assert_eq!(kubectl.apply(&labelled).await, named("configured"));
        assert_eq!(kubectl.path("trigger/t1", "{.metadata.generation}").await, "2");
        kubectl.ok("delete trigger t1").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_3_apply_again_leaves_the_version() {
    with_each_kubectl(async |kubectl, _| {
        // A kind whose status nobody writes a moment later.
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: b}}";
        kubectl.apply(map).await;
        let version = kubectl.path("cm/m", "{.metadata.resourceVersion}").await;
        assert_eq!(kubectl.apply(map).await, "configmap/m unchanged\n");
        assert_eq!(kubectl.path("cm/m", "{.metadata.resourceVersion}").await, version);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_5_what_was_read_can_be_applied() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", FILTERED)).await;
        let read = kubectl.ok("get trigger t1 -o yaml").await;
        assert_holds(&kubectl.apply(&read).await, &["trigger.eventing.knative.dev/t1"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_10_edit_changes_what_was_edited() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        kubectl.apply(DEPLOYMENT).await;
        for (what, script, path, found) in [
            (
                "trigger t1",
                "s#http://127.0.0.1:1/#http://127.0.0.1:2/#",
                "{.spec.subscriber.uri}",
                "http://127.0.0.1:2/",
            ),
            ("deploy d1", "s#one$#three#", "{.spec.template.spec.containers[0].image}", "three"),
        ] {
            let mut edit = kubectl.command(&format!("edit {what}"));
            let output = crate::support::run(edit.env("EDITOR", format!("sed -i {script}")), "").await;
            assert!(output.status.success() && text(&output).contains("edited"), "{}", text(&output));
            assert_eq!(kubectl.path(what, path).await, found);
        }
        let env = "{.spec.template.spec.containers[0].env[*].name}";
        assert_eq!(kubectl.path("deploy/d1", env).await, "A B");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_17_diff_shows_the_change_and_makes_none() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let before = kubectl.path("trigger/t1", "{.spec}").await;
        let diff = kubectl.fails("diff -f -", &trigger("t1", FILTERED)).await;
        assert!(diff.lines().any(|line| line.starts_with('+') && line.contains("type: one")), "{diff}");
        assert_eq!(kubectl.path("trigger/t1", "{.spec}").await, before);
        kubectl.ok_with("diff -f -", &trigger("t1", "")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_18_dry_runs_store_nothing() {
    with_each_kubectl(async |kubectl, _| {
        let told = kubectl.ok_with("apply --dry-run=server -f -", &trigger("t1", "")).await;
        assert_holds(&told, &["created (server dry run)"]);
        let told = kubectl.ok_with("create --dry-run=server -f -", &trigger("t1", "")).await;
        assert_holds(&told, &["created (server dry run)"]);
        kubectl.fails("get trigger t1", "").await;
        kubectl.apply(&trigger("t1", "")).await;
        let told = kubectl.ok_with("apply --dry-run=server -f -", &trigger("t1", FILTERED)).await;
        assert_holds(&told, &["configured (server dry run)"]);
        let told = kubectl.ok("delete --dry-run=server trigger t1").await;
        assert_holds(&told, &["deleted", "(server dry run)"]);
        assert_eq!(kubectl.path("trigger/t1", "{.spec.filter.attributes}").await, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_19_applied_lists_merge_by_name() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(DEPLOYMENT).await;
        let side = "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"extra\",\"image\":\"x\"}]}}}}";
        kubectl.ok(&format!("patch deploy d1 -p '{side}'")).await;
        let changed =
            DEPLOYMENT.replace("{name: B, value: b}", "{name: C, value: c}").replace("image: one", "image: new");
        kubectl.apply(&changed).await;
        let containers = "{.spec.template.spec.containers";
        assert_eq!(kubectl.path("deploy/d1", &format!("{containers}[?(@.name==\"c\")].env[*].name}}")).await, "A C");
        assert_eq!(kubectl.path("deploy/d1", &format!("{containers}[?(@.name==\"c\")].image}}")).await, "new");
        let names = kubectl.path("deploy/d1", &format!("{containers}[*].name}}")).await;
        let mut names: Vec<_> = names.split(' ').collect();
        names.sort_unstable();
        assert_eq!(names, ["c", "extra", "side"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_23_server_side_apply_takes_back_what_it_no_longer_names() {
    with_each_kubectl(async |kubectl, _| {
        // A kind whose status nobody writes in between.
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: s, labels: {app: web}}, data: {a: b}}";
        let told = kubectl.ok_with("apply --server-side -f -", map).await;
        assert_holds(&told, &["configmap/s serverside-applied"]);
        let version = kubectl.path("cm/s", "{.metadata.resourceVersion}").await;
        kubectl.ok_with("apply --server-side -f -", map).await;
        assert_eq!(kubectl.path("cm/s", "{.metadata.resourceVersion}").await, version);
        kubectl.ok_with("apply --server-side -f -", &map.replace(", labels: {app: web}", "")).await;
        assert_eq!(kubectl.path("cm/s", "{.metadata.labels}").await, "");
        let told = kubectl.ok_with("apply --server-side -f -", &trigger("t1", "")).await;
        assert_holds(&told, &["trigger.eventing.knative.dev/t1 serverside-applied"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_24_another_manager_is_a_conflict_until_forced() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.ok_with("apply --server-side -f -", &trigger("t1", "")).await;
        kubectl
            .ok("patch trigger t1 --type=merge -p '{\"spec\":{\"subscriber\":{\"uri\":\"http://127.0.0.1:9/\"}}}'")
            .await;
        let refused = kubectl.fails("apply --server-side -f -", &trigger("t1", "")).await;
        assert_holds(&refused, &["conflict with \"kubectl-patch\"", ".spec.subscriber.uri"]);
        kubectl.ok_with("apply --server-side --force-conflicts -f -", &trigger("t1", "")).await;
        let object = kubectl.owned("trigger/t1").await;
        assert_eq!(object["spec"]["subscriber"]["uri"], "http://127.0.0.1:1/");
        let patcher = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        let mut patcher = patcher.filter(|entry| entry["manager"] == "kubectl-patch");
        assert!(patcher.all(|entry| entry["fieldsV1"].pointer("/f:spec/f:subscriber/f:uri").is_none()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_25_client_side_apply_becomes_server_side() {
    with_each_kubectl(async |kubectl, _| {
        if kubectl.is_old() {
            return;
        }
        kubectl.apply(&trigger("t1", "")).await;
        kubectl.ok_with("apply --server-side -f -", &trigger("t1", "")).await;
        let managers = managers(&kubectl.owned("trigger/t1").await);
        assert!(managers.iter().any(|manager| manager == "kubectl/Apply"), "{managers:?}");
        assert!(managers.iter().all(|manager| !manager.starts_with("kubectl-client-side-apply")), "{managers:?}");
        kubectl.ok_with("apply --server-side -f -", &trigger("t1", FILTERED)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_26_a_list_item_goes_as_a_whole() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.ok_with("apply --server-side -f -", DEPLOYMENT).await;
        let without = DEPLOYMENT.replace(", {name: B, value: b}", "");
        kubectl.ok_with("apply --server-side -f -", &without).await;
        let env = kubectl.get("deploy/d1").await["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        assert_eq!(env, json!([{"name": "A", "value": "a"}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_36_prune_removes_what_the_file_lacks() {
    with_each_kubectl(async |kubectl, _| {
        let both = format!("{}---\n{}", trigger("t1", ""), trigger("t2", ""));
        kubectl.apply(&both).await;
        let list = if kubectl.is_old() { "--prune-whitelist" } else { "--prune-allowlist" };
        let line = format!("apply --prune -l app=web {list}=eventing.knative.dev/v1/Trigger -f -");
        let told = kubectl.ok_with(&line, &trigger("t1", "")).await;
        assert_holds(&told, &["t2 pruned"]);
        assert_eq!(kubectl.ok("get triggers -o name").await, "trigger.eventing.knative.dev/t1\n");
    })
    .await;
}
