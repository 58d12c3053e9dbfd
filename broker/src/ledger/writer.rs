//! The task that writes: dead letters at once, exceptions when there are some worth a transaction.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{DeadLetter, Exception, LedgerError, LedgerSettings, exception, letter};

/// Rows in one transaction at most: others may use the database in between.
const BATCH: usize = 512;
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// A dead letter to write, and who waits for it.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) letter: DeadLetter,
    pub(super) done: oneshot::Sender<Result<(), LedgerError>>,
}

/// What may wait for others to be written with.
#[derive(Debug)]
pub(super) enum Note {
    Exception(Box<Exception>),
    /// Somebody wants to know that everything before is written.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Writer {
    pub(super) pool: AnyPool,
    pub(super) settings: LedgerSettings,
    pub(super) puts: mpsc::Receiver<Put>,
    pub(super) notes: mpsc::Receiver<Note>,
}

impl Writer {
    /// Writes until the ledger is `closed` or has no handle left, and then what is pending.
    pub(super) async fn run(mut self, closed: CancellationToken) {
        let mut puts = Vec::new();
        let (mut notes, mut exceptions, mut asking) = (Vec::new(), Vec::new(), Vec::new());
        let mut flush_at = None;
        let mut prune = tokio::time::interval_at(Instant::now() + PRUNE_INTERVAL, PRUNE_INTERVAL);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = BATCH - exceptions.len();
            tokio::select! {
                received = self.puts.recv_many(&mut puts, BATCH) => match received {
                    0 => break,
                    _ => self.write_puts(&mut puts).await,
                },
                _ = self.notes.recv_many(&mut notes, room), if room > 0 => {
                    sort(&mut notes, &mut exceptions, &mut asking);
                    let soon = Instant::now() + self.settings.flush_interval;
                    let waits = exceptions.len() < BATCH && asking.is_empty();
                    flush_at = Some(if waits { flush_at.unwrap_or(soon) } else { Instant::now() });
                }
                () = tokio::time::sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    self.write_exceptions(&mut exceptions).await;
                    asking.drain(..).for_each(tell);
                    flush_at = None;
                }
                _ = prune.tick() => self.prune().await,
                () = closed.cancelled() => break,
            }
        }
        self.finish(puts, exceptions, asking).await;
    }

    async fn finish(
        mut self,
        mut puts: Vec<Put>,
        mut exceptions: Vec<Exception>,
        mut asking: Vec<oneshot::Sender<()>>,
    ) {
        self.puts.close();
        self.notes.close();
        while self.puts.recv_many(&mut puts, BATCH).await > 0 {
            self.write_puts(&mut puts).await;
        }
        loop {
            self.write_exceptions(&mut exceptions).await;
            asking.drain(..).for_each(tell);
            let mut notes = Vec::new();
            if self.notes.recv_many(&mut notes, BATCH).await == 0 {
                return;
            }
            sort(&mut notes, &mut exceptions, &mut asking);
        }
    }

    /// All in one transaction. If that fails, each on its own: one letter the database objects to must not hold back
    /// the others.
    async fn write_puts(&self, puts: &mut Vec<Put>) {
        if puts.len() > 1 && self.insert(puts).await.is_ok() {
            return puts.drain(..).for_each(|put| answer(put, Ok(())));
        }
        for put in puts.drain(..) {
            let result = self.insert(std::slice::from_ref(&put)).await;
            answer(put, result);
        }
    }

    async fn insert(&self, puts: &[Put]) -> Result<(), sqlx::Error> {
        let now = Timestamp::now();
        let mut transaction = self.pool.begin().await?;
        for put in puts {
            letter::insert(&mut transaction, &put.letter, now).await?;
        }
        transaction.commit().await
    }

    async fn write_exceptions(&self, exceptions: &mut Vec<Exception>) {
        if exceptions.is_empty() {
            return;
        }
        let written = async {
            let mut transaction = self.pool.begin().await?;
            for exception in &*exceptions {
                exception::insert(&mut transaction, exception).await?;
            }
            transaction.commit().await
        };
        if let Err(error) = written.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, count = exceptions.len(), "exceptions could not be noted in the ledger");
        }
        exceptions.clear();
    }

    async fn prune(&self) {
        let keep = SignedDuration::try_from(self.settings.keep).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        match exception::prune(&self.pool, before, self.settings.max_exceptions).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "forgot old exceptions"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "old exceptions could not be removed from the ledger");
            }
        }
    }
}

fn answer(put: Put, result: Result<(), sqlx::Error>) {
    // Who waited may have been cancelled; the letter is stored all the same.
    let _nobody_waits = put.done.send(result.map_err(LedgerError::from));
}

fn sort(notes: &mut Vec<Note>, exceptions: &mut Vec<Exception>, asking: &mut Vec<oneshot::Sender<()>>) {
    for note in notes.drain(..) {
        match note {
            Note::Exception(exception) => exceptions.push(*exception),
            Note::Flush(done) => asking.push(done),
        }
    }
}

fn tell(done: oneshot::Sender<()>) {
    // Whoever stopped waiting does not want to know.
    let _gone = done.send(());
}
