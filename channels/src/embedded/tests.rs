//! The embedded log on a real file system.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use weir_api::Event;
use weir_api::event::Attributes;

use super::{DedupeConfig, Embedded, EmbeddedConfig, RetentionConfig};
use crate::metrics::Metrics;
use crate::{AppendError, Channel, ChannelName, ConnectError, Entry, Position, Progress, Reader, SubscriptionId};

fn name() -> ChannelName {
    ChannelName { namespace: "default".into(), name: "orders".into(), uid: "2b1c".into() }
}

fn event(n: u64) -> Event {
    let attributes = Attributes {
        id: format!("event-{n}"),
        source: "/test".to_owned(),
        ty: "test.event".to_owned(),
        ..Attributes::default()
    };
    Event::new(attributes, Some(Bytes::from(n.to_string().repeat(100))))
}

fn at(offset: u64) -> Position {
    Position { partition: 0, offset }
}

async fn open(root: &Path, config: EmbeddedConfig) -> Arc<dyn Channel> {
    Embedded::new(root.to_owned(), Metrics::default()).open(name(), config).await.expect("opens")
}

async fn append(log: &dyn Channel, range: std::ops::Range<u64>) -> Vec<Position> {
    let mut positions = Vec::new();
    for n in range {
        positions.push(log.append(event(n)).await.expect("is stored"));
    }
    positions
}

async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    while entries.len() < count {
        entries.extend(reader.next(count - entries.len()).await.expect("reads"));
    }
    entries
}

fn ids(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Event(stored) => stored.event.id().to_owned(),
            Entry::Undecodable { position, .. } => format!("undecodable {}", position.offset),
            Entry::Gap { from, until, .. } => format!("gap {}..{until}", from.offset),
        })
        .collect()
}

fn events(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("event-{n}")).collect()
}

/// Small segments, nothing in memory: readers go through the files.
fn small() -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes: 1 << 16, tail_bytes: 0, ..EmbeddedConfig::default() }
}

#[tokio::test]
async fn events_are_read_from_memory_and_from_files_in_the_order_they_came() {
    for config in [EmbeddedConfig::default(), small()] {
        let dir = tempfile::tempdir().expect("a directory");
        let log = open(dir.path(), config).await;
        let positions = append(&*log, 0..1000).await;
        assert!(positions.is_sorted());
        for from in [0, 1, 500, 999] {
            let mut reader = log.read(at(from)).await.expect("opens");
            assert_eq!(ids(&read(&mut *reader, (1000 - from) as usize).await), events(from..1000));
        }
        log.close().await;
        let log = open(dir.path(), config).await;
        append(&*log, 1000..1100).await;
        let mut reader = log.read(at(0)).await.expect("opens");
        assert_eq!(ids(&read(&mut *reader, 1100).await), events(0..1100));
    }
}

#[tokio::test]
async fn a_reader_at_the_tail_wakes_up_and_one_of_a_closed_log_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    let mut reader = log.read(at(0)).await.expect("opens");
    let reading = tokio::spawn(async move {
        let entries = reader.next(10).await.expect("reads");
        (ids(&entries), reader.next(10).await.map(|entries| ids(&entries)))
    });
    append(&*log, 0..1).await;
    log.close().await;
    let (entries, end) = reading.await.expect("ends");
    assert_eq!(entries, events(0..1));
    assert!(matches!(end, Err(crate::ReadError::Closed)), "{end:?}");
    assert!(matches!(log.append(event(1)).await, Err(AppendError::Unavailable(_))));
}

#[tokio::test]
async fn appends_of_many_callers_share_batches_and_each_gets_a_place_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move { append(&*log, task * 20..(task + 1) * 20).await })
        })
        .collect();
    let mut offsets = Vec::new();
    for task in tasks {
        let positions = task.await.expect("ends");
        assert!(positions.is_sorted());
        offsets.extend(positions.into_iter().map(|position| position.offset));
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..64 * 20).collect::<Vec<_>>());
    let all = log.append_all((0..10).map(event).collect()).await.expect("is stored");
    assert_eq!(all.iter().map(|position| position.offset).collect::<Vec<_>>(), (1280..1290).collect::<Vec<_>>());
}

#[tokio::test]
async fn progress_survives_and_goes_back_only_when_told_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let subscription: SubscriptionId = "trigger".into();
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    assert!(log.load(&subscription).await.expect("loads").is_empty());
    let mut progress = Progress::at(5);
    progress.settle(7, 9);
    log.save(&subscription, 0, &progress).await.expect("saves");
    log.save(&subscription, 0, &Progress::at(3)).await.expect("saves");
    log.close().await;
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    let loaded = log.load(&subscription).await.expect("loads")[&0].clone();
    assert_eq!((loaded.next, loaded.settled.ranges()), (5, &[(7, 9)][..]));
    log.reset(&subscription, 0, &Progress::at(1)).await.expect("saves");
    log.close().await;
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    assert_eq!(log.load(&subscription).await.expect("loads")[&0], Progress::at(1));
    log.forget(&subscription).await.expect("saves");
    log.close().await;
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    assert!(log.subscriptions().await.expect("loads").is_empty());
}

#[tokio::test]
async fn events_are_found_by_id_and_by_time() {
    for config in [EmbeddedConfig::default(), small()] {
        let dir = tempfile::tempdir().expect("a directory");
        let log = open(dir.path(), config).await;
        append(&*log, 0..500).await;
        let between = Timestamp::now();
        append(&*log, 500..1000).await;
        append(&*log, 20..21).await;
        let found = log.find("event-20", Some("/test"), 10).await.expect("searches");
        assert_eq!(found.iter().map(|stored| stored.position.offset).collect::<Vec<_>>(), [20, 1000]);
        assert_eq!(log.find("event-20", None, 1).await.expect("searches").len(), 1);
        assert!(log.find("event-20", Some("/other"), 10).await.expect("searches").is_empty());
        assert_eq!(log.seek(0, between).await.expect("seeks"), at(500));
        assert_eq!(log.seek(0, Timestamp::MIN).await.expect("seeks"), at(0));
        assert_eq!(log.seek(0, Timestamp::MAX).await.expect("seeks"), at(1001));
    }
}

#[tokio::test]
async fn too_large_events_are_refused_and_the_largest_fits() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    let sized = |bytes: usize| Event::new(event(0).attributes().clone(), Some(vec![7; bytes].into()));
    let rest = sized(0).size_bytes();
    let limit = log.max_event_bytes();
    log.append(sized(limit - rest)).await.expect("fits");
    let refused = log.append(sized(limit - rest + 1)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_still_saves_progress() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = EmbeddedConfig { reserve_bytes: u64::MAX, ..EmbeddedConfig::default() };
    let log = open(dir.path(), config).await;
    assert!(matches!(log.append(event(0)).await, Err(AppendError::Full)));
    assert!(log.health().is_err());
    log.save(&"trigger".into(), 0, &Progress::at(0)).await.expect("saves from the reserve");
}

#[tokio::test]
async fn over_its_quota_a_log_drops_what_is_settled_and_otherwise_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let retention = RetentionConfig { bytes: Some(1 << 20), ..RetentionConfig::default() };
    let log = open(dir.path(), EmbeddedConfig { retention, ..small() }).await;
    let slow: SubscriptionId = "slow".into();
    log.save(&slow, 0, &Progress::at(0)).await.expect("saves");
    let large = |n: u64| Event::new(event(n).attributes().clone(), Some(vec![7; 10_000].into()));
    let mut refused = false;
    for n in 0..1000 {
        if matches!(log.append(large(n)).await, Err(AppendError::Full)) {
            refused = true;
            break;
        }
    }
    assert!(refused, "the quota was not kept");
    assert_eq!(log.bounds(0).await.expect("reads").earliest, 0);
    let next = log.bounds(0).await.expect("reads").next;
    log.save(&slow, 0, &Progress::at(next)).await.expect("saves");
    tokio::time::timeout(Duration::from_secs(50), async {
        while log.append(large(0)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("accepts again by itself");
    let earliest = log.bounds(0).await.expect("reads").earliest;
    assert!(earliest > 0);
    let mut reader = log.read(at(0)).await.expect("opens");
    let first = reader.next(1).await.expect("reads");
    assert_eq!(ids(&first), [format!("gap 0..{earliest}")]);
}

#[tokio::test]
async fn duplicates_are_answered_with_the_first_place_across_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = EmbeddedConfig { dedupe: DedupeConfig { enabled: true, ..DedupeConfig::default() }, ..small() };
    let log = open(dir.path(), config).await;
    append(&*log, 0..1000).await;
    assert_eq!(log.append(event(3)).await.expect("is stored"), at(3));
    log.close().await;
    let log = open(dir.path(), config).await;
    assert_eq!(log.append(event(3)).await.expect("is stored"), at(3));
    let twice = log.append_all(vec![event(2000), event(2000), event(5)]).await.expect("is stored");
    assert_eq!(twice, [at(1000), at(1000), at(5)]);
    let mut other_source = event(3).attributes().clone();
    other_source.source = "/other".to_owned();
    assert_eq!(log.append(Event::new(other_source, None)).await.expect("is stored"), at(1001));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_untouched() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), EmbeddedConfig::default()).await;
    append(&*log, 0..10).await;
    log.close().await;
    let format = dir.path().join("default/orders/2b1c/format");
    std::fs::write(&format, "weir log 7\n").expect("writes");
    let files = || -> Vec<_> {
        let mut names: Vec<_> = std::fs::read_dir(format.parent().expect("has a parent"))
            .expect("lists")
            .map(|entry| entry.map(|entry| (entry.file_name(), entry.metadata().map(|meta| meta.len()).ok())).ok())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let refused =
        Embedded::new(dir.path().to_owned(), Metrics::default()).open(name(), EmbeddedConfig::default()).await;
    assert!(matches!(refused.err(), Some(ConnectError::UnknownFormat { found: 7, supported: 1, .. })));
    assert_eq!(files(), before);
}

#[tokio::test]
async fn a_log_has_one_writer_and_is_gone_once_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let embedded = Embedded::new(dir.path().to_owned(), Metrics::default());
    let log = embedded.open(name(), EmbeddedConfig::default()).await.expect("opens");
    append(&*log, 0..1).await;
    let same = embedded.open(name(), EmbeddedConfig::default()).await.expect("opens");
    assert_eq!(append(&*same, 1..2).await, [at(1)]);
    drop((log, same));
    let again = embedded.open(name(), EmbeddedConfig::default()).await.expect("opens");
    assert_eq!(again.bounds(0).await.expect("reads").next, 2);
    embedded.remove(name()).await.expect("removes");
    embedded.remove(name()).await.expect("has removed it");
    assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 0);
    let new = embedded.open(name(), EmbeddedConfig::default()).await.expect("opens");
    assert_eq!(new.bounds(0).await.expect("reads").next, 0);
}
