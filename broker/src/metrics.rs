//! The data plane's metrics: Knative's names where it has one, ours beside them. Labels are bounded by the number of
//! Brokers and Triggers.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use weir_api::resources::ObjectName;

/// Upper bounds of Knative's `kn.eventing.dispatch.duration`, in seconds.
const DISPATCH_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Labels of `kn_eventing_dispatch_duration_seconds`, as Knative's exporter writes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DispatchLabels {
    otel_scope_name: &'static str,
    kn_broker_name: Arc<str>,
    kn_broker_namespace: Arc<str>,
    messaging_destination_name: String,
    http_response_status_code: u16,
}

impl DispatchLabels {
    /// An event received for a Broker. Unknown Brokers share one series: their names come from the sender.
    pub(crate) fn ingress(broker: Option<&ObjectName>, status: u16) -> Self {
        let (namespace, name) = match broker {
            Some(broker) => (Arc::clone(&broker.namespace), Arc::clone(&broker.name)),
            None => Default::default(),
        };
        Self {
            otel_scope_name: "knative.dev/pkg/broker/ingress",
            messaging_destination_name: broker
                .map(|broker| format!("broker:{}.{}", broker.name, broker.namespace))
                .unwrap_or_default(),
            kn_broker_name: name,
            kn_broker_namespace: namespace,
            http_response_status_code: status,
        }
    }

    /// An event delivered for a Trigger.
    pub(crate) fn trigger(broker: &ObjectName, trigger: &ObjectName, status: u16) -> Self {
        Self {
            otel_scope_name: "knative.dev/pkg/broker/filter",
            kn_broker_name: Arc::clone(&broker.name),
            kn_broker_namespace: Arc::clone(&broker.namespace),
            messaging_destination_name: format!("trigger:{}.{}", trigger.name, trigger.namespace),
            http_response_status_code: status,
        }
    }
}

#[derive(Clone, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(DISPATCH_SECONDS)
    }
}

/// Metrics of ingress and dispatcher.
#[derive(Debug)]
pub struct Metrics {
    dispatch_seconds: Family<DispatchLabels, Histogram, Buckets>,
    pub(crate) connections: Gauge,
    pub(crate) pending_requests: Gauge,
    pub(crate) pending_bytes: Gauge,
    pub(crate) accept_errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) retries: Counter,
    pub(crate) events_read: Counter,
    pub(crate) catch_up_reads: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) gap_positions: Counter,
    pub(crate) progress_saves: Counter,
    pub(crate) progress_save_errors: Counter,
}

impl Metrics {
    /// Registers every metric of the data plane; called once per registry.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let dispatch_seconds = Family::new_with_constructor(Buckets);
        registry.register(
            "kn_eventing_dispatch_duration_seconds",
            "Time to store (ingress) or deliver (filter) an event",
            dispatch_seconds.clone(),
        );
        Arc::new(Self {
            dispatch_seconds,
            connections: add(registry, "weir_ingress_connections", "Connections open at the ingress"),
            pending_requests: add(registry, "weir_ingress_pending_requests", "Requests being answered"),
            pending_bytes: add(registry, "weir_ingress_pending_bytes", "Bytes received of the requests being answered"),
            accept_errors: add(registry, "weir_ingress_accept_errors", "Connections that could not be accepted"),
            panics: add(registry, "weir_panics", "Panics caught in a request or delivery; each is a bug"),
            retries: add(registry, "weir_dispatcher_retries", "Attempts that failed and are made again"),
            events_read: add(registry, "weir_dispatcher_events_read", "Events read from logs by shared readers"),
            catch_up_reads: add(
                registry,
                "weir_dispatcher_catch_up_events_read",
                "Events read from logs by Triggers that had fallen behind",
            ),
            undecodable: add(
                registry,
                "weir_dispatcher_undecodable_records",
                "Records that are no event, sent to the dead-letter store",
            ),
            gap_positions: add(
                registry,
                "weir_dispatcher_gap_positions",
                "Positions of a log that could no longer be read",
            ),
            progress_saves: add(registry, "weir_dispatcher_progress_saves", "Saves of a Trigger's progress"),
            progress_save_errors: add(
                registry,
                "weir_dispatcher_progress_save_errors",
                "Saves of a Trigger's progress that failed and are repeated",
            ),
        })
    }

    /// The histogram for `labels`, to be kept by whoever observes often.
    pub(crate) fn dispatch(&self, labels: &DispatchLabels) -> Histogram {
        self.dispatch_seconds.get_or_create_owned(labels)
    }

    /// Observes once, for series that are rare.
    pub(crate) fn observe(&self, labels: &DispatchLabels, took: Duration) {
        self.dispatch_seconds.get_or_create(labels).observe(took.as_secs_f64());
    }

    /// Forgets the series of a Trigger that is gone.
    pub(crate) fn forget_trigger(&self, broker: &ObjectName, trigger: &ObjectName) {
        let mut labels = DispatchLabels::trigger(broker, trigger, 0);
        for status in 100..600 {
            labels.http_response_status_code = status;
            self.dispatch_seconds.remove(&labels);
        }
    }
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
