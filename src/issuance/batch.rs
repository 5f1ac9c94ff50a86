//! Batches: one vCon a line in, one result a line out, in order, in constant memory.
//!
//! A batch needs no state of its own to be resumed: the same line twice is one record, and gives the same receipt.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::Semaphore;

use super::Issuance;
use super::receipt::SubmissionReceipt;
use super::submit::{SubmitError, Submitter};
use crate::cpu_pool::WorkError;
use crate::ledger::{AppendError, Durability};

/// Lines that are worked on at a time: enough to fill the sequencer's batches while cores sign.
const LINES_IN_FLIGHT: usize = 256;
/// Kibibytes of lines that are worked on at a time: some thousand calls, or two of the largest.
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
}

/// Why a line was not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum LineError {
    /// Longer than a vCon may be.
    #[error("the line is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
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

/// Issues line after line; results come in the order of the lines.
pub fn run_batch(
    issuance: Arc<Issuance>,
    submitter: Submitter,
    durability: Durability,
    lines: impl Stream<Item = BatchLine>,
) -> impl Stream<Item = BatchResult> {
    let budget = Arc::new(Semaphore::new(KIBIBYTES_IN_FLIGHT as usize));
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
        .map(move |(BatchLine { line, bytes }, place)| {
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

/// Cuts a stream of bytes into lines of at most `bytes_max`; a longer one is skipped and said to be too long. Empty
/// lines are not lines.
pub fn lines<E>(
    bytes: impl Stream<Item = Result<impl AsRef<[u8]>, E>>,
    bytes_max: usize,
) -> impl Stream<Item = Result<BatchLine, E>> {
    struct Cut<S> {
        bytes: S,
        chunk: Vec<u8>,
        at: usize,
        line: Vec<u8>,
        too_long: bool,
        number: u64,
        ended: bool,
    }
    let cut = Cut {
        bytes: Box::pin(bytes),
        chunk: Vec::new(),
        at: 0,
        line: Vec::new(),
        too_long: false,
        number: 0,
        ended: false,
    };
    stream::try_unfold(cut, move |mut cut| async move {
        loop {
            let rest = &cut.chunk[cut.at..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let piece = &rest[..end.unwrap_or(rest.len())];
            if cut.line.len() + piece.len() > bytes_max {
                cut.too_long = true;
                cut.line.clear();
            } else if !cut.too_long {
                cut.line.extend_from_slice(piece);
            }
            cut.at += piece.len() + usize::from(end.is_some());
            if end.is_some() || cut.ended {
                let line = std::mem::take(&mut cut.line);
                let too_long = std::mem::take(&mut cut.too_long);
                cut.number += 1;
                if too_long || line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    let bytes = if too_long { Err(LineError::TooLong { bytes_max }) } else { Ok(line) };
                    return Ok(Some((BatchLine { line: cut.number, bytes }, cut)));
                }
                if end.is_none() {
                    return Ok(None);
                }
                continue;
            }
            match cut.bytes.next().await {
                Some(chunk) => {
                    cut.chunk = chunk?.as_ref().to_vec();
                    cut.at = 0;
                }
                None => {
                    cut.ended = true;
                    cut.chunk.clear();
                    cut.at = 0;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut(chunks: &[&str], bytes_max: usize) -> Vec<(u64, Option<String>)> {
        let bytes = stream::iter(chunks.iter().map(|chunk| Ok::<_, ()>(chunk.as_bytes().to_vec())));
        let lines: Vec<_> = lines(bytes, bytes_max).collect().await;
        lines
            .into_iter()
            .map(|line| line.unwrap())
            .map(|line| (line.line, line.bytes.ok().map(|bytes| String::from_utf8(bytes).unwrap())))
            .collect()
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
}
