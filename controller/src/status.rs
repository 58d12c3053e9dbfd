//! Status: built whole, written only when it differs, finalizers beside it.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::context::Context;
use crate::drive::Error;

/// A kind whose status the controller writes.
pub(crate) trait Reported:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
    /// The status as a whole.
    type Status: Clone + PartialEq;
    /// Where it is.
    fn status_mut(&mut self) -> &mut Option<Self::Status>;
    /// What it is now.
    fn status(&self) -> Option<&Self::Status>;
}

impl Reported for weir_api::eventing::Broker {
    type Status = weir_api::eventing::BrokerStatus;
    fn status_mut(&mut self) -> &mut Option<Self::Status> {
        &mut self.status
    }
    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

impl Reported for weir_api::eventing::Trigger {
    type Status = weir_api::eventing::TriggerStatus;
    fn status_mut(&mut self) -> &mut Option<Self::Status> {
        &mut self.status
    }
    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

/// Writes `status` if it is not what the object has. The write fails as a conflict if the object has changed since
/// the cache saw it, so that a status never describes a version nobody looked at.
pub(crate) async fn write<K: Reported>(object: &K, status: K::Status, context: &Context) -> Result<(), Error> {
    if object.status() == Some(&status) {
        return Ok(());
    }
    let mut wanted = object.clone();
    *wanted.status_mut() = Some(status);
    api(object, context).replace_status(&object.name_any(), &PostParams::default(), &wanted).await?;
    context.metrics.status_written(kind_of::<K>());
    Ok(())
}

/// Adds `finalizer`; answers the object as it is afterwards.
pub(crate) async fn add_finalizer<K: Reported>(
    object: Arc<K>,
    finalizer: &str,
    context: &Context,
) -> Result<Arc<K>, Error> {
    if object.finalizers().iter().any(|present| present == finalizer) {
        return Ok(object);
    }
    let finalizers = object.finalizers().iter().map(String::as_str).chain([finalizer]).collect();
    let mut object = write_finalizers(&*object, finalizers, context).await?;
    object.meta_mut().managed_fields = None;
    Ok(Arc::new(object))
}

/// Takes `finalizer` away; the object goes if it was the last one.
pub(crate) async fn remove_finalizer<K: Reported>(object: &K, finalizer: &str, context: &Context) -> Result<(), Error> {
    let finalizers = object.finalizers().iter().map(String::as_str).filter(|present| *present != finalizer).collect();
    match write_finalizers(object, finalizers, context).await {
        Err(Error::Api(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

async fn write_finalizers<K: Reported>(object: &K, finalizers: Vec<&str>, context: &Context) -> Result<K, Error> {
    // With the version, so that another writer's finalizer is never overwritten.
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    Ok(api(object, context).patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?)
}

fn api<K: Reported>(object: &K, context: &Context) -> Api<K> {
    Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default())
}

fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(kind) => kind,
        std::borrow::Cow::Owned(_) => "other",
    }
}
