//! `affiant vcon new`: writes a new vCon.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;

use anyhow::Context as _;

use crate::cli::vcon::io::document::Output;
use crate::clock::{Clock as _, SystemClock, parse_time};
use crate::vcon::{VconBuilder, uuid8};

/// Write a new vCon, with parties if you name them.
#[derive(Debug, clap::Args)]
pub(crate) struct NewCommand {
    /// Your domain name: the second half of the uuid derives from it.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    domain: String,
    /// Subject of the conversation.
    #[arg(long)]
    subject: Option<String>,
    /// A party as NAME=URI, for example "Ann=tel:+12025550100"; may be repeated.
    #[arg(long = "party", value_name = "NAME=URI")]
    parties: Vec<String>,
    /// When it is made (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl NewCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let now = match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        let mut builder = VconBuilder::new(uuid8(&self.domain, now), now);
        if let Some(subject) = &self.subject {
            builder.subject(subject);
        }
        for party in &self.parties {
            let (name, uri) = party.split_once('=').with_context(|| format!("--party {party:?} is not NAME=URI"))?;
            builder.party(name, uri);
        }
        self.output.vcon(&builder.build())?;
        Ok(ExitCode::SUCCESS)
    }
}
