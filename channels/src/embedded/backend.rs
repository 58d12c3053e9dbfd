//! The embedded logs of one process: which are open, where a new one goes, how one is removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::config::EmbeddedConfig;
use super::fs::{Fs, RealFs};
use super::writer::Writer;
use super::{EmbeddedLog, dir_of};
use crate::metrics::Metrics;
use crate::{Channel, ChannelName, ConnectError};

/// Marks a log that is being removed.
const REMOVED: &str = "removed";

/// The embedded logs under one directory. Cloning shares them.
///
/// The caller keeps other processes out of the directory.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    metrics: Metrics,
    /// Held while a log is opened or removed: a directory never has two writers.
    open: Mutex<HashMap<ChannelName, Open>>,
    #[cfg(any(test, feature = "planted-faults"))]
    faults: super::faults::Faults,
}

/// A log that was opened; its thread ends some time after the last user let go of it.
struct Open {
    log: Weak<EmbeddedLog>,
    writer: Arc<Writer>,
}

impl Embedded {
    /// Logs under `root`, which is created when the first one is.
    pub fn new(root: PathBuf, metrics: Metrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                root,
                metrics,
                open: Mutex::default(),
                #[cfg(any(test, feature = "planted-faults"))]
                faults: super::faults::Faults::default(),
            }),
        }
    }

    /// Logs that break a promise, for tests of tests.
    #[cfg(any(test, feature = "planted-faults"))]
    pub fn with_fault(root: PathBuf, metrics: Metrics, fault: super::Fault) -> Self {
        let faults = super::faults::Faults::plant(fault);
        Self { shared: Arc::new(Shared { root, metrics, open: Mutex::default(), faults }) }
    }

    /// Opens a log, creating it if it is not there. One that is open already is shared, with the settings it has.
    pub async fn open(&self, channel: ChannelName, config: EmbeddedConfig) -> Result<Arc<dyn Channel>, ConnectError> {
        let settings =
            config.check().map_err(|reason| ConnectError::InvalidConfig { backend: "embedded".to_owned(), reason })?;
        #[cfg(any(test, feature = "planted-faults"))]
        let settings = super::Settings { faults: self.shared.faults, ..settings };
        let mut open = self.shared.open.lock().await;
        if let Some(Open { log, writer }) = open.get(&channel) {
            match log.upgrade() {
                Some(log) if !writer.is_closing() => return Ok(log),
                // It may still be writing its last batch.
                Some(_) | None => writer.closed().await,
            }
        }
        let (dir, metrics) = (dir_of(&self.shared.root, &channel), self.shared.metrics.clone());
        let name = thread_name(&channel);
        let opened =
            tokio::task::spawn_blocking(move || EmbeddedLog::open(Arc::new(RealFs), &dir, settings, &metrics, &name));
        let log = Arc::new(opened.await.map_err(|error| ConnectError::Unavailable(error.into()))??);
        open.retain(|_, open| !open.writer.is_closed());
        open.insert(channel, Open { log: Arc::downgrade(&log), writer: log.writer.clone() });
        Ok(log)
    }

    /// Closes a log and removes it. What is not there is removed already.
    pub async fn remove(&self, channel: ChannelName) -> Result<(), ConnectError> {
        let mut open = self.shared.open.lock().await;
        if let Some(Open { writer, .. }) = open.remove(&channel) {
            writer.begin_closing();
            writer.closed().await;
        }
        let (root, dir) = (self.shared.root.clone(), dir_of(&self.shared.root, &channel));
        let removed = tokio::task::spawn_blocking(move || remove_dir(&RealFs, &root, &dir)).await;
        removed
            .map_err(|error| ConnectError::Unavailable(error.into()))?
            .map_err(|error| ConnectError::Unavailable(error.into()))
    }
}

/// Threads show 15 bytes of their name.
fn thread_name(channel: &ChannelName) -> String {
    format!("log-{}", channel.name).chars().take(15).collect()
}

/// Removes a log: first its name, durably, so that half of it is never opened, then its files.
fn remove_dir(fs: &dyn Fs, root: &Path, dir: &Path) -> io::Result<()> {
    let removed = dir.with_extension(REMOVED);
    let Some(above) = dir.parent() else { return Ok(()) };
    match fs.rename(dir, &removed) {
        Ok(()) => fs.sync_dir(above)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match fs.list(&removed) {
        Ok(names) => {
            for name in names {
                fs.remove(&removed.join(name))?;
            }
            fs.remove_dir(&removed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The directories of the name and the namespace go with their last log.
    for empty in dir.ancestors().skip(1).take_while(|above| *above != root).take(2) {
        if fs.remove_dir(empty).is_err() {
            break;
        }
    }
    Ok(())
}

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Channel>, ConnectError>> + Send>>;
type Removing = Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send>>;

/// What [`crate::Registry::with`] takes: how a log under `root` is opened and how it is removed.
pub fn backend(
    root: PathBuf,
    metrics: Metrics,
) -> (
    impl Fn(ChannelName, EmbeddedConfig) -> Opening + Send + Sync + 'static,
    impl Fn(ChannelName) -> Removing + Send + Sync + 'static,
) {
    let opening = Embedded::new(root, metrics);
    let removing = opening.clone();
    let open = move |channel, config| -> Opening {
        let embedded = opening.clone();
        Box::pin(async move { embedded.open(channel, config).await })
    };
    let remove = move |channel| -> Removing {
        let embedded = removing.clone();
        Box::pin(async move { embedded.remove(channel).await })
    };
    (open, remove)
}
