//! The findings of a monitor.

use serde::Serialize;

use crate::ledger::AuditError;
use crate::tlog::SignedCheckpoint;

/// A kind of finding, as alerts and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The log signed two trees of which neither continues the other.
    Fork,
    /// It serves a smaller tree than it has signed.
    Rollback,
    /// It signed a tree in which an issuer's count has a gap.
    Gap,
    /// It signed a tree in which an entry does not follow the one before it, or is none.
    Chain,
    /// Its first entry does not name the log that it is to go on from.
    Predecessor,
    /// The served tree does not have the signed root.
    Damaged,
    /// The served checkpoint is not signed by the log.
    Unsigned,
    /// A witness has seen more than the log serves.
    Withheld,
    /// It has not grown for too long.
    Stale,
    /// Its newest entry is of later than now.
    Clock,
    /// It does not answer.
    Unreachable,
}

impl FindingKind {
    /// All of them, the gravest first.
    pub const ALL: [Self; 11] = [
        Self::Fork,
        Self::Rollback,
        Self::Gap,
        Self::Chain,
        Self::Predecessor,
        Self::Damaged,
        Self::Unsigned,
        Self::Withheld,
        Self::Stale,
        Self::Clock,
        Self::Unreachable,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Rollback => "rollback",
            Self::Gap => "gap",
            Self::Chain => "chain",
            Self::Predecessor => "predecessor",
            Self::Damaged => "damaged",
            Self::Unsigned => "unsigned",
            Self::Withheld => "withheld",
            Self::Stale => "stale",
            Self::Clock => "clock",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the log cannot make it good: it is in what it has signed.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::Fork | Self::Rollback | Self::Gap | Self::Chain | Self::Predecessor)
    }
}

/// Something wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MonitorFinding {
    /// Its kind.
    pub kind: FindingKind,
    /// The witness by which it was found; `None` for what the log itself has shown.
    pub witness: Option<String>,
    /// The observation, for people.
    pub detail: String,
    /// The signed checkpoints that show it.
    pub evidence: Vec<String>,
}

impl MonitorFinding {
    pub(super) fn new(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { kind, witness: None, detail: detail.into(), evidence: Vec::new() }
    }

    pub(super) fn of(self, witness: &str) -> Self {
        Self { witness: Some(witness.to_owned()), ..self }
    }

    pub(super) fn shown_by(mut self, checkpoints: &[&SignedCheckpoint]) -> Self {
        self.evidence = checkpoints.iter().map(|signed| signed.note().to_string()).collect();
        self
    }
}

impl From<AuditError> for MonitorFinding {
    fn from(error: AuditError) -> Self {
        let kind = match error {
            AuditError::Unreachable { .. } | AuditError::NoCheckpoint | AuditError::Store(_) => {
                FindingKind::Unreachable
            }
            AuditError::Checkpoint(_) => FindingKind::Unsigned,
            _ => FindingKind::Damaged,
        };
        Self::new(kind, error.to_string())
    }
}
