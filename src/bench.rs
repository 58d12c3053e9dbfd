//! `weir bench`: how fast, how light and how safe, in numbers that mean something on this machine.
//!
//! Load generator, sink and account are in this process; the server and the yardsticks it is compared with are processes
//! of their own on the same cores. A ratio always relates measurements taken by turns in one run with the same client.
//!
//! * [`load`], [`pace`], [`client`]: what sends. [`sink`], [`tally`]: what receives, and what was lost or doubled.
//! * [`yardstick`]: the bare ceiling. [`server`], [`api`]: the `weir run` under test. [`process`], [`disk`]: its surroundings.
//! * [`lab`] takes one measurement; [`scenarios`] and [`foreign`] say which; [`report`] tells what came out.

use std::io::Write;

use crate::cli::bench::BenchArgs;
use crate::failure::{Exit, Failure, OrFail, Outcome};
use lab::Lab;
use report::{Finding, Machine, Report, Settings, text::Head};

mod api;
mod client;
mod disk;
mod foreign;
mod lab;
mod load;
mod pace;
mod process;
mod report;
mod scenarios;
mod server;
mod sink;
mod stats;
mod tally;
mod yardstick;

/// Runs the command. Results go to stdout, progress to stderr; temporary directories and processes are gone at the end.
///
/// # Errors
/// When an accepted event was lost, a scenario could not be run to its end, or on an interrupt. A figure that is not met is
/// reported, not an error.
pub(crate) async fn run(args: BenchArgs) -> Outcome {
    if let Some(kind) = args.internal_serve {
        return yardstick::run(kind, args.relay_to).await.or_fail(Exit::Failure, || "cannot be a yardstick".to_owned());
    }
    let report = tokio::select! {
        report = Box::pin(measure(args)) => report,
        interrupt = tokio::signal::ctrl_c() => Err(match interrupt {
            Ok(()) => anyhow::anyhow!("interrupted"),
            Err(error) => anyhow::Error::new(error).context("cannot listen for an interrupt"),
        }),
    };
    match report.or_fail(Exit::Failure, || "cannot measure".to_owned())? {
        report if report.is_sound() => Ok(()),
        // The report says what.
        _ => Err(Failure::told(Exit::Failure)),
    }
}

async fn measure(args: BenchArgs) -> anyhow::Result<Report> {
    let json = args.json;
    let lab = Lab::start(args).await?;
    let mut report = head(&lab).await?;
    if !json {
        print(&Head(&report))?;
    }
    let show = |finding: &Finding| if json { Ok(()) } else { print(finding) };
    match &lab.args.url {
        Some(url) => {
            let finding = foreign::run(&lab, url).await?;
            show(&finding)?;
            report.scenarios.push(finding);
        }
        None => report.scenarios = scenarios::run(&lab, show).await?,
    }
    if json {
        print(&format_args!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    Ok(report)
}

async fn head(lab: &Lab) -> anyhow::Result<Report> {
    let args = &lab.args;
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: jiff::Timestamp::now().to_string(),
        machine: Machine {
            cores: std::thread::available_parallelism()?.get(),
            dir: lab.dir().display().to_string(),
            sync_ms: lab.sync_ms().await?,
        },
        settings: Settings {
            connections: args.connections,
            size_bytes: args.size,
            duration_seconds: args.duration.as_secs_f64(),
            warmup_seconds: args.warmup.as_secs_f64(),
            repeat: args.repeat,
            threads: args.threads,
        },
        scenarios: Vec::new(),
    })
}

fn print(what: &impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{what}")?;
    out.flush()?;
    Ok(())
}
