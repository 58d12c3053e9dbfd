//! Progress: durable, per subscription and partition, backward only when told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Item, Outcome, Subject, ensure, ensure_eq, event, item};
use crate::{Channel, Progress, SubscriptionId};

pub(super) fn items() -> Vec<Item> {
    vec![
        item("progress_is_loaded_as_it_was_saved", round_trip),
        item("saved_progress_never_goes_backward", never_backward),
        item("reset_progress_goes_where_it_is_told", reset),
        item("a_forgotten_subscription_is_gone", forget),
        item("progress_survives_closing", survives),
    ]
}

fn progress(next: u64) -> Progress {
    let mut progress = Progress { start: 1, ..Progress::at(next) };
    progress.settle(next + 2, next + 5);
    progress.settle(next + 9, next + 10);
    progress
}

async fn ensure_saved(log: &dyn Channel, id: &SubscriptionId, expected: &[Progress]) -> Outcome {
    let expected: BTreeMap<u32, Progress> = (0..).zip(expected.iter().cloned()).collect();
    ensure_eq(&log.load(id).await?, &expected, format_args!("progress of {id}"))
}

async fn round_trip(subject: Subject) -> Outcome {
    let log = subject.open().await;
    log.append_all((0..100).map(event).collect()).await?;
    let (one, two): (SubscriptionId, SubscriptionId) = ("one".into(), "two".into());
    ensure_saved(&*log, &one, &[]).await?;
    let all: Vec<Progress> = (0..log.partitions()).map(|partition| progress(u64::from(partition) + 3)).collect();
    for (partition, progress) in (0..).zip(&all) {
        log.save(&one, partition, progress).await?;
    }
    log.save(&two, 0, &progress(20)).await?;
    ensure_saved(&*log, &one, &all).await?;
    ensure_saved(&*log, &two, &[progress(20)]).await?;
    let mut subscriptions = log.subscriptions().await?;
    subscriptions.sort();
    ensure_eq(&subscriptions, &vec![one, two], "subscriptions")
}

async fn never_backward(subject: Subject) -> Outcome {
    let log = subject.open().await;
    log.append_all((0..100).map(event).collect()).await?;
    let id: SubscriptionId = "one".into();
    log.save(&id, 0, &progress(30)).await?;
    log.save(&id, 0, &Progress { start: 1, ..Progress::at(10) }).await?;
    ensure_saved(&*log, &id, &[progress(30)]).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (log, id) = (Arc::clone(&log), id.clone());
        // In no order.
        tasks.spawn(async move { log.save(&id, 0, &Progress { start: 1, ..Progress::at(41 + n * 7 % 40) }).await });
    }
    while let Some(saved) = tasks.join_next().await {
        saved??;
    }
    ensure_saved(&*log, &id, &[Progress { start: 1, ..Progress::at(80) }]).await
}

async fn reset(subject: Subject) -> Outcome {
    let log = subject.open().await;
    log.append_all((0..100).map(event).collect()).await?;
    let id: SubscriptionId = "one".into();
    log.save(&id, 0, &progress(30)).await?;
    for back in [progress(4), Progress::at(0), progress(70)] {
        log.reset(&id, 0, &back).await?;
        ensure_saved(&*log, &id, &[back]).await?;
    }
    log.save(&id, 0, &Progress { start: 1, ..Progress::at(85) }).await?;
    ensure_saved(&*log, &id, &[Progress { start: 1, ..Progress::at(85) }]).await
}

async fn forget(subject: Subject) -> Outcome {
    let log = subject.open().await;
    log.append_all((0..100).map(event).collect()).await?;
    let (one, two): (SubscriptionId, SubscriptionId) = ("one".into(), "two".into());
    log.forget(&one).await?;
    log.save(&one, 0, &progress(30)).await?;
    log.save(&two, 0, &progress(40)).await?;
    log.forget(&one).await?;
    ensure_saved(&*log, &one, &[]).await?;
    ensure_eq(&log.subscriptions().await?, &vec![two], "subscriptions")?;
    log.save(&one, 0, &progress(5)).await?;
    ensure_saved(&*log, &one, &[progress(5)]).await
}

async fn survives(subject: Subject) -> Outcome {
    let log = subject.open().await;
    log.append_all((0..100).map(event).collect()).await?;
    let [saved, back, gone]: [SubscriptionId; 3] = ["saved".into(), "back".into(), "gone".into()];
    for id in [&saved, &back, &gone] {
        log.save(id, 0, &progress(30)).await?;
    }
    log.reset(&back, 0, &progress(3)).await?;
    log.forget(&gone).await?;
    let mut log = log;
    for _ in 0..2 {
        log = subject.reopen(log).await?;
        ensure_saved(&*log, &saved, &[progress(30)]).await?;
        ensure_saved(&*log, &back, &[progress(3)]).await?;
        ensure_saved(&*log, &gone, &[]).await?;
        ensure_eq(&log.subscriptions().await?.len(), &2, "subscriptions")?;
    }
    ensure(log.health().is_ok(), "an open log is well")
}
