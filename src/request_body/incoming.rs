//! A body as it comes, at a least pace.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use super::BodyReadError;
use super::caller::Caller;
use super::memory::{BodyMemory, HeldMemory};

/// A body that is being read. What its reader keeps of it, it takes from [`IncomingBody::memory`].
#[derive(Debug)]
pub struct IncomingBody<S> {
    chunks: S,
    memory: HeldMemory,
    may_rest: bool,
    /// Until when the sender is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<S> IncomingBody<S> {
    /// The body that `chunks` are of, counted as one of `caller`'s in `memory`.
    pub fn new(memory: &Arc<BodyMemory>, caller: Caller, chunks: S) -> Self {
        Self { chunks, memory: memory.begin(caller), may_rest: false, patience: None, ended: false }
    }

    /// The same, of lines that need not follow each other at once.
    #[must_use]
    pub fn of_lines(self) -> Self {
        Self { may_rest: true, ..self }
    }

    /// The memory that is held for it.
    pub fn memory(&self) -> HeldMemory {
        self.memory.clone()
    }

    fn end(&mut self, error: BodyReadError) -> Poll<Option<Result<Bytes, BodyReadError>>> {
        self.ended = true;
        self.memory.fail(error);
        Poll::Ready(Some(Err(error)))
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for IncomingBody<S> {
    type Item = Result<Bytes, BodyReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.memory.wake_when_stopped(context);
        if self.memory.is_stopped() {
            return self.end(BodyReadError::NoRoom);
        }
        match Pin::new(&mut self.chunks).poll_next(context) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.patience = None;
                self.memory.came(chunk.len());
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(_))) => self.end(BodyReadError::Broken),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.patience.is_none() {
                    self.patience = Some(Box::pin(sleep(self.memory.wait(self.may_rest))));
                }
                match self.patience.as_mut().map(|patience| patience.as_mut().poll(context)) {
                    Some(Poll::Ready(())) => self.end(BodyReadError::TooSlow),
                    _ => Poll::Pending,
                }
            }
        }
    }
}
