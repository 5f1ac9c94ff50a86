//! The thread that compacts the index and mends it, so that no append waits for it, and looks through the keys of bodies once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::upkeep::{compact, mend};
use crate::ledger::core::LedgerInner;

/// Between two looks whether the index is damaged: whoever reads finds that, and wakes nobody.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts at mending it, at most; after each that fails it is twice as long.
const MEND_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// A thread that compacts when it is woken. Dropped, it breaks off what it does: the next start does it again.
pub(in crate::ledger) struct Compactor {
    // Taken when it ends.
    wake: Option<Sender<()>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    pub(in crate::ledger) fn start(inner: Arc<LedgerInner>) -> io::Result<Self> {
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let is_cancelled = cancelled.clone();
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || {
            let is_cancelled = || is_cancelled.load(Ordering::Relaxed);
            let mut mending = Mending { wait: LOOK_INTERVAL, last: None };
            mending.try_it(&inner, &is_cancelled);
            let mended = inner.lease.check().map_or(0, |()| inner.bodies.mend(&is_cancelled));
            if mended > 0 {
                tracing::warn!(keys = mended, "damaged copies of keys of bodies were written again");
            }
            loop {
                match woken.recv_timeout(LOOK_INTERVAL) {
                    // It is tried again; when too much waits, the sequencer tries it.
                    Ok(()) => {
                        if let Err(error) = compact(&inner, &is_cancelled) {
                            tracing::warn!(%error, "index not compacted");
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                mending.try_it(&inner, &is_cancelled);
            }
        })?;
        Ok(Self { wake: Some(wake), cancelled, thread: Some(thread) })
    }

    pub(in crate::ledger) fn wake(&self) {
        // One that is awake looks again before it sleeps.
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(self.wake.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Attempts at mending the index.
struct Mending {
    wait: Duration,
    last: Option<Instant>,
}

impl Mending {
    fn try_it(&mut self, inner: &LedgerInner, cancelled: &dyn Fn() -> bool) {
        let is_early = self.last.is_some_and(|last| last.elapsed() < self.wait);
        if is_early || inner.index.store().damage().is_none() {
            return;
        }
        match mend(inner, cancelled) {
            Ok(()) => *self = Self { wait: LOOK_INTERVAL, last: None },
            Err(error) => {
                tracing::error!(%error, "a damaged index is not made again; it is tried once more");
                *self = Self { wait: (2 * self.wait).min(MEND_INTERVAL_MAX), last: Some(Instant::now()) };
            }
        }
    }
}
