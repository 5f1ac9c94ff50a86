//! Submitting: a vCon is prepared on the processor, put into the ledger, and waited for.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Issuance;
use super::evidence_for::EvidenceError;
use super::receipt::SubmissionReceipt;
use super::richer_form::OfferedProperties;
use crate::authority::{AuthorityError, IssuerId};
use crate::cpu_pool::WorkError;
use crate::crypto::{Sha256Digest, SigningError};
use crate::evidence::{Bundle, EntryDraft, Event, Indication, Record, RecordError, ValidationReport};
use crate::jose::Jws;
use crate::json;
use crate::ledger::{AppendError, BodyMetadata, Durability, EncryptedBody, ReadError, Submission, WitnessRound};
use crate::tlog::LeafIndex;
use crate::vcon::{Form, Vcon, VconError};

/// Characters of a uuid or of what stands in its place.
const UUID_CHARACTERS_MAX: usize = 64;

/// The submitter of a record.
#[derive(Clone, Debug)]
pub struct Submitter {
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
    #[error("the vCon has no uuid, or one of more than {UUID_CHARACTERS_MAX} characters")]
    NoUuid,
    /// No active scorecard covers the call.
    #[error("no active scorecard covers this call")]
    NotCovered,
    /// The authority has nothing to sign with.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key could not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The signed record does not hold, or is not understood.
    #[error("the record {}: {}", what_is_wrong(.0), .0.verdict.reason)]
    TotalFailed(Box<ValidationReport>),
    /// The record was erased.
    #[error("the body of the record was erased")]
    Erased,
    /// Its evidence could not be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Signed again it would not pass: its certificate has ended, and no trusted time says that it was there before.
    #[error("the record can no longer be re-signed: {0}")]
    TooLate(String),
    /// Not signed under a certificate of this issuer, who may not anchor others'.
    #[error("the record is not signed under a certificate of this issuer, which may not anchor foreign records")]
    ForeignRecord,
    /// A record that was just signed does not verify: a fault of ours; nothing was appended.
    #[error("the new signature does not verify: {}", .0.verdict.reason)]
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

/// A record that is not understood is not called invalid.
fn what_is_wrong(report: &ValidationReport) -> &'static str {
    if report.verdict.indication == Indication::Failed { "does not verify" } else { "is not understood" }
}

/// A submission that is ready for the ledger.
#[derive(Debug)]
pub enum PreparedSubmission {
    /// The same bytes were submitted before: the record at this index.
    Duplicate(LeafIndex),
    /// A new record.
    New(Box<NewRecord>),
}

/// A record that is not in the ledger yet.
#[derive(Debug)]
pub struct NewRecord {
    submission: Submission,
    uuid: String,
    /// Unsigned properties, to be kept where the record turns out to be there already.
    unsigned_properties: Option<OfferedProperties>,
}

impl Issuance {
    /// Takes a submission all the way: prepared by one of the workers, put into the ledger, waited for.
    ///
    /// # Errors
    /// When it cannot be issued or anchored, or the ledger does not take it.
    pub async fn submit(
        self: &Arc<Self>,
        submitter: Submitter,
        bytes: impl AsRef<[u8]> + Send + 'static,
        durability: Durability,
    ) -> Result<SubmissionReceipt, SubmitError> {
        let issuance = Arc::clone(self);
        let prepared = self.cpu_pool.run(move || issuance.prepare(&submitter, bytes.as_ref())).await??;
        self.commit(prepared, durability).await
    }

    /// Does the work of a submission that needs no disk: parse, score, sign, verify, seal. Blocks for a signature.
    ///
    /// # Errors
    /// When it cannot be issued or anchored.
    pub fn prepare(&self, submitter: &Submitter, bytes: &[u8]) -> Result<PreparedSubmission, SubmitError> {
        let submitted = Sha256Digest::of(bytes);
        let issuer = submitter.issuer.as_str();
        // Asked again in the sequencer, where order is decided; here it spares the signature.
        if let Some(index) = self.ledger.index_of_submission(issuer, submitted)? {
            return Ok(PreparedSubmission::Duplicate(index));
        }
        let document = json::parse(bytes, &self.limits.json).map_err(VconError::Json)?;
        match Form::of(&document) {
            Some(Form::Encrypted) => Err(SubmitError::Encrypted),
            Some(Form::Signed) => {
                let record = Jws::of(document).map_err(RecordError::from).and_then(|jws| Record::of(jws, &self.limits));
                self.admit(submitter, bytes, &record, submitted)
            }
            Some(Form::Unsigned) | None => {
                self.issue(submitter, Vcon::of_text(document, bytes, &self.limits)?, submitted)
            }
        }
    }

    /// Puts what was prepared into the ledger and waits as long as the caller wants to.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn commit(
        self: &Arc<Self>,
        prepared: PreparedSubmission,
        durability: Durability,
    ) -> Result<SubmissionReceipt, SubmitError> {
        let mut receipt = match prepared {
            PreparedSubmission::Duplicate(index) => self.receipt_of_duplicate(index, None).await?,
            PreparedSubmission::New(record) => {
                let NewRecord { submission, uuid, unsigned_properties } = *record;
                let answer = self.ledger.append(submission, durability)?.await?;
                if answer.is_duplicate {
                    self.receipt_of_duplicate(answer.entry.index, unsigned_properties).await?
                } else {
                    let checkpoint = answer.checkpoint.map(|signed| signed.note().to_string());
                    SubmissionReceipt::of(&answer.entry, uuid, checkpoint, false).ok_or(SubmitError::NoUuid)?
                }
            }
        };
        if durability == Durability::Witnessed {
            self.await_witnesses(&mut receipt).await?;
        }
        Ok(receipt)
    }

    /// The receipt of what is there already, whose unsigned properties are kept where they are richer.
    async fn receipt_of_duplicate(
        self: &Arc<Self>,
        index: LeafIndex,
        unsigned_properties: Option<OfferedProperties>,
    ) -> Result<SubmissionReceipt, SubmitError> {
        let issuance = Arc::clone(self);
        let read = self.cpu_pool.run(move || {
            if let Some(properties) = unsigned_properties {
                issuance.keep_richer(index, &properties);
            }
            issuance.receipt(index)
        });
        read.await??.ok_or(SubmitError::NoUuid)
    }

    pub(super) async fn await_witnesses(&self, receipt: &mut SubmissionReceipt) -> Result<(), SubmitError> {
        let mut rounds = self.ledger.rounds();
        self.ledger.want_witnesses(receipt.index);
        let waiting = async {
            loop {
                rounds.borrow_and_update();
                if let Some(round) = self.sufficient_round(receipt.index).await? {
                    return Ok::<_, ReadError>(Some(round));
                }
                if rounds.changed().await.is_err() {
                    return Ok(None);
                }
            }
        };
        // Whoever waits in vain is told how far it has come; the witnesses are asked again later.
        if let Ok(Some(round)) = tokio::time::timeout(self.witnessed_timeout, waiting).await.unwrap_or(Ok(None)) {
            receipt.status = Durability::Witnessed;
            receipt.checkpoint = Some(round.checkpoint.note().to_string());
        }
        Ok(())
    }

    /// The smallest answered round above an entry, where that has a quorum, else the smallest that was timestamped: read on a
    /// thread that may block, and not before somebody has answered one, as every waiter is woken by every answer.
    async fn sufficient_round(&self, index: LeafIndex) -> Result<Option<WitnessRound>, ReadError> {
        if !self.ledger.last_answered_size().contains(index) {
            return Ok(None);
        }
        let policy = &self.log_policy.policy;
        let answered = self.ledger.on_disk(move |ledger| ledger.round_above(index)).await?;
        let has_quorum = |round: &WitnessRound| policy.cosigned(&round.checkpoint).is_ok_and(|found| found.quorum());
        match answered.filter(|round| policy.asks_for_witnesses() && has_quorum(round)) {
            Some(round) => Ok(Some(round)),
            None => self.ledger.on_disk(move |ledger| ledger.timestamped_round_above(index)).await,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one submission, each named where it is made")]
    pub(super) fn prepared(
        &self,
        event: Event,
        record: Sha256Digest,
        bytes: &[u8],
        issuer: &str,
        uuid: String,
        submitted: Sha256Digest,
        report: &ValidationReport,
        unsigned_properties: Option<OfferedProperties>,
    ) -> PreparedSubmission {
        let metadata =
            BodyMetadata { issuer: issuer.to_owned(), uuid: uuid.clone(), submitted, verdict: report.verdict.code() };
        let body = EncryptedBody::seal(record, metadata, bytes);
        let submission = Submission { draft: EntryDraft::new(event), body: Some(body) };
        PreparedSubmission::New(Box::new(NewRecord { submission, uuid, unsigned_properties }))
    }

    /// Verifies a record that is not in the ledger yet, with the revocation lists of today.
    pub(super) fn verdict_on(
        &self,
        bytes: &[u8],
        record: &Result<Record, RecordError>,
        now: DateTime<Utc>,
    ) -> Result<ValidationReport, SubmitError> {
        let mut bundle = Bundle::of_record(bytes.to_vec());
        bundle.local_crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
        Ok(self.verifier.verify_parsed(&bundle, record, now))
    }

    /// The record that `vcon` amends, if this issuer has it.
    pub(super) fn amended(&self, issuer: &str, vcon: &Vcon) -> Result<Option<Sha256Digest>, ReadError> {
        let Some(uuid) = vcon.amends() else { return Ok(None) };
        let Some(index) = self.ledger.index_of_uuid(Some(issuer), uuid)? else { return Ok(None) };
        Ok(self.ledger.entry(index)?.0.event.record().map(|record| record.record))
    }
}

pub(super) fn uuid_of(vcon: &Vcon) -> Result<String, SubmitError> {
    let uuid =
        vcon.uuid().filter(|uuid| uuid.len() <= UUID_CHARACTERS_MAX && uuid.bytes().all(|b| b.is_ascii_graphic()));
    uuid.map(str::to_owned).ok_or(SubmitError::NoUuid)
}
