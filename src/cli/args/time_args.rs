//! The time that a command writes into a document.

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::clock::{Clock as _, SystemClock, format_time, parse_time};

/// The time of an act; default: now.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct TimeArgs {
    /// Use this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// The start of something.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct StartArgs {
    /// Start time (RFC 3339); default: now.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
}

impl StartArgs {
    /// The time, as a document has it.
    pub(in crate::cli) fn text(&self) -> anyhow::Result<String> {
        let time = match &self.start {
            Some(time) => parse_time(time).with_context(|| format!("--start {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        Ok(format_time(time))
    }
}

impl TimeArgs {
    /// The time.
    pub(in crate::cli) fn time(&self) -> anyhow::Result<DateTime<Utc>> {
        match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time")),
            None => Ok(SystemClock::default().now()),
        }
    }
}
