//! The evidence of a record, collected into a bundle.

use super::Issuance;
use crate::authority::AuthorityError;
use crate::crypto::Sha256Digest;
use crate::evidence::{Bundle, BundleFiles, ConsistencyProof, FormEvidence, Record, instructions, record_digest};
use crate::ledger::ReadError;
use crate::pki::timestamp::TimestampToken;
use crate::tlog::TlogProof;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
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
    /// The certificate manager.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Issuance {
    /// Collects what is known of the record at `index`, with the revocation lists of today.
    ///
    /// # Errors
    /// When the record was erased, or a store cannot be read.
    pub fn collect(&self, index: u64) -> Result<Bundle, CollectError> {
        let stored = self.ledger.record(index)?;
        let (_, record) = stored.body.ok_or(CollectError::Erased)?;
        let parsed = Record::parse(&record, &self.limits).ok();
        let mut bundle = self.known_of(Some(index), parsed.as_ref())?;
        bundle.record = record;
        bundle.offered_anchors = vec![self.authority.root().der().to_vec()];
        bundle.offered_log_policy = Some(self.log_policy.bytes.clone());
        Ok(bundle)
    }

    /// What the ledger and the certificate manager add to a record that a verifier has already, at `index` or not in the
    /// ledger yet: the record, where it can be read, names what it was before it was signed again, and the certificates
    /// of which archives prove that they were there in time.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn known_of(&self, index: Option<u64>, record: Option<&Record>) -> Result<Bundle, CollectError> {
        let form = |index: Option<u64>| index.map_or_else(|| Ok(FormEvidence::default()), |index| self.form(index));
        let mut bundle = Bundle { evidence: form(index)?, ..Bundle::default() };
        for layer in record.iter().flat_map(|record| &record.layers()[1..]) {
            let earlier = form(self.ledger.index_of_record(record_digest(layer))?)?;
            bundle.earlier.push(earlier);
        }
        while bundle.earlier.pop_if(|last| last.is_empty()).is_some() {}
        bundle.consistency = self.consistency_of(&bundle, record)?;
        bundle.crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
        // Today's lists tell what was revoked since; those of its time outlive their algorithm, under an archive.
        let mut dated = Vec::new();
        for form in bundle.forms() {
            let stamped = form.checkpoint_tokens.iter().filter_map(|token| TimestampToken::parse(token).ok());
            if let Some(time) = stamped.map(|token| token.info().gen_time).min() {
                dated.extend(self.authority.first_crls_since(time)?);
            }
        }
        for list in dated {
            if !bundle.crls.contains(&list.der) {
                bundle.crls.push(list.der);
            }
        }
        let signatures = record.iter().flat_map(|record| record.layers()).flat_map(|layer| layer.signatures());
        let certificates = signatures.flat_map(|signature| &signature.header().certificates);
        let digests = |pieces: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<Sha256Digest> {
            pieces.map(|piece| Sha256Digest::of(piece)).collect()
        };
        let tokens = digests(&mut bundle.forms().flat_map(|form| &form.checkpoint_tokens));
        bundle.archives = self.ledger.archives_of(&tokens, &digests(&mut certificates.chain(&bundle.crls)))?;
        Ok(bundle)
    }

    /// That the checkpoints of our log inside a record are of the same tree as that of its proof.
    fn consistency_of(&self, bundle: &Bundle, record: Option<&Record>) -> Result<Vec<Vec<u8>>, ReadError> {
        let proof = bundle.evidence.proof.as_ref().and_then(|proof| TlogProof::parse(proof).ok());
        let (Some(proof), Some(record)) = (proof, record) else { return Ok(Vec::new()) };
        let checkpoint = proof.checkpoint().checkpoint();
        let (origin, new) = (checkpoint.origin().to_owned(), checkpoint.size());
        let mut proofs = Vec::new();
        for inside in self.verifier.checkpoints_inside(record.vcon()) {
            let old = inside.checkpoint().size();
            if inside.checkpoint().origin() == origin && old.0 > 0 && old < new {
                let hashes = self.ledger.consistency(old, new)?;
                let proof = ConsistencyProof { origin: origin.clone(), old, new, hashes };
                proofs.push(proof.to_text().into_bytes());
            }
        }
        Ok(proofs)
    }

    /// What the ledger has of the record at `index` in the form that it was put there.
    fn form(&self, index: u64) -> Result<FormEvidence, ReadError> {
        let mut form = FormEvidence { entry: Some(self.ledger.tiles().entry(index)?), ..FormEvidence::default() };
        if let Some((proof, round)) = self.ledger.proof(index)? {
            form.proof = Some(proof.to_string().into_bytes());
            form.checkpoint_tokens = round.map(|round| round.tokens).unwrap_or_default();
        }
        Ok(form)
    }

    /// The bundle of the record at `index` as files, verified under our own trust policy before it is given out.
    ///
    /// # Errors
    /// When it was erased, is not included yet, or does not verify.
    pub fn bundle_files(&self, index: u64) -> Result<BundleFiles, CollectError> {
        let mut bundle = self.collect(index)?;
        if bundle.evidence.proof.is_none() {
            return Err(CollectError::NotYetIncluded);
        }
        let now = self.clock.now();
        let report = self.verifier.verify(&bundle, now);
        if report.verdict.indication == crate::evidence::Indication::Failed {
            return Err(CollectError::Wrong(report.verdict.code()));
        }
        let chain = Record::parse(&bundle.record, &self.limits).ok();
        let chain = chain.and_then(|record| {
            record.layers()[0].signatures().first().map(|signature| signature.header().certificates.clone())
        });
        bundle.certificates = chain.unwrap_or_default();
        let mut files = BundleFiles::of(&bundle);
        files.add("report.json", report.to_json().into_bytes());
        files.add("report.html", report.to_html().into_bytes());
        files.add("VERIFY.txt", instructions(&bundle, &report).into_bytes());
        Ok(files)
    }
}
