//! The stores in memory, which fail as a seed decides: each call may fail having done nothing or all of it, and the process
//! may be killed at any of them.

use std::sync::{Arc, Mutex};

use affiant::crypto::SealingKey;
use affiant::ledger::store::memory::{Content, Derived, Fault, MemoryBackend};

use crate::chance::Chance;
use crate::faults::{Fate, Faults};

#[derive(Clone, Debug)]
pub(crate) struct SimulatedMemory {
    pub(crate) backend: MemoryBackend,
    faults: Arc<Mutex<Faults>>,
}

/// What has no error to give: a process may end there, and that is all.
const INFALLIBLE: &str = "bodies.settle";

fn fault(faults: &mut Faults, method: &'static str) -> Fault {
    if !faults.alive {
        return Fault::NotDone;
    }
    let may_be_full = matches!(method, "bodies.put" | "log.commit");
    let fault = match faults.decide(|| method.to_owned()) {
        Fate::Done if faults.full && may_be_full => return Fault::Full,
        Fate::Done => return Fault::None,
        Fate::Fails if method == INFALLIBLE => return Fault::None,
        Fate::Fails if may_be_full && faults.chance.one_in(2) => Fault::Full,
        Fate::Fails | Fate::Killed if faults.chance.one_in(2) => Fault::Done,
        Fate::Fails | Fate::Killed => Fault::NotDone,
    };
    faults.say(|| format!("fails there: {fault:?}"));
    fault
}

impl SimulatedMemory {
    pub(crate) fn new(chance: &mut Chance, vault_key: Arc<SealingKey>, trace: bool) -> Self {
        let faults = Arc::new(Mutex::new(Faults::new(chance, trace)));
        let backend = MemoryBackend::new(vault_key);
        let deciding = faults.clone();
        backend.set_faults(Box::new(move |method| fault(&mut deciding.lock().unwrap(), method)));
        Self { backend, faults }
    }

    pub(crate) fn with_faults<T>(&self, take: impl FnOnce(&mut Faults) -> T) -> T {
        take(&mut self.faults.lock().unwrap())
    }

    /// Another process begins, with what is durable.
    pub(crate) fn restart(&self) {
        self.with_faults(Faults::revive);
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
