//! The time that a command writes into a document.

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::clock::{Clock as _, SystemClock, parse_time};

/// When something is made or asked: now, unless told otherwise.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Moment {
    /// The time of it (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
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
