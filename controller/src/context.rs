//! What every reconciler works with, and who is told when something changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch as channel;
use weir_api::eventing::{Broker, Trigger};
use weir_api::observed::{Observed, ObservedState};
use weir_channels::Registry;

use crate::tracker::Tracker;
use crate::watch::{Cache, Change};
use crate::{Metrics, Settings};

/// An object to reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Broker(ObjectRef<Broker>),
    Trigger(ObjectRef<Trigger>),
}

/// The ends that reconcilers' requests go into. Requests for one object are merged while it waits.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    brokers: UnboundedSender<ObjectRef<Broker>>,
    triggers: UnboundedSender<ObjectRef<Trigger>>,
}

/// The other ends.
pub(crate) struct Requests {
    pub(crate) brokers: UnboundedReceiver<ObjectRef<Broker>>,
    pub(crate) triggers: UnboundedReceiver<ObjectRef<Trigger>>,
}

impl Queues {
    pub(crate) fn new() -> (Self, Requests) {
        let (brokers, broker_requests) = mpsc::unbounded_channel();
        let (triggers, trigger_requests) = mpsc::unbounded_channel();
        (Self { brokers, triggers }, Requests { brokers: broker_requests, triggers: trigger_requests })
    }

    /// Asks for a reconcile of `subject`. Without effect during shutdown.
    pub(crate) fn request(&self, subject: Subject) {
        let _ = match subject {
            Subject::Broker(broker) => self.brokers.send(broker).is_ok(),
            Subject::Trigger(trigger) => self.triggers.send(trigger).is_ok(),
        };
    }
}

/// Shared by all reconcilers.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) brokers: Cache<Broker>,
    pub(crate) triggers: Cache<Trigger>,
    pub(crate) channels: Arc<Registry>,
    pub(crate) tracker: Tracker,
    pub(crate) metrics: Metrics,
    /// Failures in a row, by UID.
    pub(crate) failures: Mutex<HashMap<String, u32>>,
    observed: channel::Receiver<Arc<Observed>>,
    queues: Queues,
    leading: channel::Receiver<bool>,
    /// Whom an answer of the data plane is about.
    subjects: Mutex<HashMap<String, Subject>>,
    started: Instant,
}

/// How far the data plane is with one generation of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DataPlane {
    /// Acts on it.
    Active,
    /// Cannot, and why.
    Failed(String),
    /// Has not taken it up yet.
    Pending,
    /// Has not said anything since this process started, and may not have had the time.
    Starting,
    /// Has closed it for good.
    Closed,
}

impl Context {
    pub(crate) fn new(
        settings: Settings,
        client: Client,
        (brokers, triggers): (Cache<Broker>, Cache<Trigger>),
        (observed, leading): (channel::Receiver<Arc<Observed>>, channel::Receiver<bool>),
        channels: Arc<Registry>,
        metrics: Metrics,
        queues: Queues,
    ) -> Self {
        Self {
            tracker: Tracker::new(client.clone(), queues.clone()),
            settings,
            client,
            brokers,
            triggers,
            channels,
            metrics,
            failures: Mutex::default(),
            observed,
            queues,
            leading,
            subjects: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Waits until Brokers and Triggers have been listed: before that "there is none" means nothing.
    pub(crate) async fn wait_until_synced(&self) {
        // False says that the watch is gone, which happens at shutdown only.
        let _ = self.brokers.synced().await && self.triggers.synced().await;
    }

    /// Whether this process is the one that writes.
    pub(crate) fn leads(&self) -> bool {
        *self.leading.borrow()
    }

    /// A Broker changed: it and its Triggers are looked at again.
    pub(crate) fn broker_changed(&self, broker: &ObjectRef<Broker>, change: Change) {
        self.changed(broker.extra.uid.as_deref(), Subject::Broker(broker.clone()), change);
        let namespace = broker.namespace.as_deref().unwrap_or_default();
        for trigger in self.triggers_of(namespace, &broker.name) {
            self.queues.request(Subject::Trigger(ObjectRef::from_obj(&*trigger)));
        }
    }

    /// A Trigger changed.
    pub(crate) fn trigger_changed(&self, trigger: &ObjectRef<Trigger>, change: Change) {
        self.changed(trigger.extra.uid.as_deref(), Subject::Trigger(trigger.clone()), change);
    }

    fn changed(&self, uid: Option<&str>, subject: Subject, change: Change) {
        let uid = uid.unwrap_or_default();
        match change {
            Change::Applied => {
                self.subjects.lock().insert(uid.to_owned(), subject.clone());
                self.queues.request(subject);
            }
            Change::Deleted => {
                self.subjects.lock().remove(uid);
                self.failures.lock().remove(uid);
                self.tracker.track(&subject, []);
            }
        }
    }

    /// The Triggers of a Broker.
    pub(crate) fn triggers_of(&self, namespace: &str, broker: &str) -> Vec<Arc<Trigger>> {
        self.triggers
            .filter(|trigger| trigger.metadata.namespace.as_deref() == Some(namespace) && trigger.broker() == broker)
    }

    /// What the data plane says about this generation of an object.
    pub(crate) fn data_plane(&self, object: &impl ResourceExt) -> DataPlane {
        let generation = object.meta().generation.unwrap_or_default();
        match self.observed.borrow().get(object.meta().uid.as_deref().unwrap_or_default()) {
            Some(ObservedState::Active { generation: seen }) if *seen == generation => DataPlane::Active,
            Some(ObservedState::Failed { generation: seen, message }) if *seen == generation => {
                DataPlane::Failed(message.clone())
            }
            Some(ObservedState::Active { .. } | ObservedState::Failed { .. }) => DataPlane::Pending,
            Some(ObservedState::Closed) => DataPlane::Closed,
            None if self.start_grace_left().is_some() => DataPlane::Starting,
            None => DataPlane::Pending,
        }
    }

    /// When to look again although nothing changed: once, when the grace for a starting data plane is over.
    pub(crate) fn next(&self, data_plane: &DataPlane) -> Action {
        match data_plane {
            DataPlane::Starting => Action::requeue(self.start_grace_left().unwrap_or_default()),
            DataPlane::Active | DataPlane::Failed(_) | DataPlane::Pending | DataPlane::Closed => Action::await_change(),
        }
    }

    /// What is left of [`Settings::start_grace`].
    pub(crate) fn start_grace_left(&self) -> Option<Duration> {
        self.settings.start_grace.checked_sub(self.started.elapsed()).filter(|left| !left.is_zero())
    }
}

/// Looks at everything whenever this process begins to lead: what changed before was somebody else's to act on.
pub(crate) async fn follow_leadership(context: Arc<Context>) {
    let mut leading = context.leading.clone();
    while leading.changed().await.is_ok() {
        if *leading.borrow_and_update() {
            let subjects: Vec<Subject> = context.subjects.lock().values().cloned().collect();
            subjects.into_iter().for_each(|subject| context.queues.request(subject));
        }
    }
    std::future::pending::<()>().await;
}

/// Asks for a reconcile of every object about which the data plane says something new.
pub(crate) async fn follow_data_plane(context: Arc<Context>) {
    let mut observed = context.observed.clone();
    let mut before = Arc::new(Observed::new());
    loop {
        let now = Arc::clone(&observed.borrow_and_update());
        {
            let subjects = context.subjects.lock();
            let news = now.iter().filter(|(uid, state)| before.get(*uid) != Some(state)).map(|(uid, _)| uid);
            let gone = before.keys().filter(|uid| !now.contains_key(*uid));
            for subject in news.chain(gone).filter_map(|uid| subjects.get(&**uid)) {
                context.queues.request(subject.clone());
            }
        }
        before = now;
        if observed.changed().await.is_err() {
            // The data plane is gone: what it last said stands until this process ends.
            return std::future::pending().await;
        }
    }
}
