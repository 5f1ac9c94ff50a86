//! Clocks: the time as an argument.
//!
//! Only `main` and the operators of floor 4 hold a [`Clock`]; everything below takes the time as an argument.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize as _, Serializer};

/// A source of wall-clock and monotonic time.
pub trait Clock: Send + Sync {
    /// The wall-clock time, which may jump.
    fn now(&self) -> DateTime<Utc>;

    /// The time since some fixed moment of this process, which never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clock. Its monotonic face goes on while the machine sleeps, as its wall clock does.
#[cfg(feature = "server")]
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
}

#[cfg(feature = "server")]
impl Default for SystemClock {
    fn default() -> Self {
        Self { started: since_boot() }
    }
}

#[cfg(feature = "server")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.started)
    }
}

/// The time since the machine was started, with that during which it slept.
#[cfg(feature = "server")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(DateTime<Utc>, Duration)>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { state: Mutex::new((now, Duration::ZERO)) }
    }

    /// Lets `elapsed` pass, on both faces of the clock.
    pub fn advance(&self, elapsed: Duration) {
        let mut state = self.lock();
        state.0 += chrono::TimeDelta::from_std(elapsed).expect("a test advances by less than an aeon");
        state.1 += elapsed;
    }

    /// Sets the wall clock alone, as an administrator or a bad time server would.
    pub fn jump_to(&self, now: DateTime<Utc>) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (DateTime<Utc>, Duration)> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }
}

/// Writes a time as Affiant does everywhere: RFC 3339, milliseconds, `Z`.
#[must_use]
pub fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Serializes a time as [`format_time`] writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*time))
}

/// Serializes a time that may be absent: null, or as [`format_time`] writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_optional_time<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(format_time).serialize(serializer)
}

/// Reads an RFC 3339 time of any offset and precision.
///
/// # Errors
/// When `text` is not RFC 3339, which a date without offset is not.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_milliseconds_and_z() {
        let time = parse_time("2026-07-01T12:00:00.123456+02:00").unwrap();
        assert_eq!(format_time(time), "2026-07-01T10:00:00.123Z");
        assert!(parse_time("2026-07-01T12:00:00").is_err());
    }

    #[test]
    fn a_jump_leaves_the_monotonic_face_alone() {
        let clock = ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap());
        clock.advance(Duration::from_secs(5));
        clock.jump_to(parse_time("2020-01-01T00:00:00Z").unwrap());
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
