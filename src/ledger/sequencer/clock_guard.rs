//! The time of a batch: never before the last one, never far from where the elapsed time puts it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;

/// How far the clock may be ahead of the last entry and the time that passed since, or behind it.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// A clock that shows what it cannot.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockOutOfRange {
    pub(super) now: DateTime<Utc>,
    /// Seconds ahead; negative when it went back.
    pub(super) ahead: i64,
}

/// Holds the clock to what it showed before.
#[derive(Debug, Default)]
pub(super) struct ClockGuard {
    // Wall clock and monotonic time of the last batch.
    anchor: Option<(DateTime<Utc>, Duration)>,
}

impl ClockGuard {
    /// The time of the next batch, behind an entry of the time `last`.
    pub(super) fn checked_now(
        &mut self,
        clock: &dyn Clock,
        last: Option<DateTime<Utc>>,
    ) -> Result<DateTime<Utc>, ClockOutOfRange> {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        if let Some((wall, then)) = self.anchor {
            let elapsed = TimeDelta::from_std(monotonic.saturating_sub(then)).unwrap_or(TimeDelta::MAX);
            let ahead = now - (wall + elapsed);
            if ahead > CLOCK_TOLERANCE {
                return Err(ClockOutOfRange { now, ahead: ahead.num_seconds() });
            }
        }
        if let Some(last) = last
            && last - now > CLOCK_TOLERANCE
        {
            return Err(ClockOutOfRange { now, ahead: (now - last).num_seconds() });
        }
        self.anchor = Some((now, monotonic));
        Ok(last.map_or(now, |last| now.max(last)))
    }
}
