//! Arguments of `weir bench`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

/// What `weir bench` measures, and how hard.
///
/// Without `--url` every scenario starts a `weir run` of its own in a temporary directory and removes it afterwards.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Scenarios to run [default: all]
    #[arg(value_enum, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<Scenario>,

    /// Measure this Broker URL (plain HTTP) instead of starting one
    #[arg(long, value_name = "URL", conflicts_with = "scenarios")]
    pub(crate) url: Option<Url>,

    /// Listen here for what the Broker at `--url` delivers, and check that nothing is lost; a Trigger has to point here
    #[arg(long, value_name = "ADDRESS", requires = "url")]
    pub(crate) sink_listen: Option<SocketAddr>,

    /// Process whose memory and CPU time to report with `--url`
    #[arg(long, value_name = "PID", requires = "url")]
    pub(crate) pid: Option<u32>,

    /// Events per second of the open loop: for `latency` [default: 500]; with `--url` it replaces the closed loop
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    /// Length of one measurement
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// Load before each measurement that does not count
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) warmup: Duration,

    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = parse_count)]
    pub(crate) connections: usize,

    /// Bytes of data in each event
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) size: usize,

    /// Times each measurement is taken; the median and the spread are reported
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = parse_count)]
    pub(crate) repeat: usize,

    /// Events in the backlog of `backlog` and `recovery`
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..100_000_000))]
    pub(crate) events: u64,

    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_count)]
    pub(crate) threads: usize,

    /// Put data directories under this one: its disk is the disk measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,

    /// Serve as a yardstick until stdin closes: how the bench starts them as processes of their own
    #[arg(long, hide = true, value_enum)]
    pub(crate) internal_serve: Option<Yardstick>,

    /// Where the relay yardstick posts
    #[arg(long, hide = true, value_name = "ADDRESS", required_if_eq("internal_serve", "relay"))]
    pub(crate) relay_to: Option<SocketAddr>,
}

/// A named measurement with the figures it has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Events accepted per second, no Trigger, against a bare echo
    Accept,
    /// Events accepted and delivered per second, one Trigger, against a bare relay
    Deliver,
    /// End-to-end latency at a fixed rate
    Latency,
    /// 1, 10 and 1,000 Triggers of which one matches; 10 that all match
    Fanout,
    /// Memory at rest, without and with 1,000 Triggers
    Idle,
    /// The API with 10,000 objects: creates, list, watch, memory
    Objects,
    /// Process start to the first delivered event
    Start,
    /// Memory with a backlog for a dead subscriber
    Backlog,
    /// kill -9 with that backlog: time to the first 202, then every event accounted for
    Recovery,
}

/// A bare hyper server: the ceiling that Weir is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Yardstick {
    /// POST in, 202 out
    Echo,
    /// POST in, POST out, 202
    Relay,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error} (examples: 5s, 500ms, 1m30s)"))?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("the rate is a number above 0".to_owned()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count) if (1..=100_000).contains(&count) => Ok(count),
        _ => Err("a whole number from 1 to 100000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        Command::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).map(|command| command.bench)
    }

    #[test]
    fn durations_are_written_with_units() {
        let args = parse("accept latency --duration 1m30s --warmup 500ms").expect("valid");
        assert_eq!(args.scenarios, [Scenario::Accept, Scenario::Latency]);
        assert_eq!((args.duration, args.warmup), (Duration::from_secs(90), Duration::from_millis(500)));
        assert!(parse("--duration=-5s").is_err());
        assert!(parse("--duration 5").is_err());
    }

    #[test]
    fn numbers_that_cannot_be_measured_are_refused() {
        for line in ["--rate 0", "--rate nan", "--rate=-1", "--connections 0", "--repeat 0", "--events 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn options_of_a_foreign_broker_need_its_url() {
        assert!(parse("--pid 1").is_err());
        assert!(parse("--sink-listen 127.0.0.1:0").is_err());
        assert!(parse("accept --url http://127.0.0.1/default/b").is_err());
        assert!(parse("--internal-serve relay").is_err());
    }
}
