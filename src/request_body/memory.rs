//! The memory that all bodies have together, and who makes room in it.
//!
//! Three limits: for all bodies, for those of strangers together (half), and for those of one caller. The last eighth of
//! each is for small bodies alone. Where one is reached, bodies that come slowly make room: whoever sends at a good pace is
//! not kept out by those who do not. Strangers make no room in what holders of tokens have.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::BodyReadError;
use super::caller::Caller;
use super::pace::Pace;

/// A body of so many bytes is small: most verifications and all but the longest calls without a recording.
const SMALL_BYTES: u64 = 64 << 10;
/// How long a body that finds no room waits for some, and how often it looks.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(2);
const ROOM_WAIT_STEP: Duration = Duration::from_millis(100);
/// Bodies that wait for room at a time: behind each stands a connection whose buffers are full.
const ROOM_WAITERS_MAX: usize = 64;

/// Limits of all bodies together.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes of all bodies.
    pub bytes_max: u64,
    /// Bytes of the bodies of one caller.
    pub caller_bytes_max: u64,
    /// The least rate, in bytes per second.
    pub bytes_per_second_min: u32,
    /// How long one body may be waited for in all.
    pub waited_max: Duration,
}

impl BodyLimits {
    /// Bytes of the largest body that finds room when there is no other.
    #[must_use]
    pub fn largest_body(&self) -> u64 {
        let most = self.caller_bytes_max.min(self.bytes_max / 2);
        most - most / 8
    }
}

/// The memory of bodies.
#[derive(Debug)]
pub struct BodyMemory {
    limits: BodyLimits,
    held: Mutex<Held>,
    /// Bodies that may wait for room now.
    waiters: Semaphore,
}

/// What is held now.
#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    stranger_bytes: u64,
    callers: HashMap<Caller, u64>,
    bodies: HashMap<u64, Body>,
    next: u64,
}

/// One body.
#[derive(Debug)]
struct Body {
    caller: Caller,
    bytes: u64,
    /// Where it still comes.
    incoming: Option<Incoming>,
}

#[derive(Debug)]
struct Incoming {
    pace: Pace,
    waiting_since: Option<Instant>,
    stop: Arc<Stop>,
}

impl Incoming {
    fn waiting(&self, now: Instant) -> Duration {
        self.waiting_since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

/// Tells the reader of a body that it has to make room.
#[derive(Debug, Default)]
struct Stop {
    stopped: AtomicBool,
    waker: AtomicWaker,
}

impl BodyMemory {
    /// Memory within `limits`, of which nothing is held.
    #[must_use]
    pub fn new(limits: BodyLimits) -> Arc<Self> {
        Arc::new(Self { limits, held: Mutex::default(), waiters: Semaphore::new(ROOM_WAITERS_MAX) })
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Begins a body of `caller`, of which nothing is held yet.
    pub(super) fn begin(self: &Arc<Self>, caller: Caller) -> HeldMemory {
        let stop = Arc::new(Stop::default());
        let pace = Pace::new(self.limits.bytes_per_second_min, self.limits.waited_max);
        let incoming = Some(Incoming { pace, waiting_since: None, stop: stop.clone() });
        let id = self.lock().add(Body { caller, bytes: 0, incoming });
        HeldMemory(Arc::new(Account { memory: self.clone(), id, stop, failure: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Held {
    fn add(&mut self, body: Body) -> u64 {
        let id = self.next;
        self.next += 1;
        self.count(&body.caller, body.bytes);
        self.bodies.insert(id, body);
        id
    }

    fn count(&mut self, caller: &Caller, bytes: u64) {
        self.bytes += bytes;
        if caller.is_stranger() {
            self.stranger_bytes += bytes;
        }
        if bytes > 0 {
            *self.callers.entry(caller.clone()).or_default() += bytes;
        }
    }

    fn remove(&mut self, id: u64) -> Option<Body> {
        let body = self.bodies.remove(&id)?;
        self.bytes -= body.bytes;
        if body.caller.is_stranger() {
            self.stranger_bytes -= body.bytes;
        }
        if let Some(bytes) = self.callers.get_mut(&body.caller) {
            *bytes -= body.bytes;
            if *bytes == 0 {
                self.callers.remove(&body.caller);
            }
        }
        Some(body)
    }

    /// Gives `more` bytes to the body `id`, if need be after others made room.
    fn give(&mut self, id: u64, more: u64, limits: &BodyLimits, now: Instant) -> Result<(), BodyReadError> {
        let body = self.bodies.get(&id).ok_or(BodyReadError::NoRoom)?;
        let (caller, after) = (body.caller.clone(), body.bytes + more);
        while let Some(full) = self.full(&caller, after, more, limits) {
            let slowest = self.slowest(id, &caller, full, now).ok_or(BodyReadError::NoRoom)?;
            if let Some(Body { incoming: Some(incoming), .. }) = self.remove(slowest) {
                incoming.stop.stopped.store(true, Ordering::Release);
                incoming.stop.waker.wake();
            }
        }
        self.count(&caller, more);
        self.bodies.get_mut(&id).ok_or(BodyReadError::NoRoom)?.bytes = after;
        Ok(())
    }

    /// The limit that a body of `caller` would break with `more` bytes, `after` in all.
    fn full(&self, caller: &Caller, after: u64, more: u64, limits: &BodyLimits) -> Option<Full> {
        let within = |held: u64, max: u64| held + more <= if after <= SMALL_BYTES { max } else { max - max / 8 };
        let own = self.callers.get(caller).copied().unwrap_or_default();
        if !within(own, limits.caller_bytes_max) {
            Some(Full::Caller)
        } else if caller.is_stranger() && !within(self.stranger_bytes, limits.bytes_max / 2) {
            Some(Full::Strangers)
        } else if !within(self.bytes, limits.bytes_max) {
            Some(if caller.is_stranger() { Full::Strangers } else { Full::All })
        } else {
            None
        }
    }

    /// The slowest body that may be ended for one of `caller`: strangers before holders of tokens.
    fn slowest(&self, id: u64, caller: &Caller, full: Full, now: Instant) -> Option<u64> {
        let candidates = self.bodies.iter().filter_map(|(other, body)| {
            let incoming = body.incoming.as_ref()?;
            let concerned = match full {
                Full::Caller => body.caller == *caller,
                Full::Strangers => body.caller.is_stranger(),
                Full::All => true,
            };
            let waiting = incoming.waiting(now);
            let slow = *other != id && body.bytes > 0 && concerned && incoming.pace.is_slow(waiting);
            slow.then(|| (*other, !body.caller.is_stranger(), incoming.pace.rate(waiting)))
        });
        let slowest = candidates.min_by(|left, right| left.1.cmp(&right.1).then(left.2.total_cmp(&right.2)));
        slowest.map(|(id, _, _)| id)
    }
}

/// What there is no room in.
#[derive(Clone, Copy)]
enum Full {
    Caller,
    Strangers,
    All,
}

/// The memory of one body. The last of its clones gives it back.
#[derive(Clone, Debug)]
pub struct HeldMemory(Arc<Account>);

#[derive(Debug)]
struct Account {
    memory: Arc<BodyMemory>,
    id: u64,
    stop: Arc<Stop>,
    /// Why the body was not read to its end.
    failure: Mutex<Option<BodyReadError>>,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.memory.lock().remove(self.id);
    }
}

impl HeldMemory {
    /// Takes `bytes` more, and waits a moment for them if there is no room.
    ///
    /// # Errors
    /// When there is no room, or this body was ended to make some.
    pub async fn hold(&self, bytes: usize) -> Result<(), BodyReadError> {
        if self.try_hold(bytes).is_ok() {
            return Ok(());
        }
        let began = Instant::now();
        if let Ok(_waiter) = self.0.memory.waiters.try_acquire() {
            while !self.is_stopped() && began.elapsed() < ROOM_WAIT_MAX {
                tokio::time::sleep(ROOM_WAIT_STEP).await;
                if self.try_hold(bytes).is_ok() {
                    return Ok(());
                }
            }
        }
        Err(self.fail(BodyReadError::NoRoom))
    }

    /// Takes `bytes` more, at once.
    ///
    /// # Errors
    /// When there is no room, or this body was ended to make some.
    pub fn try_hold(&self, bytes: usize) -> Result<(), BodyReadError> {
        let memory = &self.0.memory;
        memory.lock().give(self.0.id, bytes as u64, &memory.limits, Instant::now())
    }

    /// The body is there: it makes no room any more until it is dropped.
    pub fn finish(&self) {
        self.change(|body| body.incoming = None);
    }

    /// Moves all that is held to a body that is there, and begins the next line.
    #[must_use]
    pub fn finish_line(&self) -> Self {
        let memory = &self.0.memory;
        let mut held = memory.lock();
        let mut line = Body { caller: Caller::Token(String::new()), bytes: 0, incoming: None };
        if let Some(body) = held.bodies.get_mut(&self.0.id) {
            line.caller = body.caller.clone();
            line.bytes = std::mem::take(&mut body.bytes);
            if let Some(incoming) = &mut body.incoming {
                incoming.pace.restart();
            }
        }
        let id = held.next;
        held.next += 1;
        held.bodies.insert(id, line);
        drop(held);
        let (stop, failure) = (Arc::default(), Mutex::default());
        Self(Arc::new(Account { memory: memory.clone(), id, stop, failure }))
    }

    /// Why the body was not read to its end, where it was not.
    #[must_use]
    pub fn failure(&self) -> Option<BodyReadError> {
        *self.0.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps why the body is not read to its end, and counts it.
    pub(super) fn fail(&self, error: BodyReadError) -> BodyReadError {
        let mut failure = self.0.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failure.is_none() {
            let cause = match error {
                BodyReadError::TooSlow => "too_slow",
                BodyReadError::NoRoom => "no_room",
                BodyReadError::TooLarge { .. } | BodyReadError::Broken | BodyReadError::Encoding => "broken",
            };
            metrics::counter!("affiant_bodies_ended_total", "cause" => cause).increment(1);
        }
        *failure.get_or_insert(error)
    }

    /// Whether the body was ended to make room.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.stop.stopped.load(Ordering::Acquire)
    }

    /// Wakes the task of `context` when the body is ended to make room.
    pub(super) fn wake_when_stopped(&self, context: &Context<'_>) {
        self.0.stop.waker.register(context.waker());
    }

    /// The server begins to wait for the sender; gives how long it may.
    pub(super) fn wait(&self, may_rest: bool) -> Duration {
        let mut patience = Duration::ZERO;
        self.change(|body| {
            let between_lines = may_rest && body.bytes == 0;
            if let Some(incoming) = &mut body.incoming {
                incoming.waiting_since.get_or_insert_with(Instant::now);
                patience = incoming.pace.patience(between_lines);
            }
        });
        patience
    }

    /// So many bytes came.
    pub(super) fn came(&self, bytes: usize) {
        self.change(|body| {
            if let Some(incoming) = &mut body.incoming {
                let waited = incoming.waiting(Instant::now());
                incoming.waiting_since = None;
                incoming.pace.add(bytes, waited);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Body)) {
        if let Some(body) = self.0.memory.lock().bodies.get_mut(&self.0.id) {
            change(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const LIMITS: BodyLimits = BodyLimits {
        bytes_max: 32 * MIB,
        caller_bytes_max: 8 * MIB,
        bytes_per_second_min: 16 << 10,
        waited_max: Duration::from_secs(3600),
    };

    /// The memory at a time that the test moves.
    struct Memory {
        held: Held,
        now: Instant,
    }

    impl Memory {
        fn new() -> Self {
            Self { held: Held::default(), now: Instant::now() }
        }

        fn begin(&mut self, caller: &Caller) -> u64 {
            let pace = Pace::new(LIMITS.bytes_per_second_min, LIMITS.waited_max);
            let incoming = Some(Incoming { pace, waiting_since: Some(self.now), stop: Arc::default() });
            self.held.add(Body { caller: caller.clone(), bytes: 0, incoming })
        }

        fn give(&mut self, id: u64, bytes: u64) -> bool {
            let given = self.held.give(id, bytes, &LIMITS, self.now).is_ok();
            if let Some(incoming) = self.held.bodies.get_mut(&id).and_then(|body| body.incoming.as_mut()) {
                incoming.pace.add(usize::try_from(bytes).unwrap(), self.now - incoming.waiting_since.unwrap());
                incoming.waiting_since = Some(self.now);
            }
            given
        }

        /// A body of `caller` with `bytes`; `None` where there is no room.
        fn body(&mut self, caller: &Caller, bytes: u64) -> Option<u64> {
            let id = self.begin(caller);
            self.give(id, bytes).then_some(id)
        }

        fn is_held(&self, id: u64) -> bool {
            self.held.bodies.contains_key(&id)
        }
    }

    fn stranger(last: u8) -> Caller {
        Caller::at([192, 0, 2, last].into())
    }

    fn token(name: &str) -> Caller {
        Caller::Token(name.into())
    }

    #[test]
    fn a_caller_all_strangers_and_all_together_have_a_limit_each() {
        let mut memory = Memory::new();
        assert!(memory.body(&stranger(1), 7 * MIB).is_some());
        assert!(memory.body(&stranger(1), MIB).is_none(), "its own");
        assert!(memory.body(&stranger(2), 7 * MIB).is_some());
        assert!(memory.body(&stranger(3), MIB).is_none(), "that of all strangers");
        assert!(memory.body(&token("tok_1"), 7 * MIB).is_some());
        assert!(memory.body(&token("tok_2"), 7 * MIB).is_some());
        assert!(memory.body(&token("tok_3"), MIB).is_none(), "that of all");
        assert_eq!((memory.held.bytes, memory.held.stranger_bytes), (28 * MIB, 14 * MIB));
    }

    #[test]
    fn the_last_eighth_is_for_small_bodies() {
        let mut memory = Memory::new();
        assert!(memory.body(&stranger(1), 7 * MIB).is_some());
        let small = (0..20).filter(|_| memory.body(&stranger(1), SMALL_BYTES).is_some()).count();
        assert_eq!(small, 16);
    }

    #[test]
    fn slow_bodies_make_room_and_the_slowest_first() {
        let mut memory = Memory::new();
        let slow: Vec<_> = (0..7).filter_map(|_| memory.body(&stranger(1), MIB)).collect();
        assert_eq!(slow.len(), 7);
        assert!(memory.body(&stranger(1), MIB).is_none(), "nobody is slow yet");
        memory.now += Duration::from_secs(2);
        assert!(memory.give(slow[3], 1));
        let new = memory.body(&stranger(1), 5 * MIB).unwrap();
        let left: Vec<_> = slow.iter().filter(|id| memory.is_held(**id)).collect();
        assert_eq!((left, memory.is_held(new)), (vec![&slow[3]], true), "of which something came");
        assert!(!memory.give(slow[0], 1), "it was ended");
    }

    #[test]
    fn a_body_that_comes_at_a_good_pace_makes_no_room() {
        let mut memory = Memory::new();
        let good = memory.begin(&stranger(1));
        for _ in 0..28 {
            memory.now += Duration::from_millis(500);
            assert!(memory.give(good, MIB / 4));
        }
        assert!(memory.body(&stranger(1), MIB).is_none());
        assert!(memory.is_held(good));
        memory.held.bodies.get_mut(&good).unwrap().incoming = None;
        memory.now += Duration::from_secs(60);
        assert!(memory.body(&stranger(1), MIB).is_none(), "nor does one that is there");
    }

    #[test]
    fn strangers_make_no_room_in_what_tokens_have() {
        let mut memory = Memory::new();
        let tokens: Vec<_> = (0..4).map(|n| memory.body(&token(&format!("tok_{n}")), 7 * MIB - n).unwrap()).collect();
        memory.now += Duration::from_secs(2);
        assert!(memory.body(&stranger(1), MIB).is_none());
        assert!(tokens.iter().all(|id| memory.is_held(*id)));
        assert!(memory.body(&token("tok_5"), MIB).is_some());
        assert_eq!(tokens.iter().filter(|id| memory.is_held(**id)).count(), 3);
    }

    #[test]
    fn strangers_make_room_before_tokens_do() {
        let mut memory = Memory::new();
        let one = memory.body(&token("tok_1"), 7 * MIB).unwrap();
        let strangers = [1, 2].map(|last| memory.body(&stranger(last), 7 * MIB).unwrap());
        let two = memory.body(&token("tok_2"), 6 * MIB).unwrap();
        memory.now += Duration::from_secs(2);
        assert!(memory.give(two, 1));
        assert!(memory.body(&token("tok_3"), 3 * MIB).is_some());
        assert!(memory.is_held(one) && memory.is_held(two));
        assert_eq!(strangers.iter().filter(|id| memory.is_held(**id)).count(), 1);
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let memory = BodyMemory::new(LIMITS);
        let first = memory.begin(stranger(1));
        first.try_hold(4 << 20).unwrap();
        let line = first.finish_line();
        first.try_hold(1 << 20).unwrap();
        assert_eq!(memory.bytes(), 5 * MIB);
        drop(first);
        assert_eq!(memory.bytes(), 4 * MIB);
        drop(line);
        let held = memory.lock();
        assert_eq!((held.bytes, held.stranger_bytes, held.callers.len(), held.bodies.len()), (0, 0, 0, 0));
    }
}
