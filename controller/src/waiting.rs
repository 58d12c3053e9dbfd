//! Kinds that no reconciler of this build acts on: their objects are stored, and say so.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch as channel;
use weir_api::condition::{READY, Status};
use weir_api::kinds::Kind;

/// Why such an object is not Ready.
const REASON: &str = "NotImplementedYet";
/// Pause before everything is looked at again after a failed write.
const RETRY: Duration = Duration::from_secs(5);

/// Reports `Ready` as Unknown on objects of `kind` for as long as this process leads. Never returns; what fails is tried
/// again.
pub(crate) async fn run(client: Client, kind: &'static Kind, mut leading: channel::Receiver<bool>) {
    loop {
        let led = leading.wait_for(|leads| *leads).await.map(drop);
        if led.is_err() {
            // Nobody decides any more who leads: the process is about to end.
            std::future::pending::<()>().await;
        }
        let deposed = async { leading.wait_for(|leads| !*leads).await.map(drop) };
        tokio::select! {
            () = report(client.clone(), kind) => tokio::time::sleep(RETRY).await,
            _ = deposed => {}
        }
    }
}

/// Follows the objects of `kind` until a status cannot be written.
async fn report(client: Client, kind: &'static Kind) {
    let resource = resource(kind);
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut events = std::pin::pin!(watcher(all, watcher::Config::default()).default_backoff());
    // A status that somebody else keeps changing back must not become a loop of writes.
    let mut written: HashMap<String, i64> = HashMap::new();
    loop {
        let object = match events.try_next().await {
            Ok(Some(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) => object,
            Ok(Some(watcher::Event::Delete(object))) => {
                written.remove(&object.uid().unwrap_or_default());
                continue;
            }
            Ok(Some(watcher::Event::Init | watcher::Event::InitDone)) => continue,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(kind = kind.kind(), %error, "watch broke off and is tried again");
                continue;
            }
        };
        let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or(0));
        if is_told(&object) || written.get(&uid) == Some(&generation) {
            continue;
        }
        let (namespace, name) = (object.namespace(), object.name_any());
        let api: Api<DynamicObject> = match &namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status(kind, generation))).await {
            Ok(_) => drop(written.insert(uid, generation)),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                tracing::warn!(kind = kind.kind(), name, %error, "a status could not be written and is tried again");
                return;
            }
        }
    }
}

fn resource(kind: &Kind) -> ApiResource {
    let spec = &kind.definition.spec;
    let version = spec.versions.iter().find(|version| version.storage).map_or("v1", |version| &version.name);
    let of = GroupVersionKind::gvk(&spec.group, version, &spec.names.kind);
    ApiResource::from_gvk_with_plural(&of, &spec.names.plural)
}

/// Whether the status already says it, of this generation.
fn is_told(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    let ready = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == READY);
    ready.is_some_and(|ready| ready["reason"] == REASON)
        && status["observedGeneration"].as_i64() == object.metadata.generation
}

fn status(kind: &Kind, generation: i64) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let message = format!("this version of weir stores {}s and does not act on them", kind.kind());
    let ready = json!({
        "type": READY,
        "status": Status::Unknown,
        "reason": REASON,
        "message": message,
        "lastTransitionTime": now,
    });
    json!({"status": {"observedGeneration": generation, "conditions": [ready]}})
}
