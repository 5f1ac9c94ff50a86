//! `affiant vcon migrate`: converts an older syntax to the current one.

use std::process::ExitCode;

use crate::cli::vcon::io::document::{Input, Output};
use crate::clock::{Clock as _, SystemClock};
use crate::vcon::migrate;

/// Convert an unsigned vCon of an older syntax to the current one; print the changes on standard error, with --json as
/// JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateCommand {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

impl MigrateCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (vcon, changes) = migrate(&self.input.vcon()?, SystemClock::default().now());
        self.output.vcon(&vcon)?;
        if self.output.is_for_programs() {
            eprintln!("{}", serde_json::to_string_pretty(&changes)?);
        } else {
            changes.iter().for_each(|change| eprintln!("{}: {}", change.pointer, change.message));
        }
        Ok(ExitCode::SUCCESS)
    }
}
