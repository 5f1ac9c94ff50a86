//! Recordings: the files at hand, compared with the content hashes that were signed.

use crate::evidence::format::{Bundle, Record};
use crate::evidence::report::{RecordingReport, RowStatus};
use crate::vcon::Content;

/// Compares the files with the signed hashes: every hash of a dialog must match, and every file some dialog.
pub(super) fn recordings(bundle: &Bundle, record: &Record) -> Vec<RecordingReport> {
    let mut reports = Vec::new();
    let mut used = vec![false; bundle.recordings.len()];
    let mut unmatched = Vec::new();
    for (index, dialog) in record.vcon().dialogs().enumerate() {
        if !matches!(dialog.content(), Content::External { .. }) {
            continue;
        }
        let hashes: Vec<_> = dialog.content_hashes().into_iter().filter_map(Result::ok).collect();
        let report = |file: Option<&str>, answer, reason: &str| RecordingReport {
            dialog: Some(index),
            file: file.map(str::to_owned),
            answer,
            reason: format!("dialog {index}: {reason}"),
        };
        if hashes.is_empty() {
            reports.push(report(None, RowStatus::NotChecked, "no content hash of a known algorithm is signed"));
            continue;
        }
        let matching = bundle.recordings.iter().position(|recording| {
            let results: Vec<_> = hashes.iter().filter_map(|hash| hash.matches_digests(&recording.digests)).collect();
            !results.is_empty() && results.into_iter().all(|matches| matches)
        });
        match matching {
            Some(position) => {
                used[position] = true;
                let name = &bundle.recordings[position].name;
                reports.push(report(Some(name), RowStatus::Yes, "the recording is the one that was signed"));
            }
            None => {
                unmatched.push(reports.len());
                reports.push(report(None, RowStatus::NotChecked, "the recording was not supplied"));
            }
        }
    }
    for (recording, _) in bundle.recordings.iter().zip(&used).filter(|(_, used)| !**used) {
        reports.push(RecordingReport {
            dialog: None,
            file: Some(recording.name.clone()),
            answer: RowStatus::No,
            reason: format!("{:?} is not a recording that was signed", recording.name),
        });
    }
    reports
}
