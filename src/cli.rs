//! The command line: its grammar, and what all commands share. One file per command.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::config::{Environment, Flags, KEYS, Key, Layers, LogFormat, Settings, parse_duration};
use crate::failure::{Exit, OrFail, Outcome};

mod apply;
pub(crate) mod bench;
mod broker;
mod completion;
mod config;
mod connect;
mod crds;
mod dead;
mod delete;
mod describe;
mod event_display;
mod explain;
mod format;
mod get;
mod kubeconfig;
mod output;
#[cfg(test)]
mod reference;
mod run;
mod send;
mod signals;
mod table;
mod tail;
mod target;
mod wait;

/// A CloudEvents broker that loses nothing and explains everything.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Configuration file [$WEIR_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where standalone Weir keeps everything [$XDG_DATA_HOME/weir]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What is logged: a level, or target=level,…
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How a log line looks: human or json
    #[arg(long, global = true, value_name = "FORMAT", hide_possible_values = true)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process
    Run(run::Command),
    /// Make objects as manifests say
    Apply(apply::Command),
    /// Print objects
    Get(get::Command),
    /// Print everything about objects, for people
    Describe(describe::Command),
    /// Remove objects
    Delete(delete::Command),
    /// Wait until objects are ready, changed or gone
    Wait(wait::Command),
    /// Make and post a CloudEvent
    Send(Box<send::Command>),
    /// Print events as they are stored
    Tail(tail::Command),
    /// Say where one event went, and why
    Explain(explain::Command),
    /// Events that could not be delivered
    Dead(dead::Command),
    /// Print the events that are posted here; can fail, be slow or reply
    EventDisplay(event_display::Command),
    /// Measure a Broker beside the bare ceiling of this machine
    Bench(Box<bench::BenchArgs>),
    /// Print the configuration in force and where each value comes from
    Config(config::Command),
    /// Print a kubeconfig for the running Weir, or merge it into another
    Kubeconfig(kubeconfig::Command),
    /// Print the CustomResourceDefinitions as YAML
    Crds(crds::Command),
    /// Print a completion script for a shell
    Completion(completion::Command),
}

impl Command {
    async fn run(self, invocation: Invocation) -> Outcome {
        match self {
            Self::Run(command) => command.run(&invocation).await,
            Self::Send(command) => command.run(&invocation).await,
            Self::Tail(command) => command.run(&invocation).await,
            Self::Explain(command) => command.run(&invocation).await,
            Self::Dead(command) => command.run(&invocation).await,
            Self::EventDisplay(command) => command.run().await,
            Self::Apply(command) => command.run(&invocation).await,
            Self::Get(command) => command.run(&invocation).await,
            Self::Describe(command) => command.run(&invocation).await,
            Self::Delete(command) => command.run(&invocation).await,
            Self::Wait(command) => command.run(&invocation).await,
            Self::Bench(args) => crate::bench::run(*args).await,
            Self::Config(command) => command.run(&invocation),
            Self::Kubeconfig(command) => command.run(&invocation),
            Self::Crds(command) => command.run(),
            Self::Completion(command) => command.run(),
        }
    }
}

/// What a command sees of how it was called.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) environment: Environment,
    global: Global,
    flags: Flags,
}

impl Invocation {
    /// The merged configuration.
    pub(crate) fn layers(&self) -> Outcome<Layers> {
        let mut flags = self.flags.clone();
        if let Some(dir) = &self.global.data_dir {
            flags.push(("dataDir", "--data-dir", json!(dir)));
        }
        if let Some(filter) = &self.global.log {
            flags.push(("log.filter", "--log", json!(filter)));
        }
        if let Some(format) = self.global.log_format {
            flags.push(("log.format", "--log-format", json!(format!("{format:?}").to_lowercase())));
        }
        Layers::merge(self.global.config.as_deref(), &self.environment, flags)
    }

    /// The configuration, parsed and checked.
    pub(crate) fn settings(&self) -> Outcome<Settings> {
        self.layers()?.settings()
    }

    /// Variables that begin with `WEIR_` and set nothing: misspelt, most likely.
    pub(crate) fn unknown_variables(&self) -> impl Iterator<Item = &str> {
        let known: Vec<_> = KEYS.iter().flat_map(Key::environment_names).collect();
        self.environment.keys().map(String::as_str).filter(move |name| {
            // Kubernetes sets these for a Service called `weir`.
            let of_service = ["WEIR_SERVICE_", "WEIR_PORT"].iter().any(|prefix| name.starts_with(prefix));
            let ours = ["WEIR_CONFIG", "WEIR_SERVER"].contains(name) || known.iter().any(|known| known == name);
            name.starts_with("WEIR_") && !of_service && !ours
        })
    }

    /// How to call this program again on the same data.
    pub(crate) fn program(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("weir"));
        let path = match path.strip_prefix(&here) {
            // A bare name would be looked for in $PATH.
            Ok(name) if name.components().count() == 1 => format!("./{}", name.display()),
            Ok(below) => below.display().to_string(),
            Err(_) => path.display().to_string(),
        };
        match &self.global.data_dir {
            Some(dir) => format!("{path} --data-dir {}", dir.display()),
            None => path,
        }
    }

    /// Whether messages may be coloured: a terminal, and nobody said no.
    pub(crate) fn colour(&self) -> bool {
        let refused = self.environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        !refused && std::io::stderr().is_terminal()
    }
}

/// Reads a duration flag.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 30s or 1m 30s".to_owned())
}

/// The names of the objects in a list.
fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

/// Runs the command line of this process and returns its exit code.
pub(crate) fn main(environment: Environment) -> ExitCode {
    // Fails only if somebody installed one before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // A closed terminal is no reason to complain about.
            let _ = error.print();
            return exit.into();
        }
    };
    match execute(cli, environment) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            if let Some(line) = failure.line() {
                output::tell(&line);
            }
            failure.exit().into()
        }
    }
}

fn execute(cli: Cli, environment: Environment) -> Outcome {
    let invocation = Invocation { environment, global: cli.global, flags: cli.command.flags() };
    let runtime = cli.command.runtime(&invocation)?;
    let outcome = runtime.block_on(cli.command.run(invocation));
    // What still runs (a blocking read of standard input, say) must not hold the exit up.
    runtime.shutdown_background();
    outcome
}

impl Command {
    /// What the command's own flags say about configuration keys.
    fn flags(&self) -> Flags {
        match self {
            Self::Run(command) => command.flags(),
            _ => Flags::new(),
        }
    }

    /// Servers use every core; a client's few requests need no thread beside the main one.
    fn runtime(&self, invocation: &Invocation) -> Outcome<Runtime> {
        let mut builder = match self {
            Self::Run(_) => {
                let mut builder = Builder::new_multi_thread();
                if let Some(threads) = invocation.settings()?.worker_threads {
                    builder.worker_threads(threads.get());
                }
                builder
            }
            _ => Builder::new_current_thread(),
        };
        // Blocking work is rare: its threads need not wait long for more.
        builder.max_blocking_threads(64).thread_keep_alive(Duration::from_secs(2));
        builder.enable_all().build().or_fail(Exit::Failure, || "cannot start".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn grammar_is_consistent() {
        Cli::command().debug_assert();
    }
}
