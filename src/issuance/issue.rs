//! Issuing: an unsigned vCon is scored and signed.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Issuance;
use super::submit::{PreparedSubmission, SubmitError, Submitter, uuid_of};
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::format::RecordEvent;
use crate::evidence::{Event, Indication, Record};
use crate::jose::NewSignature;
use crate::ledger::ReadError;
use crate::tlog::EntryCount;
use crate::vcon::{SYNTAX, Vcon};

impl Issuance {
    pub(super) fn issue(
        &self,
        submitter: &Submitter,
        mut vcon: Vcon,
        submitted: Sha256Digest,
    ) -> Result<PreparedSubmission, SubmitError> {
        let now = self.clock.now();
        vcon.check_critical()?;
        let uuid = uuid_of(&vcon)?;
        let issuer = submitter.issuer.as_str();
        let results: Vec<_> = self
            .scorecards
            .iter()
            .filter(|card| card.covers(&vcon, issuer, now))
            .map(|card| card.evaluate(&vcon))
            .collect();
        if results.is_empty() {
            return Err(SubmitError::NotCovered);
        }
        let dialogs = vcon.dialogs().len();
        for result in results {
            vcon.add_analysis(result.to_analysis(dialogs));
        }
        if let Some(attachment) = self.ledger_checkpoint(now)? {
            vcon.add_attachment(attachment);
        }
        vcon.set_syntax(SYNTAX);
        vcon.set_updated_at(&format_time(now));
        let credential = self.authority.signer(&submitter.issuer)?;
        let record_bytes =
            NewSignature { signer: &*credential.signer, chain: &credential.chain_der, issued_at: now, uuid: &uuid }
                .sign(&vcon.to_bytes())?;
        // Pair assertion: what is appended is what anybody can read, the bytes and not what they were made from.
        let report = self.verdict_on(&record_bytes, &Record::parse(&record_bytes, &self.limits), now)?;
        if report.verdict.indication != Indication::Passed {
            return Err(SubmitError::OwnRecordWrong(Box::new(report)));
        }
        let record = report.record.expect("a report on a record that passed names it");
        let signer = Some(Sha256Digest(*credential.certificate.thumbprint()));
        let of = self.amended(issuer, &vcon)?;
        let event =
            Event::VconIssued(RecordEvent { issuer: issuer.to_owned(), seq: EntryCount(0), record, signer, of });
        Ok(self.prepared(event, record, &record_bytes, issuer, uuid, submitted, &report, None))
    }

    /// The newest round that was answered, as an attachment: a lower bound of the time of signing.
    fn ledger_checkpoint(&self, now: DateTime<Utc>) -> Result<Option<Map<String, Value>>, ReadError> {
        let Some(round) = self.ledger.last_answered_round()? else { return Ok(None) };
        let attachment = json!({
            "purpose": "ledger-checkpoint", "party": 0, "dialog": 0, "start": format_time(now),
            "mediatype": "text/plain", "encoding": "none", "body": round.checkpoint.note().to_string(),
        });
        let Value::Object(attachment) = attachment else { unreachable!("the macro made an object") };
        Ok(Some(attachment))
    }
}
