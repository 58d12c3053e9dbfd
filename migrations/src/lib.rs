//! The SQL store of the control plane, opened and brought up to date.
//!
//! One set of numbered, forward-only migrations (`migrations/*.sql`, compiled in) serves SQLite, the default, and
//! PostgreSQL. They keep to what both understand: `TEXT` and `BIGINT` columns, `$1` placeholders, no server-made keys.
//! Who owns a table documents it in its migration.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AnyPool, ConnectOptions as _, Connection as _};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another process that holds a SQLite database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to a PostgreSQL server per process.
const POSTGRES_CONNECTIONS: u32 = 8;
/// A process that stopped in the middle of a transaction must not stop all others for good.
const POSTGRES_PATIENCE: &str =
    "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '12s'; SET statement_timeout = '60s'";
/// Bytes of a path that stand for themselves in a `sqlite:` URL.
const PATH_BYTES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Why a database could not be opened. Names the database without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `sqlite:` nor `postgres:`, or malformed.
    #[error("not a database URL: {reason}; expected sqlite:PATH or postgres://USER@HOST/DATABASE")]
    InvalidUrl {
        /// What is wrong with it; never the URL, which may hold a password.
        reason: String,
    },
    /// The file cannot be created or written.
    #[error("cannot open {path}: {source}")]
    File {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Holds migrations this build does not know. It was left untouched.
    #[error("{database} was written by a newer weir (schema {found}, this build knows {known}): use that version")]
    Newer {
        /// Which database.
        database: String,
        /// The schema version it has.
        found: i64,
        /// The newest schema version of this build.
        known: i64,
    },
    /// Not a database, corrupt, or its schema was changed by another program.
    #[error("{database} is damaged: {reason}; restore it from a backup, or move it away to start empty")]
    Damaged {
        /// Which database.
        database: String,
        /// What was found.
        reason: String,
    },
    /// Cannot be reached or used now.
    #[error("{database} is not available: {source}")]
    Unavailable {
        /// Which database.
        database: String,
        /// What the driver said.
        source: sqlx::Error,
    },
}

/// Whether other processes, on other machines too, can use the database at `url` at the same time.
pub fn is_shared(url: &str) -> bool {
    matches!(url.split(':').next(), Some("postgres" | "postgresql"))
}

/// The URL of the SQLite database at `path`, for [`open`].
pub fn sqlite_url(path: &Path) -> String {
    format!("sqlite:{}", percent_encode(path.as_os_str().as_encoded_bytes(), PATH_BYTES))
}

/// Opens the database at `url` and applies the migrations it lacks.
///
/// `sqlite:PATH` is created if missing, readable by its owner only. Its pool has one connection, kept for ever:
/// statements of one process queue up instead of failing with `SQLITE_BUSY`, and `sqlite::memory:` keeps its contents.
/// So do not ask the pool for a connection while you hold one. What was committed survives power loss (WAL, synchronous
/// FULL). `postgres://…` gets a pool of several connections; concurrent openers take turns to migrate.
pub async fn open(url: &str) -> Result<AnyPool, OpenError> {
    open_with(url, &MIGRATIONS).await
}

async fn open_with(url: &str, migrations: &Migrator) -> Result<AnyPool, OpenError> {
    sqlx::any::install_default_drivers();
    let invalid = |error: sqlx::Error| OpenError::InvalidUrl { reason: error.to_string() };
    let (pool, database) = match url.split(':').next() {
        Some("sqlite") => {
            let options = SqliteConnectOptions::from_str(url).map_err(invalid)?;
            open_sqlite(url, options).await?
        }
        Some("postgres" | "postgresql") => {
            let options = PgConnectOptions::from_str(url).map_err(invalid)?;
            let name = options.get_database().unwrap_or(options.get_username());
            let database = format!("database {name} at {}:{}", options.get_host(), options.get_port());
            // The pool would go on trying for as long as it waits for a connection: find out first.
            let probe = async { options.connect().await?.close().await };
            probe.await.map_err(|source| explain(database.clone(), source))?;
            let pool = AnyPoolOptions::new()
                .max_connections(POSTGRES_CONNECTIONS)
                .after_connect(|connection, _| {
                    Box::pin(async move { sqlx::raw_sql(POSTGRES_PATIENCE).execute(connection).await.map(|_| ()) })
                })
                .connect(url)
                .await;
            (pool.map_err(|source| explain(database.clone(), source))?, database)
        }
        _ => return Err(OpenError::InvalidUrl { reason: "unknown scheme".to_owned() }),
    };
    if let Err(error) = migrations.run(&pool).await {
        pool.close().await;
        return Err(explain_migration(database, migrations, error));
    }
    Ok(pool)
}

async fn open_sqlite(url: &str, options: SqliteConnectOptions) -> Result<(AnyPool, String), OpenError> {
    let mut database = "the in-memory database".to_owned();
    if !url.contains(":memory:") {
        let path = options.get_filename();
        database = path.display().to_string();
        create_private(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        // The pool would go on trying for as long as it waits for a connection: find out first.
        let probe = async { options.journal_mode(SqliteJournalMode::Wal).connect().await?.close().await };
        probe.await.map_err(|source| explain(database.clone(), source))?;
    }
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let pragmas = format!(
                    "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                    BUSY_TIMEOUT.as_millis()
                );
                sqlx::raw_sql(sqlx::AssertSqlSafe(pragmas)).execute(connection).await.map(|_| ())
            })
        })
        .connect(url)
        .await
        .map_err(|source| explain(database.clone(), source))?;
    Ok((pool, database))
}

/// Makes sure the file exists, so that SQLite opens rather than creates it: the log beside it takes over its mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

fn explain_migration(database: String, migrations: &Migrator, error: MigrateError) -> OpenError {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => OpenError::Newer { database, found, known },
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => explain(database, source),
        other => OpenError::Damaged { database, reason: other.to_string() },
    }
}

fn explain(database: String, source: sqlx::Error) -> OpenError {
    // SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included.
    let code = source.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(11 | 26) => OpenError::Damaged { database, reason: source.to_string() },
        _ => OpenError::Unavailable { database, source },
    }
}

#[cfg(test)]
mod tests;
