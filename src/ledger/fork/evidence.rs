//! The evidence that a log has forked, or that a copy of it is not the newest.
//!
//! Two checkpoints that the log's key has signed, of which one does not continue the other, convince anybody; a bare refusal
//! convinces nobody, and is an accusation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::tlog::{SignedCheckpoint, TreeSize, VerifierKey};

/// When it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForkFound {
    /// Before a start: this copy has signed nothing beside what is contradicted.
    AtStart,
    /// In a running server, which may have signed a second tree.
    WhileRunning,
}

/// Somebody's contradiction of this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkEvidence {
    /// Who contradicts: `witness` or `publish-target`.
    pub kind: String,
    /// Its name: of a witness, name and ID of its key.
    pub name: String,
    /// What it said.
    pub said: String,
    /// Entries of the log that it has seen; 0 when it does not say.
    pub seen: TreeSize,
    /// Entries that were here.
    pub here: TreeSize,
    /// When it was found, by the server's clock.
    pub at: DateTime<Utc>,
    /// At a start, or later.
    pub found: ForkFound,
    /// The checkpoint that it has, signed by the log's key, as a note; `None` when it shows none.
    pub theirs: Option<String>,
    /// The newest checkpoint that was signed here, as a note.
    pub ours: Option<String>,
}

impl ForkEvidence {
    /// Whether it convinces somebody else: a checkpoint of the log's own key is in it.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.theirs.is_some()
    }

    /// What was kept. Evidence that this release cannot read counts as an accusation by somebody unknown.
    pub(in crate::ledger) fn read(bytes: &[u8], log: &VerifierKey) -> Self {
        let unread = |_| Self {
            kind: "unknown".into(),
            name: String::new(),
            said: "has left evidence that this release cannot read".into(),
            seen: TreeSize(0),
            here: TreeSize(0),
            at: DateTime::UNIX_EPOCH,
            found: ForkFound::WhileRunning,
            theirs: None,
            ours: None,
        };
        let mut kept: Self = serde_json::from_slice(bytes).unwrap_or_else(unread);
        kept.theirs = kept.theirs.filter(|note| SignedCheckpoint::open(note.as_bytes(), log).is_ok());
        kept
    }

    /// Whether it is from the same, about the same.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.kind, &self.name, self.seen, &self.theirs) == (&other.kind, &other.name, other.seen, &other.theirs)
    }
}

impl std::fmt::Display for ForkEvidence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} {}", self.kind, self.name, self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::tlog::{Checkpoint, RootHash};

    #[test]
    fn what_is_kept_counts_whatever_became_of_it_and_proves_only_what_the_log_signed() {
        let (log, other) = (SigningKey::generate_ed25519().0, SigningKey::generate_ed25519().0);
        let key = VerifierKey::ed25519("log.example/1", log.verifying_key()).unwrap();
        let note = |signer: &SigningKey| {
            let checkpoint = Checkpoint::new("log.example/1", TreeSize(9), RootHash::new([7; 32])).unwrap();
            checkpoint.sign(signer).unwrap().to_string()
        };
        let kept = |theirs: Option<String>| ForkEvidence {
            kind: "witness".into(),
            name: "witness.example+01234567".into(),
            said: "has cosigned 9 entries".into(),
            seen: TreeSize(9),
            here: TreeSize(4),
            at: DateTime::UNIX_EPOCH,
            found: ForkFound::WhileRunning,
            theirs,
            ours: None,
        };
        let read = |evidence: &ForkEvidence| ForkEvidence::read(&serde_json::to_vec(evidence).unwrap(), &key);
        let proved = kept(Some(note(&log)));
        assert_eq!(read(&proved), proved);
        assert_eq!(read(&kept(Some(note(&other)))), kept(None), "another's signature proves nothing");
        assert_eq!(read(&kept(Some("no note".into()))), kept(None));

        let bytes = serde_json::to_vec(&proved).unwrap();
        for cut in 0..bytes.len() {
            let damaged = ForkEvidence::read(&bytes[..cut], &key);
            assert!(!damaged.is_proved() && damaged.name.is_empty() && damaged.found == ForkFound::WhileRunning);
        }
    }
}
