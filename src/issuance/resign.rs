//! Re-signing: a record is signed again, all of it, with its issuer's present key (draft §5.2).

use std::sync::Arc;

use super::Issuance;
use super::receipt::SubmissionReceipt;
use super::submit::{PreparedSubmission, SubmitError};
use crate::crypto::Sha256Digest;
use crate::evidence::format::RecordEvent;
use crate::evidence::{Bundle, Event, Indication, Record};
use crate::jose::NewSignature;
use crate::ledger::{AppendError, Durability};
use crate::tlog::{EntryCount, LeafIndex};

impl Issuance {
    /// Signs the record at `index` again, all of it, with the key that its issuer signs with now (draft §5.2, "Long Term
    /// Archiving of Signed vCons"). What is signed with that key already is as it should be: its receipt is given. However
    /// little the caller waits for, the new record is under a checkpoint.
    ///
    /// # Errors
    /// When it was erased, would not pass any more, or the ledger does not take it.
    pub async fn resign(
        self: &Arc<Self>,
        index: LeafIndex,
        durability: Durability,
    ) -> Result<SubmissionReceipt, SubmitError> {
        // Each signature is another record: between looking and appending nobody else signs, even when whoever asked goes
        // away.
        let held = self.ledger.one_at_a_time().await;
        let issuance = Arc::clone(self);
        let appended = tokio::spawn(async move {
            let _one_at_a_time = held;
            let signing = Arc::clone(&issuance);
            let prepared = issuance.cpu_pool.run(move || signing.prepare_resign(index)).await??;
            issuance.commit(prepared, Durability::Included).await
        });
        let mut receipt = appended.await.map_err(|_| AppendError::Stopped)??;
        if durability == Durability::Witnessed {
            self.await_witnesses(&mut receipt).await?;
        }
        Ok(receipt)
    }

    fn prepare_resign(&self, index: LeafIndex) -> Result<PreparedSubmission, SubmitError> {
        let now = self.clock.now();
        let stored = self.ledger.record(index)?;
        let (metadata, old) = stored.body.ok_or(SubmitError::Erased)?;
        let known = stored.entry.event.record().expect("an entry with a body is of a record");
        let issuer = known.issuer.parse().expect("a record's issuer is one of ours");
        let credential = self.authority.signer(&issuer)?;
        let signer = Sha256Digest(*credential.certificate.thumbprint());
        if known.signer == Some(signer) {
            return Ok(PreparedSubmission::Duplicate(index));
        }
        if let Some(again) = self.ledger.renewal_of(known.record, signer)? {
            return Ok(PreparedSubmission::Duplicate(again));
        }
        let (chain, uuid) = (&credential.chain_der, metadata.uuid);
        let renewed = NewSignature { signer: &*credential.signer, chain, issued_at: now, uuid: &uuid }.sign(&old)?;
        let parsed = Record::parse(&renewed, &self.limits);
        // What was signed before is judged by when it was there: its certificate may have ended since.
        let bundle = Bundle { record: renewed.clone(), ..self.evidence_for(None, parsed.as_ref().ok())? };
        let report = self.verifier.verify_parsed(&bundle, &parsed, now);
        match report.verdict.indication {
            Indication::Passed => {}
            Indication::Indeterminate => return Err(SubmitError::TooLate(report.verdict.code())),
            Indication::Failed => return Err(SubmitError::OwnRecordWrong(Box::new(report))),
        }
        let record = report.record.expect("a report on a record that passed names it");
        let (issuer, of) = (known.issuer.clone(), Some(known.record));
        let event = RecordEvent { issuer: issuer.clone(), seq: EntryCount(0), record, signer: Some(signer), of };
        let submitted = Sha256Digest::of(&renewed);
        Ok(self.prepared(Event::VconRenewed(event), record, &renewed, &issuer, uuid, submitted, &report, None))
    }
}
