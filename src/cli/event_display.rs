//! `weir event-display`: a subscriber that prints what it receives.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weir_api::Event;

use super::output;
use super::signals::Signals;
use crate::event_display::{self, Behaviour, Show, for_machines, for_people};
use crate::failure::{Exit, OrFail, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Answer with this status
    #[arg(long, value_name = "CODE", value_parser = status)]
    status: Option<StatusCode>,
    /// Answer after this time
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::duration)]
    delay: Duration,
    /// Answer with an event of this type and the data received
    #[arg(long, value_name = "TYPE")]
    reply: Option<String>,
    /// Fail only the first N requests, with --status or 500
    #[arg(long, value_name = "N")]
    fail_first: Option<u64>,
    /// How events are printed: human or json
    #[arg(short, long, value_name = "FORMAT", default_value = "human", hide_possible_values = true)]
    output: Style,
}

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum Style {
    /// As Knative's `event_display` does.
    Human,
    /// One JSON object per line.
    Json,
}

impl Style {
    /// The text of one event.
    pub(super) fn render(self, event: &Event) -> String {
        match self {
            Self::Human => for_people(event),
            Self::Json => for_machines(event),
        }
    }
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = text.parse::<u16>().ok().filter(|code| (200..600).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or_else(|| "expected a status from 200 to 599".to_owned())
}

/// Prints to standard output; ends the command when nobody reads it any more.
struct Printer {
    style: Style,
    closed: CancellationToken,
}

impl Show for Printer {
    fn show(&self, event: &Event, answer: StatusCode) {
        let mut text = self.style.render(event);
        if self.style == Style::Human && !answer.is_success() {
            text.push_str(&format!("(answered with {answer})\n"));
        }
        if output::print(&text).is_err() {
            self.closed.cancel();
        }
    }
}

impl Command {
    pub(super) async fn run(self) -> Outcome {
        let listening = || format!("cannot listen on {}", self.listen);
        let listener = TcpListener::bind(self.listen).await.or_fail(Exit::Failure, listening);
        let listener = listener.map_err(|failure| failure.next("choose another address with --listen"))?;
        output::tell(&format!("listening on http://{}", listener.local_addr()?));
        let behaviour =
            Behaviour { status: self.status, delay: self.delay, reply: self.reply, fail_first: self.fail_first };
        let (stop, mut signals) = (CancellationToken::new(), Signals::listen()?);
        let printer = Printer { style: self.output, closed: stop.clone() };
        tokio::select! {
            served = event_display::serve(listener, behaviour, printer, stop) => Ok(served?),
            () = signals.stop() => Ok(()),
        }
    }
}
