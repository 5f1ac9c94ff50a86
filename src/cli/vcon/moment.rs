//! The time that a command writes into a document.

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::clock::{Clock as _, SystemClock, format_time, parse_time};

/// When something is made or asked: now, unless told otherwise.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Moment {
    /// The time of it (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// When something began.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Start {
    /// When it began, or was brought (RFC 3339), instead of now.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
}

impl Start {
    /// The time, as a document has it.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let time = match &self.start {
            Some(time) => parse_time(time).with_context(|| format!("--start {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        Ok(format_time(time))
    }
}

impl Moment {
    /// The time.
    pub(super) fn time(&self) -> anyhow::Result<DateTime<Utc>> {
        match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time")),
            None => Ok(SystemClock::default().now()),
        }
    }
}
