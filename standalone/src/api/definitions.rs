//! CustomResourceDefinitions as objects that can be read. The set of kinds is closed: they say what is served, and
//! nothing can be added, changed or removed through them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Inner;
use super::failure::Failure;
use super::metadata;
use super::registry::Kind;
use super::store::{Change, CommitError, Key, StoreError};
use super::write::now;

/// Whether the kind is that of definitions themselves.
pub(crate) fn is_definition(kind: &Kind) -> bool {
    kind.kind == "CustomResourceDefinition" && kind.group == "apiextensions.k8s.io"
}

/// What a client that writes or deletes a definition is told.
pub(crate) fn closed(name: &str) -> Failure {
    Failure::forbidden(format!(
        "customresourcedefinitions.apiextensions.k8s.io \"{name}\" is forbidden: the kinds that weir serves are fixed"
    ))
}

/// What a client that writes a definition weir serves is warned of.
pub(crate) const KEPT: &str = "the definition of this kind is built into weir and was left as it is";

/// Brings the stored definitions up to those of this version.
pub(crate) async fn synchronise(inner: &Inner) -> Result<(), StoreError> {
    let Some(kind) = inner.registry.kinds().iter().find(|kind| is_definition(kind)) else { return Ok(()) };
    loop {
        match synchronise_once(inner, kind).await {
            // Another process on the same database is at it too: the commit has brought in what it did.
            Err(CommitError::Exists | CommitError::Stale | CommitError::Missing) => {}
            outcome => return outcome.map_err(|error| StoreError::Unavailable(error.to_string())),
        }
    }
}

async fn synchronise_once(inner: &Inner, kind: &Kind) -> Result<(), CommitError> {
    let changes = inner.settings.definitions.iter().filter_map(|definition| {
        let mut object = serde_json::to_value(definition).ok()?;
        object["apiVersion"] = json!("apiextensions.k8s.io/v1");
        object["kind"] = json!("CustomResourceDefinition");
        let key = Key::new("", metadata::text(&object, "name"));
        let names = object["spec"]["names"].clone();
        let stored: Vec<&Value> =
            object["spec"]["versions"].as_array()?.iter().filter(|version| version["storage"] == true).collect();
        let stored: Vec<Value> = stored.iter().map(|version| version["name"].clone()).collect();
        let condition = |ty: &str, reason: &str| json!({"type": ty, "status": "True", "reason": reason});
        object["status"] = json!({
            "acceptedNames": names,
            "conditions": [
                condition("NamesAccepted", "NoConflicts"),
                condition("Established", "InitialNamesAccepted"),
            ],
            "storedVersions": stored,
        });
        let change = match inner.store.get(kind.resource, &key) {
            None => {
                let metadata = metadata::of(&mut object);
                metadata.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
                metadata.insert("creationTimestamp".to_owned(), json!(now()));
                metadata.insert("generation".to_owned(), json!(1));
                Change::Create(object)
            }
            Some(stored) => {
                let live = stored.value();
                metadata::keep_system_fields(&mut object, &live);
                metadata::of(&mut object)
                    .insert("resourceVersion".to_owned(), live["metadata"]["resourceVersion"].clone());
                if object == live {
                    return None;
                }
                if object["spec"] != live["spec"] {
                    object["metadata"]["generation"] = json!(live["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
                }
                Change::Update { seen: stored.revision, value: object }
            }
        };
        Some(inner.store.commit(kind.resource, key, change))
    });
    join_all(changes).await.into_iter().collect::<Result<Vec<_>, CommitError>>().map(drop)
}
