//! The witnesses of the log: each has seen what it was shown, and says so when it is asked and the network lets it. One may
//! be new to the log, lag behind, or lose what it knew.

use std::collections::BTreeSet;
use std::sync::Arc;

use affiant::crypto::{Signer as _, SigningKey};
use affiant::ledger::LedgerReader;
use affiant::operator::health::Dependency;
use affiant::operator::rollback_check::{ConfirmationPolicy, RollbackCheck, WitnessAnswer};
use affiant::tlog::merkle::check_consistency;
use affiant::tlog::{NodeHash, NoteSignature, SignedCheckpoint, TreeSize, VerifierKey, cosign};
use chrono::{DateTime, Utc};

use crate::chance::Chance;

pub(crate) struct Witness {
    key: Arc<SigningKey>,
    name: String,
    latest: Option<SignedCheckpoint>,
}

impl Witness {
    fn label(&self) -> String {
        VerifierKey::ed25519_cosignature(&self.name, self.key.verifying_key()).unwrap().label()
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
        cosign(checkpoint, &self.name, u64::try_from(now.timestamp()).unwrap(), &*self.key).unwrap()
    }
}

/// All witnesses of the log, and what its operator says of them.
pub(crate) struct Witnesses {
    pub(crate) members: Vec<Witness>,
    policy: ConfirmationPolicy,
}

impl Witnesses {
    pub(crate) fn new(key: &Arc<SigningKey>) -> Self {
        let witness = |n| Witness { key: key.clone(), name: format!("witness.example/{n}"), latest: None };
        Self { members: (0..3).map(witness).collect(), policy: ConfirmationPolicy::default() }
    }

    /// The largest tree that one of them has seen and still knows.
    pub(crate) fn size(&self) -> TreeSize {
        self.members.iter().map(Witness::size).max().unwrap_or_default()
    }

    /// One of them loses what it knew, and the operator says so sooner or later.
    pub(crate) fn lose_one(&mut self, chance: &mut Chance) {
        let at = chance.index(self.members.len());
        let lost = &mut self.members[at];
        lost.latest = None;
        if chance.one_in(2) {
            self.policy.gone.insert(lost.label());
        }
    }

    /// The operator says of all who know nothing, and have cosigned before, that they are gone.
    pub(crate) fn give_up_lost(&mut self) {
        let lost = self.members.iter().filter(|one| one.latest.is_none());
        self.policy.gone.extend(lost.map(Witness::label).collect::<BTreeSet<_>>());
    }

    /// Of those who know the log none is gone.
    pub(crate) fn find_again(&mut self) {
        for known in self.members.iter().filter(|one| one.latest.is_some()) {
            self.policy.gone.remove(&known.label());
        }
    }

    /// Asks those who `answer`.
    pub(crate) fn check(
        &self,
        ledger: &LedgerReader,
        now: DateTime<Utc>,
        mut answer: impl FnMut(&Witness) -> bool,
    ) -> RollbackCheck {
        let kept = ledger.cosigned();
        let answers = self.members.iter().map(|witness| {
            let label = witness.label();
            let dependency = Dependency { kind: "witness", name: label.clone() };
            let kept = kept.get(&label).copied();
            let said = match answer(witness) {
                true => WitnessAnswer::of(ledger, &dependency, witness.latest.as_ref(), kept, now),
                false => WitnessAnswer::Silent("it does not answer".to_owned()),
            };
            (label, said)
        });
        self.policy.decide(&kept, answers.collect::<Vec<_>>())
    }
}
