use bytes::Bytes;
use sqlx::Connection as _;
use tempfile::TempDir;
use weir_api::Event;
use weir_channels::{Position, Stored};

use super::*;

/// A database of its own: a SQLite file or, if `WEIR_TEST_POSTGRES` names a server (`postgres://user@host:port`), there.
struct Store {
    url: String,
    _dir: TempDir,
}

impl Store {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let url = match std::env::var("WEIR_TEST_POSTGRES") {
            Ok(server) => create_database(&server).await,
            Err(_) => weir_migrations::sqlite_url(&dir.path().join("weir.db")),
        };
        Self { url, _dir: dir }
    }

    async fn open(&self) -> Ledger {
        self.open_with(&LedgerSettings::default()).await
    }

    async fn open_with(&self, settings: &LedgerSettings) -> Ledger {
        Ledger::start(weir_migrations::open(&self.url).await.expect("opens"), settings)
    }
}

async fn create_database(server: &str) -> String {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await.expect("a server");
    let name = format!("weir_test_{}", uuid::Uuid::now_v7().simple());
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await.expect("a database");
    format!("{server}/{name}")
}

fn recipient(trigger: &str) -> Recipient {
    Recipient {
        subscription: format!("uid-{trigger}").into(),
        namespace: "team-a".into(),
        broker: "shop".into(),
        trigger: trigger.into(),
    }
}

fn stored(id: &str, offset: u64) -> Stored {
    let event = Event::builder("/shop", "order")
        .id(id)
        .extension("n", 7)
        .extension("yes", weir_api::event::Value::Boolean(true));
    let event = event.data("application/octet-stream", Bytes::from_static(b"\x00\xff")).build().expect("an event");
    let stored_at = Timestamp::from_microsecond(1_700_000_000_000_001).expect("time");
    Stored { position: Position { partition: 1, offset }, stored_at, event }
}

fn letter(trigger: &str, offset: u64, reason: &str) -> DeadLetter {
    DeadLetter {
        kind: "status".into(),
        detail: "nul \0 in a text".into(),
        destination: "http://x/".into(),
        code: Some(503),
        error_data: "YQ==".into(),
        attempts: 11,
        ..DeadLetter::expired(recipient(trigger), &stored(&format!("e{offset}"), offset), reason)
    }
}

async fn reasons(ledger: &Ledger, query: &LetterQuery) -> Vec<String> {
    ledger.letters(query).await.expect("letters").into_iter().map(|letter| letter.letter.reason).collect()
}

#[tokio::test]
async fn letters_are_there_unchanged_after_reopening_without_a_clean_stop() {
    let store = Store::new().await;
    let event = letter("a", u64::MAX, "answered 503");
    let raw = DeadLetter::undecodable(
        recipient(""),
        Position { partition: u32::MAX, offset: 3 },
        Timestamp::UNIX_EPOCH,
        Bytes::from_static(b"\xff\x00garbage"),
        "not an event",
    );
    let ledger = store.open().await;
    ledger.put(&event).await.expect("put");
    ledger.put(&raw).await.expect("put");

    let again = store.open().await;
    let letters = again.letters(&LetterQuery::default()).await.expect("letters");
    let [first, second] = &letters[..] else { panic!("two letters: {letters:?}") };
    assert_eq!(first.letter, DeadLetter { detail: "nul \u{fffd} in a text".into(), ..event });
    assert_eq!(second.letter, raw);
    assert_eq!(again.letter(&first.id).await.expect("letter").as_ref(), Some(first));
    assert_eq!(again.letter("unknown").await.expect("no letter"), None);
}

#[tokio::test]
async fn putting_the_same_position_again_replaces_and_reopens_the_letter() {
    let store = Store::new().await;
    let ledger = store.open().await;
    ledger.put(&letter("a", 1, "timed out")).await.expect("put");
    let [before] = &ledger.letters(&LetterQuery::default()).await.expect("letters")[..] else { panic!("one letter") };
    assert!(ledger.mark_redriven(&before.id, Timestamp::now()).await.expect("mark"));
    assert_eq!(ledger.count(&LetterQuery::default()).await.expect("count"), 0);

    ledger.put(&letter("a", 1, "answered 503")).await.expect("put");
    ledger.put(&letter("b", 1, "other trigger")).await.expect("put");
    assert_eq!(reasons(&ledger, &LetterQuery::default()).await, ["answered 503", "other trigger"]);
    let after = ledger.letter(&before.id).await.expect("letter").expect("keeps its id");
    assert_eq!(after.redriven_at, None);
}

#[tokio::test]
async fn letters_are_found_by_each_of_their_facts_page_by_page() {
    let store = Store::new().await;
    let ledger = store.open().await;
    for (trigger, offset, reason) in [("a", 1, "x"), ("a", 2, "y"), ("b", 3, "x"), ("a", 4, "x"), ("a", 5, "x")] {
        ledger.put(&letter(trigger, offset, reason)).await.expect("put");
    }
    let all = LetterQuery::default;
    let cases = [
        (all(), 5),
        (LetterQuery { namespace: "team-a".into(), ..all() }, 5),
        (LetterQuery { namespace: "team-b".into(), ..all() }, 0),
        (LetterQuery { broker: "shop".into(), trigger: "b".into(), ..all() }, 1),
        (LetterQuery { subscription: "uid-a".into(), reason: "x".into(), ..all() }, 3),
        (LetterQuery { event_id: "e2".into(), ..all() }, 1),
        (LetterQuery { reason: "' OR 1=1 --".into(), ..all() }, 0),
    ];
    for (query, expected) in cases {
        assert_eq!(ledger.count(&query).await.expect("count"), expected, "{query:?}");
        assert_eq!(ledger.letters(&query).await.expect("letters").len() as u64, expected, "{query:?}");
    }

    let mut query = LetterQuery { limit: 2, ..all() };
    let mut offsets = Vec::new();
    loop {
        let page = ledger.letters(&query).await.expect("letters");
        let Some(last) = page.last() else { break };
        query.after.clone_from(&last.id);
        offsets.extend(page.iter().map(|letter| letter.letter.position.offset));
    }
    assert_eq!(offsets, [1, 2, 3, 4, 5]);
    assert_eq!(ledger.count(&LetterQuery { limit: 2, ..all() }).await.expect("count"), 5);

    let groups = ledger.groups(&all()).await.expect("groups");
    let groups: Vec<_> = groups.iter().map(|group| (&*group.trigger, &*group.reason, group.count)).collect();
    assert_eq!(groups, [("a", "x", 3), ("a", "y", 1), ("b", "x", 1)]);
}

#[tokio::test]
async fn redriven_and_deleted_letters_leave_the_list() {
    let store = Store::new().await;
    let ledger = store.open().await;
    for offset in 1..=3 {
        ledger.put(&letter("a", offset, "x")).await.expect("put");
    }
    let letters = ledger.letters(&LetterQuery::default()).await.expect("letters");
    let at = Timestamp::from_second(1_800_000_000).expect("time");
    assert!(ledger.mark_redriven(&letters[0].id, at).await.expect("mark"));
    assert!(ledger.delete(&letters[1].id).await.expect("delete"));
    assert!(!ledger.delete(&letters[1].id).await.expect("delete"), "it is gone");
    assert!(!ledger.mark_redriven(&letters[1].id, at).await.expect("mark"));
    assert_eq!(ledger.count(&LetterQuery::default()).await.expect("count"), 1);
    assert_eq!(ledger.count(&LetterQuery { redriven: true, ..LetterQuery::default() }).await.expect("count"), 2);
    assert_eq!(ledger.letter(&letters[0].id).await.expect("letter").expect("kept").redriven_at, Some(at));
}

#[tokio::test]
async fn letters_put_at_once_share_transactions_and_are_all_stored() {
    let store = Store::new().await;
    let ledger = store.open().await;
    let puts = (0..500).map(|offset| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.put(&letter("a", offset, "x")).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.expect("task").expect("put");
    }
    assert_eq!(ledger.count(&LetterQuery::default()).await.expect("count"), 500);
}

#[tokio::test]
async fn put_fails_while_the_database_is_gone_and_after_close() {
    let pool = weir_migrations::open("sqlite::memory:").await.expect("opens");
    let ledger = Ledger::start(pool.clone(), &LedgerSettings::default());
    ledger.put(&letter("a", 1, "x")).await.expect("put");
    pool.close().await;
    let error = ledger.put(&letter("a", 2, "x")).await.expect_err("no database");
    assert!(matches!(error, LedgerError::Unavailable(_)), "{error:?}");
    ledger.close().await;
    let error = ledger.put(&letter("a", 3, "x")).await.expect_err("closed");
    assert!(matches!(error, LedgerError::Closed), "{error:?}");
}

fn exception(id: &str, attempt: u32) -> Exception {
    Exception {
        attempt,
        destination: "http://x/".into(),
        code: Some(503),
        detail: "answered 503".into(),
        duration: Duration::from_micros(1_234),
        ..Exception::now(ExceptionKind::FailedAttempt, &recipient("a"), &stored(id, 9))
    }
}

#[tokio::test]
async fn exceptions_are_written_in_time_and_found_by_event() {
    let store = Store::new().await;
    let ledger =
        store.open_with(&LedgerSettings { flush_interval: Duration::from_millis(1), ..Default::default() }).await;
    let noted: Vec<_> = (1..=3).map(|attempt| exception("e1", attempt)).collect();
    noted.iter().cloned().for_each(|exception| ledger.record(exception));
    ledger.record(exception("e2", 1));
    let found = async || ledger.exceptions("e1", Some("/shop"), 10).await.expect("exceptions");
    while found().await.len() < 3 {
        tokio::task::yield_now().await;
    }
    let micros = |exceptions: Vec<Exception>| -> Vec<_> {
        exceptions
            .into_iter()
            .map(|mut e| {
                e.at = timestamp(micros(e.at));
                e
            })
            .collect()
    };
    assert_eq!(found().await, micros(noted));
    assert_eq!(ledger.exceptions("e1", Some("/other"), 10).await.expect("exceptions"), []);
    assert_eq!(ledger.exceptions("e1", None, 2).await.expect("exceptions").len(), 2);
}

#[tokio::test]
async fn exceptions_pending_at_the_end_are_written_by_close() {
    let store = Store::new().await;
    let ledger = store.open().await;
    (0..2_000).for_each(|attempt| ledger.record(exception("e", attempt)));
    ledger.close().await;
    let found = store.open().await.exceptions("e", None, 10_000).await.expect("exceptions");
    assert_eq!(found.len(), 2_000);
}

#[tokio::test]
async fn exceptions_beyond_the_bound_are_dropped_and_counted() {
    let store = Store::new().await;
    let ledger = store.open_with(&LedgerSettings { max_pending: 10, ..Default::default() }).await;
    // One thread: the writer does not run in between.
    (0..25).for_each(|attempt| ledger.record(exception("e", attempt)));
    assert_eq!(ledger.dropped(), 15);
}

#[tokio::test]
async fn old_and_surplus_exceptions_are_forgotten() {
    let store = Store::new().await;
    let ledger = store.open().await;
    let old = Exception { at: Timestamp::from_second(1_000).expect("time"), ..exception("old", 1) };
    ledger.record(old);
    (1..=5).for_each(|attempt| ledger.record(exception("new", attempt)));
    ledger.close().await;
    let pool = weir_migrations::open(&store.url).await.expect("opens");
    let before = Timestamp::from_second(2_000).expect("time");
    assert_eq!(exception::prune(&pool, before, 3).await.expect("prune"), 3);
    let kept = exception::of_event(&pool, "new", None, 10).await.expect("exceptions");
    assert_eq!(kept.iter().map(|exception| exception.attempt).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(exception::of_event(&pool, "old", None, 10).await.expect("exceptions"), []);
}
