//! Older manifests, as people still have them, beside their current forms: both are applied, and applied again, changed,
//! read under either name, and deleted.

use serde_json::Value;

use super::{Kubectl, assert_holds, with_each_kubectl};

/// File in `examples/legacy`, the older kind, what it becomes, and a field of the current form.
const OLDER: [(&str, &str, &str, &str, &str); 6] = [
    (
        "cronjobsource",
        "cronjobsource.v1alpha2.sources.knative.dev",
        "containersource.v1.sources.knative.dev",
        "sources.knative.dev/v1 ContainerSource",
        "{.spec.template.spec.containers[0].image}",
    ),
    (
        "channel",
        "channel.v1alpha1.messaging.knative.dev",
        "channel.v1.messaging.knative.dev",
        "messaging.knative.dev/v1 Channel",
        "{.spec.channelTemplate.kind}",
    ),
    (
        "subscription",
        "subscription.v1alpha2.eventing.knative.dev",
        "subscription.v1.messaging.knative.dev",
        "messaging.knative.dev/v1 Subscription",
        "{.spec.channel.name}",
    ),
    (
        "sequence",
        "sequence.v1alpha2.eventing.knative.dev",
        "sequence.v1.flows.knative.dev",
        "flows.knative.dev/v1 Sequence",
        "{.spec.steps[0]}",
    ),
    (
        "parallel",
        "parallel.v1alpha2.eventing.knative.dev",
        "parallel.v1.flows.knative.dev",
        "flows.knative.dev/v1 Parallel",
        "{.spec.branches[0].subscriber}",
    ),
    (
        "trigger",
        "trigger.v1beta1.eventing.knative.dev",
        "trigger.v1.eventing.knative.dev",
        "eventing.knative.dev/v1 Trigger",
        "{.spec.subscriber}",
    ),
];

fn example(directory: &str, file: &str) -> String {
    let path = format!("{}/examples/{directory}/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn name_of(manifest: &str) -> String {
    let manifest: Value = serde_yaml_ng::from_str(manifest).expect("YAML");
    manifest["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// Server-side validation is asked for where kubectl has it: an older manifest must pass it.
async fn apply(kubectl: &Kubectl, manifest: &str) -> String {
    kubectl.ok_with("apply -f -", manifest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn older_manifests_are_converted_and_say_what_they_became() {
    with_each_kubectl(async |kubectl, _| {
        for (file, older, current, became, field) in OLDER {
            let manifest = example("legacy", file);
            let name = name_of(&manifest);
            let told = apply(kubectl, &manifest).await;
            assert_holds(&told, &["created"]);
            // 1.20 prints warnings too.
            assert_holds(&told, &[&format!("became {became} \"{name}\"")]);
            assert_ne!(kubectl.path(&format!("{current}/{name}"), field).await, "", "{current}");
            // Applied again nothing changes: what is read in the older form is what was written.
            let again = apply(kubectl, &manifest).await;
            assert_holds(&again, &["unchanged"]);
            let shown = kubectl.get(&format!("{older}/{name}")).await;
            let written: Value = serde_yaml_ng::from_str(&manifest).expect("YAML");
            assert_eq!((&shown["apiVersion"], &shown["kind"]), (&written["apiVersion"], &written["kind"]));
            assert_holds(&kubectl.ok(&format!("get {older}")).await, &[&name]);
            assert_holds(&kubectl.ok(&format!("describe {older} {name}")).await, &[&name]);
            kubectl.ok(&format!("label {older} {name} seen=yes")).await;
            assert_eq!(kubectl.path(&format!("{current}/{name}"), "{.metadata.labels.seen}").await, "yes");
            kubectl.ok_with("delete -f -", &manifest).await;
            kubectl.fails(&format!("get {current} {name}"), "").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn current_manifests_are_applied_without_a_word() {
    with_each_kubectl(async |kubectl, _| {
        for (file, _, current, _, field) in OLDER {
            let file = if file == "cronjobsource" { "containersource" } else { file };
            let manifest = example("current", file);
            let name = name_of(&manifest);
            let told = apply(kubectl, &manifest).await;
            assert!(told.contains("created") && !told.contains("Warning"), "{told}");
            assert_ne!(kubectl.path(&format!("{current}/{name}"), field).await, "", "{current}");
            // Lists whose items got defaults are patched each time, as on a cluster, and nothing comes of it.
            let version = kubectl.path(&format!("{current}/{name}"), "{.metadata.generation}").await;
            apply(kubectl, &manifest).await;
            assert_eq!(kubectl.path(&format!("{current}/{name}"), "{.metadata.generation}").await, version);
            kubectl.ok_with("delete -f -", &manifest).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_nobody_acts_on_yet_say_so() {
    with_each_kubectl(async |kubectl, _| {
        let manifest = example("current", "sequence");
        apply(kubectl, &manifest).await;
        let ready =
            r#"{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}"#;
        crate::support::eventually("the Sequence says that it waits", async || {
            let found = kubectl.path(&format!("sequence/{}", name_of(&manifest)), ready).await;
            if found == "Unknown NotImplementedYet" { Ok(()) } else { Err(found) }
        })
        .await;
    })
    .await;
}
