//! Verification of a record or bundle from outside, with the evidence of our own ledger.

use super::Issuance;
use super::evidence_for::EvidenceError;
use crate::authority::AuthorityError;
use crate::evidence::{
    Bundle, BundleError, BundleFiles, LayerEvidence, LedgerLookup, Record, SuppliedRecording, ValidationReport,
    ledger_checkpoints,
};
use crate::ledger::ReadError;
use crate::tlog::TlogProof;

/// Why nothing was verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not an evidence bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authority's revocation lists cannot be read.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The evidence of the record cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl Issuance {
    /// Verifies a signed vCon or an evidence bundle under our own trust policy, with what our ledger knows of the record,
    /// and gives the report and the evidence that it is about. Blocks for disk and processor.
    ///
    /// # Errors
    /// When `bytes` begin as a bundle and are none, or a store cannot be read. What does not verify is a report.
    pub fn verify_with_ledger(
        &self,
        bytes: Vec<u8>,
        recordings: Vec<SuppliedRecording>,
    ) -> Result<(ValidationReport, Bundle), VerifyError> {
        let mut bundle = if bytes.starts_with(b"PK") {
            BundleFiles::from_zip(&bytes)?.to_bundle()?
        } else {
            Bundle::of_record(bytes)
        };
        bundle.recordings = recordings;
        let record = Record::parse(&bundle.record, &self.limits);
        if let Ok(record) = &record {
            self.add_own_evidence(&mut bundle, record)?;
        }
        Ok((self.verifier.verify_parsed(&bundle, &record, self.clock.now()), bundle))
    }

    /// Adds to `bundle` what our ledger and authority know of its `record`.
    fn add_own_evidence(&self, bundle: &mut Bundle, record: &Record) -> Result<(), VerifyError> {
        // Before anything of it is replaced: the proof that was sent may be what shows a fork.
        if self.is_of_another_tree(bundle, record)? {
            bundle.ledger_lookup = LedgerLookup::Fork;
        }
        let Some(index) = self.ledger.index_of_record(record.digest())? else {
            if bundle.evidence.proof.is_none() {
                bundle.ledger_lookup = LedgerLookup::NotFound;
            }
            bundle.local_crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
            return Ok(());
        };
        let known = self.evidence_for(Some(index), Some(record))?;
        // An old bundle lacks what was renewed since; tokens go with the checkpoint of the proof.
        let is_newer = known.archives.len() > bundle.archives.len();
        if bundle.ledger_lookup == LedgerLookup::NotAsked && (bundle.evidence.proof.is_none() || is_newer) {
            replace(&mut bundle.evidence, known.evidence);
            bundle.consistency = known.consistency;
            bundle.archives = known.archives;
        }
        for (position, form) in known.inner_layers.into_iter().enumerate() {
            match bundle.inner_layers.get_mut(position) {
                Some(sent) if sent.proof.is_some() && !is_newer => {}
                Some(sent) => replace(sent, form),
                None => bundle.inner_layers.push(form),
            }
        }
        bundle.local_crls = known.crls;
        Ok(())
    }

    /// Whether a proof, or a checkpoint inside the record, is signed with our log's key and is not of our tree.
    fn is_of_another_tree(&self, bundle: &Bundle, record: &Record) -> Result<bool, ReadError> {
        let Some(log) = self.log_policy.policy.logs().first() else { return Ok(false) };
        let proofs = bundle.layers().filter_map(|form| TlogProof::parse(form.proof.as_ref()?).ok());
        let proofs = proofs.map(|proof| proof.checkpoint().clone());
        for signed in proofs.chain(ledger_checkpoints(record.vcon())) {
            if signed.check_log(log.key()).is_err() {
                continue;
            }
            let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
            if size > self.ledger.size() || self.ledger.root(size)? != root {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes the ledger's own word for one form of the record; tokens over the record itself stay.
fn replace(sent: &mut LayerEvidence, known: LayerEvidence) {
    if known.proof.is_some() {
        let record_tokens = std::mem::take(&mut sent.record_tokens);
        *sent = LayerEvidence { record_tokens, ..known };
    }
}
