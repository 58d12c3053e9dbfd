//! The suite on the embedded log; and each item on a log that breaks the promise it is about.

use jiff::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::embedded::{Durability, Embedded, EmbeddedConfig, RetentionConfig};
use crate::metrics::Metrics;
use crate::{AppendError, Bounds, ChannelName, ConnectError, Progress, ProgressError, ReadError, SubscriptionId};

/// Embedded logs in a directory of their own.
struct OnDisk {
    _dir: tempfile::TempDir,
    embedded: Embedded,
    config: EmbeddedConfig,
}

impl OnDisk {
    fn new(config: EmbeddedConfig) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let embedded = Embedded::new(dir.path().to_owned(), Metrics::default());
        Self { _dir: dir, embedded, config }
    }

    async fn open_with(&self, name: &str, config: EmbeddedConfig) -> Result<Arc<dyn Channel>, ConnectError> {
        let channel = ChannelName { namespace: "test".into(), name: name.into(), uid: "1".into() };
        self.embedded.open(channel, config).await
    }
}

#[async_trait]
impl Harness for OnDisk {
    async fn open(&self, name: &str) -> Arc<dyn Channel> {
        self.open_with(name, self.config).await.expect("opens")
    }

    async fn open_forgetful(&self, name: &str) -> Option<Arc<dyn Channel>> {
        let retention = RetentionConfig { bytes: Some(1 << 20), ..RetentionConfig::default() };
        Some(self.open_with(name, EmbeddedConfig { retention, ..self.config }).await.expect("opens"))
    }
}

/// Small segments, nothing in memory: readers go through the files.
fn small() -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes: 1 << 16, tail_bytes: 0, ..EmbeddedConfig::default() }
}

#[tokio::test]
async fn the_embedded_log_keeps_what_the_seam_promises() {
    assert_eq!(violations(Arc::new(OnDisk::new(EmbeddedConfig::default()))).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_log_keeps_it_when_everything_is_read_from_files() {
    assert_eq!(violations(Arc::new(OnDisk::new(small()))).await, []);
}

/// A promise to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LoseAnEvent,
    ReverseBatches,
    CancelAppends,
    TakeTooLarge,
    StartEarly,
    StartAtTail,
    AnswerEmpty,
    HideGaps,
    IgnoreSource,
    SeekLate,
    ForgetSettled,
    SaveBackward,
    ResetForwardOnly,
    ForgetNobody,
    LoseProgress,
    StayOpen,
    LoseEverything,
}

/// Each item with a fault it must find.
const PLANTED: [(&str, Fault); 19] = [
    ("appended_events_come_back_unchanged_in_order", Fault::LoseAnEvent),
    ("a_batch_is_stored_like_its_events_one_by_one", Fault::ReverseBatches),
    ("concurrent_appends_have_places_of_their_own", Fault::LoseAnEvent),
    ("an_append_goes_on_when_nobody_waits_for_it", Fault::CancelAppends),
    ("the_largest_event_fits_and_a_larger_one_is_refused", Fault::TakeTooLarge),
    ("a_reader_starts_where_it_is_told", Fault::StartEarly),
    ("a_reader_waits_at_the_tail_and_loses_nothing_when_dropped", Fault::AnswerEmpty),
    ("a_reader_beyond_the_tail_waits_for_its_position", Fault::StartAtTail),
    ("readers_do_not_disturb_each_other_or_appends", Fault::LoseAnEvent),
    ("a_reader_before_the_oldest_event_is_told_what_is_missing", Fault::HideGaps),
    ("events_are_found_by_id", Fault::IgnoreSource),
    ("events_are_found_by_time", Fault::SeekLate),
    ("progress_is_loaded_as_it_was_saved", Fault::ForgetSettled),
    ("saved_progress_never_goes_backward", Fault::SaveBackward),
    ("reset_progress_goes_where_it_is_told", Fault::ResetForwardOnly),
    ("a_forgotten_subscription_is_gone", Fault::ForgetNobody),
    ("progress_survives_closing", Fault::LoseProgress),
    ("a_closed_log_refuses_and_ends_its_readers", Fault::StayOpen),
    ("a_log_opened_again_has_everything", Fault::LoseEverything),
];

struct Faulty {
    inner: Arc<dyn Channel>,
    fault: Fault,
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    fault: Fault,
}

struct FaultyHarness {
    inner: OnDisk,
    fault: Fault,
    opened: Mutex<u32>,
}

#[async_trait]
impl Harness for FaultyHarness {
    async fn open(&self, name: &str) -> Arc<dyn Channel> {
        let times = {
            let mut opened = self.opened.lock();
            *opened += 1;
            *opened
        };
        let name = if self.fault == Fault::LoseEverything { format!("{name}-{times}") } else { name.to_owned() };
        Arc::new(Faulty { inner: self.inner.open(&name).await, fault: self.fault })
    }

    async fn open_forgetful(&self, name: &str) -> Option<Arc<dyn Channel>> {
        let inner = self.inner.open_forgetful(name).await?;
        Some(Arc::new(Faulty { inner, fault: self.fault }))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[async_trait]
impl Channel for Faulty {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn max_event_bytes(&self) -> usize {
        self.inner.max_event_bytes() - usize::from(self.fault == Fault::TakeTooLarge)
    }

    async fn append(&self, event: Event) -> Result<Position, AppendError> {
        if self.fault == Fault::CancelAppends {
            tokio::task::yield_now().await;
        }
        self.inner.append(event).await
    }

    async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Position>, AppendError> {
        let mut positions = self.inner.append_all(events).await?;
        if self.fault == Fault::ReverseBatches {
            positions.reverse();
        }
        Ok(positions)
    }

    async fn read(&self, from: Position) -> Result<Box<dyn Reader>, ReadError> {
        let offset = match self.fault {
            Fault::StartEarly => from.offset.saturating_sub(1),
            Fault::StartAtTail => from.offset.min(self.inner.bounds(0).await?.next),
            _ => from.offset,
        };
        let inner = self.inner.read(Position { offset, ..from }).await?;
        Ok(Box::new(FaultyReader { inner, fault: self.fault }))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, ReadError> {
        self.inner.bounds(partition).await
    }

    async fn seek(&self, partition: u32, time: Timestamp) -> Result<Position, ReadError> {
        let found = self.inner.seek(partition, time).await?;
        Ok(Position { offset: found.offset + u64::from(self.fault == Fault::SeekLate), ..found })
    }

    async fn find(&self, id: &str, source: Option<&str>, limit: usize) -> Result<Vec<Stored>, ReadError> {
        self.inner.find(id, source.filter(|_| self.fault != Fault::IgnoreSource), limit).await
    }

    async fn load(&self, subscription: &SubscriptionId) -> Result<BTreeMap<u32, Progress>, ProgressError> {
        self.inner.load(subscription).await
    }

    async fn save(&self, id: &SubscriptionId, partition: u32, progress: &Progress) -> Result<(), ProgressError> {
        match self.fault {
            Fault::SaveBackward => self.inner.reset(id, partition, progress).await,
            Fault::ForgetSettled => self.inner.save(id, partition, &Progress::at(progress.next)).await,
            _ => self.inner.save(id, partition, progress).await,
        }
    }

    async fn reset(&self, id: &SubscriptionId, partition: u32, progress: &Progress) -> Result<(), ProgressError> {
        match self.fault {
            Fault::ResetForwardOnly => self.inner.save(id, partition, progress).await,
            _ => self.inner.reset(id, partition, progress).await,
        }
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), ProgressError> {
        if self.fault == Fault::ForgetNobody { Ok(()) } else { self.inner.forget(subscription).await }
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionId>, ProgressError> {
        self.inner.subscriptions().await
    }

    fn health(&self) -> Result<(), String> {
        self.inner.health()
    }

    async fn close(&self) {
        if self.fault == Fault::LoseProgress {
            for id in self.inner.subscriptions().await.unwrap_or_default() {
                let _closed_before = self.inner.forget(&id).await;
            }
        }
        if self.fault != Fault::StayOpen {
            self.inner.close().await;
        }
    }
}

#[async_trait]
impl Reader for FaultyReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Entry>, ReadError> {
        let is_hidden = |entry: &Entry| match (self.fault, entry) {
            (Fault::LoseAnEvent, Entry::Event(stored)) => stored.event.id() == "event-60",
            (Fault::HideGaps, Entry::Gap { .. }) => true,
            _ => false,
        };
        if self.fault == Fault::AnswerEmpty {
            return tokio::select! {
                biased;
                entries = self.inner.next(max) => entries,
                () = tokio::task::yield_now() => Ok(Vec::new()),
            };
        }
        loop {
            let mut entries = self.inner.next(max).await?;
            entries.retain(|entry| !is_hidden(entry));
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }
}

#[tokio::test]
async fn every_item_finds_the_promise_it_is_about_broken() {
    let config = EmbeddedConfig { durability: Durability::Os, ..EmbeddedConfig::default() };
    assert_eq!(PLANTED.map(|(item, _)| item).to_vec(), items().iter().map(|item| item.name).collect::<Vec<_>>());
    for (Item { name, run }, (_, fault)) in items().into_iter().zip(PLANTED) {
        let harness = Arc::new(FaultyHarness { inner: OnDisk::new(config), fault, opened: Mutex::default() });
        assert!(run(Subject { harness, name }).await.is_err(), "{name} did not find {fault:?}");
    }
}
