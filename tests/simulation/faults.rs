//! Faults: a seed and a history decide which calls on a store fail, and when the process is killed.

use super::chance::Chance;

#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) chance: Chance,
    pub(crate) alive: bool,
    pub(crate) full: bool,
    // Calls until the process is killed.
    left: Option<u64>,
    // Of so many calls one fails; never when 0.
    fails_one_in: u64,
    pub(crate) failures: u64,
    pub(crate) calls: u64,
    pub(crate) trace: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Fails,
    /// The process is killed at it.
    Killed,
}

impl Faults {
    pub(crate) fn new(chance: &mut Chance, trace: bool) -> Self {
        Self {
            chance: chance.fork(),
            alive: true,
            full: false,
            left: None,
            fails_one_in: 0,
            failures: 0,
            calls: 0,
            trace,
        }
    }

    /// Decides what becomes of the next call, of a process that is alive.
    pub(crate) fn decide(&mut self, call: impl FnOnce() -> String) -> Fate {
        self.calls += 1;
        self.say(call);
        if let Some(left) = &mut self.left {
            if *left == 0 {
                self.alive = false;
                self.say(|| "killed there".into());
                return Fate::Killed;
            }
            *left -= 1;
        }
        if self.fails_one_in > 0 && self.chance.one_in(self.fails_one_in) {
            self.failures += 1;
            return Fate::Fails;
        }
        Fate::Done
    }

    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("    {}", text());
        }
    }

    /// The process is killed at the call that comes after `left` others.
    pub(crate) fn kill_after(&mut self, left: u64) {
        self.left = Some(left);
    }

    /// Of `times` calls one fails; none, when 0.
    pub(crate) fn fail_one_in(&mut self, times: u64) {
        self.fails_one_in = times;
    }

    /// Another process begins.
    pub(crate) fn revive(&mut self) {
        self.alive = true;
        self.left = None;
    }
}
