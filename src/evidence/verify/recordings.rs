//! Recordings: the files at hand, compared with the content that the record binds.

use crate::evidence::format::{Bundle, Record, SuppliedRecording};
use crate::evidence::report::{RecordingReport, RowStatus};
use crate::vcon::{BoundContent, ContentHash};

/// Compares the files with the signed content: every hash of an item must match, and every file some item.
pub(super) fn recordings(bundle: &Bundle, record: &Record) -> Vec<RecordingReport> {
    let mut reports = Vec::new();
    let mut used = vec![false; bundle.recordings.len()];
    let mut has_unbound = false;
    for content in record.vcon().bound_contents().filter(|content| content.url.is_some()) {
        has_unbound |= content.hashes.is_empty();
        let matching = bundle.recordings.iter().zip(&mut used).filter(|(file, _)| is_of(file, &content.hashes));
        let matching: Vec<_> = matching.map(|(file, used)| (*used = true, file).1).collect();
        reports.push(report_of(&content, matching.first().copied()));
    }
    let unmatched = || bundle.recordings.iter().zip(&used).filter(|(_, used)| !**used).map(|(file, _)| file);
    if unmatched().next().is_none() {
        return reports;
    }
    // Content inside the record is signed as it is; whoever has the file too may ask whether it is that.
    let hash = |content: BoundContent<'_>| Some([ContentHash::of(&content.inline.bytes().ok()??)]);
    let inside: Vec<_> = record.vcon().bound_contents().filter_map(hash).collect();
    for file in unmatched() {
        let (answer, reason) = if inside.iter().any(|hash| is_of(file, hash)) {
            (RowStatus::Yes, format!("{:?} is what the record has inside", file.name))
        } else if has_unbound {
            let why = "no fingerprint was signed of some content elsewhere, and it may be that";
            (RowStatus::NotChecked, format!("{:?} matches no fingerprint: {why}", file.name))
        } else {
            (RowStatus::No, format!("{:?} is not a recording that was signed", file.name))
        };
        let comparable = answer != RowStatus::NotChecked;
        reports.push(RecordingReport { dialog: None, file: Some(file.name.clone()), answer, reason, comparable });
    }
    reports
}

fn is_of(file: &SuppliedRecording, hashes: &[ContentHash]) -> bool {
    let mut results = hashes.iter().filter_map(|hash| hash.matches_digests(&file.digests)).peekable();
    results.peek().is_some() && results.all(|matches| matches)
}

fn report_of(content: &BoundContent<'_>, file: Option<&SuppliedRecording>) -> RecordingReport {
    let (answer, reason) = match file {
        Some(_) => (RowStatus::Yes, "the recording is the one that was signed"),
        None if content.hashes.is_empty() => {
            (RowStatus::NotChecked, "no content hash of a known algorithm is signed: it can never be compared")
        }
        None => (RowStatus::NotChecked, "the recording was not supplied"),
    };
    let (list, index) = (content.list.trim_end_matches('s'), content.index);
    let list = if content.list == "analysis" { content.list } else { list };
    RecordingReport {
        dialog: (content.list == "dialog").then_some(index),
        file: file.map(|file| file.name.clone()),
        answer,
        reason: format!("{list} {index}: {reason}"),
        comparable: !content.hashes.is_empty(),
    }
}
