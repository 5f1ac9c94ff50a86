//! What a repair found and did.

use serde::Serialize;

use crate::tlog::{LeafIndex, RootHash, TreeSize};

/// What became of something that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RepairOutcome {
    /// It is whole again, or would be.
    Mended,
    /// It was taken away, or would be: it is made from the rest, or others stand for it.
    Dropped,
    /// It is left as it is: the next start deals with it.
    Left,
    /// Nothing else has it.
    Lost,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairFinding {
    /// The file, below the data directory.
    pub file: String,
    /// What is wrong, and what puts it right.
    pub what: String,
    /// The first and the last entry that it is about, where it is about entries.
    pub entries: Option<(LeafIndex, LeafIndex)>,
    /// What became of it.
    pub outcome: RepairOutcome,
}

/// What a repair found and did.
#[derive(Clone, Debug, Serialize)]
pub struct RepairReport {
    /// Entries that are there, up to the first that is lost.
    pub size: TreeSize,
    /// The root of their tree.
    #[serde(serialize_with = "as_base64")]
    pub root: RootHash,
    /// The size of the newest signed checkpoint, whose root is theirs; none where nothing was signed.
    pub signed: Option<TreeSize>,
    /// In the order in which the stores were looked at.
    pub findings: Vec<RepairFinding>,
    /// Whether anything was changed.
    pub changed: bool,
}

impl RepairReport {
    /// Whether there is something that cannot be mended.
    #[must_use]
    pub fn has_losses(&self) -> bool {
        self.findings.iter().any(|finding| finding.outcome == RepairOutcome::Lost)
    }

    /// Whether there is something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.outcome, RepairOutcome::Mended | RepairOutcome::Dropped))
    }
}

fn as_base64<S: serde::Serializer>(root: &RootHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&root.to_base64())
}
