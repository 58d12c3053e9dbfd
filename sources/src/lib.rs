//! Adapters that turn outside happenings into events.
//!
//! An [`Adapter`] is the running code behind one source object. It is handed its sink and nothing else of Weir, so
//! that it runs and tests alone. Kinds are listed in one place, where the [`Registry`] is built; metrics, status and
//! help read the registry, so nothing else names a kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use weir_api::sink::Sink;

/// The running code behind one source object.
#[async_trait]
pub trait Adapter: Send {
    /// Produces events into `sink` until `shutdown`. Returns `Ok` only after a clean stop, with everything that was
    /// read from outside either taken by the sink or left to be read again.
    async fn run(self: Box<Self>, sink: Arc<dyn Sink>, shutdown: CancellationToken) -> Result<(), AdapterError>;
}

/// Why an adapter stopped producing, by what its caller can do.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// Trying again may help: restart it with back-off.
    #[error("{reason}")]
    Unavailable {
        /// What happened, for the source's condition.
        reason: String,
    },
    /// Only a change of the source object can help.
    #[error("{reason}")]
    Misconfigured {
        /// What is wrong and what would be right, for the source's condition.
        reason: String,
    },
}

/// Why no adapter could be built for a source object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No such kind in this build.
    #[error("unknown source kind {kind:?}: this build knows {known}")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
        /// The kinds there are, separated by commas.
        known: String,
    },
    /// The spec does not fit the kind.
    #[error("invalid spec for {kind}: {reason}")]
    InvalidSpec {
        /// The kind.
        kind: String,
        /// What is wrong.
        reason: String,
    },
}

type Build = Box<dyn Fn(serde_json::Value) -> Result<Box<dyn Adapter>, BuildError> + Send + Sync>;

/// The source kinds of a process. Adding one is adding a line where the registry is built.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Build>,
}

impl Registry {
    /// Adds `kind`: how an adapter is built from the kind's own spec type. `build` reports in words what is wrong with
    /// a spec that has the right shape.
    #[must_use]
    pub fn with<S, A, F>(mut self, kind: &'static str, build: F) -> Self
    where
        S: DeserializeOwned,
        A: Adapter + 'static,
        F: Fn(S) -> Result<A, String> + Send + Sync + 'static,
    {
        let build = move |spec: serde_json::Value| -> Result<Box<dyn Adapter>, BuildError> {
            let invalid = |reason: String| BuildError::InvalidSpec { kind: kind.to_owned(), reason };
            let spec = serde_json::from_value(spec).map_err(|error| invalid(error.to_string()))?;
            Ok(Box::new(build(spec).map_err(invalid)?))
        };
        self.kinds.insert(kind, Box::new(build));
        self
    }

    /// The kinds this build knows, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// Builds the adapter of a source object from its kind and spec.
    pub fn build(&self, kind: &str, spec: serde_json::Value) -> Result<Box<dyn Adapter>, BuildError> {
        let build = self.kinds.get(kind).ok_or_else(|| BuildError::UnknownKind {
            kind: kind.to_owned(),
            known: self.kinds().collect::<Vec<_>>().join(", "),
        })?;
        build(spec)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use serde::Deserialize;
    use weir_api::Event;
    use weir_api::event::Attributes;
    use weir_api::sink::SinkError;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct CountSpec {
        up_to: u32,
    }

    struct Count(u32);

    #[async_trait]
    impl Adapter for Count {
        async fn run(self: Box<Self>, sink: Arc<dyn Sink>, shutdown: CancellationToken) -> Result<(), AdapterError> {
            for n in 0..self.0 {
                if shutdown.is_cancelled() {
                    break;
                }
                let attributes = Attributes {
                    id: n.to_string(),
                    source: "/count".into(),
                    ty: "count".into(),
                    ..Attributes::default()
                };
                let sent = sink.send(Event::new(attributes, None)).await;
                sent.map_err(|error| AdapterError::Unavailable { reason: error.to_string() })?;
            }
            Ok(())
        }
    }

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Event>>);

    #[async_trait]
    impl Sink for Recorder {
        async fn send(&self, event: Event) -> Result<(), SinkError> {
            self.0.lock().push(event);
            Ok(())
        }
    }

    fn registry() -> Registry {
        Registry::default().with("CountSource", |spec: CountSpec| match spec.up_to {
            0 => Err("up_to must be at least 1".to_owned()),
            n => Ok(Count(n)),
        })
    }

    #[tokio::test]
    async fn a_registered_kind_produces_into_the_sink_it_is_handed() {
        let adapter = registry().build("CountSource", serde_json::json!({"up_to": 3})).expect("an adapter");
        let recorder = Arc::new(Recorder::default());
        adapter.run(recorder.clone(), CancellationToken::new()).await.expect("a clean stop");
        let ids: Vec<_> = recorder.0.lock().iter().map(|event| event.id().to_owned()).collect();
        assert_eq!(ids, ["0", "1", "2"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let refused = |kind: &str, spec| registry().build(kind, spec).err().expect("refused").to_string();
        assert_eq!(
            refused("PongSource", serde_json::json!({})),
            "unknown source kind \"PongSource\": this build knows CountSource"
        );
        assert_eq!(
            refused("CountSource", serde_json::json!({"up_to": 0})),
            "invalid spec for CountSource: up_to must be at least 1"
        );
        assert!(refused("CountSource", serde_json::json!({"upTo": 1})).contains("unknown field `upTo`"));
    }
}
