//! Subscribers that do as a test says, and one life of a dispatcher around them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_api::delivery::Delivery;
use weir_api::destination::ResolvedDestination;
use weir_api::eventing::TriggerFilter;
use weir_api::observed::ObservedState;
use weir_api::resources::{ObjectName, Order, Start};

use super::*;
use crate::testing::{MemoryLog, World, broker_name};

/// What an attempt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Accept,
    /// Accepts after a while.
    AcceptAfter(Duration),
    /// Fails; another attempt may be made after a while.
    Fail(Duration),
    /// Fails for good.
    Refuse,
    /// Never answers.
    Hang,
    Panic,
}

/// An attempt, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) trigger: String,
    /// The subscriber's path.
    pub(super) subscriber: String,
    pub(super) offset: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Attempted,
    Accepted,
    DeadLettered,
}

type Behaviour = dyn Fn(&str, &Stored, u32) -> Act + Send + Sync;

/// What subscribers do, and did, across lives.
pub(super) struct Subscribers {
    behave: Mutex<Arc<Behaviour>>,
    steps: watch::Sender<Vec<Step>>,
    pub(super) set_aside: Mutex<Vec<Position>>,
    /// Attempts under way, and the most there ever were, by Trigger.
    under_way: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl Subscribers {
    /// `behave` is asked with the Trigger's UID, the event, and the attempt, from 1.
    pub(super) fn new(behave: impl Fn(&str, &Stored, u32) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            behave: Mutex::new(Arc::new(behave)),
            steps: watch::Sender::default(),
            set_aside: Mutex::default(),
            under_way: Mutex::default(),
        })
    }

    pub(super) fn behave(&self, behave: impl Fn(&str, &Stored, u32) -> Act + Send + Sync + 'static) {
        *self.behave.lock() = Arc::new(behave);
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.borrow().clone()
    }

    /// Offsets with this end (or start), in order.
    pub(super) fn offsets(&self, trigger: &str, what: What) -> Vec<u64> {
        let steps = self.steps.borrow();
        steps.iter().filter(|step| step.trigger == trigger && step.what == what).map(|step| step.offset).collect()
    }

    pub(super) fn most_under_way(&self, trigger: &str) -> usize {
        self.under_way.lock().get(trigger).map_or(0, |(_, most)| *most)
    }

    /// Waits until there are `count` steps of this kind.
    pub(super) async fn wait_for(&self, trigger: &str, what: What, count: usize) {
        let mut steps = self.steps.subscribe();
        let matches = |step: &&Step| step.trigger == trigger && step.what == what;
        let waiting = steps.wait_for(|steps| steps.iter().filter(matches).count() >= count);
        if tokio::time::timeout(Duration::from_secs(100_000), waiting).await.is_err() {
            panic!("{trigger}: {} {what:?} instead of {count}", self.offsets(trigger, what).len());
        }
    }

    fn step(&self, route: &ScriptRoute, offset: u64, what: What) {
        let step = Step { trigger: route.trigger.clone(), subscriber: route.subscriber.clone(), offset, what };
        self.steps.send_modify(|steps| steps.push(step));
    }
}

/// The subscribers as one life sees them.
pub(super) struct Script {
    subscribers: Arc<Subscribers>,
    killed: CancellationToken,
}

pub(super) struct ScriptRoute {
    gave_up: CancellationToken,
    trigger: String,
    subscriber: String,
}

impl Script {
    async fn attempt(&self, stored: &Stored, route: &ScriptRoute, number: u32) -> Act {
        let offset = stored.position.offset;
        self.subscribers.step(route, offset, What::Attempted);
        let _under_way = UnderWay::new(&self.subscribers, &route.trigger);
        let behave = Arc::clone(&self.subscribers.behave.lock());
        let act = behave(&route.trigger, stored, number);
        match act {
            Act::AcceptAfter(wait) => tokio::time::sleep(wait).await,
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("scripted"),
            Act::Accept | Act::Fail(_) | Act::Refuse => tokio::task::yield_now().await,
        }
        act
    }
}

struct UnderWay<'a>(&'a Subscribers, &'a str);

impl<'a> UnderWay<'a> {
    fn new(subscribers: &'a Subscribers, trigger: &'a str) -> Self {
        let mut under_way = subscribers.under_way.lock();
        let (now, most) = under_way.entry(trigger.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(subscribers, trigger)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = self.0.under_way.lock().get_mut(self.1) {
            *now -= 1;
        }
    }
}

impl Downstream for Script {
    type Route = ScriptRoute;

    fn route(&self, log: &Arc<Log>, trigger: &Trigger) -> Result<ScriptRoute, String> {
        let subscriber = trigger.subscriber.as_ref().ok_or("unresolved")?;
        Ok(ScriptRoute {
            gave_up: log.give_up.clone(),
            trigger: trigger.uid.to_string(),
            subscriber: subscriber.url.path().to_owned(),
        })
    }

    async fn deliver(&self, stored: &Stored, route: &ScriptRoute, patience: &dyn Patience, panics: u8) -> Ending {
        let offset = stored.position.offset;
        let mut number = u32::from(panics);
        loop {
            number += 1;
            let act = tokio::select! {
                biased;
                () = self.killed.cancelled() => std::future::pending().await,
                () = route.gave_up.cancelled() => return Ending::Unsettled,
                act = self.attempt(stored, route, number) => act,
            };
            match act {
                Act::Fail(wait) => {
                    if patience.wait(wait).await.is_err() {
                        return Ending::Unsettled;
                    }
                }
                Act::Refuse => {
                    self.subscribers.step(route, offset, What::DeadLettered);
                    return Ending::DeadLettered;
                }
                Act::Accept | Act::AcceptAfter(_) => {
                    self.subscribers.step(route, offset, What::Accepted);
                    return Ending::Delivered;
                }
                Act::Hang | Act::Panic => unreachable!("these do not return"),
            }
        }
    }

    async fn set_aside(&self, _log: &Log, position: Position, _raw: &Bytes, _reason: &str) -> Result<(), String> {
        self.subscribers.set_aside.lock().push(position);
        Ok(())
    }

    fn forget(&self, _log: &Log, _trigger: &Trigger) {}
}

/// One life of a dispatcher, from its start to a stop or a kill.
pub(super) struct Life {
    pub(super) world: World,
    pub(super) dispatcher: Arc<Dispatcher<Script>>,
    running: JoinHandle<()>,
}

impl Life {
    pub(super) async fn start(
        log: &Arc<MemoryLog>,
        subscribers: &Arc<Subscribers>,
        settings: DispatcherSettings,
    ) -> Self {
        let world = World::new(log).with_broker().await;
        let script = Script { subscribers: Arc::clone(subscribers), killed: world.killed.clone() };
        let dispatcher = Dispatcher::new(settings, world.logs.clone(), script, Arc::clone(&world.metrics));
        let (running, shutdown) = (Arc::clone(&dispatcher), world.shutdown.clone());
        let running = tokio::spawn(async move { running.run(&shutdown).await });
        Self { world, dispatcher, running }
    }

    /// Sets these Triggers and waits until they are acted on.
    pub(super) async fn triggers(&self, triggers: impl IntoIterator<Item = Trigger>) {
        let triggers: BTreeMap<_, _> =
            triggers.into_iter().map(|trigger| (Arc::clone(&trigger.uid), Arc::new(trigger))).collect();
        let wanted: Vec<_> = triggers.values().map(|trigger| (Arc::clone(&trigger.uid), trigger.generation)).collect();
        self.world.change(|resources| {
            resources.triggers.insert(broker_name(), triggers);
        });
        for (uid, generation) in wanted {
            self.world.observed(&uid, &ObservedState::Active { generation }).await;
        }
    }

    /// As SIGTERM does.
    pub(super) async fn stop(self) {
        self.world.shutdown.cancel();
        self.running.await.expect("the dispatcher panicked");
        self.world.logs.close().await;
    }

    /// As SIGKILL does.
    pub(super) fn kill(self) {
        self.world.killed.cancel();
        self.world.shutdown.cancel();
        self.running.abort();
    }

    pub(super) fn fanout(&self) -> Arc<Fanout<Script>> {
        Arc::clone(self.dispatcher.fanouts.read().values().next().expect("a log"))
    }

    pub(super) fn lane(&self, uid: &str) -> Arc<Lane<Script>> {
        self.fanout().lane(uid).expect("a lane")
    }

    /// Waits until the durable progress of `uid` satisfies `done`.
    pub(super) async fn progress(&self, uid: &str, done: impl Fn(&Progress) -> bool) {
        let waiting = async {
            while !self.world.log.progress(uid).is_some_and(|progress| done(&progress)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let patience = Duration::from_secs(3600);
        if tokio::time::timeout(patience, waiting).await.is_err() {
            panic!("{uid}: {:?}", self.world.log.progress(uid));
        }
    }
}

/// A Trigger for every event, from the oldest on.
pub(super) fn trigger(uid: &str) -> Trigger {
    Trigger {
        name: ObjectName { namespace: "ns".into(), name: uid.into() },
        uid: uid.into(),
        generation: 1,
        filter: None,
        filters: Vec::new(),
        subscriber: Some(subscriber("/first")),
        delivery: Delivery::default(),
        order: Order::Unordered,
        max_in_flight: None,
        paused: false,
        start: Start::Earliest,
    }
}

/// A Trigger for events of one type.
pub(super) fn trigger_for(uid: &str, ty: &str) -> Trigger {
    let attributes = BTreeMap::from([("type".to_owned(), ty.to_owned())]);
    Trigger { filter: Some(TriggerFilter { attributes }), ..trigger(uid) }
}

pub(super) fn ordered(uid: &str) -> Trigger {
    Trigger { order: Order::ByKey { attribute: None }, ..trigger(uid) }
}

pub(super) fn subscriber(path: &str) -> ResolvedDestination {
    let url = format!("http://subscriber{path}").parse().expect("a URL");
    ResolvedDestination { url, ca_certs: None, audience: None }
}
