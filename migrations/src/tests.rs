use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType};
use sqlx::{Row, SqlSafeStr as _};

use super::*;

/// This build's migrations and one more, as a later version would have it.
fn newer() -> Migrator {
    let mut migrations: Vec<_> = MIGRATIONS.iter().cloned().collect();
    migrations.push(Migration::new(
        9_999,
        Cow::Borrowed("from the future"),
        MigrationType::Simple,
        sqlx::AssertSqlSafe("CREATE TABLE future (x BIGINT)".to_owned()).into_sql_str(),
        false,
    ));
    Migrator::with_migrations(migrations)
}

async fn put(pool: &AnyPool, text: &str) {
    sqlx::query("INSERT INTO exceptions VALUES ($1, 1, '', '', '', '', '', 0, 0, '', '', '', 0, '', NULL, '', 0)")
        .bind(text)
        .execute(pool)
        .await
        .expect("insert");
}

async fn ids(pool: &AnyPool) -> Vec<String> {
    let rows = sqlx::query("SELECT id FROM exceptions ORDER BY id").fetch_all(pool).await.expect("select");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().expect("directory");
    let url = sqlite_url(&dir.path().join("odd name %41?#.db"));
    let pool = open(&url).await.expect("opens");
    put(&pool, "kept").await;
    pool.close().await;
    let pool = open(&url).await.expect("opens again");
    assert_eq!(ids(&pool).await, ["kept"]);
    assert!(dir.path().join("odd name %41?#.db").exists());
}

#[tokio::test]
async fn database_is_private_and_survives_power_loss_by_its_settings() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("weir.db");
    let pool = open(&sqlite_url(&path)).await.expect("opens");
    put(&pool, "x").await;
    for name in ["weir.db", "weir.db-wal"] {
        let mode = dir.path().join(name).metadata().expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.expect("pragma");
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&pool).await.expect("pragma");
    assert_eq!((journal.as_str(), synchronous), ("wal", 2));
}

#[tokio::test]
async fn newer_database_is_refused_and_untouched() {
    let dir = tempfile::tempdir().expect("directory");
    let url = sqlite_url(&dir.path().join("weir.db"));
    let pool = open_with(&url, &newer()).await.expect("newer build opens");
    put(&pool, "theirs").await;
    pool.close().await;

    let error = open(&url).await.expect_err("refused");
    assert!(matches!(error, OpenError::Newer { found: 9_999, .. }), "{error}");
    assert!(error.to_string().contains("weir.db was written by a newer weir"), "{error}");

    let pool = open_with(&url, &newer()).await.expect("newer build still opens it");
    assert_eq!(ids(&pool).await, ["theirs"]);
}

#[tokio::test]
async fn damaged_database_is_refused_with_its_name() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("weir.db");
    std::fs::write(&path, vec![0x5a; 8192]).expect("write");
    let error = open(&sqlite_url(&path)).await.expect_err("refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("weir.db is damaged"), "{error}");
}

#[tokio::test]
async fn missing_directory_and_foreign_urls_are_refused_without_their_password() {
    let error = open("sqlite:/nonexistent/dir/weir.db").await.expect_err("refused");
    assert!(error.to_string().starts_with("cannot open /nonexistent/dir/weir.db: "), "{error}");
    for url in ["mysql://root:secret@h/db", "weir.db", "", "postgres://u:secret@127.0.0.1:1/db"] {
        let error = open(url).await.expect_err("refused");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn statements_of_one_process_never_find_the_database_busy() {
    let dir = tempfile::tempdir().expect("directory");
    let pool = open(&sqlite_url(&dir.path().join("weir.db"))).await.expect("opens");
    let writers = (0..8).map(|writer| {
        let pool = pool.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                let mut transaction = pool.begin().await.expect("begin");
                sqlx::query(
                    "INSERT INTO exceptions VALUES ($1, 1, '', '', '', '', '', 0, 0, '', '', '', 0, '', NULL, '', 0)",
                )
                .bind(format!("{writer}-{n}"))
                .execute(&mut *transaction)
                .await
                .expect("insert");
                transaction.commit().await.expect("commit");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("writer");
    }
    assert_eq!(ids(&pool).await.len(), 160);
}
