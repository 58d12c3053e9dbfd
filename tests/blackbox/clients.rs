//! Other people's Kubernetes clients: the Python client, a kube-rs controller (also against a real kube-apiserver), and
//! kubectl from another machine's point of view.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Final, finalizer};
use kube::runtime::watcher;
use kube::{Api, Client, Config, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Start, WEIR, Weir, eventually, part, run};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const PYTHON: &str = r#"
import sys
from kubernetes import client, config, watch, dynamic

config.load_kube_config(config_file=sys.argv[1])
objects = client.CustomObjectsApi()
at = dict(group="eventing.knative.dev", version="v1", namespace="default", plural="triggers")
trigger = {
    "apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": "py"},
    "spec": {"broker": "default", "subscriber": {"uri": "http://127.0.0.1:1/"}},
}
before = objects.list_namespaced_custom_object(**at)["metadata"]["resourceVersion"]
objects.create_namespaced_custom_object(body=trigger, **at)
objects.patch_namespaced_custom_object(name="py", body={"metadata": {"labels": {"a": "b"}}}, **at)
assert objects.get_namespaced_custom_object(name="py", **at)["metadata"]["labels"]["a"] == "b"
objects.delete_namespaced_custom_object(name="py", **at)

seen = []
for event in watch.Watch().stream(
        objects.list_namespaced_custom_object, resource_version=before, timeout_seconds=60, **at):
    seen.append(event["type"])
    assert event["object"]["metadata"]["name"] == "py"
    if event["type"] == "DELETED":
        break
assert seen[0] == "ADDED" and "MODIFIED" in seen, seen

core = client.CoreV1Api()
core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py"), data={"k": "v"}))
assert core.read_namespaced_config_map("py", "default").data == {"k": "v"}
assert "default" in [namespace.metadata.name for namespace in core.list_namespace().items]
dynamic_client = dynamic.DynamicClient(client.ApiClient())
channels = dynamic_client.resources.get(api_version="messaging.knative.dev/v1", kind="Channel")
channels.server_side_apply(
    body={"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "metadata": {"name": "py"}, "spec": {}},
    namespace="default", field_manager="python")
assert channels.get(name="py", namespace="default").spec.channelTemplate.kind == "InMemoryChannel"
try:
    objects.create_namespaced_custom_object(body={**trigger, "spec": {"broker": "b"}}, **at)
    raise SystemExit("a Trigger without subscriber was accepted")
except client.exceptions.ApiException as refused:
    assert refused.status == 400 and "spec.subscriber" in refused.body, refused
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_creates_watches_and_deletes() {
    let Some(python) = part("WEIR_TEST_PYTHON", "the Python Kubernetes client") else { return };
    let weir = Weir::start().await;
    let output = run(Command::new(python).args(["-c", PYTHON]).arg(&weir.kubeconfig), "").await;
    assert!(output.status.success(), "{}", text(&output));
}

async fn client_of(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration");
    Client::try_from(config).expect("a client")
}

/// What the reconciler of the test works with.
struct Context {
    client: Client,
    reconciles: AtomicUsize,
    cleanups: AtomicUsize,
}

const FINALIZER: &str = "test.weir.dev/clean-up";
const MANAGER: &str = "test-controller";

/// An ordinary controller: a finalizer, a child by server-side apply, a status, an event.
async fn reconcile(
    parent: Arc<StatefulSet>,
    context: Arc<Context>,
) -> Result<Action, kube::runtime::finalizer::Error<kube::Error>> {
    context.reconciles.fetch_add(1, Ordering::SeqCst);
    let namespace = parent.namespace().unwrap_or_default();
    let parents: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespace);
    finalizer(&parents, FINALIZER, parent, async |event| match event {
        Final::Apply(parent) => {
            let children: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
            let apply = PatchParams::apply(MANAGER).force();
            let owner = parent.controller_owner_ref(&());
            let child = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": parent.name_any(), "ownerReferences": [owner]},
                "data": {"replicas": "7"},
            });
            children.patch(&parent.name_any(), &apply, &Patch::Apply(child)).await?;
            let status = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "status": {"replicas": 7}});
            parents.patch_status(&parent.name_any(), &apply, &Patch::Apply(status)).await?;
            let reporter = Reporter { controller: MANAGER.to_owned(), instance: None };
            let event = Event {
                type_: EventType::Normal,
                reason: "Seen".to_owned(),
                note: Some("as it should be".to_owned()),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            Recorder::new(context.client.clone(), reporter).publish(&event, &parent.object_ref(&())).await?;
            Ok(Action::await_change())
        }
        Final::Cleanup(_) => {
            context.cleanups.fetch_add(1, Ordering::SeqCst);
            Ok(Action::await_change())
        }
    })
    .await
}

/// Check 37, on whatever server the client speaks to.
async fn a_controller_settles_repairs_and_cleans_up(client: Client) {
    let context =
        Arc::new(Context { client: client.clone(), reconciles: AtomicUsize::new(0), cleanups: AtomicUsize::new(0) });
    let parents: Api<StatefulSet> = Api::default_namespaced(client.clone());
    let children: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let running = Controller::new(parents.clone(), watcher::Config::default())
        .owns(children.clone(), watcher::Config::default())
        .run(
            reconcile,
            |_, error, _| {
                eprintln!("reconcile: {error}");
                Action::requeue(Duration::from_secs(1))
            },
            Arc::clone(&context),
        )
        .for_each(|_| std::future::ready(()));
    let running = tokio::spawn(running);

    let parent: StatefulSet = serde_json::from_value(json!({
        "metadata": {"name": "parent"},
        "spec": {
            "serviceName": "none", "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }))
    .expect("a StatefulSet");
    parents.create(&PostParams::default(), &parent).await.expect("created");
    let settled = eventually("the controller has done its work", async || {
        let parent = parents.get("parent").await.map_err(|error| error.to_string())?;
        let replicas = parent.status.as_ref().map(|status| status.replicas);
        let child = children.get_opt("parent").await.map_err(|error| error.to_string())?;
        match (replicas, child, parent.finalizers().len()) {
            (Some(7), Some(child), 1) => Ok((parent.resource_version(), child.resource_version(), child.uid())),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    let events: Api<KubeEvent> = Api::default_namespaced(client.clone());
    eventually("the event is recorded", async || {
        let found = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let ours = found.items.iter().any(|event| event.reason.as_deref() == Some("Seen"));
        if ours { Ok(()) } else { Err(format!("{} other events", found.items.len())) }
    })
    .await;
    // Whatever it had still to do, it has done by the time it has seen a change that means nothing to it.
    let marker = json!({"metadata": {"labels": {"marked": "yes"}}});
    let before = context.reconciles.load(Ordering::SeqCst);
    assert!(before <= 4, "{before} reconciles to settle");
    parents.patch("parent", &PatchParams::default(), &Patch::Merge(marker)).await.expect("labelled");
    eventually("the change is seen", async || {
        let now = context.reconciles.load(Ordering::SeqCst);
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    let child = children.get("parent").await.expect("the child");
    assert_eq!(
        (child.resource_version(), child.uid()),
        (settled.1, settled.2.clone()),
        "an apply that changed nothing"
    );

    children.delete("parent", &DeleteParams::default()).await.expect("deleted");
    eventually("the child is back", async || {
        let child = children.get_opt("parent").await.map_err(|error| error.to_string())?;
        let uid = child.and_then(|child| child.uid());
        if uid.is_some() && uid != settled.2 { Ok(()) } else { Err(format!("{uid:?}")) }
    })
    .await;
    parents.delete("parent", &DeleteParams::default()).await.expect("deleted");
    eventually("the parent is gone, cleaned up after", async || {
        let parent = parents.get_opt("parent").await.map_err(|error| error.to_string())?;
        if parent.is_none() { Ok(()) } else { Err(format!("{:?}", parent.map(|parent| parent.metadata))) }
    })
    .await;
    assert_eq!(context.cleanups.load(Ordering::SeqCst), 1);
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kube_rs_controller_works_on_weir() {
    let weir = Weir::start().await;
    a_controller_settles_repairs_and_cleans_up(client_of(&weir.kubeconfig).await).await;
}

/// A real kube-apiserver with etcd, for as long as this lives.
struct Cluster {
    dir: TempDir,
}

impl Cluster {
    async fn start() -> Option<Self> {
        part("WEIR_TEST_KUBE_APISERVER", "kube-apiserver")?;
        part("WEIR_TEST_ETCD", "etcd")?;
        part("WEIR_TEST_KUBECTL_CURRENT", "a current kubectl")?;
        let cluster = Self { dir: tempfile::tempdir().expect("temporary directory") };
        let output = Command::new(script("start-kubernetes")).arg(cluster.dir.path()).output().await.expect("started");
        assert!(output.status.success(), "{}", text(&output));
        Some(cluster)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::process::Command::new(script("stop-kubernetes")).arg(self.dir.path()).output();
    }
}

fn script(name: &str) -> String {
    format!("{}/tests/servers/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kube_rs_controller_and_our_definitions_work_on_a_real_api_server() {
    let Some(cluster) = Cluster::start().await else { return };
    let kubectl = std::env::var("WEIR_TEST_KUBECTL_CURRENT").expect("checked");
    let kubectl = async |args: &[&str], stdin: &str| {
        let mut command = Command::new(&kubectl);
        command.arg("--kubeconfig").arg(cluster.kubeconfig()).args(args);
        run(&mut command, stdin).await
    };
    let definitions = format!("{}/deploy/crds.yaml", env!("CARGO_MANIFEST_DIR"));
    for _ in 0..2 {
        let applied = kubectl(&["apply", "--server-side", "-f", &definitions], "").await;
        assert!(applied.status.success() && !text(&applied).contains("Warning"), "{}", text(&applied));
    }
    let established = kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "").await;
    assert!(established.status.success(), "{}", text(&established));
    // What a schema tells, a real API server tells as we do.
    let manifest = "{apiVersion: eventing.knative.dev/v1, kind: Trigger, metadata: {name: t}, \
                    spec: {broker: 5, subscriber: {uri: 'http://s/', bogus: 1}}}";
    let refused = kubectl(&["create", "-f", "-"], &format!("---\n{manifest}")).await;
    assert!(text(&refused).contains("unknown field \"spec.subscriber.bogus\""), "{}", text(&refused));
    let refused = kubectl(&["create", "--validate=false", "-f", "-"], &format!("---\n{manifest}")).await;
    assert!(text(&refused).contains("spec.broker: Invalid value: \"integer\""), "{}", text(&refused));
    a_controller_settles_repairs_and_cleans_up(client_of(&cluster.kubeconfig()).await).await;
}

/// Check 38, but for what takes ten minutes: a log that has been trimmed is tried in the API's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn watchers_go_on_after_a_restart() {
    let weir = Weir::start().await;
    let client = client_of(&weir.kubeconfig).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map =
        |name: &str| serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name}})).expect("a ConfigMap");
    for name in ["before", "removed"] {
        maps.create(&PostParams::default(), &map(name)).await.expect("created");
    }
    let (store, writer) = kube::runtime::reflector::store();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        // Both ways to begin come to the same; the second one is only asked whether it begins.
        let mut begun = std::pin::pin!(watcher(maps.clone(), config).take(4).collect::<Vec<_>>());
        let events = tokio::time::timeout(crate::support::PATIENCE, &mut begun).await.expect("the initial objects");
        assert!(events.iter().all(Result::is_ok), "{events:?}");
    }
    let following = kube::runtime::reflector(writer, watcher(maps.clone(), watcher::Config::default()));
    let following = tokio::spawn(following.for_each(|_| std::future::ready(())));
    store.wait_until_ready().await.expect("listed");

    let address = weir.api.trim_start_matches("http://").to_owned();
    let weir = weir.stop().await.1.api_listen(&address).go().await;
    for name in ["one", "two", "three"] {
        maps.create(&PostParams::default(), &map(name)).await.expect("created");
    }
    maps.delete("removed", &DeleteParams::default()).await.expect("deleted");
    eventually("the watcher has seen what happened", async || {
        let mut names: Vec<String> = store.state().iter().map(|map| map.name_any()).collect();
        names.sort();
        if names == ["before", "one", "three", "two"] { Ok(()) } else { Err(names) }
    })
    .await;
    following.abort();
    drop(weir);
}

/// Check 39, as far as it goes without `kn`, which no registry has: its requests, as they were seen on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn requests_as_kn_makes_them() {
    let weir = Weir::start().await;
    let http = crate::support::client();
    let call = async |method: &str, path: &str, body: Value| -> (u16, Value) {
        let request = http.request(method.parse().expect("a method"), format!("{}{path}", weir.api));
        let request = request.header("content-type", "application/json").header("accept", "application/json, */*");
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    };
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?labelSelector=";
    for (label, kind) in
        [("duck.knative.dev%2Fsource%3Dtrue", "PingSource"), ("messaging.knative.dev%2Fsubscribable%3Dtrue", "Channel")]
    {
        let (_, list) = call("GET", &format!("{definitions}{label}"), Value::Null).await;
        let mut kinds = list["items"].as_array().into_iter().flatten().map(|item| &item["spec"]["names"]["kind"]);
        assert!(kinds.any(|found| found == kind), "{kind} is not in {list}");
    }
    let uri = json!({"uri": "http://127.0.0.1:1/"});
    let step = json!({"image": "i", "name": "", "resources": {}});
    for (group, version, plural, kind, spec, change) in [
        ("eventing.knative.dev", "v1", "brokers", "Broker", json!({}), json!({"delivery": {"retry": 3}})),
        (
            "eventing.knative.dev",
            "v1",
            "triggers",
            "Trigger",
            json!({"broker": "b", "filter": {}, "subscriber": uri}),
            json!({"filter": {"attributes": {"type": "t"}}}),
        ),
        ("messaging.knative.dev", "v1", "channels", "Channel", json!({}), json!({})),
        (
            "messaging.knative.dev",
            "v1",
            "subscriptions",
            "Subscription",
            json!({"channel": {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "c"}, "subscriber": uri}),
            json!({"reply": uri}),
        ),
        (
            "sources.knative.dev",
            "v1beta2",
            "pingsources",
            "PingSource",
            json!({"schedule": "* * * * *", "sink": uri}),
            json!({"schedule": "@hourly"}),
        ),
        (
            "eventing.knative.dev",
            "v1beta2",
            "eventtypes",
            "EventType",
            json!({"type": "t", "source": "/s"}),
            json!({"description": "d"}),
        ),
        (
            "serving.knative.dev",
            "v1",
            "services",
            "Service",
            json!({"template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": [step]}}}),
            json!({"traffic": [{"latestRevision": true, "percent": 100}]}),
        ),
    ] {
        let collection = format!("/apis/{group}/{version}/namespaces/default/{plural}");
        // Typed clients write out what is empty.
        let object = json!({
            "kind": kind, "apiVersion": format!("{group}/{version}"), "spec": spec, "status": {},
            "metadata": {"name": "kn", "namespace": "default", "creationTimestamp": null},
        });
        let (status, made) = call("POST", &collection, object).await;
        assert_eq!(status, 201, "{kind}: {made}");
        // The reconcilers write as well: who is too late reads again, as kn does.
        eventually("the object is updated", async || {
            let (_, mut read) = call("GET", &format!("{collection}/kn"), Value::Null).await;
            for (field, value) in change.as_object().into_iter().flatten() {
                read["spec"][field] = value.clone();
            }
            let (status, answer) = call("PUT", &format!("{collection}/kn"), read).await;
            if status == 200 { Ok(()) } else { Err(answer) }
        })
        .await;
        let (_, list) = call("GET", &collection, Value::Null).await;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
        let options = json!({"kind": "DeleteOptions", "apiVersion": format!("{group}/{version}"), "propagationPolicy": "Foreground"});
        let (status, gone) = call("DELETE", &format!("{collection}/kn"), options).await;
        assert_eq!(status, 200, "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_40_off_loopback_only_with_tls_and_token() {
    let Some(kubectl) = part("WEIR_TEST_KUBECTL_CURRENT", "a current kubectl") else { return };
    let directory = tempfile::tempdir().expect("temporary directory");
    let tokens = directory.path().join("tokens");
    std::fs::write(&tokens, "sesame,ann,1\n").expect("written");
    let start = Start::fresh().api_listen("0.0.0.0:0").arg("--token-auth-file").arg(tokens.display().to_string());
    let weir = start.go().await;
    assert!(weir.api.starts_with("https://"), "{}", weir.api);
    let with = async |kubeconfig: &Path, args: &[&str]| {
        let mut command = Command::new(&kubectl);
        run(command.env("HOME", directory.path()).arg("--kubeconfig").arg(kubeconfig).args(args), "").await
    };
    let who = with(&weir.kubeconfig, &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await;
    assert_eq!(text(&who), "ann");
    // Our own commands use the same file.
    let mut ours = Command::new(WEIR);
    let list = run(ours.args(["get", "namespaces", "--kubeconfig"]).arg(&weir.kubeconfig), "").await;
    assert!(text(&list).contains("default"), "{}", text(&list));

    let wrong = directory.path().join("wrong");
    let right = std::fs::read_to_string(&weir.kubeconfig).expect("a kubeconfig");
    std::fs::write(&wrong, right.replace("sesame", "wrong")).expect("written");
    let refused = with(&wrong, &["get", "namespaces"]).await;
    assert!(!refused.status.success() && text(&refused).contains("You must be logged in"), "{}", text(&refused));

    let merged = directory.path().join("merged");
    std::fs::write(&merged, "{apiVersion: v1, kind: Config, clusters: [{name: other, cluster: {server: x}}]}")
        .expect("written");
    let mut command = Command::new(WEIR);
    let data_dir = weir.data_dir().display().to_string();
    command.args(["kubeconfig", "--data-dir", &data_dir, "--context", "lab", "--merge"]).arg(&merged);
    let output = run(&mut command, "").await;
    assert!(output.status.success(), "{}", text(&output));
    let list = with(&merged, &["--context", "lab", "get", "ns", "-o", "name"]).await;
    assert!(text(&list).contains("namespace/default"), "{}", text(&list));
    assert!(std::fs::read_to_string(&merged).expect("there").contains("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_strangers_are_refused_on_loopback() {
    let weir = Weir::start().await;
    let client = crate::support::client();
    for (header, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let answer =
            client.get(format!("{}/api/v1/secrets", weir.api)).header(header, value).send().await.expect("an answer");
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!((status, &body["reason"]), (403, &json!("Forbidden")), "{header}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_see_each_others_writes() {
    let Some(server) = part("WEIR_TEST_POSTGRES_SERVER", "PostgreSQL") else { return };
    let url = crate::support::create_database(&server).await;
    let one = Start::fresh().arg("--store").arg(&url).go().await;
    let other = Start::fresh().arg("--store").arg(&url).go().await;
    one.apply("---\n{apiVersion: eventing.knative.dev/v1, kind: Broker, metadata: {name: default}}").await;
    assert!(other.cli(&["get", "broker", "default", "-o", "name"]).await.contains("broker"));
    other.ready("broker/default").await;
    other.apply("---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {k: v}}").await;
    assert_eq!(one.cli(&["get", "configmap", "m", "-o", "jsonpath={.data.k}"]).await.trim(), "v");
    // One of them reconciles; the address is its own.
    let address = "jsonpath={.status.address.url}";
    let told = one.cli(&["get", "broker", "default", "-o", address]).await;
    let leader_is_one = told.contains(&one.data_plane);
    assert!(leader_is_one || told.contains(&other.data_plane), "{told}");
    // It goes, and the other takes over.
    let (leader, follower) = if leader_is_one { (one, other) } else { (other, one) };
    leader.stop().await;
    eventually("the other one reconciles", async || {
        let told = follower.cli(&["get", "broker", "default", "-o", address]).await;
        if told.contains(&follower.data_plane) { Ok(()) } else { Err(told) }
    })
    .await;
}
