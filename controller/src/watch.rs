//! One watch of one kind: keeps its cache and says which keys changed, in that order.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

use futures_util::TryStreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Lookup, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// What the cache says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The object is there, new or changed.
    Applied,
    /// The object is gone.
    Deleted,
}

/// Watches for ever, with back-off. `changed` runs after the cache holds the change; the reference carries the UID.
pub(crate) async fn run<K, F>(api: Api<K>, mut writer: Writer<K>, changed: F)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&ObjectRef<K>, Change) + Send,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(event)) => store(&mut writer, event, (), &changed),
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
            let versions = |reader: &kube::runtime::reflector::Store<K>| -> Vec<(ObjectRef<K>, Option<String>)> {
                let key = |object: std::sync::Arc<K>| object.to_object_ref(dyntype.clone());
                reader.state().into_iter().map(key).map(|key| (key.clone(), key.extra.resource_version)).collect()
            };
            let before: HashSet<_> = versions(&reader).into_iter().collect();
            writer.apply_watcher_event(&event);
            let after = versions(&reader);
            let kept: HashSet<_> = after.iter().map(|(key, _)| key.clone()).collect();
            before.iter().filter(|(key, _)| !kept.contains(key)).for_each(|(key, _)| changed(key, Change::Deleted));
            after.iter().filter(|entry| !before.contains(*entry)).for_each(|(key, _)| changed(key, Change::Applied));
        }
    }
}

#[cfg(test)]
mod tests;
