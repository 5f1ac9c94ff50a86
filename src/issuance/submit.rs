//! One submission: scored and signed, or verified; then appended.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::collect::CollectError;
use super::receipt::Links;
use super::{Issuance, Receipt, Wait};
use crate::authority::{AuthorityError, IssuerId};
use crate::clock::format_time;
use crate::crypto::{Sha256Digest, SigningError};
use crate::evidence::entry::RecordEvent;
use crate::evidence::report::Indication;
use crate::evidence::{Bundle, EntryDraft, Event, Record, RecordError, ValidationReport, record_digest};
use crate::jose::{Jws, NewSignature};
use crate::json;
use crate::ledger::{AppendError, Particulars, ReadError, SealedBody, Stage, Submission};
use crate::vcon::{Form, SYNTAX, Vcon, VconError};
use crate::workers::WorkError;

/// Characters of a uuid or of what stands in its place.
const UUID_CHARACTERS_MAX: usize = 64;

/// Who submits.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The issuer in whose name.
    pub issuer: IssuerId,
    /// Whether it may anchor what it did not sign.
    pub may_anchor_foreign: bool,
}

/// Why a submission is not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Not a vCon that can be issued.
    #[error(transparent)]
    Vcon(#[from] VconError),
    /// Not a record that can be anchored.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Encrypted: what cannot be read cannot be judged.
    #[error("an encrypted vCon cannot be issued; sign it first, then encrypt the signed form")]
    Encrypted,
    /// There is no uuid, or one that is too long.
    #[error("the vCon has no uuid of 1 to {UUID_CHARACTERS_MAX} characters")]
    NoUuid,
    /// No active scorecard covers the call.
    #[error("no active scorecard covers this call")]
    NotCovered,
    /// The certificate manager has nothing to sign with.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key could not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The signed record does not hold.
    #[error("the record does not hold: {}", .0.verdict.reason)]
    TotalFailed(Box<ValidationReport>),
    /// What is known of a record could not be collected.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// Signed again it would not pass: its certificate has ended, and no trusted time says that it was there before.
    #[error("it is too late to sign this record again: {0}")]
    TooLate(String),
    /// Not signed under a certificate of this issuer, who may not anchor others'.
    #[error("the record is not signed under a certificate of this issuer, which may not anchor foreign records")]
    ForeignRecord,
    /// What we have just signed does not verify: a fault of ours, and nothing was appended.
    #[error("the record that was just signed does not verify: {}", .0.verdict.reason)]
    OwnRecordWrong(Box<ValidationReport>),
    /// The workers.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The ledger.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger, reading.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A submission that is ready for the ledger.
#[derive(Debug)]
pub struct Prepared(PreparedKind);

#[derive(Debug)]
enum PreparedKind {
    /// The same bytes were submitted before.
    Repeated(u64),
    /// New.
    Fresh(Box<Submission>, String),
}

impl Issuance {
    /// Takes a submission all the way: prepared by one of the workers, put into the ledger, waited for.
    ///
    /// # Errors
    /// When it cannot be issued or anchored, or the ledger does not take it.
    pub async fn submit(
        self: &Arc<Self>,
        caller: Caller,
        bytes: impl AsRef<[u8]> + Send + 'static,
        wait: Wait,
    ) -> Result<Receipt, SubmitError> {
        let issuance = Arc::clone(self);
        let prepared = self.workers.run(move || issuance.prepare(&caller, bytes.as_ref())).await??;
        self.commit(prepared, wait).await
    }

    /// Does the work of a submission that needs no disk: parse, score, sign, verify, seal. Blocks for a signature.
    ///
    /// # Errors
    /// When it cannot be issued or anchored.
    pub fn prepare(&self, caller: &Caller, bytes: &[u8]) -> Result<Prepared, SubmitError> {
        let submitted = Sha256Digest::of(bytes);
        let issuer = caller.issuer.as_str();
        if let Some(index) = self.ledger.index_of_submission(issuer, submitted)? {
            return Ok(Prepared(PreparedKind::Repeated(index)));
        }
        let document = json::parse(bytes, &self.limits.json).map_err(VconError::Json)?;
        match Form::of(&document) {
            Some(Form::Encrypted) => Err(SubmitError::Encrypted),
            Some(Form::Signed) => {
                let record = Jws::of(document).map_err(RecordError::from).and_then(|jws| Record::of(jws, &self.limits));
                self.anchor(caller, bytes, &record, submitted)
            }
            Some(Form::Unsigned) | None => self.issue(caller, Vcon::of_text(document, bytes, &self.limits)?, submitted),
        }
    }

    /// Puts what was prepared into the ledger and waits as long as the caller wants to.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn commit(&self, prepared: Prepared, wait: Wait) -> Result<Receipt, SubmitError> {
        let stage = if wait == Wait::Accepted { Stage::Accepted } else { Stage::Included };
        let mut receipt = match prepared.0 {
            PreparedKind::Repeated(index) => self.receipt(index)?.ok_or(SubmitError::NoUuid)?,
            PreparedKind::Fresh(submission, uuid) => {
                let answer = self.ledger.append(*submission, stage)?.await?;
                if answer.repeated {
                    self.receipt(answer.entry.index)?.ok_or(SubmitError::NoUuid)?
                } else {
                    let checkpoint = answer.checkpoint.map(|signed| signed.note().to_string());
                    receipt_of(&answer.entry, uuid, checkpoint, false).ok_or(SubmitError::NoUuid)?
                }
            }
        };
        if wait == Wait::Witnessed {
            self.await_witnesses(&mut receipt).await?;
        }
        Ok(receipt)
    }

    /// The receipt of the record at `index`; `None` when there is none there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn receipt(&self, index: u64) -> Result<Option<Receipt>, ReadError> {
        let stored = self.ledger.record(index)?;
        let uuid = stored.body.map(|(particulars, _)| particulars.uuid).unwrap_or_default();
        let checkpoint = self.ledger.latest().filter(|latest| latest.checkpoint().size().0 > index);
        Ok(receipt_of(&stored.entry, uuid, checkpoint.map(|latest| latest.note().to_string()), true))
    }

    async fn await_witnesses(&self, receipt: &mut Receipt) -> Result<(), SubmitError> {
        let mut rounds = self.ledger.rounds();
        let waiting = async {
            loop {
                rounds.borrow_and_update();
                if let Some(round) = self.ledger.round_above(receipt.index)? {
                    let quorum = self.log_policy.policy.asks_for_witnesses()
                        && self.log_policy.policy.witnessing(&round.checkpoint).is_ok_and(|found| found.quorum());
                    if quorum || !round.tokens.is_empty() {
                        return Ok::<_, ReadError>(Some(round));
                    }
                }
                if rounds.changed().await.is_err() {
                    return Ok(None);
                }
            }
        };
        // Whoever waits in vain is told how far it has come; the witnesses are asked again later.
        if let Ok(Some(round)) = tokio::time::timeout(self.witnessed_timeout, waiting).await.unwrap_or(Ok(None)) {
            receipt.status = Wait::Witnessed;
            receipt.checkpoint = Some(round.checkpoint.note().to_string());
        }
        Ok(())
    }

    fn issue(&self, caller: &Caller, mut vcon: Vcon, submitted: Sha256Digest) -> Result<Prepared, SubmitError> {
        let now = self.clock.now();
        vcon.check_critical()?;
        let uuid = uuid_of(&vcon)?;
        let issuer = caller.issuer.as_str();
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
        let credential = self.authority.signer(&caller.issuer)?;
        let record_bytes =
            NewSignature { signer: &*credential.signer, chain: &credential.chain_der, issued_at: now, uuid: &uuid }
                .sign(&vcon.to_bytes())?;
        // What is appended is what anybody can read: the bytes, not what they were made from.
        let report = self.verdict_on(&record_bytes, &Record::parse(&record_bytes, &self.limits), now)?;
        if report.verdict.indication != Indication::Passed {
            return Err(SubmitError::OwnRecordWrong(Box::new(report)));
        }
        let record = report.record.expect("a report on a record that passed names it");
        let signer = Some(Sha256Digest(*credential.certificate.thumbprint()));
        let of = self.amended(issuer, &vcon)?;
        let event = Event::VconIssued(RecordEvent { issuer: issuer.to_owned(), seq: 0, record, signer, of });
        Ok(self.prepared(event, record, &record_bytes, issuer, uuid, submitted, &report))
    }

    /// Signs the record at `index` again, all of it, with the key that its issuer signs with now (draft §5.2, "Long Term
    /// Archiving of Signed vCons"). What is signed with that key already is as it should be: its receipt is given. However
    /// little the caller waits for, the new record is under a checkpoint.
    ///
    /// # Errors
    /// When it was erased, would not pass any more, or the ledger does not take it.
    pub async fn sign_again(self: &Arc<Self>, index: u64, wait: Wait) -> Result<Receipt, SubmitError> {
        // Each signature is another record: between looking and appending nobody else signs, even when whoever asked goes
        // away.
        let held = self.ledger.one_at_a_time().await;
        let issuance = Arc::clone(self);
        let appended = tokio::spawn(async move {
            let _one_at_a_time = held;
            let signing = Arc::clone(&issuance);
            let prepared = issuance.workers.run(move || signing.signed_again(index)).await??;
            issuance.commit(prepared, Wait::Included).await
        });
        let mut receipt = appended.await.map_err(|_| AppendError::Stopped)??;
        if wait == Wait::Witnessed {
            self.await_witnesses(&mut receipt).await?;
        }
        Ok(receipt)
    }

    /// Erases the record at `index` in all its forms: what signed it again holds all of it. To its end even when whoever
    /// asked goes away; forms that were erased before stay as they are.
    ///
    /// # Errors
    /// When a store cannot be read, or the ledger does not take it.
    pub async fn erase(&self, index: u64) -> Result<(), SubmitError> {
        // Meanwhile nobody signs again what is being erased.
        let held = self.ledger.one_at_a_time().await;
        let ledger = self.ledger.clone();
        let erased = tokio::spawn(async move {
            let _one_at_a_time = held;
            // As often as there is one more: somebody may have anchored another form meanwhile.
            let mut found = true;
            while found {
                found = false;
                for form in ledger.forms(index)? {
                    if ledger.record(form)?.body.is_some() {
                        ledger.erase(form).await??;
                        found = true;
                    }
                }
            }
            Ok::<_, SubmitError>(())
        });
        erased.await.map_err(|_| AppendError::Stopped)?
    }

    fn signed_again(&self, index: u64) -> Result<Prepared, SubmitError> {
        let now = self.clock.now();
        let stored = self.ledger.record(index)?;
        let (particulars, old) = stored.body.ok_or(CollectError::Erased)?;
        let known = stored.entry.event.record().expect("an entry with a body is of a record");
        let issuer = self.authority.issuers().into_iter().find(|one| one.id.as_str() == known.issuer);
        let issuer = issuer.expect("a record's issuer is never removed").id;
        let credential = self.authority.signer(&issuer)?;
        let signer = Sha256Digest(*credential.certificate.thumbprint());
        if known.signer == Some(signer) {
            return Ok(Prepared(PreparedKind::Repeated(index)));
        }
        if let Some(again) = self.ledger.renewal_of(known.record, signer)? {
            return Ok(Prepared(PreparedKind::Repeated(again)));
        }
        let (chain, uuid) = (&credential.chain_der, particulars.uuid);
        let renewed = NewSignature { signer: &*credential.signer, chain, issued_at: now, uuid: &uuid }.sign(&old)?;
        let parsed = Record::parse(&renewed, &self.limits);
        // What was signed before is judged by when it was there: its certificate may have ended since.
        let bundle = Bundle { record: renewed.clone(), ..self.known_of(None, parsed.as_ref().ok())? };
        let report = self.verifier.verify_parsed(&bundle, &parsed, now);
        match report.verdict.indication {
            Indication::Passed => {}
            Indication::Indeterminate => return Err(SubmitError::TooLate(report.verdict.code())),
            Indication::Failed => return Err(SubmitError::OwnRecordWrong(Box::new(report))),
        }
        let record = report.record.expect("a report on a record that passed names it");
        let (issuer, of) = (known.issuer.clone(), Some(known.record));
        let event = RecordEvent { issuer: issuer.clone(), seq: 0, record, signer: Some(signer), of };
        let submitted = Sha256Digest::of(&renewed);
        Ok(self.prepared(Event::VconRenewed(event), record, &renewed, &issuer, uuid, submitted, &report))
    }

    fn anchor(
        &self,
        caller: &Caller,
        bytes: &[u8],
        record: &Result<Record, RecordError>,
        submitted: Sha256Digest,
    ) -> Result<Prepared, SubmitError> {
        let report = self.verdict_on(bytes, record, self.clock.now())?;
        if report.verdict.indication == Indication::Failed {
            return Err(SubmitError::TotalFailed(Box::new(report)));
        }
        let parsed = record.as_ref().expect("a record that cannot be read has failed");
        let uuid = uuid_of(parsed.vcon())?;
        let issuer = caller.issuer.as_str();
        // Who is only named signed nothing: a certificate counts by a signature that verifies under it.
        let verified = report.signatures.iter().filter(|signature| signature.verifies());
        let signers: Vec<Sha256Digest> =
            verified.filter_map(|signature| signature.signer.as_ref()?.thumbprint.parse().ok()).collect();
        let own = signers
            .iter()
            .find(|signer| self.authority.issuer_of(&signer.to_string()).is_some_and(|issuer| issuer == caller.issuer));
        let signer = own.or(signers.first()).copied();
        let registered = own.is_some();
        if !registered && !caller.may_anchor_foreign {
            return Err(SubmitError::ForeignRecord);
        }
        let record = parsed.digest();
        let before = self.renewed(issuer, parsed)?;
        let of = before.map_or_else(|| self.amended(issuer, parsed.vcon()), |before| Ok(Some(before)))?;
        let event = RecordEvent { issuer: issuer.to_owned(), seq: 0, record, signer, of };
        let event = if before.is_some() { Event::VconRenewed(event) } else { Event::VconAnchored(event) };
        Ok(self.prepared(event, record, bytes, issuer, uuid, submitted, &report))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one submission, each named where it is made")]
    fn prepared(
        &self,
        event: Event,
        record: Sha256Digest,
        bytes: &[u8],
        issuer: &str,
        uuid: String,
        submitted: Sha256Digest,
        report: &ValidationReport,
    ) -> Prepared {
        let particulars =
            Particulars { issuer: issuer.to_owned(), uuid: uuid.clone(), submitted, verdict: report.verdict.code() };
        let body = SealedBody::seal(record, particulars, bytes);
        let submission = Submission { draft: EntryDraft::new(event), body: Some(body) };
        Prepared(PreparedKind::Fresh(Box::new(submission), uuid))
    }

    /// Verifies a record that is not in the ledger yet, with the revocation lists of today.
    fn verdict_on(
        &self,
        bytes: &[u8],
        record: &Result<Record, RecordError>,
        now: DateTime<Utc>,
    ) -> Result<ValidationReport, SubmitError> {
        let mut bundle = Bundle::of_record(bytes.to_vec());
        bundle.own_crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
        Ok(self.verifier.verify_parsed(&bundle, record, now))
    }

    /// The record that `record` holds as a whole and signs again, if this issuer has it.
    fn renewed(&self, issuer: &str, record: &Record) -> Result<Option<Sha256Digest>, SubmitError> {
        let Some(before) = record.layers().get(1).map(record_digest) else { return Ok(None) };
        let Some(index) = self.ledger.index_of_record(before)? else { return Ok(None) };
        let stored = self.ledger.record(index)?;
        if stored.entry.event.stream().is_none_or(|(owner, _)| owner != issuer) {
            return Ok(None);
        }
        // What was erased does not come back inside of something else.
        stored.body.ok_or(CollectError::Erased)?;
        Ok(Some(before))
    }

    /// The record that `vcon` amends, if this issuer has it.
    fn amended(&self, issuer: &str, vcon: &Vcon) -> Result<Option<Sha256Digest>, ReadError> {
        let Some(uuid) = vcon.amends() else { return Ok(None) };
        let Some(index) = self.ledger.index_of_uuid(Some(issuer), uuid)? else { return Ok(None) };
        Ok(self.ledger.entry(index)?.0.event.record().map(|record| record.record))
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

fn uuid_of(vcon: &Vcon) -> Result<String, SubmitError> {
    let uuid =
        vcon.uuid().filter(|uuid| uuid.len() <= UUID_CHARACTERS_MAX && uuid.bytes().all(|b| b.is_ascii_graphic()));
    uuid.map(str::to_owned).ok_or(SubmitError::NoUuid)
}

fn receipt_of(
    entry: &crate::evidence::Entry,
    uuid: String,
    checkpoint: Option<String>,
    repeated: bool,
) -> Option<Receipt> {
    let record = entry.event.record()?;
    Some(Receipt {
        uuid,
        record: record.record,
        issuer: record.issuer.clone(),
        seq: record.seq,
        index: entry.index,
        kind: entry.event.kind(),
        time: entry.time,
        status: if checkpoint.is_some() { Wait::Included } else { Wait::Accepted },
        checkpoint,
        repeated,
        links: Links::of(record.record),
    })
}
