//! Saves what lanes have settled: soon after a settlement, at once when there were many, lazily where events only
//! passed by. One saver per log, so that the backend can make the progress of many lanes durable together.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_channels::{ProgressError, SubscriptionId};

use super::Downstream;
use super::cursor::Cursor;
use super::fanout::Fanout;
use super::lane::Lane;
use crate::backoff::Backoff;

/// Saves under way at once.
const AT_ONCE: usize = 256;

/// Wakes the saver.
#[derive(Debug)]
pub(super) struct Saving {
    /// Something was settled.
    soon: Notify,
    /// Much was settled.
    now: Notify,
    much: u64,
    /// Triggers that are gone: their progress is forgotten after any save of it that is still under way.
    forgotten: parking_lot::Mutex<Vec<SubscriptionId>>,
}

impl Saving {
    pub(super) fn new(much: u64) -> Self {
        Self { soon: Notify::new(), now: Notify::new(), much, forgotten: parking_lot::Mutex::default() }
    }

    /// Counts a settlement.
    pub(super) fn settled(&self, cursor: &mut Cursor) {
        cursor.unsaved += 1;
        if cursor.unsaved == 1 {
            self.soon.notify_one();
        } else if cursor.unsaved == self.much {
            self.now.notify_one();
        }
    }

    /// Forgets the progress of a Trigger that is gone.
    pub(super) fn forget(&self, uid: SubscriptionId) {
        self.forgotten.lock().push(uid);
        self.soon.notify_one();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Lanes that settled something.
    Settled,
    /// Lanes whose saved progress is behind in any way.
    All,
}

/// Runs until `stop`; everything is saved by then if the log allows.
pub(super) async fn run<D: Downstream>(fanout: &Fanout<D>, stop: &CancellationToken) {
    let settings = &fanout.shared.settings;
    let mut idle = tokio::time::interval(settings.idle_save_interval);
    idle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut backoff = Backoff::new();
    while !stop.is_cancelled() {
        let which = tokio::select! {
            () = stop.cancelled() => break,
            () = fanout.saving.soon.notified() => Which::Settled,
            _ = idle.tick() => Which::All,
        };
        if which == Which::Settled {
            tokio::select! {
                () = stop.cancelled() => break,
                () = fanout.saving.now.notified() => {}
                () = tokio::time::sleep(settings.save_interval) => {}
            }
        }
        match save(fanout, which).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                failed(fanout, &error);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = backoff.wait() => fanout.saving.soon.notify_one(),
                }
            }
        }
    }
}

/// Saves everything, once.
pub(super) async fn finish<D: Downstream>(fanout: &Fanout<D>) {
    if let Err(error) = save(fanout, Which::All).await {
        failed(fanout, &error);
    }
}

fn failed<D: Downstream>(fanout: &Fanout<D>, error: &ProgressError) {
    fanout.shared.metrics.progress_save_errors.inc();
    tracing::warn!(
        kn.broker.name = %fanout.log.broker.name, kn.broker.namespace = %fanout.log.broker.namespace, %error,
        "Cannot save what was settled; a restart now would repeat it."
    );
}

async fn save<D: Downstream>(fanout: &Fanout<D>, which: Which) -> Result<(), ProgressError> {
    let mut result = Ok(());
    let mut saves = FuturesUnordered::new();
    for lane in fanout.lanes() {
        for partition in 0..fanout.feeds.len() {
            if saves.len() >= AT_ONCE
                && let Some(saved) = saves.next().await
            {
                result = Result::and(result, saved);
            }
            saves.push(save_one(fanout, Arc::clone(&lane), partition, which));
        }
    }
    while let Some(saved) = saves.next().await {
        result = result.and(saved);
    }
    drop(saves);
    let forgotten = std::mem::take(&mut *fanout.saving.forgotten.lock());
    for uid in forgotten {
        if let Err(error) = fanout.log.channel.forget(&uid).await {
            fanout.saving.forgotten.lock().push(uid);
            result = result.and(Err(error));
        }
    }
    result
}

async fn save_one<D: Downstream>(
    fanout: &Fanout<D>,
    lane: Arc<Lane<D>>,
    partition: usize,
    which: Which,
) -> Result<(), ProgressError> {
    let Some((progress, settled)) = fanout.progress_to_save(&lane, partition, which == Which::All) else {
        return Ok(());
    };
    let number = u32::try_from(partition).unwrap_or(u32::MAX);
    let saved = fanout.log.channel.save(&lane.uid, number, &progress).await;
    lane.with_cursor(partition, |cursor| match saved {
        Ok(()) => cursor.saved(progress.next),
        Err(_) => cursor.unsaved += settled,
    });
    fanout.shared.metrics.progress_saves.inc();
    saved
}
