//! The thread that writes the index down, so that no append waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::index::Index;

/// See the module. Dropped, it leaves a merge where it is: the next start does it again.
pub(super) struct Tidier {
    // Taken when it ends.
    wake: Option<Sender<()>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tidier {
    pub(super) fn start(index: Index) -> io::Result<Self> {
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let ends = Arc::new(AtomicBool::new(false));
        let has_ended = ends.clone();
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || {
            while woken.recv().is_ok() {
                // It is tried again; when too much waits, the sequencer tries it, and stops.
                if let Err(error) = index.tidy(&|| !has_ended.load(Ordering::Relaxed)) {
                    tracing::warn!(%error, "the index could not be written");
                }
            }
        })?;
        Ok(Self { wake: Some(wake), ends, thread: Some(thread) })
    }

    pub(super) fn wake(&self) {
        // One that is awake looks again before it sleeps.
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Tidier {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(self.wake.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}
