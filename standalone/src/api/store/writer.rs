//! The one task that writes: takes what is waiting, commits it together, publishes it in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::{Any, Transaction};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Change, CommitError, Entry, Job, Key, Object, Op, ResourceId, Revision, Shared};

/// Changes that share one transaction, and so one sync of the disk.
const BATCH: usize = 256;
/// How often the log is trimmed.
const COMPACT_EVERY: Duration = Duration::from_secs(60);
/// What trimming always leaves: this many changes and everything this young.
const KEEP_CHANGES: Revision = 10_000;
const KEEP: Duration = Duration::from_secs(600);

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Job>,
    compacted: Revision,
}

/// A job that passed its check, with the state it leads to.
struct Accepted {
    job: usize,
    entry: Arc<Entry>,
    body: String,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Job>, compacted: Revision) -> Self {
        Self { shared, queue, compacted }
    }

    /// Runs until every [`super::Store`] is gone.
    pub(super) async fn run(mut self) {
        let mut jobs = Vec::with_capacity(BATCH);
        let mut compaction = tokio::time::interval(COMPACT_EVERY);
        compaction.set_missed_tick_behavior(MissedTickBehavior::Delay);
        compaction.reset();
        loop {
            tokio::select! {
                received = self.queue.recv_many(&mut jobs, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.commit(&mut jobs).await;
                }
                _ = compaction.tick() => {
                    if let Err(error) = self.compact().await {
                        tracing::warn!(%error, "The log of API changes could not be trimmed");
                    }
                }
            }
        }
    }

    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        let jobs = std::mem::take(jobs);
        let (replies, jobs): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.reply, (job.resource, job.key, job.change))).unzip();
        let (accepted, mut answers) = self.check(jobs);
        if !accepted.is_empty() {
            let result = self.write(&accepted).await;
            if let Err(error) = &result {
                tracing::error!(%error, "API changes could not be stored");
            } else {
                self.publish(&accepted);
            }
            for Accepted { job, entry, .. } in accepted {
                answers[job] = Some(match &result {
                    Ok(()) => Ok(Arc::clone(&entry.object)),
                    Err(error) => Err(CommitError::Unavailable(error.to_string())),
                });
            }
        }
        for (reply, answer) in replies.into_iter().zip(answers) {
            // A caller that is gone does not want its answer.
            let _ = reply.send(answer.unwrap_or(Err(CommitError::Stale)));
        }
    }

    /// Sorts jobs into those whose expectation holds, given the ones before them, and those already answered.
    #[expect(clippy::type_complexity, reason = "one private caller; naming the pair would not say more")]
    fn check(
        &self,
        jobs: Vec<(ResourceId, Key, Change)>,
    ) -> (Vec<Accepted>, Vec<Option<Result<Arc<Object>, CommitError>>>) {
        let mirror = self.shared.mirror.read();
        let mut pending: HashMap<(ResourceId, Key), Option<Arc<Object>>> = HashMap::new();
        let mut revision = mirror.revision();
        let mut accepted = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        for (job, (resource, key, change)) in jobs.into_iter().enumerate() {
            let place = (resource, key.clone());
            let current = pending.get(&place).cloned().unwrap_or_else(|| mirror.get(resource, &key));
            let (op, mut value) = match (change, &current) {
                (Change::Create(_), Some(_)) => {
                    answers.push(Some(Err(CommitError::Exists)));
                    continue;
                }
                (Change::Update { .. } | Change::Delete { .. }, None) => {
                    answers.push(Some(Err(CommitError::Missing)));
                    continue;
                }
                (Change::Update { seen, .. } | Change::Delete { seen, .. }, Some(object))
                    if object.revision != seen =>
                {
                    answers.push(Some(Err(CommitError::Stale)));
                    continue;
                }
                (Change::Create(value), None) => (Op::Create, value),
                (Change::Update { value, .. }, Some(_)) => (Op::Update, value),
                (Change::Delete { last, .. }, Some(_)) => (Op::Delete, last),
            };
            revision += 1;
            if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("resourceVersion");
            }
            let body = value.to_string();
            let was = current.map(|object| Arc::clone(&object.marks));
            let fields = self.shared.resources[resource.0].fields;
            let object = Arc::new(Object::new(key, value, revision, fields, was.as_ref()));
            pending.insert(place, (op != Op::Delete).then(|| Arc::clone(&object)));
            accepted.push(Accepted { job, entry: Arc::new(Entry { resource, revision, op, object, was }), body });
            answers.push(None);
        }
        (accepted, answers)
    }

    async fn write(&self, accepted: &[Accepted]) -> Result<(), sqlx::Error> {
        let now = Timestamp::now().as_millisecond();
        let mut tx = self.shared.pool.begin().await?;
        // First, so that SQLite takes its write lock at once instead of failing to upgrade a read lock.
        // Whoever else had written since would have moved the counter, and then nothing here may be trusted.
        let (before, revision) = match accepted {
            [first, .., last] => (first.entry.revision - 1, last.entry.revision),
            [only] => (only.entry.revision - 1, only.entry.revision),
            [] => return Ok(()),
        };
        let counted = sqlx::query("UPDATE k_meta SET v = $1 WHERE k = 'rev' AND v = $2")
            .bind(revision)
            .bind(before)
            .execute(&mut *tx)
            .await?;
        if counted.rows_affected() != 1 {
            return Err(sqlx::Error::Protocol("the object store was changed by another process".to_owned()));
        }
        for Accepted { entry, body, .. } in accepted {
            self.write_one(&mut tx, entry, body, now).await?;
        }
        tx.commit().await
    }

    async fn write_one(
        &self,
        tx: &mut Transaction<'_, Any>,
        entry: &Entry,
        body: &str,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let Entry { object, revision, .. } = entry;
        let resource = self.shared.resources[entry.resource.0].name.as_str();
        let (namespace, name) = (object.key.namespace.as_ref(), object.key.name.as_ref());
        let query = match entry.op {
            Op::Create => {
                sqlx::query("INSERT INTO k_obj (uid, rev, body, res, ns, name) VALUES ($1, $2, $3, $4, $5, $6)")
                    .bind(object.uid.as_ref())
                    .bind(revision)
                    .bind(body)
            }
            Op::Update => sqlx::query("UPDATE k_obj SET rev = $1, body = $2 WHERE res = $3 AND ns = $4 AND name = $5")
                .bind(revision)
                .bind(body),
            Op::Delete => sqlx::query("DELETE FROM k_obj WHERE res = $1 AND ns = $2 AND name = $3"),
        };
        query.bind(resource).bind(namespace).bind(name).execute(&mut **tx).await?;
        let op: i32 = match entry.op {
            Op::Create => 0,
            Op::Update => 1,
            Op::Delete => 2,
        };
        let before = entry.was.as_ref().filter(|was| **was != object.marks).map(|was| was.to_json());
        sqlx::query(
            "INSERT INTO k_log (rev, res, ns, name, op, body, prev, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(revision)
        .bind(resource)
        .bind(namespace)
        .bind(name)
        .bind(op)
        .bind(body)
        .bind(before)
        .bind(now)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    fn publish(&self, accepted: &[Accepted]) {
        let mut mirror = self.shared.mirror.write();
        for Accepted { entry, .. } in accepted {
            mirror.apply(entry);
            let object = &entry.object;
            if entry.op == Op::Delete || object.deleting || !object.owners.is_empty() {
                // The collector may be gone at shutdown; what it missed it finds at the next start.
                let _ = self.shared.notable.send(Arc::clone(entry));
            }
        }
        drop(mirror);
        for Accepted { entry, .. } in accepted {
            self.shared.resources[entry.resource.0].changed.send_replace(entry.revision);
        }
    }

    /// Trims the log. `compacted` is recorded first: a watcher is refused rather than given a log with a gap.
    async fn compact(&mut self) -> Result<(), sqlx::Error> {
        let newest = self.shared.mirror.read().revision() - KEEP_CHANGES;
        let before = Timestamp::now().as_millisecond() - i64::try_from(KEEP.as_millis()).unwrap_or(i64::MAX);
        let until: Option<Revision> = sqlx::query_scalar("SELECT MAX(rev) FROM k_log WHERE rev <= $1 AND at < $2")
            .bind(newest)
            .bind(before)
            .fetch_one(&self.shared.pool)
            .await?;
        let Some(until) = until.filter(|until| *until > self.compacted) else { return Ok(()) };
        self.shared.mirror.write().set_compacted(until);
        self.compacted = until;
        let mut tx = self.shared.pool.begin().await?;
        sqlx::query("UPDATE k_meta SET v = $1 WHERE k = 'compacted'").bind(until).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM k_log WHERE rev <= $1").bind(until).execute(&mut *tx).await?;
        tx.commit().await
    }
}
