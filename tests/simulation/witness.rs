//! A witness of the log: it has seen what it was shown, and says so when it is asked and the network lets it.

use std::sync::Arc;

use affiant::crypto::SigningKey;
use affiant::operator::health::Dependency;
use affiant::tlog::merkle::check_consistency;
use affiant::tlog::{NodeHash, NoteSignature, SignedCheckpoint, TreeSize, cosign};
use chrono::{DateTime, Utc};

/// Its name, as a standing has it.
pub(crate) fn witness() -> Dependency {
    Dependency { kind: "witness", name: "w".to_owned() }
}

pub(crate) struct Witness {
    key: Arc<SigningKey>,
    latest: Option<SignedCheckpoint>,
}

impl Witness {
    pub(crate) fn new(key: Arc<SigningKey>) -> Self {
        Self { key, latest: None }
    }

    pub(crate) fn latest(&self) -> Option<SignedCheckpoint> {
        self.latest.clone()
    }

    pub(crate) fn size(&self) -> TreeSize {
        self.latest.as_ref().map_or(TreeSize(0), |latest| latest.checkpoint().size())
    }

    /// Cosigns what continues what was seen; anything else is a fork, which must never come here.
    pub(crate) fn add_checkpoint(
        &mut self,
        old: TreeSize,
        proof: &[NodeHash],
        signed: &SignedCheckpoint,
        now: DateTime<Utc>,
    ) -> NoteSignature {
        let checkpoint = signed.checkpoint();
        if let Some(latest) = &self.latest {
            let seen = latest.checkpoint().root();
            check_consistency(old, checkpoint.size(), proof, seen, checkpoint.root()).expect("no fork is shown");
        }
        self.latest = Some(signed.clone());
        cosign(checkpoint, "witness.example/w", u64::try_from(now.timestamp()).unwrap(), &*self.key).unwrap()
    }
}
