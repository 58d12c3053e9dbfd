//! Closing and opening again.

use super::{Item, Outcome, Subject, append, at, ensure, ensure_eq, ensure_holds, event, item, places};
use crate::{AppendError, Progress, ProgressError, ReadError};

pub(super) fn items() -> Vec<Item> {
    vec![item("a_closed_log_refuses_and_ends_its_readers", closed), item("a_log_opened_again_has_everything", reopened)]
}

async fn closed(subject: Subject) -> Outcome {
    let log = subject.open().await;
    ensure(log.health().is_ok(), "an open log is well")?;
    append(&*log, 0..10).await?;
    let mut tail = log.read(at(0, log.bounds(0).await?.next)).await?;
    let waiting = tokio::spawn(async move { tail.next(10).await });
    subject.within("closing", log.close()).await?;
    let ended = subject.within("ending a reader", waiting).await??;
    ensure(matches!(ended, Err(ReadError::Closed)), format_args!("a reader of a closed log: {ended:?}"))?;
    let refused = log.append(event(10)).await;
    ensure(matches!(refused, Err(AppendError::Unavailable(_))), format_args!("an append when closed: {refused:?}"))?;
    let refused = log.append_all(vec![event(10)]).await;
    ensure(matches!(refused, Err(AppendError::Unavailable(_))), format_args!("a batch when closed: {refused:?}"))?;
    let refused = log.save(&"one".into(), 0, &Progress::at(1)).await;
    ensure(matches!(refused, Err(ProgressError::Closed)), format_args!("a save when closed: {refused:?}"))?;
    let refused = log.read(at(0, 0)).await.map(drop);
    ensure(matches!(refused, Err(ReadError::Closed)), format_args!("a read when closed: {refused:?}"))?;
    ensure(log.health().is_err(), "a closed log is not well")?;
    subject.within("closing again", log.close()).await
}

async fn reopened(subject: Subject) -> Outcome {
    let mut log = subject.open().await;
    let mut appended = Vec::new();
    for round in 0..3 {
        appended.extend(append(&*log, round * 50..(round + 1) * 50).await?);
        let mut before = Vec::new();
        for partition in 0..log.partitions() {
            before.push(log.bounds(partition).await?);
        }
        log = subject.reopen(log).await?;
        for (partition, before) in (0..).zip(before) {
            let after = log.bounds(partition).await?;
            ensure_eq(&after.earliest, &before.earliest, "the oldest offset")?;
            ensure(after.next >= before.next, format_args!("{after:?} after {before:?}: offsets are given out again"))?;
        }
        ensure_holds(&subject, &*log, &places(&appended)?).await?;
        let (position, event) = &appended[appended.len() / 2];
        let found = log.find(event.id(), Some(event.source()), 10).await?;
        ensure_eq(&found.iter().map(|stored| stored.position).collect(), &vec![*position], "places of an id")?;
    }
    Ok(())
}
