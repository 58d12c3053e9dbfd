//! `weir crds`: the resource types this build serves.

use super::output;
use crate::failure::Outcome;

#[derive(Debug, clap::Args)]
pub(super) struct Command {}

impl Command {
    #[allow(clippy::unused_self, reason = "every command has the same shape")]
    pub(super) fn run(&self) -> Outcome {
        for crd in weir_api::crd::all() {
            output::print(&format!("---\n{}", serde_yaml_ng::to_string(&crd)?))?;
        }
        Ok(())
    }
}
