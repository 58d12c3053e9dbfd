//! `weir apply`: makes objects as manifests say. All of them are checked before any is changed.

use std::path::PathBuf;

use super::connect::Connect;
use super::{Invocation, output};
use crate::apply::{Applied, Applier};
use crate::failure::Outcome;
use crate::manifest;

/// Who owns the fields that `weir apply` sets.
const FIELD_MANAGER: &str = "weir";

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Files, directories or - for standard input
    #[arg(short, long, required = true, value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Check only; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let documents = manifest::load(&self.filename)?;
        let session = self.connect.open(invocation).await?;
        let applier = Applier::new(&session.client, FIELD_MANAGER, &session.namespace).await?;
        applier.check(&documents).await?;
        for document in &documents {
            let suffix = if self.dry_run { " (dry run)" } else { "" };
            let applied = if self.dry_run { applier.preview(document).await? } else { applier.apply(document).await? };
            let what = match applied.outcome {
                Applied::Created => "created",
                Applied::Configured => "configured",
                Applied::Unchanged => "unchanged",
            };
            for warning in &applied.warnings {
                output::tell(&format!("Warning: {warning}"));
            }
            output::print_line(&format!("{} {what}{suffix}", applied.name))?;
        }
        if documents.is_empty() {
            output::tell("no objects passed to apply");
        }
        Ok(())
    }
}
