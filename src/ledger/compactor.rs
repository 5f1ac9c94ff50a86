//! The thread that compacts the index, so that no append waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::store::{IndexStore, Lease};

/// A thread that compacts when it is woken. Dropped, it breaks a merge off: the next start does it again.
pub(super) struct Compactor {
    // Taken when it ends.
    wake: Option<Sender<()>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    pub(super) fn start(index: Arc<dyn IndexStore>, lease: Arc<dyn Lease>) -> io::Result<Self> {
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let is_cancelled = cancelled.clone();
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || {
            while woken.recv().is_ok() {
                // It is tried again; when too much waits, the sequencer tries it, and stops.
                let compacted = lease.check().and_then(|()| index.compact(&|| is_cancelled.load(Ordering::Relaxed)));
                if let Err(error) = compacted {
                    tracing::warn!(%error, "index not compacted");
                }
            }
        })?;
        Ok(Self { wake: Some(wake), cancelled, thread: Some(thread) })
    }

    pub(super) fn wake(&self) {
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
