//! `weir send`: makes a CloudEvent and posts it.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use cloudevents::{EventBuilder, EventBuilderV10};
use http::HeaderMap;
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use url::Url;
use uuid::Uuid;
use weir_api::Event;
use weir_api::event::http::{encode_binary, encode_structured, fits_binary};

use super::connect::Connect;
use super::explain::{self, Sought};
use super::{Invocation, broker, output};
use crate::client::{Client, innermost};
use crate::failure::{Exit, Failure, OrFail, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Name of a Broker, or any URL that takes events
    #[arg(value_name = "BROKER|URL")]
    target: String,
    /// Attribute type
    #[arg(short, long = "type", value_name = "TYPE", default_value = "dev.weir.sent")]
    ty: String,
    /// Attribute source
    #[arg(short, long, value_name = "URI", default_value = "/weir/send")]
    source: String,
    /// Attribute id [a new UUID]
    #[arg(long)]
    id: Option<String>,
    /// Attribute subject
    #[arg(long)]
    subject: Option<String>,
    /// Attribute time [now]
    #[arg(long, value_name = "RFC3339")]
    time: Option<String>,
    /// An extension attribute; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = extension)]
    extension: Vec<(String, String)>,
    /// The data
    #[arg(short, long, value_name = "TEXT")]
    data: Option<String>,
    /// The data from a file, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    data_file: Option<PathBuf>,
    /// Attribute datacontenttype [application/json if the data is JSON, else text/plain]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Send the whole event as JSON instead of in headers
    #[arg(long)]
    structured: bool,
    /// Send so many; ids get a number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// At most so many per second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Wait until every Trigger that wants it has it or gave it up, and show where it went
    #[arg(long, conflicts_with = "count")]
    wait: bool,
    /// Most time for an answer, and for --wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    timeout: Duration,
    #[command(flatten)]
    connect: Connect,
}

fn extension(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Err("names are lower-case letters and digits".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "expected a number above 0".to_owned())
}

/// Where events go.
struct Address {
    url: Url,
    /// The Broker, if it was named.
    broker: Option<(Client, String, String)>,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let address = self.address(invocation).await?;
        if self.wait && address.broker.is_none() {
            return Err(Failure::text(
                Exit::Usage,
                "--wait needs the name of a Broker: a URL does not tell where events go",
            ));
        }
        let data = self.data().await?;
        let client = reqwest::Client::new();
        let mut pace = self.rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(1.0 / rate)));
        if let Some(pace) = &mut pace {
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        for n in 1..=self.count {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let event = self.event(n, data.as_ref())?;
            self.post(&client, &address.url, &event).await?;
            if self.count == 1 {
                output::print_line(&format!("event {} accepted by {}", event.id(), address.url))?;
            }
            if self.wait
                && let Some(broker) = &address.broker
            {
                self.follow(broker, &event).await?;
            }
        }
        if self.count > 1 {
            output::print_line(&format!("{} events accepted by {}", self.count, address.url))?;
        }
        Ok(())
    }

    async fn address(&self, invocation: &Invocation) -> Outcome<Address> {
        if self.target.contains("://") {
            let url = self.target.parse().or_fail(Exit::Usage, || format!("{:?} is not a URL", self.target))?;
            return Ok(Address { url, broker: None });
        }
        let session = self.connect.open(invocation).await?;
        let (namespace, name) = broker::parse(&self.target, &session.namespace);
        let url = broker::url(&session.client, &namespace, &name).await?;
        Ok(Address { url, broker: Some((session.client, namespace, name)) })
    }

    /// Shows where `event` went.
    async fn follow(&self, (client, namespace, name): &(Client, String, String), event: &Event) -> Outcome {
        let sought = Sought { broker: (namespace, name), id: event.id(), source: Some(event.source()) };
        let (answer, settled) = sought.wait(client, self.timeout).await?;
        let answer = explain::newest(&answer);
        output::print(&explain::show(&answer))?;
        if !settled {
            return Err(explain::unsettled(self.timeout));
        }
        // Said in its line already.
        if explain::is_dead(&answer) { Err(Failure::told(Exit::NotDelivered)) } else { Ok(()) }
    }

    async fn data(&self) -> Outcome<Option<Bytes>> {
        let Some(path) = &self.data_file else { return Ok(self.data.clone().map(Bytes::from)) };
        let read = || -> std::io::Result<Vec<u8>> {
            if path.as_os_str() != "-" {
                return std::fs::read(path);
            }
            let mut data = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut data)?;
            Ok(data)
        };
        Ok(Some(read().or_fail(Exit::Usage, || format!("cannot read {}", path.display()))?.into()))
    }

    /// The `n`-th event.
    fn event(&self, n: u64, data: Option<&Bytes>) -> Outcome<Event> {
        let id = match &self.id {
            None => Uuid::new_v4().to_string(),
            Some(id) if self.count == 1 => id.clone(),
            Some(id) => format!("{id}-{n}"),
        };
        let time = self.time.clone().unwrap_or_else(|| jiff::Timestamp::now().to_string());
        let mut builder = EventBuilderV10::new().id(id).source(self.source.clone()).ty(self.ty.clone()).time(time);
        if let Some(subject) = &self.subject {
            builder = builder.subject(subject);
        }
        if let Some(data) = data {
            let json = serde_json::from_slice::<Value>(data).is_ok();
            let fitting = if json { "application/json" } else { "text/plain" };
            builder = builder.data(self.content_type.as_deref().unwrap_or(fitting), data.to_vec());
        }
        for (name, value) in &self.extension {
            builder = builder.extension(name, value.clone());
        }
        let invalid = || "cannot make this event".to_owned();
        let event = builder.build().or_fail(Exit::Usage, invalid)?;
        Event::try_from(event).or_fail(Exit::Usage, invalid)
    }

    async fn post(&self, client: &reqwest::Client, url: &Url, event: &Event) -> Outcome {
        let mut headers = HeaderMap::new();
        let body = if self.structured || !fits_binary(event) {
            encode_structured(event, &mut headers)
        } else {
            encode_binary(event, &mut headers).or_fail(Exit::Usage, || "cannot send this event".to_owned())?;
            event.data().cloned().unwrap_or_default()
        };
        let request = client.post(url.clone()).headers(headers).body(body).timeout(self.timeout);
        let answer = request.send().await.map_err(|error| unreachable(url, &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = answer.text().await.unwrap_or_default();
        let exit = match status.as_u16() {
            404 => Exit::NotFound,
            401 | 403 => Exit::NotAllowed,
            400 | 405 | 413 | 415 => Exit::Usage,
            429 | 502..=504 => Exit::Unavailable,
            _ => Exit::Failure,
        };
        let reason = if reason.trim().is_empty() { String::new() } else { format!(": {}", reason.trim()) };
        Err(Failure::text(exit, format!("{url} refused event {} with {status}{reason}", event.id())))
    }
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Failure {
    let reason = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
    Failure::text(Exit::Unavailable, format!("cannot reach {url}: {reason}")).next("the event may or may not be stored")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use weir_api::event::Value as Attribute;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        command: Command,
    }

    fn command(words: &str) -> Command {
        Line::try_parse_from(format!("send {words}").split(' ')).expect(words).command
    }

    #[test]
    fn flags_become_attributes() {
        let send = command("b -t t -s /s --id i --subject x -e team=a -e n=1 --time 2026-01-01T00:00:00Z");
        let event = send.event(1, Some(&Bytes::from_static(b"{\"x\":1}"))).expect("an event");
        let attributes = event.attributes();
        assert_eq!((event.id(), event.source(), event.ty()), ("i", "/s", "t"));
        assert_eq!(attributes.subject.as_deref(), Some("x"));
        assert!(attributes.time.as_deref().is_some_and(|time| time.starts_with("2026-01-01T00:00:00")));
        assert_eq!(attributes.data_content_type.as_deref(), Some("application/json"));
        assert_eq!(event.extension("team"), Some(&Attribute::from("a")));
        assert_eq!(event.data().map(|data| &data[..]), Some(&b"{\"x\":1}"[..]));
    }

    #[test]
    fn data_that_is_no_json_is_text() {
        let event = command("b").event(1, Some(&Bytes::from_static(b"hello"))).expect("an event");
        assert_eq!(event.attributes().data_content_type.as_deref(), Some("text/plain"));
        assert_eq!(command("b").event(1, None).expect("an event").data(), None);
    }

    #[test]
    fn many_events_get_ids_of_their_own() {
        let send = command("b --id i --count 3");
        let ids = [1, 2].map(|n| send.event(n, None).expect("an event").id().to_owned());
        assert_eq!(ids, ["i-1", "i-2"]);
    }

    #[test]
    fn malformed_flags_are_refused() {
        for words in ["b -e team", "b -e Team=a", "b --rate 0", "b --count 0", "b --data x --data-file y"] {
            assert!(Line::try_parse_from(format!("send {words}").split(' ')).is_err(), "{words}");
        }
    }
}
