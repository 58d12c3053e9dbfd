//! Every channel backend this build knows, by name.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{Channel, ConnectError};

/// Names one log: the object it belongs to. The UID keeps a re-created object apart from its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName {
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.uid`
    pub uid: Arc<str>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Channel>, ConnectError>> + Send>>;
type Removing = Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send>>;

struct Backend {
    open: Box<dyn Fn(ChannelName, serde_json::Value) -> Opening + Send + Sync>,
    remove: Box<dyn Fn(ChannelName) -> Removing + Send + Sync>,
}

/// The channel backends of a process. Adding one is adding a line where the registry is built.
#[derive(Default)]
pub struct Registry {
    backends: BTreeMap<&'static str, Backend>,
}

impl Registry {
    /// Adds the backend `name`: how a log is opened (created if missing) from the backend's own config type, and how
    /// the log of a deleted object is removed.
    #[must_use]
    pub fn with<C, O, OF, R, RF>(mut self, name: &'static str, open: O, remove: R) -> Self
    where
        C: DeserializeOwned + Send + 'static,
        O: Fn(ChannelName, C) -> OF + Send + Sync + 'static,
        OF: Future<Output = Result<Arc<dyn Channel>, ConnectError>> + Send + 'static,
        R: Fn(ChannelName) -> RF + Send + Sync + 'static,
        RF: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let open = Box::new(move |channel: ChannelName, config: serde_json::Value| -> Opening {
            match serde_json::from_value::<C>(config) {
                Ok(config) => Box::pin(open(channel, config)),
                Err(error) => Box::pin(async move {
                    Err(ConnectError::InvalidConfig { backend: name.to_owned(), reason: error.to_string() })
                }),
            }
        });
        let remove = Box::new(move |channel: ChannelName| -> Removing { Box::pin(remove(channel)) });
        self.backends.insert(name, Backend { open, remove });
        self
    }

    /// Opens the log `channel` on `backend`, creating it if it is not there.
    pub async fn open(
        &self,
        backend: &str,
        channel: ChannelName,
        config: serde_json::Value,
    ) -> Result<Arc<dyn Channel>, ConnectError> {
        (self.backend(backend)?.open)(channel, config).await
    }

    /// Removes the log of an object that no longer exists. Removing what is not there succeeds.
    pub async fn remove(&self, backend: &str, channel: ChannelName) -> Result<(), ConnectError> {
        (self.backend(backend)?.remove)(channel).await
    }

    fn backend(&self, name: &str) -> Result<&Backend, ConnectError> {
        self.backends.get(name).ok_or_else(|| ConnectError::UnknownBackend {
            name: name.to_owned(),
            known: self.backends.keys().copied().collect::<Vec<_>>().join(", "),
        })
    }
}
