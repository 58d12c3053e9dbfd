//! Several processes on one PostgreSQL database: how each learns what the others wrote.
//!
//! The log is the truth: every change is in it, in the order of revisions, before its transaction ends. A notification
//! only says that it is time to look; a poll makes up for lost ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Any, AnyConnection, AnyPool, Row, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::replay::{PAGE, entry};
use super::{Entry, Object, Op, Request, ResourceId, Revision, Shared, Store, StoreError, load};

/// The channel of notifications. One per database: it carries nothing but "something changed".
const CHANNEL: &str = "weir_objects";
/// How long a read waits for the newest state before it shows what there is.
const PATIENCE: Duration = Duration::from_secs(3);
/// Wait before a broken connection for notifications is made again.
const RECONNECT: Duration = Duration::from_secs(2);

/// Whether other processes may use the same database.
pub(super) fn is_shared(pool: &AnyPool) -> bool {
    weir_migrations::is_shared(pool.connect_options().database_url.as_str())
}

/// Tells the other processes, once the transaction ends, that there is something new.
pub(super) async fn notify(tx: &mut Transaction<'_, Any>) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT CAST(pg_notify($1, '') AS TEXT)").bind(CHANNEL).execute(&mut **tx).await.map(drop)
}

/// Asks the writer to look whenever a notification comes, until the store is closed.
pub(super) async fn listen(pool: AnyPool, hints: mpsc::Sender<()>) {
    let url = pool.connect_options().database_url.to_string();
    while !hints.is_closed() {
        if let Err(error) = listen_once(&url, &hints).await {
            tracing::warn!(%error, "Notifications of other processes' changes broke off; the log is polled meanwhile");
        }
        tokio::select! {
            () = tokio::time::sleep(RECONNECT) => {}
            () = hints.closed() => {}
        }
    }
}

async fn listen_once(url: &str, hints: &mpsc::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // Also at once: something may have been missed while nobody listened. One hint waiting is as good as many.
        let _ = hints.try_send(());
        tokio::select! {
            received = listener.recv() => drop(received?),
            () = hints.closed() => return Ok(()),
        }
    }
}

impl Store {
    /// Waits until reads reflect everything that was committed before the call, by whichever process. Where the
    /// database cannot be asked, what is known here has to do.
    pub(crate) async fn fresh(&self) {
        if self.shared.in_company {
            let (done, answer) = oneshot::channel();
            let asked = async {
                if self.requests.send(Request::Follow(done)).await.is_ok() {
                    // An error says that the store is closing.
                    let _ = answer.await;
                }
            };
            // A commit that waits for another process must not hold up those who only read.
            let _ = tokio::time::timeout(PATIENCE, asked).await;
        }
    }

    /// Waits a little for a revision that another process has handed out.
    pub(crate) async fn reached(&self, revision: Revision) -> bool {
        if self.revision() < revision {
            self.fresh().await;
        }
        self.revision() >= revision
    }
}

impl Shared {
    /// Changes after the mirror's revision, from the log, in order, with the revision they lead to.
    pub(super) async fn missed(&self, connection: &mut AnyConnection) -> Result<Missed, StoreError> {
        let (mut after, known_compacted) = {
            let mirror = self.mirror.read();
            (mirror.revision(), mirror.compacted())
        };
        let read = "SELECT v FROM k_meta WHERE k = 'compacted'";
        let compacted: Revision = sqlx::query_scalar(read).fetch_one(&mut *connection).await?;
        if compacted > after {
            return self.compared(connection, compacted).await;
        }
        let mut entries = Vec::new();
        loop {
            let query = "SELECT rev, res, ns, name, op, body, prev FROM k_log WHERE rev > $1 ORDER BY rev LIMIT $2";
            let rows = sqlx::query(query).bind(after).bind(PAGE).fetch_all(&mut *connection).await?;
            for row in &rows {
                after = row.try_get("rev")?;
                let resource: String = row.try_get("res")?;
                // A kind of another version of Weir: its changes count, and nobody here can see them.
                if let Some(index) = self.resources.iter().position(|known| known.name == resource) {
                    entries.push(Arc::new(entry(row, ResourceId(index), &self.resources[index])?));
                }
            }
            if i64::try_from(rows.len()).is_ok_and(|rows| rows < PAGE) {
                return Ok(Missed { entries, revision: after, compacted: compacted.max(known_compacted) });
            }
        }
    }

    /// As [`Self::missed`], where the log no longer reaches back far enough: by comparison with all objects.
    async fn compared(&self, connection: &mut AnyConnection, compacted: Revision) -> Result<Missed, StoreError> {
        let revision = load::lock_revision(connection).await?;
        let mut stored: HashMap<_, _> = load::objects(connection, &self.resources)
            .await?
            .into_iter()
            .map(|(resource, object)| ((resource, object.key.clone()), object))
            .collect();
        let mut entries = Vec::new();
        let mirror = self.mirror.read();
        for (resource, old) in mirror.all() {
            let was = Some(Arc::clone(&old.marks));
            match stored.remove(&(resource, old.key.clone())) {
                Some(new) if new.revision == old.revision => {}
                Some(new) if new.uid == old.uid => {
                    entries.push(Entry {
                        resource,
                        revision: new.revision,
                        op: Op::Update,
                        object: Arc::new(new),
                        was,
                    });
                }
                replaced => {
                    let fields = self.resources[resource.0].fields;
                    let last = Object::new(old.key.clone(), old.value(), revision, fields, was.as_ref());
                    entries.push(Entry { resource, revision, op: Op::Delete, object: Arc::new(last), was });
                    entries.extend(replaced.map(|new| created(resource, new, revision)));
                }
            }
        }
        entries.extend(stored.into_iter().map(|((resource, _), new)| {
            let at = new.revision;
            created(resource, new, at)
        }));
        // Stable: a deletion stays before the creation that follows it.
        entries.sort_by_key(|entry| entry.revision);
        Ok(Missed { entries: entries.into_iter().map(Arc::new).collect(), revision, compacted })
    }
}

fn created(resource: ResourceId, object: Object, revision: Revision) -> Entry {
    Entry { resource, revision, op: Op::Create, object: Arc::new(object), was: None }
}

/// What other processes did.
pub(super) struct Missed {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
}
