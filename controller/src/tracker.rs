//! The objects that references name: watched while somebody refers to one of their kind, whatever the kind is.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use kube::core::{ApiResource, DynamicResourceScope, GroupVersionKind, ObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;
use weir_api::condition::Condition;
use weir_api::destination::Addressable;

use crate::context::{Queues, Subject};
use crate::watch::{self, Change};

/// How long a reconcile waits for the first list of a kind before it reports that it is still waiting.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// Names an object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What is known of a target.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    /// It is there.
    Found(Arc<Referent>),
    /// It is not.
    Absent,
    /// The API serves no such kind.
    NoSuchKind,
    /// It could not be looked up, and why.
    Unavailable(String),
}

/// The part of an object that matters to those who refer to it. Read leniently: any kind may be referred to, and one
/// whose fields mean something else has no address, which is then what is reported.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Referent {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) status: ReferentStatus,
    /// A ConfigMap's content.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) data: HashMap<String, String>,
}

/// The duck-typed part of a status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReferentStatus {
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) address: Option<Addressable>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) addresses: Vec<Addressable>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) observed_generation: Option<i64>,
}

fn lenient<'de, T: Default + DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

impl Resource for Referent {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(api: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&api.group)
    }
    fn version(api: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&api.version)
    }
    fn kind(api: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&api.kind)
    }
    fn api_version(api: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&api.api_version)
    }
    fn plural(api: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&api.plural)
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// One watch: a kind everywhere, or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Scope {
    api_version: String,
    kind: String,
    namespace: Option<String>,
}

impl Scope {
    /// Kinds are watched in all namespaces at once; ConfigMaps, of which clusters hold very many, only where somebody
    /// refers to one.
    fn of(target: &Target) -> Self {
        let config_map = target.kind == "ConfigMap" && target.api_version == "v1";
        Self {
            api_version: target.api_version.clone(),
            kind: target.kind.clone(),
            namespace: config_map.then(|| target.namespace.clone()),
        }
    }
}

/// How far a watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Listing,
    Ready,
    NoSuchKind,
    Failed(String),
}

struct KindWatch {
    objects: Store<Referent>,
    phase: channel::Receiver<Phase>,
    /// Who asked, by namespace and name of the object.
    dependents: Dependents,
    _task: AbortOnDropHandle<()>,
}

/// Who refers to which object, by namespace and name.
type Dependents = Arc<Mutex<HashMap<(String, String), HashSet<Subject>>>>;

/// Watches what references name and asks for a reconcile of those who refer to it when it changes.
pub(crate) struct Tracker {
    client: Client,
    queues: Queues,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watches: HashMap<Scope, KindWatch>,
    /// What each object refers to.
    targets: HashMap<Subject, BTreeSet<Target>>,
}

impl Tracker {
    pub(crate) fn new(client: Client, queues: Queues) -> Self {
        Self { client, queues, state: Mutex::default() }
    }

    /// From now on `subject` refers to `targets` and nothing else. Watches nobody needs any more end.
    pub(crate) fn track(&self, subject: &Subject, targets: impl IntoIterator<Item = Target>) {
        let targets: BTreeSet<Target> = targets.into_iter().collect();
        let mut state = self.state.lock();
        let State { watches, targets: known } = &mut *state;
        let before = known.remove(subject).unwrap_or_default();
        for target in targets.difference(&before) {
            let scope = Scope::of(target);
            let watch = watches.entry(scope).or_insert_with_key(|scope| self.watch(scope));
            let key = (target.namespace.clone(), target.name.clone());
            watch.dependents.lock().entry(key).or_default().insert(subject.clone());
        }
        for target in before.difference(&targets) {
            let scope = Scope::of(target);
            let Some(watch) = watches.get(&scope) else { continue };
            let unused = {
                let mut dependents = watch.dependents.lock();
                let key = (target.namespace.clone(), target.name.clone());
                if let Some(subjects) = dependents.get_mut(&key) {
                    subjects.remove(subject);
                    if subjects.is_empty() {
                        dependents.remove(&key);
                    }
                }
                dependents.is_empty()
            };
            if unused {
                watches.remove(&scope);
            }
        }
        if !targets.is_empty() {
            known.insert(subject.clone(), targets);
        }
    }

    /// What is known of `target`, which has to be tracked. Waits for the first list of its kind, for a few seconds.
    pub(crate) async fn lookup(&self, target: &Target) -> Lookup {
        let found = {
            let state = self.state.lock();
            state.watches.get(&Scope::of(target)).map(|watch| (watch.objects.clone(), watch.phase.clone()))
        };
        let Some((objects, mut phase)) = found else {
            return Lookup::Unavailable("nobody refers to it any more".to_owned());
        };
        let listed = tokio::time::timeout(FIRST_LIST, phase.wait_for(|phase| *phase != Phase::Listing)).await;
        let phase = match listed {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) | Err(_) => Phase::Failed("the API has not answered yet".to_owned()),
        };
        match phase {
            Phase::Listing | Phase::Ready => {
                let (group, version) = target.api_version.rsplit_once('/').unwrap_or(("", &target.api_version));
                let api = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &target.kind));
                let key = ObjectRef::new_with(&target.name, api).within(&target.namespace);
                objects.get(&key).map_or(Lookup::Absent, Lookup::Found)
            }
            Phase::NoSuchKind => Lookup::NoSuchKind,
            Phase::Failed(reason) => Lookup::Unavailable(reason),
        }
    }

    fn watch(&self, scope: &Scope) -> KindWatch {
        let (group, version) = scope.api_version.rsplit_once('/').unwrap_or(("", &scope.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &scope.kind));
        let api = match &scope.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let writer = Writer::new(resource.clone());
        let objects = writer.as_reader();
        let (phase_sender, phase) = channel::channel(Phase::Listing);
        let dependents = Dependents::default();
        let following = follow(api, resource, writer, phase_sender, Arc::clone(&dependents), self.queues.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(following));
        KindWatch { objects, phase, dependents, _task: task }
    }
}

/// Watches one kind until it is dropped.
async fn follow(
    api: Api<Referent>,
    resource: ApiResource,
    mut writer: Writer<Referent>,
    phase: channel::Sender<Phase>,
    dependents: Dependents,
    queues: Queues,
) {
    let changed = |object: &ObjectRef<Referent>, _: Change| {
        let key = (object.namespace.clone().unwrap_or_default(), object.name.clone());
        let subjects = dependents.lock().get(&key).cloned().unwrap_or_default();
        subjects.into_iter().for_each(|subject| queues.request(subject));
    };
    let enter = |next: Phase| {
        let news = phase.send_if_modified(|phase| {
            let news = *phase != next && !(*phase == Phase::Ready && next != Phase::Ready);
            if news {
                *phase = next;
            }
            news
        });
        if news {
            let subjects: HashSet<Subject> = dependents.lock().values().flatten().cloned().collect();
            subjects.into_iter().for_each(|subject| queues.request(subject));
        }
    };
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                let listed = matches!(event, watcher::Event::InitDone);
                watch::store(&mut writer, event, resource.clone(), &changed);
                if listed {
                    enter(Phase::Ready);
                }
            }
            Ok(None) => return,
            // Once listed, the cache stands while a broken watch is tried again.
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
                enter(Phase::NoSuchKind);
            }
            Err(error) => {
                tracing::debug!(kind = %resource.kind, %error, "watch of a referenced kind is tried again");
                enter(Phase::Failed(error.to_string()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
