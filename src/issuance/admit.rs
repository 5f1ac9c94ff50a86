//! Admitting: a record that was signed elsewhere is verified.

use super::Issuance;
use super::richer_form::OfferedProperties;
use super::submit::{PreparedSubmission, SubmitError, Submitter, uuid_of};
use crate::crypto::Sha256Digest;
use crate::evidence::format::RecordEvent;
use crate::evidence::{Event, Indication, Record, RecordError, record_digest};
use crate::tlog::EntryCount;

impl Issuance {
    pub(super) fn admit(
        &self,
        submitter: &Submitter,
        bytes: &[u8],
        record: &Result<Record, RecordError>,
        submitted: Sha256Digest,
    ) -> Result<PreparedSubmission, SubmitError> {
        let report = self.verdict_on(bytes, record, self.clock.now())?;
        // What is not read is not stored either, whether or not it is wrong.
        let (Ok(parsed), Indication::Passed | Indication::Indeterminate) = (record, report.verdict.indication) else {
            return Err(SubmitError::TotalFailed(Box::new(report)));
        };
        let uuid = uuid_of(parsed.vcon())?;
        let issuer = submitter.issuer.as_str();
        // Who is only named signed nothing: a certificate counts by a signature that verifies under it.
        let verified = report.signatures.iter().filter(|signature| signature.verifies());
        let signers: Vec<Sha256Digest> =
            verified.filter_map(|signature| signature.signer.as_ref()?.thumbprint.parse().ok()).collect();
        let mut own = None;
        for signer in &signers {
            if own.is_none() && self.authority.issuer_of(&signer.to_string())?.as_ref() == Some(&submitter.issuer) {
                own = Some(signer);
            }
        }
        let signer = own.or(signers.first()).copied();
        let registered = own.is_some();
        if !registered && !submitter.may_anchor_foreign {
            return Err(SubmitError::ForeignRecord);
        }
        let record = parsed.digest();
        let before = self.renewed(issuer, parsed)?;
        let of = before.map_or_else(|| self.amended(issuer, parsed.vcon()), |before| Ok(Some(before)))?;
        let event = RecordEvent { issuer: issuer.to_owned(), seq: EntryCount(0), record, signer, of };
        let event = if before.is_some() { Event::VconRenewed(event) } else { Event::VconAnchored(event) };
        Ok(self.prepared(event, record, bytes, issuer, uuid, submitted, &report, OfferedProperties::of(parsed)))
    }

    /// The record that `record` holds as a whole and signs again, if this issuer has it.
    fn renewed(&self, issuer: &str, record: &Record) -> Result<Option<Sha256Digest>, SubmitError> {
        let Some(before) = record.layers().get(1).map(record_digest) else { return Ok(None) };
        let Some(index) = self.ledger.index_of_record(before)? else { return Ok(None) };
        let stored = self.ledger.record(index)?;
        if stored.entry.event.issuer_sequence().is_none_or(|(owner, _)| owner != issuer) {
            return Ok(None);
        }
        // What was erased does not come back inside of something else.
        stored.body.ok_or(SubmitError::Erased)?;
        Ok(Some(before))
    }
}
