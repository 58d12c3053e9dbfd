//! `weir`: the one binary. Wiring and the command line; behaviour lives in the other crates.

use std::process::ExitCode;

mod apply;
mod bench;
mod cli;
mod client;
mod config;
mod data_dir;
mod event_display;
mod failure;
mod jsonpath;
mod manifest;
mod roles;
mod telemetry;

/// The C library's allocator took a tenth of the time of a delivery. Without huge pages, which cost idle memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The only place that reads the environment: what is not UTF-8 is nothing of ours.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    cli::main(environment.collect())
}
