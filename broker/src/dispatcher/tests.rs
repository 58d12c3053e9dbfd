//! The dispatcher on a scripted log, with scripted subscribers, on paused time.

use std::num::NonZeroUsize;

use weir_api::observed::ObservedState;
use weir_api::resources::Order;
use weir_channels::Entry;

use super::cursor::Reading;
use super::*;
use crate::testing::{MemoryLog, event};
use script::*;

mod script;

const SECOND: Duration = Duration::from_secs(1);

fn small() -> DispatcherSettings {
    DispatcherSettings {
        max_in_flight: NonZeroUsize::new(4).unwrap(),
        lane_events: NonZeroUsize::new(16).unwrap(),
        lane_parked: 1000,
        ..DispatcherSettings::default()
    }
}

fn keyed(id: u64, key: &str) -> weir_api::Event {
    let mut event = event(&id.to_string(), "t");
    event.set_extension("partitionkey", key);
    event
}

fn log_of(count: u64) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::default());
    push(&log, 0..count, |id| event(&id.to_string(), "t"));
    log
}

fn push(log: &MemoryLog, ids: std::ops::Range<u64>, make: impl Fn(u64) -> weir_api::Event) {
    for id in ids {
        log.push(make(id));
    }
}

fn sorted(mut offsets: Vec<u64>) -> Vec<u64> {
    offsets.sort_unstable();
    offsets
}

#[tokio::test(start_paused = true)]
async fn each_trigger_gets_what_matches_and_passes_the_rest() {
    let log = Arc::new(MemoryLog::default());
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger_for("a", "a"), trigger_for("b", "b"), trigger_for("c", "c"), trigger("all")]).await;
    push(&log, 0..100, |id| event(&id.to_string(), if id % 2 == 0 { "a" } else { "b" }));
    subscribers.wait_for("all", What::Accepted, 100).await;
    for uid in ["a", "b", "c", "all"] {
        life.progress(uid, |progress| *progress == Progress { start: 0, ..Progress::at(100) }).await;
    }
    assert_eq!(sorted(subscribers.offsets("a", What::Accepted)), (0..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(sorted(subscribers.offsets("b", What::Accepted)), (1..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(subscribers.offsets("c", What::Attempted), [0; 0]);
    assert_eq!(log.reads(), 1, "read once, whoever wants it");
}

#[tokio::test(start_paused = true)]
async fn start_is_durable_before_the_trigger_is_active() {
    let log = log_of(5);
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([Trigger { start: Start::Now, ..trigger("now") }, trigger("earliest")]).await;
    assert_eq!(log.progress("now"), Some(Progress::at(5)));
    assert!(log.progress("earliest").is_some());
    log.push(event("5", "t"));
    subscribers.wait_for("earliest", What::Accepted, 6).await;
    subscribers.wait_for("now", What::Accepted, 1).await;
    assert_eq!(subscribers.offsets("now", What::Accepted), [5]);
}

#[tokio::test(start_paused = true)]
async fn idle_triggers_cost_no_save_per_event() {
    let log = Arc::new(MemoryLog::default());
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    let idle = (0..200).map(|n| trigger_for(&format!("idle-{n}"), &format!("none-{n}")));
    life.triggers(idle.chain([trigger_for("busy", "t")])).await;
    let before = log.saves();
    for id in 0..1000 {
        log.push(event(&id.to_string(), "t"));
        if id % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    subscribers.wait_for("busy", What::Accepted, 1000).await;
    assert!(log.saves() - before < 10, "{} saves", log.saves() - before);
    life.progress("idle-7", |progress| progress.next == 1000).await;
}

#[tokio::test(start_paused = true)]
async fn in_flight_is_bounded_and_used() {
    let log = log_of(100);
    let subscribers = Subscribers::new(|_, _, _| Act::AcceptAfter(SECOND));
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([Trigger { max_in_flight: Some(7), ..trigger("own") }, trigger("default")]).await;
    subscribers.wait_for("default", What::Accepted, 100).await;
    assert_eq!(subscribers.most_under_way("own"), 7);
    assert_eq!(subscribers.most_under_way("default"), 4);
}

#[tokio::test(start_paused = true)]
async fn hanging_subscriber_falls_behind_alone_and_catches_up() {
    let log = Arc::new(MemoryLog::default());
    let subscribers =
        Subscribers::new(|uid, _, _| if uid == "hanging" { Act::AcceptAfter(1000 * SECOND) } else { Act::Accept });
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("hanging"), trigger("healthy")]).await;
    for id in 0..5000 {
        log.push(event(&id.to_string(), "t"));
        if id % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let started = tokio::time::Instant::now();
    subscribers.wait_for("healthy", What::Accepted, 5000).await;
    assert!(started.elapsed() < 100 * SECOND, "{:?}", started.elapsed());
    let hanging = life.lane("hanging").snapshot(&[5000]);
    assert!(hanging.behind);
    assert!(hanging.in_flight + hanging.queued <= 16, "{hanging:?}");
    assert!(subscribers.offsets("hanging", What::Accepted).is_empty());

    subscribers.behave(|_, _, _| Act::Accept);
    subscribers.wait_for("hanging", What::Accepted, 5000).await;
    assert_eq!(sorted(subscribers.offsets("hanging", What::Attempted)), (0..5000).collect::<Vec<_>>(), "each once");
    life.progress("hanging", |progress| progress.next == 5000).await;
    let reads = log.reads();
    while life.lane("hanging").with_cursor(0, |cursor| cursor.reading) == Reading::Behind {
        log.push(event("more", "t"));
        tokio::time::sleep(SECOND).await;
    }
    log.push(event("last", "t"));
    tokio::time::sleep(SECOND).await;
    assert!(log.reads() <= reads + 1, "a lane that has caught up shares the reader");
}

#[tokio::test(start_paused = true)]
async fn events_that_keep_failing_do_not_stop_others() {
    let log = log_of(200);
    // Far more of them than may be in flight, though not more than the lane holds.
    let subscribers = Subscribers::new(|_, stored, number| match stored.position.offset {
        0..10 if number <= 10 => Act::Fail(100 * SECOND),
        0..10 => Act::Refuse,
        _ => Act::Accept,
    });
    let life = Life::start(&log, &subscribers, small()).await;
    let started = tokio::time::Instant::now();
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 190).await;
    assert!(started.elapsed() < 50 * SECOND, "{:?}", started.elapsed());
    subscribers.wait_for("t", What::DeadLettered, 10).await;
    assert!(subscribers.most_under_way("t") <= 4);
    life.progress("t", |progress| progress.next == 200).await;
    assert_eq!(
        life.lane("t").snapshot(&[200]).counts,
        lane::Counts { matched: 200, delivered: 190, dead_lettered: 10, ..Default::default() }
    );
}

#[tokio::test(start_paused = true)]
async fn failing_key_holds_back_itself_alone() {
    let log = Arc::new(MemoryLog::default());
    // One key in two is the failing one: far more of its events than the lane holds.
    push(&log, 0..400, |id| keyed(id, if id % 2 == 0 { "failing" } else { ["x", "y", "z"][id as usize % 3] }));
    let subscribers = Subscribers::new(|_, stored, number| match stored.position.offset {
        0 if number < 5 => Act::Fail(100 * SECOND),
        0 => Act::Refuse,
        _ => Act::AcceptAfter(Duration::from_millis(1)),
    });
    let life = Life::start(&log, &subscribers, small()).await;
    let started = tokio::time::Instant::now();
    life.triggers([ordered("t")]).await;
    subscribers.wait_for("t", What::Accepted, 200).await;
    assert!(started.elapsed() < 50 * SECOND, "{:?}", started.elapsed());
    assert!(subscribers.offsets("t", What::Accepted).iter().all(|offset| offset % 2 == 1));
    subscribers.wait_for("t", What::Accepted, 399).await;
    let order = subscribers.offsets("t", What::Attempted);
    let failing: Vec<_> = order.iter().copied().filter(|offset| offset % 2 == 0 && *offset > 0).collect();
    assert_eq!(failing, (2..400).step_by(2).collect::<Vec<_>>(), "in log order, once the first is settled");
    life.progress("t", |progress| progress.next == 400).await;
}

#[tokio::test(start_paused = true)]
async fn events_without_a_key_are_not_ordered() {
    let log = log_of(8);
    let subscribers = Subscribers::new(|_, _, _| Act::AcceptAfter(SECOND));
    let life = Life::start(&log, &subscribers, small()).await;
    let by_type = Trigger { order: Order::ByKey { attribute: Some("type".to_owned()) }, ..trigger("type") };
    life.triggers([ordered("none"), by_type]).await;
    subscribers.wait_for("type", What::Accepted, 8).await;
    assert_eq!(subscribers.most_under_way("none"), 4);
    assert_eq!(subscribers.most_under_way("type"), 1);
    assert_eq!(subscribers.offsets("type", What::Accepted), (0..8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn paused_trigger_keeps_its_place() {
    let log = log_of(10);
    let subscribers = Subscribers::new(|_, _, _| Act::Fail(1000 * SECOND));
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Attempted, 10).await;
    subscribers.behave(|_, _, _| Act::Accept);
    life.triggers([Trigger { paused: true, generation: 2, ..trigger("t") }]).await;
    push(&log, 10..100, |id| event(&id.to_string(), "t"));
    tokio::time::sleep(5000 * SECOND).await;
    assert_eq!(subscribers.offsets("t", What::Attempted).len(), 10, "paused means no attempt at all");
    life.triggers([Trigger { generation: 3, ..trigger("t") }]).await;
    subscribers.wait_for("t", What::Accepted, 100).await;
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), (0..100).collect::<Vec<_>>());

    let unresolved = Trigger { subscriber: None, generation: 4, ..trigger("t") };
    life.triggers([unresolved]).await;
    log.push(event("100", "t"));
    tokio::time::sleep(SECOND).await;
    assert_eq!(subscribers.offsets("t", What::Attempted).len(), 110);
    life.triggers([Trigger { generation: 5, ..trigger("t") }]).await;
    subscribers.wait_for("t", What::Accepted, 101).await;
}

#[tokio::test(start_paused = true)]
async fn changed_trigger_holds_for_everything_not_in_delivery() {
    let log = log_of(6);
    let subscribers = Subscribers::new(|_, stored, _| match stored.position.offset {
        0 => Act::AcceptAfter(1000 * SECOND),
        _ => Act::Fail(1000 * SECOND),
    });
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger_for("t", "t")]).await;
    subscribers.wait_for("t", What::Attempted, 6).await;
    subscribers.behave(|_, _, _| Act::Accept);
    log.push(event("6", "t"));
    log.push(event("7", "u"));
    let changed = Trigger { subscriber: Some(subscriber("/second")), generation: 2, ..trigger("t") };
    let started = tokio::time::Instant::now();
    life.triggers([changed]).await;
    subscribers.wait_for("t", What::Accepted, 6).await;
    assert!(started.elapsed() < SECOND, "waits do not go on under the old orders");
    log.push(event("8", "u"));
    subscribers.wait_for("t", What::Accepted, 8).await;
    for step in subscribers.steps().iter().filter(|step| step.what == What::Accepted) {
        assert_eq!(step.subscriber, if step.offset == 0 { "/first" } else { "/second" }, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn narrowed_filter_drops_what_was_not_delivered_yet() {
    let log = log_of(40);
    let subscribers = Subscribers::new(|_, _, _| Act::Fail(SECOND));
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Attempted, 10).await;
    life.triggers([Trigger { generation: 2, ..trigger_for("t", "none") }]).await;
    life.progress("t", |progress| progress.next == 40).await;
    assert!(subscribers.offsets("t", What::Accepted).is_empty());
}

#[tokio::test(start_paused = true)]
async fn filter_that_does_not_compile_stops_the_trigger_where_it_is() {
    let log = log_of(3);
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 3).await;
    let broken = Trigger { filters: vec![Default::default()], generation: 2, ..trigger("t") };
    life.world.change(|resources| {
        let triggers = resources.triggers.get_mut(&crate::testing::broker_name()).unwrap();
        triggers.insert("t".into(), Arc::new(broken));
    });
    let failed = |observed: &Arc<weir_api::observed::Observed>| {
        matches!(observed.get("t"), Some(ObservedState::Failed { generation: 2, .. }))
    };
    life.world.observed.clone().wait_for(failed).await.unwrap();
    log.push(event("3", "t"));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(subscribers.offsets("t", What::Attempted).len(), 3);
    life.triggers([Trigger { generation: 3, ..trigger("t") }]).await;
    subscribers.wait_for("t", What::Accepted, 4).await;
}

#[tokio::test(start_paused = true)]
async fn deleted_trigger_is_forgotten_and_a_new_one_of_its_name_begins_anew() {
    let log = log_of(5);
    let subscribers = Subscribers::new(|_, _, _| Act::Fail(SECOND));
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("old")]).await;
    subscribers.wait_for("old", What::Attempted, 10).await;
    subscribers.behave(|_, _, _| Act::Accept);
    life.triggers([Trigger { start: Start::Now, ..trigger("new") }]).await;
    life.world.observed.clone().wait_for(|observed| !observed.contains_key("old")).await.unwrap();
    let attempts = subscribers.offsets("old", What::Attempted).len();
    log.push(event("5", "t"));
    subscribers.wait_for("new", What::Accepted, 1).await;
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(log.progress("old"), None);
    assert!(subscribers.offsets("old", What::Attempted).len() <= attempts + 4);
    assert_eq!(subscribers.offsets("new", What::Accepted), [5]);
}

#[tokio::test(start_paused = true)]
async fn trigger_deleted_while_nobody_looked_is_forgotten() {
    let log = log_of(5);
    log.save_now("orphan", Progress::at(2));
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    while log.progress("orphan").is_some() {
        tokio::time::sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn clean_stop_finishes_attempts_interrupts_waits_and_repeats_nothing() {
    let log = log_of(12);
    let subscribers = Subscribers::new(|_, stored, _| match stored.position.offset {
        0..3 => Act::Fail(1000 * SECOND),
        3..6 => Act::AcceptAfter(10 * SECOND),
        _ => Act::Accept,
    });
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 6).await;
    let started = tokio::time::Instant::now();
    life.stop().await;
    assert!(started.elapsed() >= 9 * SECOND && started.elapsed() < 60 * SECOND, "{:?}", started.elapsed());
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), (3..12).collect::<Vec<_>>());
    let progress = log.progress("t").unwrap();
    assert_eq!((progress.next, progress.settled.ranges()), (0, [(3, 12)].as_slice()));

    subscribers.behave(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    life.progress("t", |progress| progress.next == 12).await;
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), (0..12).collect::<Vec<_>>(), "each once");
    assert!(subscribers.offsets("t", What::DeadLettered).is_empty());
}

#[tokio::test(start_paused = true)]
async fn kill_loses_nothing_and_repeats_only_what_was_not_saved() {
    let log = log_of(1000);
    let subscribers = Subscribers::new(|_, stored, _| match stored.position.offset {
        500.. => Act::Hang,
        _ => Act::Accept,
    });
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    life.progress("t", |progress| progress.next == 500).await;
    life.kill();

    subscribers.behave(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    life.progress("t", |progress| progress.next == 1000).await;
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), (0..1000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn stop_ends_although_a_subscriber_hangs() {
    let log = log_of(3);
    let subscribers = Subscribers::new(|_, _, _| Act::Hang);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Attempted, 3).await;
    let started = tokio::time::Instant::now();
    life.stop().await;
    assert!(started.elapsed() < 61 * SECOND);
    assert_eq!(log.progress("t"), Some(Progress::at(0)));
}

#[tokio::test(start_paused = true)]
async fn progress_waits_for_the_log_to_take_it() {
    let log = log_of(3);
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    log.fail_saves(true);
    log.push(event("3", "t"));
    subscribers.wait_for("t", What::Accepted, 4).await;
    tokio::time::sleep(SECOND).await;
    let saved = log.progress("t").unwrap();
    assert!(saved.next < 4);
    log.fail_saves(false);
    life.progress("t", |progress| progress.next == 4).await;
}

#[tokio::test(start_paused = true)]
async fn log_that_cannot_be_read_is_tried_again() {
    let log = log_of(3);
    log.fail_reads(5);
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 3).await;
}

#[tokio::test(start_paused = true)]
async fn log_that_breaks_is_opened_again_and_delivery_goes_on() {
    let log = log_of(3);
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, DispatcherSettings::default()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 3).await;
    log.break_now();
    push(&log, 3..6, |id| event(&id.to_string(), "t"));
    subscribers.wait_for("t", What::Accepted, 6).await;
    life.progress("t", |progress| progress.next == 6).await;
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), (0..6).collect::<Vec<_>>(), "each once");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_set_aside_and_gaps_are_passed() {
    let log = log_of(1);
    log.push_entry(|position| Entry::Undecodable { position, raw: Bytes::new(), reason: "scripted".to_owned() });
    log.push(event("2", "t"));
    log.push_entry(|from| Entry::Gap { from, until: from.offset + 1, reason: "scripted".to_owned() });
    log.push(event("4", "t"));
    let subscribers = Subscribers::new(|_, _, _| Act::Accept);
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    life.progress("t", |progress| progress.next == 5).await;
    assert_eq!(sorted(subscribers.offsets("t", What::Accepted)), [0, 2, 4]);
    assert_eq!(*subscribers.set_aside.lock(), [Position { partition: 0, offset: 1 }]);
    let counts = life.lane("t").snapshot(&[5]).counts;
    assert_eq!((counts.matched, counts.delivered, counts.expired), (3, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn panic_is_one_attempt() {
    let log = log_of(5);
    let subscribers = Subscribers::new(|_, stored, number| match stored.position.offset {
        2 if number < 3 => Act::Panic,
        _ => Act::Accept,
    });
    let life = Life::start(&log, &subscribers, small()).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 5).await;
    assert_eq!(life.world.metrics.panics.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn large_events_are_held_by_their_bytes() {
    let log = Arc::new(MemoryLog::default());
    let big = |id: u64| {
        let event = event(&id.to_string(), "t");
        weir_api::Event::new(event.attributes().clone(), Some(Bytes::from(vec![0; 100_000])))
    };
    push(&log, 0..100, big);
    let subscribers = Subscribers::new(|_, _, _| Act::AcceptAfter(SECOND));
    let settings = DispatcherSettings { lane_bytes: 350_000, ..DispatcherSettings::default() };
    let life = Life::start(&log, &subscribers, settings).await;
    life.triggers([trigger("t")]).await;
    subscribers.wait_for("t", What::Accepted, 100).await;
    assert_eq!(subscribers.most_under_way("t"), 3);
    assert_eq!(life.dispatcher.shared.bytes.load(std::sync::atomic::Ordering::Relaxed), 0);
}
