//! How slowly a body may come.

use std::time::Duration;

/// Before the least rate counts: connections begin slowly.
const GRACE: Duration = Duration::from_secs(10);
/// Longest silence in the middle of a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest rest between two lines of a batch, when nothing of it is in memory.
const REST_MAX: Duration = Duration::from_secs(300);
/// The time over which the rate of now is weighed: a second later, what came at once counts a fiftieth.
const RECENT: Duration = Duration::from_millis(250);
/// A body that comes slower than so many times the least rate makes room when there is none.
const SLOW_TIMES: u32 = 16;

/// The pace of one body: what came, and how long the server waited for it. Time in which nobody asked for more is not the
/// sender's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes: u64,
    waited: Duration,
    /// Bytes, of which those of long ago count less.
    recent: f64,
    bytes_per_second_min: u32,
    waited_max: Duration,
}

impl Pace {
    /// The pace of a body of which nothing came yet.
    pub(super) fn new(bytes_per_second_min: u32, waited_max: Duration) -> Self {
        let bytes_per_second_min = bytes_per_second_min.max(1);
        Self { bytes: 0, waited: Duration::ZERO, recent: 0.0, bytes_per_second_min, waited_max }
    }

    /// Begins again, with the next line of a batch.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.bytes_per_second_min, self.waited_max);
    }

    /// Counts `bytes` that came after `waited`.
    pub(super) fn add(&mut self, bytes: usize, waited: Duration) {
        self.recent = self.recent_after(waited) + count(bytes);
        self.bytes += bytes as u64;
        self.waited += waited;
    }

    /// How long the next bytes may take; nothing when it is too late already. `between_lines` is a batch of which nothing
    /// is in memory: its lines need not follow each other at once.
    pub(super) fn patience(&self, between_lines: bool) -> Duration {
        if between_lines {
            return REST_MAX;
        }
        let earned = Duration::from_secs(self.bytes / u64::from(self.bytes_per_second_min));
        let by_rate = (GRACE + earned).saturating_sub(self.waited);
        let by_deadline = self.waited_max.saturating_sub(self.waited);
        by_rate.min(by_deadline).min(SILENCE_MAX)
    }

    /// Bytes per second of now, when nothing came for `waiting`.
    pub(super) fn rate(&self, waiting: Duration) -> f64 {
        self.recent_after(waiting) / RECENT.as_secs_f64()
    }

    /// Whether a body of which nothing came for `waiting` is slow enough to make room for others.
    pub(super) fn is_slow(&self, waiting: Duration) -> bool {
        self.waited + waiting >= RECENT && self.rate(waiting) < f64::from(self.bytes_per_second_min * SLOW_TIMES)
    }

    fn recent_after(&self, waiting: Duration) -> f64 {
        self.recent * (-waiting.as_secs_f64() / RECENT.as_secs_f64()).exp()
    }
}

/// A count of bytes of a body as a number to weigh.
fn count(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_body_earns_time_by_what_came() {
        let mut pace = Pace::new(1000, 3600 * SECOND);
        assert_eq!(pace.patience(false), 10 * SECOND);
        pace.add(2000, 4 * SECOND);
        assert_eq!(pace.patience(false), 8 * SECOND);
        pace.add(0, 8 * SECOND);
        assert_eq!(pace.patience(false), Duration::ZERO);
        pace.add(1_000_000, SECOND);
        assert_eq!(pace.patience(false), 30 * SECOND, "no silence is longer");
    }

    #[test]
    fn no_rate_is_enough_behind_the_deadline() {
        let mut pace = Pace::new(1, 60 * SECOND);
        pace.add(1 << 30, 59 * SECOND);
        assert_eq!(pace.patience(false), SECOND);
        pace.add(1 << 30, 2 * SECOND);
        assert_eq!(pace.patience(false), Duration::ZERO);
    }

    #[test]
    fn a_batch_may_rest_between_its_lines_and_not_within_one() {
        let mut pace = Pace::new(1000, 3600 * SECOND);
        assert_eq!(pace.patience(true), 300 * SECOND);
        pace.add(1, 200 * SECOND);
        assert_eq!(pace.patience(false), Duration::ZERO);
        pace.restart();
        assert_eq!(pace.patience(false), 10 * SECOND);
    }

    #[test]
    fn what_came_at_once_does_not_make_a_silent_body_fast_for_long() {
        let mut pace = Pace::new(16 << 10, 3600 * SECOND);
        pace.add(1 << 20, SECOND / 100);
        assert!(!pace.is_slow(SECOND / 4));
        assert!(pace.is_slow(SECOND));
        let mut trickle = pace;
        for _ in 0..20 {
            trickle.add(1, SECOND / 20);
        }
        assert!(trickle.is_slow(Duration::ZERO));
        let mut steady = Pace::new(16 << 10, 3600 * SECOND);
        for _ in 0..100 {
            steady.add(100 << 10, SECOND / 10);
            assert!(!steady.is_slow(Duration::ZERO));
        }
    }
}
