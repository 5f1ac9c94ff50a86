//! The witnesses of the log: each has seen what it was shown, and says so when it is asked and the network lets it. One may
//! be new to the log, lag behind, or lose what it knew.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use affiant::crypto::{Signer as _, SigningKey};
use affiant::ledger::LedgerReader;
use affiant::operator::health::Dependency;
use affiant::operator::rollback_check::{ConfirmationPolicy, RollbackCheck, WitnessAnswer};
use affiant::tlog::merkle::check_consistency;
use affiant::tlog::{LogPolicy, NodeHash, NoteSignature, SignedCheckpoint, TreeSize, VerifierKey, cosign};
use chrono::{DateTime, Utc};

use crate::chance::Chance;

/// Witnesses that are enough, where the log policy asks for any.
pub(crate) const QUORUM: usize = 2;

pub(crate) struct Witness {
    key: Arc<SigningKey>,
    name: String,
    latest: Option<SignedCheckpoint>,
}

impl Witness {
    fn verifier_key(&self) -> VerifierKey {
        VerifierKey::ed25519_cosignature(&self.name, self.key.verifying_key()).unwrap()
    }

    fn label(&self) -> String {
        self.verifier_key().label()
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
    pub(crate) fn new() -> Self {
        static KEYS: OnceLock<[Arc<SigningKey>; 3]> = OnceLock::new();
        let keys = KEYS.get_or_init(|| std::array::from_fn(|_| Arc::new(SigningKey::generate_ed25519().0)));
        let witness = |(n, key): (usize, &Arc<SigningKey>)| Witness {
            key: key.clone(),
            name: format!("witness.example/{n}"),
            latest: None,
        };
        Self { members: keys.iter().enumerate().map(witness).collect(), policy: ConfirmationPolicy::default() }
    }

    /// The policy of the log with this key that asks for [`QUORUM`] of them.
    pub(crate) fn log_policy(&self, log_key: &VerifierKey) -> LogPolicy {
        let named = self.members.iter().map(|one| format!("witness {} {}\n", one.name, one.verifier_key()));
        let names: Vec<_> = self.members.iter().map(|one| one.name.as_str()).collect();
        let text = format!(
            "log {log_key}\n{}group enough {QUORUM} {}\nquorum enough\n",
            named.collect::<String>(),
            names.join(" ")
        );
        LogPolicy::parse(text.as_bytes()).unwrap()
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
