//! `affiant vcon amend`: a new vCon that references the original.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::time_args::TimeArgs;
use crate::cli::progress;
use crate::cli::vcon::io::document::{Input, Output};
use crate::vcon::{ContentHash, PriorVersion, amend, uuid8};

/// Write an amendment: a new vCon that references the original, signed or not.
#[derive(Debug, clap::Args)]
pub(crate) struct AmendCommand {
    #[command(flatten)]
    input: Input,
    /// Your domain name: the second half of the new uuid derives from it.
    #[arg(long)]
    domain: String,
    /// The https address of the amended vCon; its hash is written too.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The file at that address, if it differs from the input: its encrypted form, for example.
    #[arg(long, value_name = "FILE", requires = "url")]
    original: Option<PathBuf>,
    #[command(flatten)]
    moment: TimeArgs,
    #[command(flatten)]
    output: Output,
}

impl AmendCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (prior, bytes) = self.input.vcon_or_payload()?;
        let hash = match (&self.original, &self.url) {
            (Some(path), _) => Some(ContentHash::from_sha512(progress::digests_of(path)?.0.sha512)),
            (None, Some(_)) => Some(ContentHash::of(&bytes)),
            (None, None) => None,
        };
        let reference = PriorVersion { uuid: prior.uuid().map(str::to_owned), url: self.url, hash };
        let now = self.moment.time()?;
        self.output.vcon(&amend(&prior, uuid8(&self.domain, now), now, &reference)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
