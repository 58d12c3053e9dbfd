//! Where objects live: SQL for durability, a mirror in memory for every read and watch.
//!
//! *Guarantees.* A change that [`Store::commit`] answered is durable. Changes are published in the order of their
//! revisions, each exactly once; a watcher that starts at a revision sees every later change of its resource. Revisions
//! only grow, also over restarts, and a new database starts above whatever an older one can have handed out.
//!
//! Several processes may share one PostgreSQL database: each follows the others' changes through the log
//! ([`Store::fresh`]), and all commit one after the other. A SQLite database has one process.

use std::sync::Arc;

use parking_lot::RwLock;
use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot, watch};

use self::mirror::Mirror;
pub(crate) use self::mirror::{Entry, Listing, Op, Since};
pub(crate) use self::object::{Key, Marks, Object};
use super::registry::{self, Registry};

mod follow;
mod load;
mod mirror;
mod object;
mod replay;
mod writer;

/// Revision of the whole store: one more with each change. Never zero or negative.
pub(crate) type Revision = i64;

/// A change to one object, checked against what the caller saw.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The object must not exist.
    Create(serde_json::Value),
    /// The object must be at revision `seen`.
    Update { seen: Revision, value: serde_json::Value },
    /// As `Update`, with the last state the object had.
    Delete { seen: Revision, last: serde_json::Value },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// An object of that name exists.
    #[error("the object exists")]
    Exists,
    /// There is no such object.
    #[error("the object does not exist")]
    Missing,
    /// The object is not at the revision the caller saw.
    #[error("the object has changed")]
    Stale,
    /// The object is larger than one may be.
    #[error("the object is larger than {OBJECT_LIMIT_BYTES} bytes")]
    TooLarge,
    /// The database failed; nothing was changed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// Largest object, in bytes of JSON: what Kubernetes (through etcd) keeps.
pub(crate) const OBJECT_LIMIT_BYTES: usize = 3 << 19;

/// The store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the object store failed")]
    Sql(#[from] sqlx::Error),
    /// What has to be there could not be written.
    #[error("the object store cannot be written: {0}")]
    Unavailable(String),
    /// A stored object is not readable.
    #[error("stored object {resource} {namespace}/{name} is damaged: {detail}")]
    Damaged {
        /// `plural.group`
        resource: String,
        /// Namespace, empty if it has none.
        namespace: String,
        /// Name of the object.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Index of a resource in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ResourceId(usize);

impl ResourceId {
    /// Of a kind that is not in a registry yet.
    pub(crate) const UNASSIGNED: Self = Self(usize::MAX);

    pub(crate) fn new(index: usize) -> Self {
        Self(index)
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// A resource the store holds: its name in the database and the fields that selectors may name.
#[derive(Debug)]
struct Resource {
    name: String,
    fields: &'static [&'static str],
    /// The last revision at which the resource changed; watchers wait on it.
    changed: watch::Sender<Revision>,
}

/// What the writer is asked to do.
enum Request {
    Change(Job),
    /// Take in what other processes have written; the reply says that it is done, or could not be.
    Follow(oneshot::Sender<()>),
}

struct Job {
    resource: ResourceId,
    key: Key,
    change: Change,
    reply: oneshot::Sender<Result<Arc<Object>, CommitError>>,
}

/// Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

struct Shared {
    pool: AnyPool,
    /// Whether other processes may write to the database.
    in_company: bool,
    resources: Vec<Resource>,
    mirror: RwLock<Mirror>,
    /// Changes that may concern owners, dependents or namespaces, for the collector.
    notable: mpsc::UnboundedSender<Arc<Entry>>,
}

/// Changes that wait for the writer before callers have to wait.
const QUEUE: usize = 1024;

impl Store {
    /// Reads the database into memory and starts the writer, which stops when the last clone is dropped.
    /// Also returns the changes that the collector has to look at.
    pub(crate) async fn open(
        pool: AnyPool,
        registry: &Registry,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Arc<Entry>>), StoreError> {
        let watched = |resource: &registry::Resource| Resource {
            name: resource.name.clone(),
            fields: resource.fields,
            changed: watch::Sender::new(0),
        };
        let resources: Vec<Resource> = registry.resources().iter().map(watched).collect();
        let mirror = load::load(&pool, &resources).await?;
        let (notable, notable_changes) = mpsc::unbounded_channel();
        let (requests, queue) = mpsc::channel(QUEUE);
        let in_company = follow::is_shared(&pool);
        let shared = Arc::new(Shared { pool, in_company, resources, mirror: RwLock::new(mirror), notable });
        tokio::spawn(writer::Writer::new(Arc::clone(&shared), queue).run());
        Ok((Self { shared, requests }, notable_changes))
    }

    /// The current state of one object.
    pub(crate) fn get(&self, resource: ResourceId, key: &Key) -> Option<Arc<Object>> {
        self.shared.mirror.read().get(resource, key)
    }

    /// Objects in the order of namespace and name that `pick` wants: at most `limit` of them, those after `after`.
    pub(crate) fn list(
        &self,
        resource: ResourceId,
        namespace: Option<&str>,
        after: Option<&Key>,
        limit: usize,
        pick: impl Fn(&Object) -> bool,
    ) -> Listing {
        self.shared.mirror.read().list(resource, namespace, after, limit, pick)
    }

    /// The revision all reads reflect.
    pub(crate) fn revision(&self) -> Revision {
        self.shared.mirror.read().revision()
    }

    /// The revision below which the log is gone.
    pub(crate) fn compacted(&self) -> Revision {
        self.shared.mirror.read().compacted()
    }

    /// Everything that names `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Arc<Object>)> {
        self.shared.mirror.read().dependents(uid)
    }

    /// The object with this uid.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<(ResourceId, Arc<Object>)> {
        self.shared.mirror.read().by_uid(uid)
    }

    /// Wakes when a resource changes. Ask [`Store::since`] after each wake.
    pub(crate) fn watch(&self, resource: ResourceId) -> watch::Receiver<Revision> {
        self.shared.resources[resource.0].changed.subscribe()
    }

    /// Changes of a resource after `revision` that are still in memory.
    pub(crate) fn since(&self, resource: ResourceId, revision: Revision) -> Since {
        self.shared.mirror.read().since(resource, revision)
    }

    /// Makes one change durable and visible. Cancel safe in this sense: a caller that goes away leaves the change
    /// either made or not made, never half.
    pub(crate) async fn commit(
        &self,
        resource: ResourceId,
        key: Key,
        change: Change,
    ) -> Result<Arc<Object>, CommitError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || CommitError::Unavailable("it is shutting down".to_owned());
        let job = Job { resource, key, change, reply };
        self.requests.send(Request::Change(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}
