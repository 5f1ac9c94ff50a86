//! The evidence of a record, assembled into a bundle.

use super::Issuance;
use super::evidence_for::EvidenceError;
use crate::evidence::{Bundle, BundleFiles, Indication, Record, ValidationReport, instructions};
use crate::ledger::ReadError;
use crate::tlog::LeafIndex;
use crate::vcon::VconLimits;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The record was erased.
    #[error("the body of the record was erased")]
    Erased,
    /// No checkpoint covers the record yet.
    #[error("no signed checkpoint covers the record yet")]
    NotYetIncluded,
    /// The bundle does not verify under our own trust policy: it is not handed out.
    #[error("the bundle does not verify: {0}")]
    Wrong(String),
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// An evidence bundle that verifies under our own trust policy.
#[derive(Debug)]
pub struct AssembledBundle {
    /// The uuid of the vCon.
    pub uuid: String,
    /// The evidence.
    pub bundle: Bundle,
    /// The report on it, as of now.
    pub report: ValidationReport,
}

impl AssembledBundle {
    /// The bundle as files, the report among them.
    #[must_use]
    pub fn to_files(&self) -> BundleFiles {
        let mut files = BundleFiles::of(&self.bundle);
        files.add("report.json", self.report.to_json().into_bytes());
        files.add("report.html", self.report.to_html().into_bytes());
        files.add("VERIFY.txt", instructions(&self.bundle, &self.report).into_bytes());
        files
    }
}

impl Issuance {
    /// Assembles the evidence bundle of the record at `index`, verified under our own trust policy before it is given out.
    /// The body is read and decrypted once, and parsed once.
    ///
    /// # Errors
    /// When the record was erased, is not included yet, or does not verify; when a store cannot be read.
    pub fn assemble_bundle(&self, index: LeafIndex) -> Result<AssembledBundle, AssembleError> {
        let stored = self.ledger.record(index)?;
        let (metadata, body) = stored.body.ok_or(AssembleError::Erased)?;
        let record = Record::parse(&body, &self.stored_limits(&body));
        let mut bundle = self.evidence_for(Some(index), record.as_ref().ok())?;
        if bundle.evidence.proof.is_none() {
            return Err(AssembleError::NotYetIncluded);
        }
        bundle.record = body;
        bundle.offered_anchors = vec![self.authority.root().der().to_vec()];
        bundle.offered_log_policy = Some(self.log_policy.bytes.clone());
        let report = self.verifier.verify_parsed(&bundle, &record, self.clock.now());
        if record.is_err() || report.verdict.indication == Indication::Failed {
            return Err(AssembleError::Wrong(report.verdict.code()));
        }
        let signature = record.as_ref().ok().and_then(|record| record.layers()[0].signatures().first());
        bundle.certificates = signature.map(|signature| signature.header().certificates.clone()).unwrap_or_default();
        if let Ok(record) = &record {
            bundle.jades = self.jades_of_bundle(index, record, &bundle)?;
        }
        Ok(AssembledBundle { uuid: metadata.uuid, bundle, report })
    }

    /// The limits of a record that the ledger has: it was admitted under those of its time.
    pub(super) fn stored_limits(&self, body: &[u8]) -> VconLimits {
        let mut limits = VconLimits::default();
        limits.json.bytes_max = limits.json.bytes_max.max(self.limits.json.bytes_max).max(body.len());
        limits
    }
}
