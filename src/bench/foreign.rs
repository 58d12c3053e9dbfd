//! `--url`: a Broker somebody else runs, at the load the user names.

use url::Url;

use super::lab::{Lab, Subject};
use super::pace::Pace;
use super::report::Finding;

/// Measures the Broker at `url` beside the echo, or beside the relay if its deliveries come back to us.
///
/// # Errors
/// When the URL is not plain HTTP or the process to watch is gone.
pub(super) async fn run(lab: &Lab, url: &Url) -> anyhow::Result<Finding> {
    // Before anything is measured: a URL that cannot be posted to is told at once.
    lab.target(url)?;
    let args = &lab.args;
    let delivers = args.sink_listen.is_some();
    let broker = Subject { name: "broker".to_owned(), url: url.clone(), inboxes: delivers.into(), pid: args.pid };
    let yardstick = if delivers { lab.relay() } else { lab.echo() };
    let pace = match args.rate {
        Some(rate) => Pace::Open { rate, duration: args.duration },
        None => lab.closed(),
    };
    let mut rows = lab.compare("url", &[yardstick, broker], pace).await?;
    if let [yardstick, broker] = rows.as_mut_slice() {
        broker.compare(yardstick);
    }
    let load = match args.rate {
        Some(rate) => format!("{rate} events per second, latency from the intended send time"),
        None => format!("{} connections, one event at a time each", args.connections),
    };
    let error = lost_everything(&rows, delivers);
    Ok(Finding { name: "url".to_owned(), about: format!("{url}, {load}"), rows, error, ..Finding::default() })
}

/// A subject that accepts and delivers nothing is not slow but wrongly connected; say so.
fn lost_everything(rows: &[super::report::Row], delivers: bool) -> Option<String> {
    let broker = rows.last()?;
    if broker.events.acknowledged == 0 {
        return Some("no event was accepted: is this the URL of a Broker? (see status.address.url)".to_owned());
    }
    (delivers && broker.events.delivered == 0)
        .then(|| "no event was delivered to the sink: does a Trigger of this Broker point to it?".to_owned())
}
