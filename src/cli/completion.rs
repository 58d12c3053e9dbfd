//! `weir completion`: a script that completes commands and flags.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, output};
use crate::failure::Outcome;

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// The shell
    shell: Shell,
}

impl Command {
    pub(super) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "weir", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
