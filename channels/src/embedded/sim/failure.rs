//! How a disk that could not make events durable shows through the seam.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, Rates};
use super::model::event;
use crate::embedded::{EmbeddedConfig, EmbeddedLog};
use crate::metrics::Metrics;
use crate::{AppendError, Channel, Entry, Position, Progress};

fn open(disk: &Disk) -> EmbeddedLog {
    let settings = EmbeddedConfig::default().check().expect("the defaults are valid");
    EmbeddedLog::open(Arc::new(disk.clone()), Path::new("/log"), settings, &Metrics::default(), "log").expect("opens")
}

async fn read(log: &dyn Channel) -> Vec<Entry> {
    let mut reader = log.read(Position { partition: 0, offset: 0 }).await.expect("opens");
    reader.next(10).await.expect("reads")
}

#[tokio::test]
async fn after_a_failed_sync_a_log_says_so_serves_what_it_has_and_is_well_once_opened_again() {
    let disk = Disk::new(1);
    let log = open(&disk);
    let before = log.append(event(1)).await.expect("is stored");
    tokio::select! {
        biased;
        reason = log.failed() => panic!("nothing failed: {reason}"),
        () = tokio::task::yield_now() => {}
    }
    disk.set_rates(Rates { failed_sync: 1.0, ..Rates::default() });
    let refused = log.append(event(2)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    disk.set_rates(Rates::default());
    let reason = tokio::time::timeout(Duration::from_secs(30), log.failed()).await.expect("says so");
    assert_eq!(log.health(), Err(reason));
    let refused = log.append(event(3)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "a well disk changes nothing: {refused:?}");
    assert!(matches!(&read(&log).await[..], [Entry::Event(stored)] if stored.event == event(1)));
    log.save(&"one".into(), 0, &Progress::at(1)).await.expect("saves");

    log.close().await;
    let log = open(&disk);
    assert_eq!(log.health(), Ok(()));
    assert_eq!(log.load(&"one".into()).await.expect("loads")[&0], Progress::at(1));
    let after = log.append(event(4)).await.expect("is stored");
    assert!(after > before);
    disk.lose_power();
    let log = open(&disk);
    let held = [(before, event(1)), (after, event(4))];
    let entries = read(&log).await;
    for (position, event) in held {
        let is_it = |entry: &Entry| matches!(entry, Entry::Event(it) if it.position == position && it.event == event);
        assert!(entries.iter().any(is_it), "{position:?} is not among {entries:?}");
    }
}
