//! The one task that writes: takes what is waiting, commits it together, publishes it in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::{Any, Transaction};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::follow::{self, Missed};
use super::{
    Change, CommitError, Entry, Job, Key, OBJECT_LIMIT_BYTES, Object, Op, Request, ResourceId, Revision, Shared,
    StoreError, load,
};

/// Changes that share one transaction, and so one sync of the disk.
const BATCH: usize = 256;
/// How often the log is looked at for what other processes wrote, should a notification be lost.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often the log is trimmed.
const COMPACT_EVERY: Duration = Duration::from_secs(60);
/// What trimming always leaves: this many changes and everything this young.
const KEEP_CHANGES: Revision = 10_000;
const KEEP: Duration = Duration::from_secs(600);

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
}

/// A job that passed its check, with the state it leads to.
struct Accepted {
    job: usize,
    entry: Arc<Entry>,
    body: String,
}

type Answer = Result<Arc<Object>, CommitError>;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Request>) -> Self {
        Self { shared, queue }
    }

    /// Runs until every [`super::Store`] is gone.
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(BATCH);
        let mut compaction = every(COMPACT_EVERY);
        let mut poll = every(POLL_EVERY);
        let (hint, mut hints) = mpsc::channel(1);
        if self.shared.in_company {
            tokio::spawn(follow::listen(self.shared.pool.clone(), hint));
        }
        loop {
            tokio::select! {
                received = self.queue.recv_many(&mut requests, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.serve(&mut requests).await;
                }
                Some(()) = hints.recv() => self.follow().await,
                _ = poll.tick(), if self.shared.in_company => self.follow().await,
                _ = compaction.tick() => {
                    if let Err(error) = self.compact().await {
                        tracing::warn!(%error, "The log of API changes could not be trimmed");
                    }
                }
            }
        }
    }

    async fn serve(&self, requests: &mut Vec<Request>) {
        let (mut jobs, mut replies, mut followers) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests.drain(..) {
            match request {
                Request::Change(Job { resource, key, change, reply }) => {
                    jobs.push((resource, key, change));
                    replies.push(reply);
                }
                Request::Follow(done) => followers.push(done),
            }
        }
        if jobs.is_empty() {
            self.follow().await;
        } else {
            let answers = match self.commit(jobs.clone()).await {
                Ok(answers) => answers,
                // One of them may be to blame: the others must not suffer for it.
                Err(_) if jobs.len() > 1 => {
                    let mut answers = Vec::with_capacity(jobs.len());
                    for job in jobs {
                        answers.push(self.commit_one(job).await);
                    }
                    answers
                }
                Err(error) => vec![Err(unavailable(&error))],
            };
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that is gone does not want its answer.
                let _ = reply.send(answer);
            }
        }
        for done in followers {
            let _ = done.send(());
        }
    }

    async fn commit_one(&self, job: (ResourceId, Key, Change)) -> Answer {
        match self.commit(vec![job]).await {
            Ok(mut answers) => answers.pop().unwrap_or(Err(CommitError::Stale)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Takes in what other processes wrote. What fails now is tried again with the next change or poll.
    async fn follow(&self) {
        let outcome = async {
            let mut tx = self.shared.pool.begin().await?;
            let missed = self.shared.missed(&mut tx).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(missed)
        };
        match outcome.await {
            Ok(missed) => self.take_in(&missed),
            Err(error) => tracing::warn!(%error, "The changes of other processes could not be read"),
        }
    }

    fn take_in(&self, missed: &Missed) {
        self.publish(&missed.entries);
        let mut mirror = self.shared.mirror.write();
        mirror.set_revision(missed.revision);
        mirror.set_compacted(missed.compacted);
    }

    /// Checks and stores the jobs in one transaction. An error means that none was stored, as far as anybody knows; if
    /// one was after all, the next transaction finds it in the log.
    async fn commit(&self, jobs: Vec<(ResourceId, Key, Change)>) -> Result<Vec<Answer>, StoreError> {
        let mut tx = self.shared.pool.begin().await?;
        let stored = load::lock_revision(&mut tx).await?;
        if stored > self.shared.mirror.read().revision() {
            let missed = self.shared.missed(&mut tx).await?;
            self.take_in(&missed);
        }
        let (accepted, mut answers) = self.check(jobs);
        if let Some(last) = accepted.last() {
            self.write(&mut tx, &accepted, last.entry.revision).await?;
            tx.commit().await?;
            let entries: Vec<Arc<Entry>> = accepted.iter().map(|accepted| Arc::clone(&accepted.entry)).collect();
            self.publish(&entries);
            for Accepted { job, entry, .. } in accepted {
                answers[job] = Some(Ok(Arc::clone(&entry.object)));
            }
        }
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(CommitError::Stale))).collect())
    }

    /// Sorts jobs into those whose expectation holds, given the ones before them, and those already answered.
    fn check(&self, jobs: Vec<(ResourceId, Key, Change)>) -> (Vec<Accepted>, Vec<Option<Answer>>) {
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
            if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("resourceVersion");
            }
            let body = value.to_string();
            // What is there already may go, whatever its size.
            if body.len() > OBJECT_LIMIT_BYTES && op != Op::Delete {
                answers.push(Some(Err(CommitError::TooLarge)));
                continue;
            }
            revision += 1;
            let was = current.map(|object| Arc::clone(&object.marks));
            let fields = self.shared.resources[resource.0].fields;
            let object = Arc::new(Object::new(key, value, revision, fields, was.as_ref()));
            pending.insert(place, (op != Op::Delete).then(|| Arc::clone(&object)));
            accepted.push(Accepted { job, entry: Arc::new(Entry { resource, revision, op, object, was }), body });
            answers.push(None);
        }
        (accepted, answers)
    }

    async fn write(
        &self,
        tx: &mut Transaction<'_, Any>,
        accepted: &[Accepted],
        revision: Revision,
    ) -> Result<(), sqlx::Error> {
        let now = Timestamp::now().as_millisecond();
        sqlx::query("UPDATE k_meta SET v = $1 WHERE k = 'rev'").bind(revision).execute(&mut **tx).await?;
        for Accepted { entry, body, .. } in accepted {
            self.write_one(tx, entry, body, now).await?;
        }
        if self.shared.in_company {
            follow::notify(tx).await?;
        }
        Ok(())
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

    /// Makes committed changes visible, in the order of their revisions.
    fn publish(&self, entries: &[Arc<Entry>]) {
        let mut mirror = self.shared.mirror.write();
        for entry in entries {
            mirror.apply(entry);
            let object = &entry.object;
            if entry.op == Op::Delete || object.deleting || !object.owners.is_empty() {
                // The collector may be gone at shutdown; what it missed it finds at the next start.
                let _ = self.shared.notable.send(Arc::clone(entry));
            }
        }
        drop(mirror);
        for entry in entries {
            self.shared.resources[entry.resource.0].changed.send_replace(entry.revision);
        }
    }

    /// Trims the log. `compacted` is recorded first: a watcher is refused rather than given a log with a gap.
    async fn compact(&self) -> Result<(), sqlx::Error> {
        let newest = self.shared.mirror.read().revision() - KEEP_CHANGES;
        let before = Timestamp::now().as_millisecond() - i64::try_from(KEEP.as_millis()).unwrap_or(i64::MAX);
        let until: Option<Revision> = sqlx::query_scalar("SELECT MAX(rev) FROM k_log WHERE rev <= $1 AND at < $2")
            .bind(newest)
            .bind(before)
            .fetch_one(&self.shared.pool)
            .await?;
        let known = self.shared.mirror.read().compacted();
        let Some(until) = until.filter(|until| *until > known) else { return Ok(()) };
        self.shared.mirror.write().set_compacted(until);
        let mut tx = self.shared.pool.begin().await?;
        // Another process may have gone further.
        sqlx::query("UPDATE k_meta SET v = $1 WHERE k = 'compacted' AND v < $1").bind(until).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM k_log WHERE rev <= $1").bind(until).execute(&mut *tx).await?;
        tx.commit().await
    }
}

fn unavailable(error: &StoreError) -> CommitError {
    tracing::error!(%error, "API changes could not be stored");
    CommitError::Unavailable(error.to_string())
}

/// Ticks from one period from now on; late ticks are not made up for.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}
