//! One watch of one kind: keeps its cache and says which keys changed, in that order.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::TryStreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;

/// What the cache says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The object is there, new or changed.
    Applied,
    /// The object is gone.
    Deleted,
}

/// The cache of one kind.
pub(crate) struct Cache<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    synced: channel::Receiver<bool>,
}

/// What fills a [`Cache`].
pub(crate) struct Filler<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    synced: channel::Sender<bool>,
}

/// A cache, empty until [`run`] fills it.
pub(crate) fn cache<K: Resource<DynamicType = ()> + Clone + 'static>() -> (Cache<K>, Filler<K>) {
    let (store, writer) = reflector::store();
    let (sender, synced) = channel::channel(false);
    (Cache { store, synced }, Filler { writer, synced: sender })
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Cache<K> {
    /// The object of this name, if there is one.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new(name).within(namespace))
    }

    /// Every object.
    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// The objects of which `wanted` holds.
    pub(crate) fn filter(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.store.state_filter(wanted)
    }

    /// For kube's own machinery.
    pub(crate) fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Waits until the kind has been listed: before that "there is none" means nothing. False if it never will be.
    ///
    /// Not `Store::wait_until_ready`: of several tasks that wait there, kube-runtime 5.0 wakes only the last.
    pub(crate) async fn synced(&self) -> bool {
        self.synced.clone().wait_for(|synced| *synced).await.is_ok()
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), synced: self.synced.clone() }
    }
}

/// Watches for ever, with back-off. `changed` runs after the cache holds the change; the reference carries the UID.
pub(crate) async fn run<K, F>(api: Api<K>, Filler { mut writer, synced }: Filler<K>, changed: F)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&ObjectRef<K>, Change) + Send,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                let listed = matches!(event, watcher::Event::InitDone);
                store(&mut writer, event, (), &changed);
                if listed {
                    synced.send_replace(true);
                }
            }
            Ok(None) => return,
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch broke off and is tried again"),
        }
    }
}

/// Puts one watch event into the cache and tells what changed by it.
///
/// A fresh list replaces the cache as a whole: objects deleted while the watch was away are told like any others, and
/// objects whose version is the same are not told again.
pub(crate) fn store<K>(
    writer: &mut Writer<K>,
    mut event: watcher::Event<K>,
    dyntype: K::DynamicType,
    changed: &impl Fn(&ObjectRef<K>, Change),
) where
    K: Resource + Clone + 'static,
    K::DynamicType: Clone + Eq + Hash,
{
    match &mut event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => object.meta_mut().managed_fields = None,
        watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone => {}
    }
    match &event {
        watcher::Event::Init | watcher::Event::InitApply(_) => writer.apply_watcher_event(&event),
        watcher::Event::Apply(object) => {
            writer.apply_watcher_event(&event);
            changed(&object.to_object_ref(dyntype), Change::Applied);
        }
        watcher::Event::Delete(object) => {
            writer.apply_watcher_event(&event);
            changed(&object.to_object_ref(dyntype), Change::Deleted);
        }
        watcher::Event::InitDone => {
            let reader = writer.as_reader();
            let versions = |reader: &Store<K>| -> Vec<(ObjectRef<K>, Option<String>)> {
                let key = |object: Arc<K>| object.to_object_ref(dyntype.clone());
                reader.state().into_iter().map(key).map(|key| (key.clone(), key.extra.resource_version)).collect()
            };
            let before: HashSet<_> = versions(&reader).into_iter().collect();
            writer.apply_watcher_event(&event);
            let after = versions(&reader);
            // By UID: an object created again under the name of a deleted one is another object.
            let identity = |key: &ObjectRef<K>| (key.clone(), key.extra.uid.clone());
            let kept: HashSet<_> = after.iter().map(|(key, _)| identity(key)).collect();
            let gone = before.iter().filter(|(key, _)| !kept.contains(&identity(key)));
            gone.for_each(|(key, _)| changed(key, Change::Deleted));
            after.iter().filter(|entry| !before.contains(*entry)).for_each(|(key, _)| changed(key, Change::Applied));
        }
    }
}

#[cfg(test)]
mod tests;
