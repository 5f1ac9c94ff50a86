//! A pool of processor threads: one for each core, behind a bounded queue.
//!
//! Signing and verifying are all processor. More threads than cores would only take turns, and a queue without an end
//! would only grow: when it is full, the caller is told, and tells whoever asked.

use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

/// Pieces of work that wait for each core: about a second of signing.
const QUEUE_PER_CORE: usize = 2048;

/// Why a piece of work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// The queue is full.
    #[error("the queue of the processor threads is full")]
    Busy,
    /// The work panicked: a fault of ours, logged where it happened.
    #[error("internal error; see the log")]
    Panicked,
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads. Dropped, they end when the queue is empty.
#[derive(Debug)]
pub struct CpuPool {
    queue: Sender<Work>,
}

impl CpuPool {
    /// Starts a thread for each core.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let cores = thread::available_parallelism()?.get();
        let (queue, work) = bounded::<Work>(QUEUE_PER_CORE * cores);
        for core in 0..cores {
            let work: Receiver<Work> = work.clone();
            thread::Builder::new().name(format!("worker-{core}")).spawn(move || {
                for piece in work {
                    // A piece that panics answers by its dropped channel; the thread goes on with the next.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(piece));
                }
            })?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on one of the threads.
    ///
    /// # Errors
    /// When too much is waiting, or the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, WorkError> {
        let (sender, result) = oneshot::channel();
        let span = tracing::Span::current();
        let piece: Work = Box::new(move || {
            // Whoever asked may have gone away.
            let _ = sender.send(span.in_scope(work));
        });
        self.queue.try_send(piece).map_err(|error| match error {
            TrySendError::Full(_) => WorkError::Busy,
            TrySendError::Disconnected(_) => WorkError::Panicked,
        })?;
        result.await.map_err(|_| WorkError::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_that_panics_takes_nothing_with_it() {
        let workers = CpuPool::start().unwrap();
        for _ in 0..10 {
            assert_eq!(workers.run(|| -> u8 { panic!("on purpose") }).await, Err(WorkError::Panicked));
        }
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let workers = CpuPool::start().unwrap();
        let (release, wait) = bounded::<()>(0);
        let cores = thread::available_parallelism().unwrap().get();
        let mut waiting = Vec::new();
        for _ in 0..(QUEUE_PER_CORE + 1) * cores {
            let wait = wait.clone();
            waiting.push(workers.run(move || wait.recv().is_err()));
        }
        let all = futures_util::future::join_all(waiting);
        let (results, ()) = tokio::join!(all, async { drop(release) });
        assert!(results.iter().all(|result| matches!(result, Ok(true) | Err(WorkError::Busy))));
        assert!(results.iter().filter(|result| result.is_ok()).count() >= QUEUE_PER_CORE * cores);
    }
}
