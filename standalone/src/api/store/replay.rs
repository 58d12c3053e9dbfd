//! Changes from before what memory holds, read from the log.

use std::sync::Arc;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Entry, Key, Marks, Object, Op, Resource, ResourceId, Revision, Store, StoreError};

/// Log rows read at a time.
pub(super) const PAGE: i64 = 256;

impl Store {
    /// The next changes of a resource after `after` and up to `until`, in order. Returns fewer than there are when
    /// there are many; the second value is the revision up to which nothing was left out.
    pub(crate) async fn replay(
        &self,
        resource: ResourceId,
        after: Revision,
        until: Revision,
    ) -> Result<(Vec<Arc<Entry>>, Revision), StoreError> {
        let known = &self.shared.resources[resource.0];
        let rows = sqlx::query(
            "SELECT rev, ns, name, op, body, prev FROM k_log WHERE res = $1 AND rev > $2 AND rev <= $3 ORDER BY rev \
             LIMIT $4",
        )
        .bind(&known.name)
        .bind(after)
        .bind(until)
        .bind(PAGE)
        .fetch_all(&self.shared.pool)
        .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.push(Arc::new(entry(row, resource, known)?));
        }
        let full = i64::try_from(rows.len()).is_ok_and(|rows| rows == PAGE);
        let reached = entries.last().filter(|_| full).map_or(until, |last| last.revision);
        Ok((entries, reached))
    }
}

/// The change that a row of the log records.
pub(super) fn entry(row: &AnyRow, resource: ResourceId, known: &Resource) -> Result<Entry, StoreError> {
    let key = Key::new(&row.try_get::<String, _>("ns")?, &row.try_get::<String, _>("name")?);
    let body: String = row.try_get("body")?;
    let value: serde_json::Value = serde_json::from_str(&body).map_err(|error| StoreError::Damaged {
        resource: known.name.clone(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        detail: error.to_string(),
    })?;
    let revision = row.try_get("rev")?;
    let object = Arc::new(Object::new(key, value, revision, known.fields, None));
    let op = match row.try_get::<i32, _>("op")? {
        0 => Op::Create,
        1 => Op::Update,
        _ => Op::Delete,
    };
    let before: Option<String> = row.try_get("prev")?;
    let was = match op {
        Op::Create => None,
        Op::Update | Op::Delete => {
            let before = before.and_then(|text| Marks::from_json(&text)).map(Arc::new);
            Some(before.unwrap_or_else(|| Arc::clone(&object.marks)))
        }
    };
    Ok(Entry { resource, revision, op, object, was })
}
