//! Runs one kind's reconciler: one object at a time, again after an error, later each time.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use kube::runtime::controller::{self, Action, applier};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::context::Context;
use crate::watch::Cache;

/// Why a reconcile did not finish. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API did not do what was asked.
    #[error("{0}")]
    Api(#[from] kube::Error),
    /// The log of a deleted object could not be removed.
    #[error("cannot remove the log: {0}")]
    Remove(#[from] weir_channels::ConnectError),
}

impl Error {
    /// Somebody else wrote the object since the cache saw it: its next version is on the way.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }
}

/// Reconciles of one kind at a time, so that ten thousand new objects do not become ten thousand requests at once.
const CONCURRENT: u16 = 32;

/// Wait after the `failures`-th failure in a row of one object.
fn wait(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(60);
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST)
}

/// Reconciles what `requests` names until the sender is gone.
pub(crate) async fn drive<K, F>(
    kind: &'static str,
    cache: Cache<K>,
    mut requests: UnboundedReceiver<ObjectRef<K>>,
    context: Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>>,
{
    context.wait_until_synced().await;
    let queue = stream::poll_fn(|task| requests.poll_recv(task)).map(Ok::<_, Infallible>);
    let reconcile = |object: Arc<K>, context: Arc<Context>| {
        let uid = object.uid().unwrap_or_default();
        let running = context.leads().then(|| reconcile(object, Arc::clone(&context)));
        Box::pin(async move {
            // Whoever begins to lead looks at everything.
            let Some(running) = running else { return Ok(Action::await_change()) };
            let result = running.await;
            if result.is_ok() {
                context.failures.lock().remove(&uid);
            }
            context.metrics.reconciled(kind, result.is_ok());
            result
        })
    };
    let after_error = |object: Arc<K>, error: &Error, context: Arc<Context>| {
        let failures =
            *context.failures.lock().entry(object.uid().unwrap_or_default()).and_modify(|n| *n += 1).or_insert(1);
        if !error.is_conflict() {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            tracing::warn!(kind, namespace, name, failures, %error, "reconcile failed and is tried again");
        }
        Action::requeue(wait(failures))
    };
    let config = controller::Config::default().concurrency(CONCURRENT);
    applier(reconcile, after_error, context, cache.store(), Box::pin(queue), config)
        .for_each(|_| std::future::ready(()))
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_minute() {
        assert_eq!(wait(1), Duration::from_millis(20));
        assert_eq!(wait(2), Duration::from_millis(40));
        assert_eq!(wait(40), Duration::from_secs(60));
    }
}
