//! What the process tells about itself: log lines, spans, metrics, health.
//!
//! Logs go to standard error. Spans are exported over OTLP/HTTP only when an endpoint is configured. Metrics are
//! whatever the crates registered; `/metrics` writes them out.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use opentelemetry_sdk::{Resource, runtime};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use url::Url;

use crate::config::{LogFormat, LogSettings, TracingSettings};
use crate::failure::{Exit, OrFail, Outcome};

mod health;
mod http;

pub(crate) use health::{Health, Readiness};
pub(crate) use http::router;

/// Longest wait for the last spans when the process stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps the exporter alive; [`Telemetry::flush`] ends it.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging and, if configured, the export of spans. Needs a running Tokio runtime; once per process.
pub(crate) fn start(log: &LogSettings, tracing: &TracingSettings, colour: bool) -> Outcome<Telemetry> {
    let filter =
        EnvFilter::try_new(&log.filter).or_fail(Exit::Usage, || format!("invalid log filter {:?}", log.filter))?;
    let lines: Box<dyn Layer<_> + Send + Sync> = match log.format {
        LogFormat::Human => {
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let provider = tracing.endpoint.as_ref().map(|endpoint| exporter(endpoint, tracing)).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("weir"))
            .with_filter(Targets::new().with_target("weir", Level::DEBUG))
    });
    Registry::default()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init()
        .or_fail(Exit::Failure, || "cannot start logging".to_owned())?;
    Ok(Telemetry { provider })
}

/// Headers and time-out of the exporter, and further attributes of the resource, come from OpenTelemetry's own variables.
fn exporter(endpoint: &Url, settings: &TracingSettings) -> Outcome<SdkTracerProvider> {
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint.as_str());
    let exporter = exporter.build().or_fail(Exit::Usage, || "cannot export spans".to_owned())?;
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter, runtime::Tokio).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
        .with_resource(
            Resource::builder()
                .with_service_name(settings.service_name.clone())
                .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build(),
        )
        .build())
}

impl Telemetry {
    /// Sends the spans still held back; waits for a collector only briefly.
    pub(crate) async fn flush(self) {
        let Some(provider) = self.provider else { return };
        let stopping = tokio::task::spawn_blocking(move || provider.shutdown());
        if tokio::time::timeout(FLUSH_TIMEOUT, stopping).await.is_err() {
            tracing::warn!("the last spans were not exported: the collector did not answer in time");
        }
    }
}
