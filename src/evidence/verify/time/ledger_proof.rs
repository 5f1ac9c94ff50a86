//! The ledger proof of one layer: whether its entry is in a log that the trust policy knows (c2sp.org/tlog-proof).

use std::sync::Arc;

use crate::crypto::Sha256Digest;
use crate::evidence::format::{Entry, Event, LayerEvidence, LedgerLookup};
use crate::evidence::report::{Contradiction, LedgerReport, LedgerStatus, REASON_MAX, truncate};
use crate::evidence::verify::input::Input;
use crate::evidence::verify::time::cosignatures::{expired_algorithm, trusted_quorum};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{CosignedCheckpoint, LogPolicy, TlogProof, VerifiedCosignature, VerifierKey};

/// One layer of a record: its digest, that of the layer inside, and its evidence.
pub(crate) struct Layer<'a> {
    pub(crate) digest: Sha256Digest,
    pub(crate) inside: Option<Sha256Digest>,
    pub(crate) evidence: &'a LayerEvidence,
    pub(crate) lookup: LedgerLookup,
}

/// The ledger report of a layer, its proofs where they lead to their checkpoints, and who cosigned those.
pub(crate) struct LedgerProof {
    pub(crate) report: LedgerReport,
    pub(crate) proof: Option<TlogProof>,
    pub(crate) cosigned: Option<Arc<Result<CosignedCheckpoint, String>>>,
    pub(crate) second: Option<TlogProof>,
    pub(crate) second_cosigned: Option<Arc<Result<CosignedCheckpoint, String>>>,
}

impl LedgerProof {
    /// Validates the proof of `layer`.
    pub(crate) fn of(input: &Input<'_>, layer: &Layer<'_>) -> Self {
        let mut report = LedgerReport::unavailable("no proof was given");
        if layer.lookup == LedgerLookup::NotFound {
            report.status = LedgerStatus::NotIncluded;
            "the ledger that was asked does not have this record".clone_into(&mut report.reason);
            return Self::without_proof(report);
        }
        let (Some(entry), Some(proof)) = (&layer.evidence.entry, &layer.evidence.proof) else {
            return Self::without_proof(report);
        };
        let included = check_inclusion(layer, entry, proof, &mut report);
        let checked = included.and_then(|proof| {
            let second = layer.evidence.second_proof.as_ref();
            let second = second.map(|second| check_second(entry, second, &proof)).transpose()?;
            Ok((proof, second))
        });
        match checked {
            Ok((proof, second)) => {
                let policy = input.policy.log_policy.as_ref();
                let second_cosigned = policy.zip(second.as_ref());
                let second_cosigned =
                    second_cosigned.map(|(policy, second)| input.verifier.cosigned(policy, second.checkpoint()));
                Self { second, second_cosigned, ..Self::under_checkpoint(input, report, proof) }
            }
            Err(reason) => {
                report.status = LedgerStatus::Inconsistent;
                report.contradiction = Some(Contradiction::OtherRecord);
                report.reason = truncate(reason, REASON_MAX);
                Self::without_proof(report)
            }
        }
    }

    fn without_proof(report: LedgerReport) -> Self {
        Self { report, proof: None, cosigned: None, second: None, second_cosigned: None }
    }

    /// Whether the checkpoint that the proof leads to counts under the log policy.
    fn under_checkpoint(input: &Input<'_>, mut report: LedgerReport, proof: TlogProof) -> Self {
        let Some(policy) = &input.policy.log_policy else {
            "the proof is right, but the trust policy knows no log".clone_into(&mut report.reason);
            return Self { proof: Some(proof), ..Self::without_proof(report) };
        };
        let cosigned = input.verifier.cosigned(policy, proof.checkpoint());
        match &*cosigned {
            Err(error) => {
                report.reason = format!("the proof leads to a checkpoint that does not count: {error}");
                Self { proof: Some(proof), ..Self::without_proof(report) }
            }
            Ok(found) => {
                report_included(input, policy, &proof, found, &mut report);
                Self { proof: Some(proof), cosigned: Some(cosigned), ..Self::without_proof(report) }
            }
        }
    }

    /// The cosignatures of the checkpoints, where they count.
    pub(crate) fn cosignatures(&self) -> impl Iterator<Item = &VerifiedCosignature> {
        let counted = [&self.cosigned, &self.second_cosigned].into_iter().flatten();
        counted.filter_map(|cosigned| cosigned.as_ref().as_ref().ok()).flat_map(CosignedCheckpoint::cosignatures)
    }
}

/// Checks that the entry is of the layer, and leads to the root of the proof's checkpoint; fills in what they say.
fn check_inclusion(
    layer: &Layer<'_>,
    entry: &[u8],
    proof: &[u8],
    report: &mut LedgerReport,
) -> Result<TlogProof, String> {
    let proof = TlogProof::parse(proof).map_err(|error| error.to_string())?;
    let parsed = Entry::parse(entry).map_err(|error| error.to_string())?;
    let checkpoint = proof.checkpoint().checkpoint();
    report.origin = Some(checkpoint.origin().to_owned());
    report.index = Some(parsed.index.0);
    report.size = Some(checkpoint.size().0);
    report.entry_time = Some(parsed.time);
    if parsed.index != proof.index() {
        return Err("entry and proof are of different places".into());
    }
    if parsed.event.record().is_none_or(|event| event.record != layer.digest) {
        return Err("the entry is of another record".into());
    }
    if matches!(&parsed.event, Event::VconRenewed(event) if event.of != layer.inside) {
        return Err("the entry says that another record was signed again".into());
    }
    proof.check_inclusion(leaf_hash(entry)).map_err(|error| error.to_string())?;
    Ok(proof)
}

/// Checks that the entry of the proof leads to the root of the second proof's checkpoint too, which is the same log's.
fn check_second(entry: &[u8], second: &[u8], proof: &TlogProof) -> Result<TlogProof, String> {
    let second = TlogProof::parse(second).map_err(|error| format!("the second proof: {error}"))?;
    let origin = |proof: &TlogProof| proof.checkpoint().checkpoint().origin().to_owned();
    if second.index() != proof.index() || origin(&second) != origin(proof) {
        return Err("the second proof is of another place, or of another log".into());
    }
    let wrong = |error| format!("the second proof: {error}");
    second.check_inclusion(leaf_hash(entry)).map_err(wrong)?;
    Ok(second)
}

fn report_included(
    input: &Input<'_>,
    policy: &LogPolicy,
    proof: &TlogProof,
    found: &CosignedCheckpoint,
    report: &mut LedgerReport,
) {
    let expired = |key: &VerifierKey| expired_algorithm(input.policy, key, input.now);
    let keys = || found.cosignatures().iter().map(|one| one.witness.key());
    report.status = LedgerStatus::Included;
    report.witnesses = keys().map(|key| key.name().to_owned()).collect();
    let first_expired = keys().find_map(expired);
    let quorum = match first_expired {
        None => found.quorum(),
        Some(_) => trusted_quorum(policy, proof.checkpoint(), |key| expired(key).is_none()),
    };
    report.quorum = policy.asks_for_witnesses().then_some(quorum);
    report.reason = match (report.quorum, first_expired) {
        (Some(false), Some(expired)) => {
            truncate(format!("in the log, but its cosignatures count no more: {expired}"), REASON_MAX)
        }
        (Some(false), None) => "in the log, but not yet cosigned by enough witnesses".into(),
        _ => {
            let size = proof.checkpoint().checkpoint().size();
            format!("entry {} of the log, under its checkpoint of {size}", proof.index().0)
        }
    };
}
