//! Reading the database at the start.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::{AnyPool, Row};

use super::mirror::Mirror;
use super::{Key, Object, Resource, ResourceId, Revision, StoreError};

/// The mirror of what is stored, and the revision up to which the log has been trimmed.
pub(super) async fn load(pool: &AnyPool, resources: &[Resource]) -> Result<(Mirror, Revision), StoreError> {
    let (revision, compacted) = counters(pool).await?;
    let mut mirror = Mirror::new(resources.len(), revision, compacted);
    let mut rows = sqlx::query("SELECT res, ns, name, rev, body FROM k_obj").fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let resource: String = row.try_get("res")?;
        let (namespace, name): (String, String) = (row.try_get("ns")?, row.try_get("name")?);
        // A kind that this version does not serve stays in the database for the version that does.
        let Some(index) = resources.iter().position(|known| known.name == resource) else {
            tracing::warn!(resource, namespace, name, "A stored object is of a kind this version does not serve");
            continue;
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
        mirror.insert_loaded(ResourceId(index), object);
    }
    Ok((mirror, compacted))
}

/// Current and compacted revision. A new database starts at the present time, above what an older, lost one can have
/// handed out: its clients are then told to list again instead of missing changes in silence.
async fn counters(pool: &AnyPool) -> Result<(Revision, Revision), StoreError> {
    let first = Timestamp::now().as_second().saturating_mul(1000);
    let mut tx = pool.begin().await?;
    for counter in ["rev", "compacted"] {
        sqlx::query("INSERT INTO k_meta (k, v) VALUES ($1, $2) ON CONFLICT (k) DO NOTHING")
            .bind(counter)
            .bind(first)
            .execute(&mut *tx)
            .await?;
    }
    let read = "SELECT v FROM k_meta WHERE k = $1";
    let revision = sqlx::query_scalar(read).bind("rev").fetch_one(&mut *tx).await?;
    let compacted = sqlx::query_scalar(read).bind("compacted").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok((revision, compacted))
}
