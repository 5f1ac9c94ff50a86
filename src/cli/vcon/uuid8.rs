//! `affiant vcon uuid8`: version 8 UUIDs for a domain.

use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;

use anyhow::Context as _;

use crate::clock::{Clock as _, SystemClock, parse_time};
use crate::vcon::uuid8;

/// Print a version 8 UUID for a domain, as the draft defines it.
#[derive(Debug, clap::Args)]
pub(crate) struct Uuid8Command {
    /// Your domain name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    domain: String,
    /// Use this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Uuid8Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let time = match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        let uuid = uuid8(&self.domain, time).to_string();
        let line = if self.json { serde_json::json!({ "uuid": uuid }).to_string() } else { uuid };
        writeln!(std::io::stdout(), "{line}")?;
        Ok(ExitCode::SUCCESS)
    }
}
