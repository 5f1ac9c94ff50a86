//! Whether this is the newest copy of the log: a restored backup must not fork it.
//!
//! Asked are the witnesses of the configuration, those whose cosignatures are kept, and the publish target. Who has seen
//! more of the log than is here, or another tree, shows that this is an older copy. That nobody contradicts is no
//! evidence by itself: whoever is not reached may know more, a witness that is new to the log knows nothing, and a folder
//! may have been restored from the same backup. So a ledger is confirmed by those who *know* it:
//!
//! - every witness whose cosignature is kept, unless the configuration says that it is gone for good;
//! - and as many as the log policy asks for; or else all of the configuration, of which a new one may know nothing.
//!
//! A witness is asked without showing it anything that it could cosign while it knows nothing: else it would confirm
//! at the next start what it was told by the copy that it was asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::fork_evidence::evidence;
use super::health::Dependency;
use super::publish_target::PublishTarget;
use super::publishing::PublishOptions;
use super::witness_rounds::WitnessSet;
use crate::clock::Clock;
use crate::ledger::{ForkEvidence, ForkFound, LedgerReader};
use crate::tlog::{LogPolicy, SignedCheckpoint, TreeSize, VerifierKey};
use crate::witness::{WitnessClient, WitnessError};

/// Who has to know the log before it may sign.
#[derive(Clone, Debug, Default)]
pub struct ConfirmationPolicy {
    /// The log policy, with its quorum.
    pub log_policy: Option<LogPolicy>,
    /// Witnesses that are gone for good, by name and ID of their keys.
    pub gone: BTreeSet<String>,
}

/// The result of the check.
#[derive(Debug, PartialEq, Eq)]
pub enum RollbackCheck {
    /// Those who have to know the log know nothing newer than what is here, and it fits.
    Confirmed,
    /// Every witness has answered, none of them has ever seen the log, and no cosignature is kept.
    NobodyKnows,
    /// No witness is configured, and no cosignature is kept.
    NobodyToAsk,
    /// Too few of those who have to know the log have confirmed it; who is waited for, in words.
    Unconfirmed(String),
    /// Somebody has seen more than is here, or something else.
    Contradicted(Box<ForkEvidence>),
}

/// The answer of one witness.
#[derive(Debug)]
pub enum WitnessAnswer {
    /// It has cosigned what is here, as far as it has seen it.
    Knows,
    /// It has never seen the log.
    New,
    /// It says nothing that counts; why.
    Silent(String),
    /// It has seen more than is here, or another tree.
    Contradicts(Box<ForkEvidence>),
}

impl WitnessAnswer {
    /// The worth of the checkpoint that a witness says it cosigned last, or that it has never cosigned one. A cosignature of
    /// it over `kept` entries is kept here.
    #[must_use]
    pub fn of(
        ledger: &LedgerReader,
        witness: &Dependency,
        seen: Option<&SignedCheckpoint>,
        kept: Option<TreeSize>,
        at: DateTime<Utc>,
    ) -> Self {
        let Some(seen) = seen else { return new_or_lost(kept) };
        let size = seen.checkpoint().size();
        match ledger.continues(seen) {
            Err(error) => Self::Silent(format!("its checkpoint could not be compared: {error}")),
            Ok(true) => known(size, kept),
            Ok(false) => {
                let evidence = evidence(ledger, witness, size, Some(seen), ForkFound::AtStart, at);
                Self::Contradicts(Box::new(evidence))
            }
        }
    }
}

impl ConfirmationPolicy {
    /// The result of all answers, by name and ID of the witnesses' keys. `kept` are the largest checkpoints whose
    /// cosignatures are kept.
    #[must_use]
    pub fn decide(
        &self,
        kept: &BTreeMap<String, TreeSize>,
        answers: impl IntoIterator<Item = (String, WitnessAnswer)>,
    ) -> RollbackCheck {
        let Self { log_policy, gone } = self;
        let (mut knowing, mut new, mut silent) = (BTreeSet::new(), 0, BTreeMap::new());
        for (name, answer) in answers {
            match answer {
                // Whoever is gone for good may be anybody now: what the log's key has signed still counts.
                WitnessAnswer::Contradicts(evidence) if !evidence.is_proved() && gone.contains(&name) => {}
                WitnessAnswer::Contradicts(evidence) => return RollbackCheck::Contradicted(evidence),
                WitnessAnswer::Knows => drop(knowing.insert(name)),
                WitnessAnswer::New => new += 1,
                WitnessAnswer::Silent(_) if gone.contains(&name) => {}
                WitnessAnswer::Silent(reason) => drop(silent.insert(name, reason)),
            }
        }
        let not_asked = "it has cosigned this log, and is not in the configuration";
        let mut waiting: BTreeMap<&str, &str> = BTreeMap::new();
        for name in kept.keys().filter(|name| !knowing.contains(*name) && !gone.contains(*name)) {
            waiting.insert(name, silent.get(name).map_or(not_asked, String::as_str));
        }
        let is_known = |key: &VerifierKey| knowing.contains(&key.label());
        let is_quorum = !knowing.is_empty() && log_policy.as_ref().is_some_and(|policy| policy.is_quorum(is_known));
        if !is_quorum {
            waiting.extend(silent.iter().map(|(name, reason)| (name.as_str(), reason.as_str())));
        }
        match (waiting.is_empty(), knowing.len(), new) {
            (false, ..) => {
                let waiting: Vec<_> = waiting.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
                RollbackCheck::Unconfirmed(waiting.join("; "))
            }
            (true, 0, 0) => RollbackCheck::NobodyToAsk,
            (true, 0, _) => RollbackCheck::NobodyKnows,
            (true, ..) => RollbackCheck::Confirmed,
        }
    }
}

/// Checks a ledger against all who may have seen more of it, as long as it has signed nothing.
pub struct RollbackChecker {
    /// The ledger.
    pub ledger: LedgerReader,
    /// The witnesses of the configuration.
    pub witnesses: WitnessSet,
    /// Who has to know it.
    pub policy: ConfirmationPolicy,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl RollbackChecker {
    /// Asks every witness, all at the same time.
    pub async fn ask_witnesses(&self) -> RollbackCheck {
        let kept = self.ledger.cosigned();
        let answers = join_all(self.witnesses.witnesses.iter().map(|witness| async {
            let name = witness.key().label();
            let answer = self.ask(witness, kept.get(&name).copied()).await;
            if let WitnessAnswer::Silent(reason) = &answer {
                tracing::warn!(witness = name, reason, "witness does not confirm the ledger");
            }
            (name, answer)
        }));
        self.policy.decide(&kept, answers.await)
    }

    /// Asks one witness, of which a cosignature of a checkpoint of `kept` entries is kept.
    async fn ask(&self, witness: &WitnessClient, kept: Option<TreeSize>) -> WitnessAnswer {
        match witness.latest(self.ledger.log_key()).await {
            Ok(Some(seen)) => {
                WitnessAnswer::of(&self.ledger, &Dependency::witness(witness), Some(&seen), kept, self.clock.now())
            }
            // It has seen nothing, or does not show what it has seen.
            Ok(None) => self.probe(witness, kept).await,
            Err(error) => WitnessAnswer::Silent(error.to_string()),
        }
    }

    /// Asks a witness that shows nothing, by what it refuses: the newest checkpoint is shown to it as the one that it has
    /// cosigned already, which one that knows nothing does not take.
    async fn probe(&self, witness: &WitnessClient, kept: Option<TreeSize>) -> WitnessAnswer {
        // Where nothing was signed there is nothing to ask about: who has seen the log shows it, or its first round tells.
        let Some(latest) = self.ledger.latest_checkpoint() else { return new_or_lost(kept) };
        let size = latest.checkpoint().size();
        let seen = match witness.add_checkpoint(size, Vec::new(), &latest).await {
            Ok(_) => return known(size, kept),
            Err(WitnessError::Inconsistent) => return self.refuses(witness, size),
            Err(WitnessError::UnknownLog | WitnessError::Conflict { size: TreeSize(0) }) => return new_or_lost(kept),
            // Of the same size, and another one; or larger.
            Err(WitnessError::Conflict { size: seen }) if seen >= size => return self.refuses(witness, seen),
            Err(WitnessError::Conflict { size: seen }) => seen,
            Err(error) => return WitnessAnswer::Silent(error.to_string()),
        };
        let proof = match self.ledger.consistency(seen, size) {
            Ok(proof) => proof,
            Err(error) => return WitnessAnswer::Silent(format!("its checkpoint could not be compared: {error}")),
        };
        match witness.add_checkpoint(seen, proof, &latest).await {
            Ok(_) => known(seen, kept),
            Err(WitnessError::Inconsistent) => self.refuses(witness, seen),
            Err(error) => WitnessAnswer::Silent(error.to_string()),
        }
    }

    /// The witness has seen `seen` entries that are not here, and does not show them.
    fn refuses(&self, witness: &WitnessClient, seen: TreeSize) -> WitnessAnswer {
        let (dependency, now) = (Dependency::witness(witness), self.clock.now());
        WitnessAnswer::Contradicts(Box::new(evidence(&self.ledger, &dependency, seen, None, ForkFound::AtStart, now)))
    }

    /// Looks at what was published last of this log: a folder may say that this is an older copy, and no more.
    #[must_use]
    pub fn ask_publish_target(&self, options: &PublishOptions, target: Option<&PublishTarget>) -> Option<ForkEvidence> {
        let published = target?.published()?;
        let (dependency, now) = (Dependency::publish_target(&options.path()), self.clock.now());
        match WitnessAnswer::of(&self.ledger, &dependency, Some(published), None, now) {
            WitnessAnswer::Contradicts(evidence) => Some(*evidence),
            WitnessAnswer::Silent(reason) => {
                tracing::warn!(reason, folder = dependency.name, "what is published says nothing of this ledger");
                None
            }
            WitnessAnswer::Knows | WitnessAnswer::New => None,
        }
    }
}

/// A witness that has seen `seen` entries, which fit: less than what is kept of it means that it has lost its memory.
fn known(seen: TreeSize, kept: Option<TreeSize>) -> WitnessAnswer {
    match kept {
        Some(kept) if seen < kept => {
            WitnessAnswer::Silent(format!("it knows {seen} entries, and has cosigned {kept}: it has lost what it knew"))
        }
        _ => WitnessAnswer::Knows,
    }
}

fn new_or_lost(kept: Option<TreeSize>) -> WitnessAnswer {
    match kept {
        Some(kept) => WitnessAnswer::Silent(format!(
            "it knows nothing, and has cosigned {kept} entries: it has lost what it knew"
        )),
        None => WitnessAnswer::New,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};

    fn contradiction(theirs: Option<&str>) -> WitnessAnswer {
        WitnessAnswer::Contradicts(Box::new(ForkEvidence {
            kind: "witness".into(),
            name: "a".into(),
            said: "has cosigned 9 entries".into(),
            seen: TreeSize(9),
            here: TreeSize(4),
            at: DateTime::UNIX_EPOCH,
            found: ForkFound::AtStart,
            theirs: theirs.map(str::to_owned),
            ours: None,
        }))
    }

    /// The result in a word, with who is waited for.
    fn word(check: &RollbackCheck) -> String {
        match check {
            RollbackCheck::Confirmed => "confirmed".to_owned(),
            RollbackCheck::NobodyKnows => "nobody knows".to_owned(),
            RollbackCheck::NobodyToAsk => "nobody to ask".to_owned(),
            RollbackCheck::Contradicted(_) => "contradicted".to_owned(),
            RollbackCheck::Unconfirmed(waiting) => {
                let names = waiting.split("; ").map(|one| one.split(':').next().unwrap());
                format!("waits for {}", names.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn only_who_knows_the_log_confirms_it() {
        use WitnessAnswer::{Knows, New};
        let silent = || WitnessAnswer::Silent("down".into());
        type Case<'a> = (&'a [&'a str], &'a [&'a str], Vec<(&'a str, WitnessAnswer)>, &'a str);
        // Kept cosignatures; gone for good; answers; result.
        let cases: Vec<Case<'_>> = vec![
            (&["a"], &[], vec![("a", Knows)], "confirmed"),
            (&["a"], &[], vec![("a", silent()), ("b", New)], "waits for a"),
            (&["a"], &[], vec![("a", silent()), ("b", Knows)], "waits for a"),
            (&["a"], &[], vec![("a", Knows), ("b", silent())], "waits for b"),
            (&["a"], &["b"], vec![("a", Knows), ("b", silent())], "confirmed"),
            (&["a"], &["a"], vec![("a", silent()), ("b", New)], "nobody knows"),
            (&["a", "c"], &[], vec![("a", Knows), ("b", New)], "waits for c"),
            (&["a"], &[], vec![], "waits for a"),
            (&["a"], &["a"], vec![], "nobody to ask"),
            (&[], &[], vec![], "nobody to ask"),
            (&[], &[], vec![("a", New), ("b", New)], "nobody knows"),
            (&[], &[], vec![("a", silent()), ("b", New)], "waits for a"),
            (&[], &[], vec![("a", New), ("b", Knows)], "confirmed"),
            (&["a"], &[], vec![("a", contradiction(None)), ("b", Knows)], "contradicted"),
            (&["a"], &["a"], vec![("a", contradiction(None)), ("b", Knows)], "confirmed"),
            (&["a"], &["a"], vec![("a", contradiction(Some("note"))), ("b", Knows)], "contradicted"),
        ];
        for (number, (kept, gone, answers, wanted)) in cases.into_iter().enumerate() {
            let policy = ConfirmationPolicy { log_policy: None, gone: gone.iter().map(ToString::to_string).collect() };
            let kept = kept.iter().map(|name| (name.to_string(), TreeSize(4))).collect();
            let answers = answers.into_iter().map(|(name, answer)| (name.to_owned(), answer));
            assert_eq!(word(&policy.decide(&kept, answers)), wanted, "case {number}");
        }
    }

    #[test]
    fn the_quorum_of_the_log_policy_is_enough_where_no_cosignature_is_kept() {
        let keys = ["w1.example", "w2.example", "w3.example"].map(|name| {
            VerifierKey::ed25519_cosignature(name, SigningKey::generate_ed25519().0.verifying_key()).unwrap()
        });
        let log = VerifierKey::ed25519("log.example", SigningKey::generate_ed25519().0.verifying_key()).unwrap();
        let [one, two, three] = &keys;
        let text = format!(
            "log {log}\nwitness a {one}\nwitness b {two}\nwitness c {three}\ngroup enough 2 a b c\nquorum enough\n"
        );
        let log_policy = Some(LogPolicy::parse(text.as_bytes()).unwrap());
        let policy = ConfirmationPolicy { log_policy, gone: BTreeSet::new() };
        let check = |knowing: usize, kept: &[&VerifierKey]| {
            let answers = keys.iter().enumerate().map(|(at, key)| {
                let answer = if at < knowing { WitnessAnswer::Knows } else { WitnessAnswer::Silent("down".into()) };
                (key.label(), answer)
            });
            let kept = kept.iter().map(|key| (key.label(), TreeSize(4))).collect();
            matches!(policy.decide(&kept, answers), RollbackCheck::Confirmed)
        };
        assert!(check(2, &[]) && check(3, &[]) && !check(1, &[]) && !check(0, &[]));
        assert!(check(2, &[one, two]) && !check(2, &[one, three]));
    }

    #[test]
    fn a_witness_that_knows_less_than_it_has_cosigned_has_lost_it() {
        assert!(matches!(known(TreeSize(5), None), WitnessAnswer::Knows));
        assert!(matches!(known(TreeSize(5), Some(TreeSize(5))), WitnessAnswer::Knows));
        assert!(matches!(known(TreeSize(4), Some(TreeSize(5))), WitnessAnswer::Silent(_)));
        assert!(matches!(new_or_lost(Some(TreeSize(5))), WitnessAnswer::Silent(_)));
        assert!(matches!(new_or_lost(None), WitnessAnswer::New));
    }
}
