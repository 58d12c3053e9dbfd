//! What deletion leaves to do: dependents without owners, owners that wait for dependents, namespaces that empty.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Inner;
use super::delete::{DeleteOptions, FOREGROUND, ORPHAN, Propagation, is_namespace};
use super::failure::Failure;
use super::registry::Kind;
use super::request::{Params, Target, User};
use super::store::{Entry, Object, Op, ResourceId};
use super::write::{Proposal, Writing};

/// How long a dependent may exist before its owner does.
const GRACE: Duration = Duration::from_secs(2);
/// Wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Something to look at, now or later.
#[derive(Clone)]
enum Task {
    /// An object may have lost all its owners.
    Dependent(ResourceId, Arc<Object>),
    /// An object that is being deleted may be able to go.
    Deleting(ResourceId, Arc<Object>),
}

/// Looks after deletion, until the store is closed or `Inner::shutdown`.
pub(crate) async fn run(inner: Arc<Inner>, mut changes: mpsc::UnboundedReceiver<Arc<Entry>>) {
    let mut later = leftovers(&inner);
    loop {
        let due = later.front().map(|(at, _)| *at);
        let task = tokio::select! {
            () = inner.shutdown.cancelled() => return,
            change = changes.recv() => {
                let Some(entry) = change else { return };
                for task in consequences(&inner, &entry, &mut later) {
                    perform(&inner, task, &mut later).await;
                }
                continue;
            }
            () = until(due) => later.pop_front().map(|(_, task)| task),
        };
        if let Some(task) = task {
            perform(&inner, task, &mut later).await;
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What an earlier process may have left undone.
fn leftovers(inner: &Inner) -> VecDeque<(Instant, Task)> {
    let (now, after_grace) = (Instant::now(), Instant::now() + GRACE);
    let (mut at_once, mut patient) = (VecDeque::new(), VecDeque::new());
    for index in 0..inner.registry.resources().len() {
        let resource = ResourceId::new(index);
        for object in inner.store.list(resource, None, None, usize::MAX, |_| true).items {
            if object.deleting {
                at_once.push_back((now, Task::Deleting(resource, object)));
            } else if !object.owners.is_empty() {
                patient.push_back((after_grace, Task::Dependent(resource, object)));
            }
        }
    }
    at_once.append(&mut patient);
    at_once
}

/// What a change makes worth looking at now; what can wait goes to `later`.
fn consequences(inner: &Inner, entry: &Entry, later: &mut VecDeque<(Instant, Task)>) -> Vec<Task> {
    let object = &entry.object;
    match entry.op {
        Op::Delete => {
            let mut tasks: Vec<Task> = inner
                .store
                .dependents(&object.uid)
                .into_iter()
                .map(|(resource, dependent)| Task::Dependent(resource, dependent))
                .collect();
            // Owners or a namespace may have waited for this one.
            let waiting = object.owners.iter().filter_map(|uid| inner.store.by_uid(uid));
            let namespace = inner.namespace(&object.key.namespace).map(|object| (inner.namespaces(), object));
            let deleting = waiting.chain(namespace).filter(|(_, object)| object.deleting);
            tasks.extend(deleting.map(|(resource, object)| Task::Deleting(resource, object)));
            tasks
        }
        Op::Create | Op::Update if object.deleting => vec![Task::Deleting(entry.resource, Arc::clone(object))],
        Op::Create | Op::Update => {
            if object.owners.iter().any(|uid| inner.store.by_uid(uid).is_none()) {
                later.push_back((Instant::now() + GRACE, Task::Dependent(entry.resource, Arc::clone(object))));
            }
            Vec::new()
        }
    }
}

async fn perform(inner: &Inner, task: Task, later: &mut VecDeque<(Instant, Task)>) {
    let outcome = match &task {
        Task::Dependent(resource, object) => dependent(inner, *resource, object).await,
        Task::Deleting(resource, object) => deleting(inner, *resource, object).await,
    };
    match outcome {
        Ok(()) => {}
        // Gone or changed meanwhile: the change itself brings it here again.
        Err(failure) if matches!(failure.reason, "NotFound" | "Conflict") => {}
        Err(failure) => {
            tracing::warn!(error = failure.message, "Clearing up after a deletion failed and is tried again");
            later.push_back((Instant::now() + RETRY, task));
        }
    }
}

fn target<'a>(kind: &'a Kind, object: &'a Object) -> Target<'a> {
    let namespace = kind.namespaced.then_some(object.key.namespace.as_ref());
    Target::stored(kind, namespace, Some(&object.key.name))
}

/// Deletes a dependent none of whose owners exist; drops references to those that do not if others do.
async fn dependent(inner: &Inner, resource: ResourceId, seen: &Object) -> Result<(), Failure> {
    let Some(object) = inner.store.get(resource, &seen.key) else { return Ok(()) };
    let (here, gone): (Vec<&str>, Vec<&str>) =
        object.owners.iter().map(AsRef::as_ref).partition(|uid| inner.store.by_uid(uid).is_some());
    let kind = inner.registry.stored_as(resource);
    if gone.is_empty() {
        return Ok(());
    }
    if here.is_empty() {
        let options = DeleteOptions { uid: Some(object.uid.to_string()), ..DeleteOptions::default() };
        return inner.delete(&target(kind, &object), &options).await.map(drop);
    }
    drop_references(inner, kind, &object, &gone).await
}

async fn drop_references(inner: &Inner, kind: &Kind, object: &Object, uids: &[&str]) -> Result<(), Failure> {
    edit(inner, kind, object, |value| {
        let references = value.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
        if let Some(references) = references {
            references.retain(|owner| !owner["uid"].as_str().is_some_and(|uid| uids.contains(&uid)));
            if references.is_empty() {
                super::metadata::of(value).remove("ownerReferences");
            }
        }
    })
    .await
}

async fn drop_finalizer(inner: &Inner, kind: &Kind, object: &Object, finalizer: &str) -> Result<(), Failure> {
    edit(inner, kind, object, |value| {
        let finalizers = value.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut);
        if let Some(finalizers) = finalizers {
            finalizers.retain(|one| one != finalizer);
            if finalizers.is_empty() {
                super::metadata::of(value).remove("finalizers");
            }
        }
    })
    .await
}

/// Changes an object the way a controller would.
async fn edit(inner: &Inner, kind: &Kind, object: &Object, change: impl Fn(&mut Value)) -> Result<(), Failure> {
    let target = target(kind, object);
    let api_version = target.api_version();
    let writing = Writing {
        inner,
        target,
        params: &Params::default(),
        user: &User("system:serviceaccount:kube-system:generic-garbage-collector".into()),
        manager: "weir",
        api_version: &api_version,
        warnings: Vec::new(),
    };
    let proposal = |live: &Value| {
        let mut changed = live.clone();
        change(&mut changed);
        Ok(Proposal { object: changed, applied: None })
    };
    writing.change(proposal).await.map(drop)
}

/// Brings an object that is being deleted one step on.
async fn deleting(inner: &Inner, resource: ResourceId, seen: &Object) -> Result<(), Failure> {
    let Some(object) = inner.store.get(resource, &seen.key).filter(|object| object.deleting) else { return Ok(()) };
    let kind = inner.registry.stored_as(resource);
    if is_namespace(kind) {
        return empty_namespace(inner, kind, &object).await;
    }
    let value = object.value();
    let has = |finalizer: &str| {
        let finalizers = value.pointer("/metadata/finalizers").and_then(Value::as_array);
        finalizers.is_some_and(|finalizers| finalizers.iter().any(|one| one == finalizer))
    };
    if has(ORPHAN) {
        for (resource, dependent) in inner.store.dependents(&object.uid) {
            drop_references(inner, inner.registry.stored_as(resource), &dependent, &[&object.uid]).await?;
        }
        drop_finalizer(inner, kind, &object, ORPHAN).await?;
    }
    if has(FOREGROUND) {
        let mut blocked = false;
        for (resource, dependent) in inner.store.dependents(&object.uid) {
            let options = DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
            blocked |= blocks(&dependent, &object.uid);
            if !dependent.deleting {
                let kind = inner.registry.stored_as(resource);
                match inner.delete(&target(kind, &dependent), &options).await {
                    Err(failure) if failure.reason == "NotFound" => {}
                    outcome => outcome.map(drop)?,
                }
            }
        }
        // Each dependent that goes brings the owner here again.
        let left = inner.store.dependents(&object.uid);
        if !blocked || left.iter().all(|(_, dependent)| !blocks(dependent, &object.uid)) {
            drop_finalizer(inner, kind, &object, FOREGROUND).await?;
        }
    }
    Ok(())
}

/// Whether a dependent holds up the deletion of the owner `uid`.
fn blocks(dependent: &Object, uid: &str) -> bool {
    let value = dependent.value();
    let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    owners.into_iter().any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == json!(true))
}

/// Deletes what is in a namespace, and lets the namespace go once it is empty.
async fn empty_namespace(inner: &Inner, kind: &Kind, namespace: &Object) -> Result<(), Failure> {
    let mut left = false;
    for kind in inner.registry.kinds().iter().filter(|kind| kind.namespaced && kind.view.is_none()) {
        for object in inner.store.list(kind.resource, Some(&namespace.key.name), None, usize::MAX, |_| true).items {
            if !object.deleting {
                match inner.delete(&target(kind, &object), &DeleteOptions::default()).await {
                    Err(failure) if failure.reason == "NotFound" => {}
                    outcome => outcome.map(drop)?,
                }
            }
        }
        left |= !inner.store.list(kind.resource, Some(&namespace.key.name), None, 1, |_| true).items.is_empty();
    }
    if left {
        return Ok(());
    }
    edit(inner, kind, namespace, |value| {
        if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("finalizers");
        }
    })
    .await
}
