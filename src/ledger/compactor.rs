//! The thread that compacts the index, so that no append waits for it, and looks through the keys of bodies once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::store::{BodyStore, IndexStore, Lease};

/// A thread that compacts when it is woken. Dropped, it breaks a merge off: the next start does it again.
pub(super) struct Compactor {
    // Taken when it ends.
    wake: Option<Sender<()>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    pub(super) fn start(
        index: Arc<dyn IndexStore>,
        bodies: Arc<dyn BodyStore>,
        lease: Arc<dyn Lease>,
    ) -> io::Result<Self> {
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let is_cancelled = cancelled.clone();
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || {
            let is_cancelled = || is_cancelled.load(Ordering::Relaxed);
            let mended = lease.check().map_or(0, |()| bodies.mend(&is_cancelled));
            if mended > 0 {
                tracing::warn!(keys = mended, "damaged copies of keys of bodies were written again");
            }
            while woken.recv().is_ok() {
                // It is tried again; when too much waits, the sequencer tries it, and stops.
                if let Err(error) = lease.check().and_then(|()| index.compact(&is_cancelled)) {
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
