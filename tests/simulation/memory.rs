//! The stores in memory, which fail as a seed decides: each call may fail having done nothing or all of it, and the process
//! may be killed at any of them.

use std::sync::{Arc, Mutex, MutexGuard};

use affiant::crypto::SealingKey;
use affiant::ledger::store::memory::{Content, Derived, Fault, MemoryBackend};

use crate::chance::Chance;

#[derive(Clone, Debug)]
pub(crate) struct SimulatedMemory {
    pub(crate) backend: MemoryBackend,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    alive: bool,
    full: bool,
    // Calls until the process is killed.
    left: Option<u64>,
    // Of so many calls one fails; never when 0.
    fails_one_in: u64,
    failures: u64,
    calls: u64,
    trace: bool,
}

impl State {
    fn enter(&mut self, method: &'static str) -> Fault {
        if !self.alive {
            return Fault::NotDone;
        }
        self.calls += 1;
        if self.trace {
            eprintln!("    {method}");
        }
        let may_be_full = matches!(method, "bodies.put" | "log.commit");
        if let Some(left) = &mut self.left {
            if *left == 0 {
                self.alive = false;
                return self.failing();
            }
            *left -= 1;
        }
        if self.full && may_be_full {
            return Fault::Full;
        }
        if self.fails_one_in > 0 && self.chance.one_in(self.fails_one_in) {
            self.failures += 1;
            if may_be_full && self.chance.one_in(2) {
                return Fault::Full;
            }
            return self.failing();
        }
        Fault::None
    }

    fn failing(&mut self) -> Fault {
        let fault = if self.chance.one_in(2) { Fault::Done } else { Fault::NotDone };
        if self.trace {
            eprintln!("    fails there: {fault:?}");
        }
        fault
    }
}

impl SimulatedMemory {
    pub(crate) fn new(chance: &mut Chance, vault_key: Arc<SealingKey>, trace: bool) -> Self {
        let state = Arc::new(Mutex::new(State {
            chance: chance.fork(),
            alive: true,
            full: false,
            left: None,
            fails_one_in: 0,
            failures: 0,
            calls: 0,
            trace,
        }));
        let backend = MemoryBackend::new(vault_key);
        let faults = state.clone();
        backend.set_faults(Box::new(move |method| faults.lock().unwrap().enter(method)));
        Self { backend, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn kill_after(&self, left: u64) {
        self.state().left = Some(left);
    }

    pub(crate) fn fail_one_in(&self, times: u64) {
        self.state().fails_one_in = times;
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state().full
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(crate) fn failures(&self) -> u64 {
        self.state().failures
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.state().alive
    }

    /// Another process begins, with what is durable.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.alive = true;
        state.left = None;
    }

    /// Loses what is derived.
    pub(crate) fn lose(&self, derived: Derived) {
        self.backend.lose(derived);
    }

    pub(crate) fn restore(&self, backup: Content) -> Content {
        let before = self.backend.restore(backup);
        self.restart();
        before
    }
}
