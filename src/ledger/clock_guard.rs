//! The time of a batch: never before the last one, never far from where the elapsed time puts it, and after a start not far
//! from what somebody else's clock shows.
//!
//! An entry that says a time in the future makes the log refuse everything until then, for ever there to be read. So a clock
//! that shows what it cannot is not believed: a batch waits until the clock is right again, or until somebody else shows
//! the same time, as after the machine's clock was set right.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;

/// How far the clock may be from the last entry and the time that passed since, or from somebody else's.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);
/// How far after the last entry a start goes on though nobody else's time is known yet: a restart waits for no authority.
const UNSUPPORTED_MAX: TimeDelta = TimeDelta::hours(1);

/// A clock that shows what it cannot, or what nobody supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockTrouble {
    /// It jumped, ahead of the last entry and the time that passed since, or behind the last entry.
    #[error("the clock shows {now}, {ahead} s ahead of the last entry and the elapsed time")]
    OutOfRange {
        /// The time that it shows.
        now: DateTime<Utc>,
        /// Seconds ahead; negative when it went back.
        ahead: i64,
    },
    /// After a start, no witness and no timestamp authority has shown its time yet, or one shows another.
    #[error("the clock shows {now}, which no witness and no timestamp authority confirms")]
    Unsupported {
        /// The time that it shows.
        now: DateTime<Utc>,
        /// Seconds ahead of the last entry; 0 where there is none.
        ahead: i64,
    },
}

/// The time of a batch, and what the clock showed when it was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedTime {
    pub(super) time: DateTime<Utc>,
    now: DateTime<Utc>,
    monotonic: Duration,
}

/// Whose clock speaks for ours.
#[derive(Clone, Copy, Debug, Default)]
enum Support {
    /// There is nobody to ask.
    #[default]
    NobodyToAsk,
    /// Somebody will be asked, and has not answered.
    Awaited,
    /// Somebody else's time, and our monotonic time then.
    Shown(DateTime<Utc>, Duration),
}

/// Holds the clock to what it showed before, and to what others show.
#[derive(Debug, Default)]
pub(super) struct ClockGuard {
    /// Time of the last entry.
    last: Option<DateTime<Utc>>,
    // Wall clock and monotonic time of the last batch of this process.
    anchor: Option<(DateTime<Utc>, Duration)>,
    support: Support,
}

impl ClockGuard {
    /// Behind an entry of the time `last`.
    pub(super) fn behind(last: Option<DateTime<Utc>>) -> Self {
        Self { last, ..Self::default() }
    }

    /// From now on somebody else's time is waited for.
    pub(super) fn await_support(&mut self) {
        self.support = Support::Awaited;
    }

    /// Somebody else's clock shows `time`.
    pub(super) fn note_time(&mut self, time: DateTime<Utc>, clock: &dyn Clock) {
        let now = clock.now();
        let distance = |shown: DateTime<Utc>| (now - shown).abs();
        let monotonic = clock.monotonic();
        match self.support {
            // Of several who were asked, one that shows the same is enough: our clock and theirs do not err together.
            Support::Shown(shown, then) if distance(shown + since(then, monotonic)) < distance(time) => {}
            _ => self.support = Support::Shown(time, monotonic),
        }
    }

    /// The time of the next batch.
    pub(super) fn checked_now(&self, clock: &dyn Clock) -> Result<CheckedTime, ClockTrouble> {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        if let Some(last) = self.last
            && last - now > CLOCK_TOLERANCE
        {
            return Err(ClockTrouble::OutOfRange { now, ahead: (now - last).num_seconds() });
        }
        let supported = match self.support {
            Support::Shown(shown, then) => Some((now - (shown + since(then, monotonic))).abs() <= CLOCK_TOLERANCE),
            Support::Awaited => Some(false),
            Support::NobodyToAsk => None,
        };
        match (self.anchor, supported) {
            (_, Some(true)) | (None, None) => {}
            (Some((wall, then)), _) => {
                let ahead = now - (wall + since(then, monotonic));
                if ahead > CLOCK_TOLERANCE {
                    return Err(ClockTrouble::OutOfRange { now, ahead: ahead.num_seconds() });
                }
            }
            (None, Some(false)) => {
                let ahead = self.last.map_or(TimeDelta::zero(), |last| now - last);
                let is_contradicted = matches!(self.support, Support::Shown(..));
                if is_contradicted || self.last.is_none() || ahead > UNSUPPORTED_MAX {
                    return Err(ClockTrouble::Unsupported { now, ahead: ahead.num_seconds() });
                }
            }
        }
        Ok(CheckedTime { time: self.last.map_or(now, |last| now.max(last)), now, monotonic })
    }

    /// A batch of this time is committed. The clock is not read again: it may have jumped since.
    pub(super) fn advance(&mut self, checked: CheckedTime) {
        self.last = Some(checked.time);
        self.anchor = Some((checked.now, checked.monotonic));
    }
}

fn since(then: Duration, now: Duration) -> TimeDelta {
    TimeDelta::from_std(now.saturating_sub(then)).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, parse_time};

    fn time() -> DateTime<Utc> {
        parse_time("2026-07-01T12:00:00Z").unwrap()
    }

    /// The guard of a start that asks others for the time.
    fn guard(last: Option<DateTime<Utc>>) -> ClockGuard {
        let mut guard = ClockGuard::behind(last);
        guard.await_support();
        guard
    }

    #[test]
    fn a_jump_is_refused_until_somebody_else_shows_the_same_time() {
        let clock = ManualClock::new(time());
        let mut guard = ClockGuard::default();
        guard.advance(guard.checked_now(&clock).unwrap());
        // The machine slept, or its clock was set: seconds that did not pass.
        clock.jump_to(time() + TimeDelta::seconds(61));
        let refused = guard.checked_now(&clock);
        assert!(matches!(refused, Err(ClockTrouble::OutOfRange { ahead: 61, .. })), "{refused:?}");
        guard.note_time(time(), &clock);
        assert!(guard.checked_now(&clock).is_err(), "another clock shows the time of before");
        guard.note_time(time() + TimeDelta::seconds(30), &clock);
        clock.advance(Duration::from_secs(5));
        assert_eq!(guard.checked_now(&clock).unwrap().time, time() + TimeDelta::seconds(66));
    }

    #[test]
    fn a_jump_while_a_batch_is_committed_is_no_time_that_was_checked() {
        let clock = ManualClock::new(time());
        let mut guard = ClockGuard::default();
        let checked = guard.checked_now(&clock).unwrap();
        clock.jump_to(time() + TimeDelta::hours(1));
        guard.advance(checked);
        assert!(guard.checked_now(&clock).is_err());
    }

    #[test]
    fn what_passed_on_both_faces_of_the_clock_is_no_jump() {
        let clock = ManualClock::new(time());
        let mut guard = ClockGuard::default();
        guard.advance(guard.checked_now(&clock).unwrap());
        clock.advance(Duration::from_secs(7 * 86_400));
        assert!(guard.checked_now(&clock).is_ok());
    }

    #[test]
    fn a_start_a_year_ahead_writes_nothing_that_nobody_supports() {
        let (last, clock) = (time(), ManualClock::new(time() + TimeDelta::days(365)));
        let mut guard = guard(Some(last));
        assert!(matches!(guard.checked_now(&clock), Err(ClockTrouble::Unsupported { ahead: 31_536_000, .. })));
        guard.note_time(last + TimeDelta::days(2), &clock);
        assert!(guard.checked_now(&clock).is_err());
        // The clock is set right, two days after the last entry: nothing has to be started again.
        clock.jump_to(last + TimeDelta::days(2) + TimeDelta::seconds(10));
        assert!(guard.checked_now(&clock).is_ok());
    }

    #[test]
    fn a_start_soon_after_the_last_entry_waits_for_nobody_and_a_first_entry_does() {
        let clock = ManualClock::new(time());
        assert!(guard(Some(time() - UNSUPPORTED_MAX)).checked_now(&clock).is_ok());
        let early = time() - UNSUPPORTED_MAX - TimeDelta::seconds(1);
        assert!(guard(Some(early)).checked_now(&clock).is_err());
        assert!(guard(None).checked_now(&clock).is_err());
        assert!(ClockGuard::behind(Some(early)).checked_now(&clock).is_ok(), "there is nobody to ask");
        // Who answers and shows another time is believed before the last entry is.
        let mut contradicted = guard(Some(time()));
        contradicted.note_time(time() - TimeDelta::seconds(61), &clock);
        assert!(contradicted.checked_now(&clock).is_err());
    }

    #[test]
    fn of_several_who_answer_the_one_that_shows_the_same_counts() {
        let clock = ManualClock::new(time());
        for others in [[0, 4000], [4000, 0]] {
            let mut guard = guard(None);
            others.iter().for_each(|ahead| guard.note_time(time() + TimeDelta::seconds(*ahead), &clock));
            assert!(guard.checked_now(&clock).is_ok(), "{others:?}");
        }
    }

    #[test]
    fn behind_the_last_entry_nothing_helps_but_time() {
        let clock = ManualClock::new(time() - TimeDelta::seconds(61));
        let mut guard = guard(Some(time()));
        guard.note_time(clock.now(), &clock);
        assert!(matches!(guard.checked_now(&clock), Err(ClockTrouble::OutOfRange { ahead: -61, .. })));
        clock.advance(Duration::from_secs(1));
        assert_eq!(guard.checked_now(&clock).unwrap().time, time(), "never before the last entry");
    }
}
