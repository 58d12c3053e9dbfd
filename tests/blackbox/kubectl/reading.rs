//! Checks 1, 2, 6, 7, 14–16, 31, 34.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::{Kubectl, assert_holds, trigger, with_each_kubectl};
use crate::support::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn check_1_every_kind_is_listed_once() {
    with_each_kubectl(async |kubectl, _| {
        let resources = kubectl.ok("api-resources --no-headers").await;
        for (plural, short, kind) in [
            ("triggers", "", "Trigger"),
            ("subscriptions", "sub", "Subscription"),
            ("inmemorychannels", "imc", "InMemoryChannel"),
            ("services", "kservice,ksvc", "Service"),
            ("deployments", "deploy", "Deployment"),
            ("horizontalpodautoscalers", "hpa", "HorizontalPodAutoscaler"),
        ] {
            let line = resources.lines().find(|line| line.starts_with(&format!("{plural} ")) && line.contains(short));
            let line = line.unwrap_or_else(|| panic!("{plural} ({short}) is not in:\n{resources}"));
            assert!(line.ends_with(kind), "{line}");
        }
        let mut names: Vec<_> =
            resources.lines().map(|line| (line.split(' ').next(), line.rsplit(' ').nth(2))).collect();
        let total = names.len();
        names.dedup();
        assert_eq!(names.len(), total, "{resources}");
        let versions = kubectl.ok("api-versions").await;
        assert_holds(&versions, &["sources.knative.dev/v1\n", "sources.knative.dev/v1beta2\n", "autoscaling/v1\n"]);
        // What people type means the current kind, whatever older ones have the name too.
        for (word, group) in [
            ("sequence", "flows.knative.dev/v1"),
            ("channel", "messaging.knative.dev/v1"),
            ("subscription", "messaging.knative.dev/v1"),
            ("parallel", "flows.knative.dev/v1"),
            ("trigger", "eventing.knative.dev/v1"),
            ("broker", "eventing.knative.dev/v1"),
            ("services", "v1"),
            ("ksvc", "serving.knative.dev/v1"),
            ("containersource", "sources.knative.dev/v1"),
        ] {
            let list: serde_json::Value =
                serde_json::from_str(&kubectl.ok(&format!("get {word} -o json")).await).expect("JSON");
            let raw = kubectl.ok(&format!("get {word} -v=8")).await;
            assert!(list["items"].is_array());
            let path = if group == "v1" { "/api/v1/".to_owned() } else { format!("/apis/{group}/") };
            assert!(raw.contains(&path), "{word} is not {group}: {raw}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_2_an_empty_namespace_says_so() {
    with_each_kubectl(async |kubectl, _| {
        let empty = format!("No resources found in {} namespace.\n", kubectl.namespace);
        assert_eq!(kubectl.ok("get triggers").await, empty);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_6_columns_and_output_forms() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let table = kubectl.ok("get triggers").await;
        let head: Vec<_> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(head, ["NAME", "BROKER", "SUBSCRIBER_URI", "AGE", "READY", "REASON"]);
        assert!(table.lines().nth(1).is_some_and(|row| row.starts_with("t1 ")), "{table}");
        assert_holds(&kubectl.ok("get triggers -A").await, &["NAMESPACE", &kubectl.namespace]);
        assert_holds(&kubectl.ok("get triggers --show-labels").await, &["LABELS", "app=web"]);
        assert_holds(&kubectl.ok("get triggers -o wide").await, &["SUBSCRIBER_URI"]);
        assert_eq!(kubectl.ok("get triggers -o name").await, "trigger.eventing.knative.dev/t1\n");
        assert_eq!(kubectl.path("trigger/t1", "{.spec.broker}").await, "default");
        let custom = kubectl.ok("get triggers -o custom-columns=N:.metadata.name,B:.spec.broker").await;
        assert_eq!(custom.split_whitespace().collect::<Vec<_>>(), ["N", "B", "t1", "default"]);
        assert_holds(&kubectl.ok("get broker,trigger,channel -A").await, &["trigger.eventing.knative.dev/t1"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_7_describe_shows_events() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let uid = kubectl.path("trigger/t1", "{.metadata.uid}").await;
        let event = |name: &str, group: &str, fields: &str| {
            format!("{{apiVersion: {group}, kind: Event, metadata: {{name: {name}}}, type: Warning, reason: Odd{name}, {fields}}}")
        };
        let namespace = &kubectl.namespace;
        let object = format!("{{apiVersion: eventing.knative.dev/v1, kind: Trigger, name: t1, namespace: {namespace}, uid: {uid}}}");
        let core = event("core", "v1", &format!("message: as core, count: 3, involvedObject: {object}"));
        let new = event(
            "new",
            "events.k8s.io/v1",
            &format!(
                "note: as new, action: Look, reportingController: me, reportingInstance: me, \
                 eventTime: '2026-01-01T00:00:00.000000Z', regarding: {object}"
            ),
        );
        for manifest in [core, new] {
            kubectl.ok_with("create -f -", &manifest).await;
        }
        assert_holds(
            &kubectl.ok("describe trigger t1").await,
            &["Name:         t1", "Events:", "Oddcore", "as core", "Oddnew", "as new"],
        );
        assert_holds(&kubectl.ok("get events").await, &["LAST SEEN", "Oddcore", "trigger/t1"]);
    })
    .await;
}

struct Watching {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Watching {
    fn start(kubectl: &Kubectl, line: &str) -> Self {
        let mut command = kubectl.command(line);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("kubectl starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { lines, _child: child }
    }

    /// The next line that has all of `parts`.
    async fn line(&mut self, parts: &[&str]) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.expect("readable") {
                if parts.iter().all(|part| line.contains(part)) {
                    return line;
                }
            }
            panic!("the watch ended without {parts:?}");
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line with {parts:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_14_watches_follow_changes_and_selectors() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let mut all = Watching::start(kubectl, "get triggers -w");
        all.line(&["NAME", "READY"]).await;
        all.line(&["t1"]).await;
        let mut labelled = Watching::start(kubectl, "get triggers -w -l app=web --output-watch-events");
        labelled.line(&["ADDED", "t1"]).await;
        kubectl.ok("label trigger t1 app-").await;
        labelled.line(&["DELETED", "t1"]).await;
        // The reconciler has something to say about a Trigger without a Broker.
        all.line(&["t1", "False", "BrokerDoesNotExist"]).await;
        kubectl.ok("delete trigger t1").await;
        all.line(&["t1"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_15_wait_returns_with_the_change() {
    with_each_kubectl(async |kubectl, _| {
        kubectl.apply(&trigger("t1", "")).await;
        let refused = kubectl.fails("wait --for=condition=Ready trigger/t1 --timeout=1s", "").await;
        assert_holds(&refused, &["timed out"]);
        let waiting = kubectl.command("wait --for=condition=Ready trigger/t1 --timeout=60s").spawn();
        let mut waiting = waiting.expect("kubectl starts");
        kubectl.apply("{apiVersion: eventing.knative.dev/v1, kind: Broker, metadata: {name: default}}").await;
        eventually("the Trigger is Ready", async || {
            let ready = kubectl.path("trigger/t1", r#"{.status.conditions[?(@.type=="Ready")].status}"#).await;
            if ready == "True" { Ok(()) } else { Err(ready) }
        })
        .await;
        let changed = Instant::now();
        assert!(waiting.wait().await.expect("ended").success());
        assert!(changed.elapsed() < Duration::from_secs(5), "told {:?} after the change", changed.elapsed());
        if !kubectl.is_old() {
            kubectl.ok("wait --for=jsonpath={.spec.broker}=default trigger/t1 --timeout=10s").await;
            kubectl.ok("wait --for=create trigger/t1 --timeout=10s").await;
        }
        let mut command = kubectl.command("wait --for=delete trigger/t1 --timeout=60s -v=8");
        let mut waiting = command.stderr(std::process::Stdio::piped()).spawn().expect("kubectl starts");
        // To an object that is gone before it has begun, it objects.
        let mut told = BufReader::new(waiting.stderr.take().expect("piped")).lines();
        while let Some(line) = told.next_line().await.expect("readable") {
            if line.contains("watch=true") {
                break;
            }
        }
        let rest = tokio::spawn(async move { while let Ok(Some(_)) = told.next_line().await {} });
        kubectl.ok("delete trigger t1").await;
        assert!(waiting.wait().await.expect("ended").success());
        rest.await.expect("read to the end");
        kubectl.ok("delete broker default").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_16_explain_tells_the_fields() {
    with_each_kubectl(async |kubectl, _| {
        let spec = kubectl.ok("explain trigger.spec --recursive").await;
        let fields = ["broker", "filter", "subscriber", "ref", "kind", "backoffDelay"];
        assert_holds(&spec, &fields);
        assert_holds(&kubectl.ok("explain trigger.spec").await, &["DESCRIPTION"]);
        assert_holds(&kubectl.ok("explain deployment.spec.template.spec.containers").await, &["image"]);
        assert_holds(&kubectl.ok("explain pingsource.spec").await, &["schedule"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_31_questions_about_oneself() {
    with_each_kubectl(async |kubectl, _| {
        assert_eq!(kubectl.ok("auth can-i get pods").await.trim(), "yes");
        if !kubectl.is_old() {
            assert_holds(&kubectl.ok("auth whoami").await, &["system:admin"]);
        }
        assert_holds(&kubectl.ok("version").await, &["v1.34"]);
        assert_holds(&kubectl.ok("cluster-info").await, &["is running at"]);
        assert_eq!(kubectl.ok("get --raw /healthz").await.trim(), "ok");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_34_pages_survive_a_deletion_between_them() {
    with_each_kubectl(async |kubectl, weir| {
        for name in ["a", "b", "c", "d", "e"] {
            kubectl.ok(&format!("create configmap {name} --from-literal=k=v")).await;
        }
        assert_eq!(kubectl.ok("get cm --chunk-size=2 --no-headers").await.lines().count(), 5);
        let list = format!("{}/api/v1/namespaces/{}/configmaps?limit=2", weir.api, kubectl.namespace);
        let client = crate::support::client();
        let page = async |url: String| -> serde_json::Value {
            client.get(url).send().await.expect("an answer").json().await.expect("JSON")
        };
        let first = page(list.clone()).await;
        assert_eq!(first["metadata"]["remainingItemCount"], 3);
        kubectl.ok("delete cm c").await;
        let token = first["metadata"]["continue"].as_str().expect("a token").to_owned();
        let second = page(format!("{list}&continue={token}")).await;
        let names: Vec<_> =
            second["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]["name"]).collect();
        assert_eq!(names, ["d", "e"]);
        assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    })
    .await;
}
