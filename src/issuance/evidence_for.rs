//! The evidence that our own stores have of a record.

use std::collections::BTreeSet;

use chrono::DateTime;

use super::Issuance;
use crate::authority::AuthorityError;
use crate::crypto::Sha256Digest;
use crate::evidence::{Bundle, ConsistencyProof, LayerEvidence, Record, ledger_checkpoints, record_digest};
use crate::ledger::ReadError;
use crate::pki::tsp::TimestampToken;
use crate::tlog::{LeafIndex, TlogProof};

/// Why the evidence of a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Issuance {
    /// The evidence that the ledger and the authority add to a record, which is at `index` or not in the ledger yet. The
    /// record, where it can be read, names its earlier forms, and the certificates
    /// of which archives prove that they were there in time.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub(super) fn evidence_for(
        &self,
        index: Option<LeafIndex>,
        record: Option<&Record>,
    ) -> Result<Bundle, EvidenceError> {
        let form =
            |index: Option<LeafIndex>| index.map_or_else(|| Ok(LayerEvidence::default()), |index| self.form(index));
        let mut bundle = Bundle { evidence: form(index)?, ..Bundle::default() };
        for layer in record.iter().flat_map(|record| &record.layers()[1..]) {
            let earlier = form(self.ledger.index_of_record(record_digest(layer))?)?;
            bundle.inner_layers.push(earlier);
        }
        while bundle.inner_layers.pop_if(|last| last.is_empty()).is_some() {}
        bundle.consistency = self.consistency_of(&bundle, record)?;
        bundle.crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
        bundle.crls.extend(self.timestamp_lists());
        // Today's lists tell what was revoked since; those of its time outlive their algorithm, under an archive.
        let mut dated = Vec::new();
        for form in bundle.layers() {
            let stamped = form.tokens_of_checkpoints().filter_map(|token| TimestampToken::parse(token).ok());
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
        let signature_tokens =
            index.map(|index| self.ledger.signature_evidence(index)).transpose()?.unwrap_or_default();
        bundle.ocsp_responses = self.statuses_of(&bundle, &signature_tokens.tokens, certificates.clone());
        let digests = |pieces: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<Sha256Digest> {
            pieces.map(|piece| Sha256Digest::of(piece)).collect()
        };
        let tokens = digests(&mut bundle.layers().flat_map(LayerEvidence::tokens_of_checkpoints));
        bundle.archives = self.ledger.archives_of(&tokens, &digests(&mut certificates.chain(&bundle.crls)))?;
        Ok(bundle)
    }

    /// The status of each of our certificates from after all times that the evidence states: with it, a bundle is complete
    /// at once, and need not wait for the next lists.
    fn statuses_of<'a>(
        &self,
        bundle: &Bundle,
        signature_tokens: &[Vec<u8>],
        certificates: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let stamped = bundle.layers().flat_map(LayerEvidence::tokens_of_checkpoints).chain(signature_tokens);
        let stamped = stamped.filter_map(|token| TimestampToken::parse(token).ok());
        let stamped = stamped.map(|token| token.info().gen_time + token.info().accuracy.unwrap_or_default());
        let policy = self.verifier.policy().log_policy.as_ref();
        let proofs = bundle.layers().flat_map(LayerEvidence::proofs);
        let cosigned = proofs.filter_map(|proof| policy?.cosigned(proof.checkpoint()).ok());
        let cosigned = cosigned.flat_map(|found| found.cosignatures().iter().map(|one| one.time).collect::<Vec<_>>());
        let cosigned = cosigned.filter_map(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0));
        let since = stamped.chain(cosigned).max().unwrap_or(DateTime::UNIX_EPOCH);
        let mut responses = Vec::new();
        for der in certificates {
            match self.authority.status_since(&Sha256Digest::of(der).to_string(), since) {
                Ok(status) => {
                    responses.extend(status.map(|status| status.der.clone()).filter(|der| !responses.contains(der)));
                }
                // The bundle has the lists: without a status it is complete later.
                Err(error) => tracing::warn!(%error, "a status for a bundle could not be signed"),
            }
        }
        responses
    }

    /// That the other checkpoints of our log at hand, those inside the record and those of all proofs, are of the same tree as
    /// that of its proof.
    fn consistency_of(&self, bundle: &Bundle, record: Option<&Record>) -> Result<Vec<Vec<u8>>, ReadError> {
        let proof = bundle.evidence.proof.as_ref().and_then(|proof| TlogProof::parse(proof).ok());
        let (Some(proof), Some(record)) = (proof, record) else { return Ok(Vec::new()) };
        let checkpoint = proof.checkpoint().checkpoint();
        let (origin, size) = (checkpoint.origin().to_owned(), checkpoint.size());
        let of_proofs = bundle.layers().flat_map(LayerEvidence::proofs).map(|proof| proof.checkpoint().clone());
        let others = ledger_checkpoints(record.vcon()).chain(of_proofs);
        let others =
            others.filter(|other| other.checkpoint().origin() == origin).map(|other| other.checkpoint().size());
        let others: BTreeSet<_> = others.filter(|other| other.0 > 0 && *other != size).collect();
        let mut proofs = Vec::new();
        for other in others {
            let (old, new) = (size.min(other), size.max(other));
            let hashes = self.ledger.consistency(old, new)?;
            let proof = ConsistencyProof { origin: origin.clone(), old, new, hashes };
            proofs.push(proof.to_text().into_bytes());
        }
        Ok(proofs)
    }

    /// The ledger's evidence of the record at `index`, in the form in which it was appended.
    fn form(&self, index: LeafIndex) -> Result<LayerEvidence, ReadError> {
        let mut form = LayerEvidence { entry: Some(self.ledger.tiles().entry(index)?), ..LayerEvidence::default() };
        let Some((proof, round)) = self.ledger.proof(index)? else { return Ok(form) };
        form.proof = Some(proof.to_string().into_bytes());
        let Some(first) = round else { return Ok(form) };
        if let Some((proof, second)) = self.ledger.second_proof(index, &first)? {
            form.second_proof = Some(proof.to_string().into_bytes());
            form.second_tokens = second.tokens;
        }
        form.checkpoint_tokens = first.tokens;
        Ok(form)
    }
}
