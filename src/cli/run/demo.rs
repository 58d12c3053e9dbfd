//! `weir run --demo`: a Broker, a Trigger and a subscriber in this process, and a few events to see.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use url::Url;
use weir_api::Event;
use weir_api::event::Attributes;
use weir_api::event::http::encode_binary;

use crate::cli::output;
use crate::event_display::{self, Behaviour, Show, for_people};
use crate::failure::{Exit, Failure, OrFail, Outcome};
use crate::manifest::{self, Document};

/// So many events are sent unasked.
const EVENTS: u64 = 5;

/// Pause between them.
const INTERVAL: Duration = Duration::from_secs(1);

/// The demo's subscriber, listening but not serving yet.
pub(super) struct Demo {
    listener: TcpListener,
    subscriber: String,
}

/// Prints each delivery.
struct Deliveries {
    closed: CancellationToken,
}

impl Show for Deliveries {
    fn show(&self, event: &Event, _: StatusCode) {
        // Nobody watching any more ends the demo.
        if output::print(&for_people(event)).is_err() {
            self.closed.cancel();
        }
    }
}

impl Demo {
    /// Listens on any port.
    pub(super) async fn listen() -> Outcome<Self> {
        let failed = || "cannot listen for the demo's subscriber".to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.or_fail(Exit::Failure, failed)?;
        let subscriber = format!("http://{}/", listener.local_addr()?);
        Ok(Self { listener, subscriber })
    }

    /// What the demo wants to have.
    pub(super) fn documents(&self) -> Outcome<Vec<Document>> {
        let text = format!(
            "\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {{name: demo}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: demo}}
spec:
  broker: demo
  subscriber: {{uri: \"{}\"}}
",
            self.subscriber
        );
        manifest::read("the demo", text)
    }

    /// Shows deliveries, sends the first events to `broker`, then gives a `hint` what to try next; until `shutdown`,
    /// which it asks for itself when nobody reads its output any more.
    pub(super) async fn run(self, broker: Url, hint: &str, shutdown: CancellationToken) -> Outcome {
        let deliveries = Deliveries { closed: shutdown.clone() };
        let showing = event_display::serve(self.listener, Behaviour::default(), deliveries, shutdown.clone());
        let sending = async {
            send(&broker).await?;
            output::tell(&format!("\nThat was the demo; your turn, in another terminal:  {hint}"));
            shutdown.cancelled().await;
            Ok::<_, Failure>(())
        };
        tokio::select! {
            shown = showing => Ok(shown?),
            sent = sending => sent,
            () = shutdown.cancelled() => Ok(()),
        }
    }
}

async fn send(broker: &Url) -> Outcome {
    let client = reqwest::Client::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 1..=EVENTS {
        ticks.tick().await;
        let mut headers = HeaderMap::new();
        let event = event(n);
        encode_binary(&event, &mut headers)?;
        let request = client.post(broker.clone()).headers(headers).body(event.data().cloned().unwrap_or_default());
        let failed = || "the demo cannot send its event".to_owned();
        let answer = request.send().await.or_fail(Exit::Unavailable, failed)?;
        answer.error_for_status().or_fail(Exit::Failure, failed)?;
    }
    // Let the last delivery be seen before what follows.
    ticks.tick().await;
    Ok(())
}

fn event(n: u64) -> Event {
    let attributes = Attributes {
        id: format!("demo-{}", uuid::Uuid::new_v4()),
        source: "/weir/demo".to_owned(),
        ty: "dev.weir.demo".to_owned(),
        time: Some(jiff::Timestamp::now().to_string()),
        data_content_type: Some("application/json".to_owned()),
        ..Attributes::default()
    };
    Event::new(attributes, Some(Bytes::from(format!("{{\"n\":{n},\"of\":{EVENTS}}}"))))
}
