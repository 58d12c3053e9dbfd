//! Appending: what is acknowledged is there, where it was said to be, once.

use std::sync::Arc;

use weir_api::Event;

use super::{Item, Outcome, Subject, append, at, ensure, ensure_eq, ensure_holds, event, item, places};
use crate::AppendError;

pub(super) fn items() -> Vec<Item> {
    vec![
        item("appended_events_come_back_unchanged_in_order", come_back),
        item("a_batch_is_stored_like_its_events_one_by_one", batch),
        item("concurrent_appends_have_places_of_their_own", concurrent),
        item("an_append_goes_on_when_nobody_waits_for_it", unattended),
        item("the_largest_event_fits_and_a_larger_one_is_refused", largest),
    ]
}

async fn come_back(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let appended = append(&*log, 0..100).await?;
    let mut ends = vec![0; log.partitions() as usize];
    for (position, _) in &appended {
        ensure(position.partition < log.partitions(), format_args!("{position:?} is in no partition"))?;
        let end = &mut ends[position.partition as usize];
        ensure(position.offset >= *end, format_args!("{position:?} comes after an append that had returned"))?;
        *end = position.offset + 1;
    }
    for partition in 0..log.partitions() {
        let bounds = log.bounds(partition).await?;
        ensure(bounds.next >= ends[partition as usize], format_args!("{bounds:?} leaves an event out"))?;
    }
    ensure_holds(&subject, &*log, &places(&appended)?).await
}

async fn batch(subject: Subject) -> Outcome {
    let log = subject.open().await;
    ensure(log.append_all(Vec::new()).await?.is_empty(), "nothing was appended somewhere")?;
    let mut appended = append(&*log, 0..3).await?;
    let batch: Vec<Event> = (3..103).map(event).collect();
    let positions = log.append_all(batch.clone()).await?;
    ensure_eq(&positions.len(), &batch.len(), "positions of a batch")?;
    appended.extend(positions.into_iter().zip(batch));
    ensure_holds(&subject, &*log, &places(&appended)?).await
}

async fn concurrent(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let log = Arc::clone(&log);
        tasks.spawn(async move { append(&*log, task * 20..(task + 1) * 20).await });
    }
    let mut appended = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        appended.extend(ended??);
    }
    ensure_holds(&subject, &*log, &places(&appended)?).await
}

async fn unattended(subject: Subject) -> Outcome {
    let log = subject.open().await;
    {
        let appending = log.append(event(0));
        tokio::pin!(appending);
        // Begun, and given up at once.
        tokio::select! {
            biased;
            _ = &mut appending => {}
            () = std::future::ready(()) => {}
        }
    }
    let find = async {
        loop {
            match log.find(event(0).id(), None, 1).await {
                Ok(found) if found.is_empty() => tokio::task::yield_now().await,
                found => return found,
            }
        }
    };
    let found = subject.within("an append nobody waits for", find).await??;
    ensure_eq(&found.first().map(|stored| &stored.event), &Some(&event(0)), "the event")
}

async fn largest(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let sized = |bytes: usize| Event::new(event(1).attributes().clone(), Some(vec![7; bytes].into()));
    let most = log.max_event_bytes() - sized(0).size_bytes();
    let fits = (log.append(sized(most)).await?, sized(most));
    let refused = log.append(sized(most + 1)).await;
    let is_too_large = matches!(
        refused,
        Err(AppendError::TooLarge { size_bytes, limit_bytes })
            if size_bytes == limit_bytes + 1 && limit_bytes == log.max_event_bytes()
    );
    ensure(is_too_large, format_args!("one byte too large: {refused:?}"))?;
    let after = append(&*log, 2..4).await?;
    ensure_holds(&subject, &*log, &places(&[vec![fits], after].concat())?).await?;
    let nowhere = log.bounds(log.partitions()).await;
    ensure(nowhere.is_err(), format_args!("a partition too many: {nowhere:?}"))?;
    let nowhere = log.read(at(log.partitions(), 0)).await.map(drop);
    ensure(matches!(nowhere, Err(crate::ReadError::NoSuchPartition { .. })), format_args!("read nowhere: {nowhere:?}"))
}
