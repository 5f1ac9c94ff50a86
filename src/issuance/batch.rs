//! Batches: one vCon a line in, one result a line out, in order, in constant memory.
//!
//! A batch needs no state of its own to be resumed: the same line twice is one record, and gives the same receipt.

use std::sync::Arc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::Semaphore;

use super::Issuance;
use super::receipt::SubmissionReceipt;
use super::submit::{SubmitError, Submitter};
use crate::cpu_pool::WorkError;
use crate::ledger::{AppendError, Durability};
use crate::request_body::{BodyReadError, HeldBody, HeldMemory, IncomingBody};

/// Lines that are worked on at a time: enough to fill the sequencer's batches while cores sign.
const LINES_IN_FLIGHT: usize = 256;
/// Kibibytes of lines of all batches that are worked on at a time: some thousand calls, or two of the largest.
const KIBIBYTES_IN_FLIGHT: u32 = 64 << 10;
/// Before a line is tried again that found everybody busy: a commit's time.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// One line of a batch.
#[derive(Debug)]
pub struct BatchLine {
    /// Its number, from 1.
    pub line: u64,
    /// Its bytes without the line feed, or why it was not read.
    pub bytes: Result<Vec<u8>, LineError>,
    /// The memory that is held for it.
    pub memory: HeldMemory,
}

/// Why a line was not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum LineError {
    /// Longer than a vCon may be.
    #[error("the line is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    /// It was not read to its end.
    #[error(transparent)]
    Unread(#[from] BodyReadError),
}

/// The result of one line.
#[derive(Debug)]
pub struct BatchResult {
    /// Its number, from 1.
    pub line: u64,
    /// Its receipt, or why there is none.
    pub outcome: Result<SubmissionReceipt, BatchError>,
}

/// Why a line failed. Other lines do not fail with it.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It was not read.
    #[error(transparent)]
    Line(#[from] LineError),
    /// It was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The budget that all batches share; whoever finds nothing in it waits, in order of coming.
#[must_use]
pub fn lines_in_flight() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(KIBIBYTES_IN_FLIGHT as usize))
}

/// Issues line after line; results come in the order of the lines.
pub fn run_batch(
    issuance: Arc<Issuance>,
    submitter: Submitter,
    durability: Durability,
    lines: impl Stream<Item = BatchLine>,
) -> impl Stream<Item = BatchResult> {
    let budget = issuance.batch_budget.clone();
    let within_budget = lines.then(move |line| {
        let budget = budget.clone();
        async move {
            let bytes = line.bytes.as_ref().map_or(0, Vec::len);
            let kibibytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(KIBIBYTES_IN_FLIGHT);
            let place = budget.acquire_many_owned(kibibytes).await.expect("the budget is never closed");
            (line, place)
        }
    });
    within_budget
        .map(move |(BatchLine { line, bytes, memory }, place)| {
            // It is counted in the budget now.
            drop(memory);
            let (issuance, submitter) = (issuance.clone(), submitter.clone());
            // Spawned, so that all cores sign while the first in order is waited for.
            let task = tokio::spawn(async move {
                let outcome = match bytes {
                    Ok(bytes) => one(issuance, submitter, durability, bytes).await.map_err(BatchError::from),
                    Err(error) => Err(error.into()),
                };
                drop(place);
                outcome
            });
            async move {
                let fault = |_| Err(SubmitError::Work(WorkError::Panicked).into());
                BatchResult { line, outcome: task.await.unwrap_or_else(fault) }
            }
        })
        .buffered(LINES_IN_FLIGHT)
}

async fn one(
    issuance: Arc<Issuance>,
    submitter: Submitter,
    durability: Durability,
    bytes: Vec<u8>,
) -> Result<SubmissionReceipt, SubmitError> {
    let bytes: Arc<[u8]> = bytes.into();
    loop {
        match issuance.submit(submitter.clone(), bytes.clone(), durability).await {
            // Others are served before; a batch has time.
            Err(SubmitError::Append(AppendError::Busy) | SubmitError::Work(WorkError::Busy)) => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Cuts a body into lines of at most `bytes_max`. One that is longer, or that there is no room for, fails alone; where the
/// body itself breaks off, the line that it breaks off in is the last, and fails. Empty lines are not lines.
pub fn lines<S>(body: IncomingBody<S>, bytes_max: usize) -> impl Stream<Item = BatchLine>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let body = body.of_lines();
    let line = HeldBody::empty(body.memory());
    let cut = LineCutter { body, bytes_max, chunk: Bytes::new(), line, failure: None, number: 0, ended: false };
    stream::unfold(cut, async move |mut cut| cut.next().await.map(|line| (line, cut)))
}

/// A body that is cut into lines.
struct LineCutter<S> {
    body: IncomingBody<S>,
    bytes_max: usize,
    /// Bytes received that are in no line yet.
    chunk: Bytes,
    line: HeldBody,
    /// Why the line that is being read fails.
    failure: Option<LineError>,
    number: u64,
    ended: bool,
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> LineCutter<S> {
    async fn next(&mut self) -> Option<BatchLine> {
        loop {
            let end = self.chunk.iter().position(|byte| *byte == b'\n');
            let piece = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
            self.add(&piece).await;
            if end.is_some() || self.ended {
                self.chunk.advance(usize::from(end.is_some()));
                self.number += 1;
                let line = self.cut();
                if line.bytes.as_ref().map_or(true, |bytes| bytes.iter().any(|byte| !byte.is_ascii_whitespace())) {
                    return Some(line);
                }
                end?;
                continue;
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => {
                    self.fail(error.into());
                    self.ended = true;
                }
                None => self.ended = true,
            }
        }
    }

    async fn add(&mut self, piece: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        match self.line.push(piece, self.bytes_max).await {
            Ok(()) => {}
            Err(BodyReadError::TooLarge { .. }) => self.fail(LineError::TooLong { bytes_max: self.bytes_max }),
            Err(error) => self.fail(error.into()),
        }
    }

    /// Nothing is kept of a line that fails.
    fn fail(&mut self, error: LineError) {
        drop(self.body.memory().finish_line());
        self.line = HeldBody::empty(self.body.memory());
        self.failure = Some(error);
    }

    fn cut(&mut self) -> BatchLine {
        let memory = self.body.memory().finish_line();
        let line = std::mem::replace(&mut self.line, HeldBody::empty(self.body.memory()));
        let bytes = self.failure.take().map_or_else(|| Ok(line.into_parts().0), Err);
        BatchLine { line: self.number, bytes, memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_body::{BodyLimits, BodyMemory, Caller};

    fn memory(bytes_max: u64) -> Arc<BodyMemory> {
        let waited_max = Duration::from_secs(60);
        BodyMemory::new(BodyLimits { bytes_max, caller_bytes_max: bytes_max, bytes_per_second_min: 1, waited_max })
    }

    async fn read(chunks: Vec<Result<Bytes, PayloadError>>, bytes_max: usize, room: u64) -> Vec<BatchLine> {
        let body = IncomingBody::new(&memory(room), Caller::Token("tok_1".into()), stream::iter(chunks));
        lines(body, bytes_max).collect().await
    }

    async fn cut(chunks: &[&str], bytes_max: usize) -> Vec<(u64, Option<String>)> {
        let chunks = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk.as_bytes()))).collect();
        let lines = read(chunks, bytes_max, 1 << 20).await.into_iter();
        lines.map(|line| (line.line, line.bytes.ok().map(|bytes| String::from_utf8(bytes).unwrap()))).collect()
    }

    #[tokio::test]
    async fn lines_are_cut_wherever_the_chunks_end() {
        let expected = [(1, Some("abc".to_owned())), (3, Some("d".into())), (4, Some("ef".into()))];
        for chunks in [
            &["abc\n\nd\nef"][..],
            &["a", "bc\n", "\n", "d\ne", "f"],
            &["abc\n\nd\nef\n"],
            &["", "abc\n\nd\n", "ef\n", ""],
        ] {
            assert_eq!(cut(chunks, 3).await, expected, "{chunks:?}");
        }
        assert_eq!(cut(&["", "\n"], 3).await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_fails_alone() {
        let expected = [(1, Some("abc".to_owned())), (2, None), (3, Some("d".into()))];
        for chunks in [&["abc\ndefg\nd"][..], &["abc\nde", "f", "g", "hijk\nd\n"]] {
            assert_eq!(cut(chunks, 3).await, expected, "{chunks:?}");
        }
    }

    #[tokio::test]
    async fn the_line_in_which_a_batch_breaks_off_says_so() {
        for end in ["d\n", "d\nef", ""] {
            let chunks = vec![Ok(Bytes::from("abc\n")), Ok(Bytes::from(end)), Err(PayloadError::Incomplete(None))];
            let lines = read(chunks, 3, 1 << 20).await;
            let last = lines.last().unwrap();
            assert!(matches!(last.bytes, Err(LineError::Unread(BodyReadError::Broken))), "{end:?}");
            assert_eq!(usize::try_from(last.line).unwrap(), lines.len(), "{end:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_without_room_fails_alone() {
        let large = "x".repeat(300_000);
        let chunks = ["a\n", &large, "\nb\n", &large, "\nc"].map(|chunk| Ok(Bytes::copy_from_slice(chunk.as_bytes())));
        let lines = read(chunks.into(), 1 << 20, 256 << 10).await;
        let fates: Vec<_> = lines.iter().map(|line| (line.line, line.bytes.is_ok())).collect();
        assert_eq!(fates, [(1, true), (2, false), (3, true), (4, false), (5, true)]);
        assert!(matches!(lines[1].bytes, Err(LineError::Unread(BodyReadError::NoRoom))));
    }
}
