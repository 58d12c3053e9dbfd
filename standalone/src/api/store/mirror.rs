//! The state in memory: objects by key, owners, and the recent changes of each resource.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::{Key, Marks, Object, ResourceId, Revision};

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Update,
    Delete,
}

/// One change.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) resource: ResourceId,
    pub(crate) revision: Revision,
    pub(crate) op: Op,
    /// The state after the change; for a deletion the last state, at the deletion's revision.
    pub(crate) object: Arc<Object>,
    /// Marks before the change; none for a creation.
    pub(crate) was: Option<Arc<Marks>>,
}

/// Answer to [`Mirror::list`].
pub(crate) struct Listing {
    pub(crate) items: Vec<Arc<Object>>,
    pub(crate) revision: Revision,
    /// How many more there are after `items`.
    pub(crate) remaining: usize,
}

/// Answer to [`Mirror::since`].
pub(crate) enum Since {
    /// All changes after the revision asked for, up to `revision`.
    Recent { entries: Vec<Arc<Entry>>, revision: Revision },
    /// Changes up to `floor` are only in the log.
    Older { floor: Revision },
}

/// Bounds of the recent changes kept per resource: beyond either the log in SQL serves.
const RING_ENTRIES: usize = 2048;
const RING_BYTES: usize = 1 << 20;

#[derive(Default)]
struct Resource {
    objects: BTreeMap<Key, Arc<Object>>,
    ring: VecDeque<Arc<Entry>>,
    ring_bytes: usize,
    /// Every change after this revision is in the ring.
    floor: Revision,
}

#[derive(Default)]
pub(super) struct Mirror {
    revision: Revision,
    compacted: Revision,
    resources: Vec<Resource>,
    /// Uid of an owner to its dependents.
    dependents: HashMap<Box<str>, Vec<(ResourceId, Key)>>,
    uids: HashMap<Box<str>, (ResourceId, Key)>,
}

impl Mirror {
    pub(super) fn new(resources: usize, revision: Revision, compacted: Revision) -> Self {
        let empty = || Resource { floor: revision, ..Resource::default() };
        let resources = std::iter::repeat_with(empty).take(resources).collect();
        Self { revision, compacted, resources, ..Self::default() }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(super) fn set_compacted(&mut self, revision: Revision) {
        self.compacted = revision;
    }

    /// Takes note of a revision that no change of a resource served here led to.
    pub(super) fn set_revision(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Every object.
    pub(super) fn all(&self) -> impl Iterator<Item = (ResourceId, &Arc<Object>)> {
        let resources = self.resources.iter().enumerate();
        resources.flat_map(|(index, resource)| resource.objects.values().map(move |object| (ResourceId(index), object)))
    }

    pub(super) fn get(&self, resource: ResourceId, key: &Key) -> Option<Arc<Object>> {
        self.resources[resource.0].objects.get(key).cloned()
    }

    pub(super) fn list(
        &self,
        resource: ResourceId,
        namespace: Option<&str>,
        after: Option<&Key>,
        limit: usize,
        pick: impl Fn(&Object) -> bool,
    ) -> Listing {
        let objects = &self.resources[resource.0].objects;
        let start = match (after, namespace) {
            (Some(key), _) => Bound::Excluded(key.clone()),
            (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        let mut rest = objects
            .range((start, Bound::Unbounded))
            .map(|(_, object)| object)
            .take_while(|object| namespace.is_none_or(|namespace| object.key.namespace.as_ref() == namespace))
            .filter(|object| pick(object));
        let items = rest.by_ref().take(limit).cloned().collect();
        Listing { items, revision: self.revision, remaining: rest.count() }
    }

    pub(super) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Arc<Object>)> {
        let found = self.dependents.get(uid).into_iter().flatten();
        found.filter_map(|(resource, key)| Some((*resource, self.get(*resource, key)?))).collect()
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<(ResourceId, Arc<Object>)> {
        let (resource, key) = self.uids.get(uid)?;
        Some((*resource, self.get(*resource, key)?))
    }

    pub(super) fn since(&self, resource: ResourceId, revision: Revision) -> Since {
        let resource = &self.resources[resource.0];
        if revision < resource.floor {
            return Since::Older { floor: resource.floor };
        }
        let first = resource.ring.partition_point(|entry| entry.revision <= revision);
        Since::Recent { entries: resource.ring.range(first..).cloned().collect(), revision: self.revision }
    }

    /// Adds an object that was there before this process.
    pub(super) fn insert_loaded(&mut self, resource: ResourceId, object: Object) {
        self.put(resource, Arc::new(object));
    }

    /// Makes a committed change visible. Changes come in the order of their revisions.
    pub(super) fn apply(&mut self, entry: &Arc<Entry>) {
        match entry.op {
            Op::Create | Op::Update => self.put(entry.resource, Arc::clone(&entry.object)),
            Op::Delete => self.remove(entry.resource, &entry.object.key),
        }
        self.revision = entry.revision;
        let resource = &mut self.resources[entry.resource.0];
        resource.ring_bytes += entry.object.json.len();
        resource.ring.push_back(Arc::clone(entry));
        while resource.ring.len() > RING_ENTRIES || resource.ring_bytes > RING_BYTES {
            let Some(oldest) = resource.ring.pop_front() else { break };
            resource.ring_bytes -= oldest.object.json.len();
            resource.floor = oldest.revision;
        }
    }

    fn put(&mut self, resource: ResourceId, object: Arc<Object>) {
        self.remove(resource, &object.key);
        for owner in &object.owners {
            self.dependents.entry(owner.clone()).or_default().push((resource, object.key.clone()));
        }
        self.uids.insert(object.uid.clone(), (resource, object.key.clone()));
        self.resources[resource.0].objects.insert(object.key.clone(), object);
    }

    fn remove(&mut self, resource: ResourceId, key: &Key) {
        let Some(old) = self.resources[resource.0].objects.remove(key) else { return };
        self.uids.remove(&old.uid);
        for owner in &old.owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.retain(|(of, name)| (*of, name) != (resource, key));
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}
