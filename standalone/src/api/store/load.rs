//! Reading the database at the start.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};

use super::mirror::Mirror;
use super::{Key, Object, Resource, ResourceId, Revision, StoreError};

/// The mirror of what is stored.
pub(super) async fn load(pool: &AnyPool, resources: &[Resource]) -> Result<Mirror, StoreError> {
    let mut tx = pool.begin().await?;
    let (revision, compacted) = counters(&mut tx).await?;
    let mut mirror = Mirror::new(resources.len(), revision, compacted);
    for (resource, object) in objects(&mut tx, resources).await? {
        mirror.insert_loaded(resource, object);
    }
    tx.commit().await?;
    Ok(mirror)
}

/// Every stored object of a kind this version serves.
pub(super) async fn objects(
    connection: &mut AnyConnection,
    resources: &[Resource],
) -> Result<Vec<(ResourceId, Object)>, StoreError> {
    let mut objects = Vec::new();
    let mut rows = sqlx::query("SELECT res, ns, name, rev, body FROM k_obj").fetch(connection);
    while let Some(row) = rows.try_next().await? {
        objects.extend(object(&row, resources)?);
    }
    Ok(objects)
}

fn object(row: &AnyRow, resources: &[Resource]) -> Result<Option<(ResourceId, Object)>, StoreError> {
    let resource: String = row.try_get("res")?;
    let (namespace, name): (String, String) = (row.try_get("ns")?, row.try_get("name")?);
    // A kind that this version does not serve stays in the database for the version that does.
    let Some(index) = resources.iter().position(|known| known.name == resource) else {
        tracing::warn!(resource, namespace, name, "A stored object is of a kind this version does not serve");
        return Ok(None);
    };
    let body: String = row.try_get("body")?;
    let value: serde_json::Value = serde_json::from_str(&body).map_err(|error| StoreError::Damaged {
        resource,
        namespace: namespace.clone(),
        name: name.clone(),
        detail: error.to_string(),
    })?;
    let key = Key::new(&namespace, &name);
    let object = Object::new(key, value, row.try_get("rev")?, resources[index].fields, None);
    Ok(Some((ResourceId(index), object)))
}

/// Current and compacted revision. A new database starts at the present time, above what an older, lost one can have
/// handed out: its clients are then told to list again instead of missing changes in silence.
async fn counters(connection: &mut AnyConnection) -> Result<(Revision, Revision), StoreError> {
    let first = Timestamp::now().as_second().saturating_mul(1000);
    // The later one first: whoever holds it holds up no commit of another process.
    for counter in ["compacted", "rev"] {
        sqlx::query("INSERT INTO k_meta (k, v) VALUES ($1, $2) ON CONFLICT (k) DO NOTHING")
            .bind(counter)
            .bind(first)
            .execute(&mut *connection)
            .await?;
    }
    // Locks the counter, so that no other process changes anything until all objects have been read.
    let revision = lock_revision(connection).await?;
    let read = "SELECT v FROM k_meta WHERE k = 'compacted'";
    let compacted = sqlx::query_scalar(read).fetch_one(&mut *connection).await?;
    Ok((revision, compacted))
}

/// The revision of the database, which nobody else changes until the transaction ends.
pub(super) async fn lock_revision(connection: &mut AnyConnection) -> Result<Revision, sqlx::Error> {
    // A write, also for SQLite: its lock cannot be had later without the risk of failing.
    sqlx::query_scalar("UPDATE k_meta SET v = v WHERE k = 'rev' RETURNING v").fetch_one(connection).await
}
