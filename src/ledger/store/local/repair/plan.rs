//! What a walk shows to be damaged, and what will be done about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::report::{RepairFinding, RepairOutcome};
use super::walk::{Step, Walked};
use crate::evidence::format::{Entry, Event};
use crate::tlog::{LeafIndex, RightEdge, SignedCheckpoint, VerifierKey};

/// See the module.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) findings: Vec<RepairFinding>,
    /// Segments of the journal that have to be written anew.
    pub(super) damaged: BTreeSet<u64>,
    /// The newest checkpoint is not signed by the key that the first entry names.
    pub(super) is_forged: bool,
    /// The snapshot is of another tree.
    pub(super) is_other_snapshot: bool,
    signed: Option<SignedCheckpoint>,
    snapshot: Option<RightEdge>,
    // Since the last whole frame.
    gaps: Vec<(u64, u64, u64)>,
    missing: Vec<u64>,
    filled: Option<(LeafIndex, LeafIndex, u64)>,
}

impl Plan {
    /// Beside what the stores hold: the newest checkpoint, and the right edge of the snapshot.
    pub(super) fn new(signed: Option<SignedCheckpoint>, snapshot: Option<RightEdge>) -> Self {
        Self { signed, snapshot, ..Self::default() }
    }

    pub(super) fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Entry { bytes, edge, into, .. } => {
                let at = LeafIndex(edge.size().0 - 1);
                if at == LeafIndex(0) {
                    self.check_key(bytes);
                }
                if self.snapshot.as_ref().is_some_and(|snapshot| snapshot.size() == edge.size() && snapshot != *edge) {
                    self.is_other_snapshot = true;
                }
                if let Some(into) = into {
                    let first = self.filled.map_or(at, |(first, ..)| first);
                    self.filled = Some((first, at, *into));
                }
            }
            Step::Gap { segment, at, bytes } => self.gaps.push((*segment, *at, *bytes)),
            Step::Missing { segment } => self.missing.push(*segment),
            Step::Frame { .. } => self.settle(),
        }
    }

    fn check_key(&mut self, first: &[u8]) {
        let Ok(Entry { event: Event::LedgerOpened { keys, .. }, .. }) = Entry::parse(first) else { return };
        let key = keys.first().and_then(|key| key.parse::<VerifierKey>().ok());
        self.is_forged = match (&self.signed, key) {
            (Some(signed), Some(key)) => signed.check_log(&key).is_err(),
            _ => false,
        };
        if self.is_forged {
            let what = "the newest checkpoint is not signed by the key that the first entry names".to_owned();
            self.find("evidence", what, None, RepairOutcome::Lost);
        }
    }

    /// A whole frame follows: what lies before it is damaged.
    fn settle(&mut self) {
        let (gaps, missing) = (std::mem::take(&mut self.gaps), std::mem::take(&mut self.missing));
        let filled = self.filled.take();
        self.damaged.extend(gaps.iter().map(|(segment, ..)| *segment).chain(missing.iter().copied()));
        for (segment, at, bytes) in &gaps {
            let what = format!("{bytes} bytes at byte {at} are no frame");
            self.find(&file(*segment), what, None, RepairOutcome::Mended);
        }
        for segment in missing {
            self.find(&file(segment), "it is missing".to_owned(), None, RepairOutcome::Mended);
        }
        if let Some((first, last, into)) = filled {
            self.damaged.insert(into);
            let what = "the entries are whole elsewhere".to_owned();
            self.find(&file(into), what, Some((first, last)), RepairOutcome::Mended);
        }
    }

    /// Nothing follows: a gap of which no entry is known is a commit that was never finished.
    pub(super) fn finish(&mut self, walked: &Walked) {
        let is_torn = self.filled.is_none() && walked.lost.is_empty() && walked.contradiction.is_none();
        if is_torn {
            self.missing.clear();
            for (segment, at, bytes) in std::mem::take(&mut self.gaps) {
                let what =
                    format!("{bytes} bytes at byte {at} are of no entry that is known; the next start cuts them off");
                self.find(&file(segment), what, None, RepairOutcome::Left);
            }
        }
        self.settle();
        for entries in &walked.lost {
            let what = "nothing whole is left of them anywhere; nothing is changed".to_owned();
            self.find("ledger", what, Some(*entries), RepairOutcome::Lost);
        }
        if let Some((at, why)) = walked.contradiction {
            self.find("ledger", format!("{why}; nothing is changed"), Some((at, at)), RepairOutcome::Lost);
        }
    }

    pub(super) fn tiles(&mut self, damaged: &BTreeSet<PathBuf>, data: &Path) {
        for path in damaged {
            let name = path.strip_prefix(data).unwrap_or(path).display().to_string();
            let what = "it is not what the entries make".to_owned();
            self.find(&name, what, None, RepairOutcome::Mended);
        }
    }

    fn find(&mut self, file: &str, what: String, entries: Option<(LeafIndex, LeafIndex)>, outcome: RepairOutcome) {
        self.findings.push(RepairFinding { file: file.to_owned(), what, entries, outcome });
    }
}

fn file(segment: u64) -> String {
    format!("ledger/{segment:016}.seg")
}

/// A derived file that is taken away.
pub(super) fn dropped(file: &str, what: &str) -> RepairFinding {
    RepairFinding { file: file.to_owned(), what: what.to_owned(), entries: None, outcome: RepairOutcome::Dropped }
}
