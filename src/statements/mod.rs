//! The log of signed statements: registering them, and receipts that they are there (RFC 9943).
//!
//! It is a ledger of its own, on the same engine: a statement is a sealed body that can be erased, and its entry holds
//! digests alone.

mod compatibility;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use compatibility::{Compatibility, CompatibilityError, CompatibilityHealth};

use crate::clock::Clock;
use crate::cose::{CoseError, InclusionProof, Sign1, sign_receipt, thumbprint};
use crate::crypto::{Sha256Digest, Signer, SigningError, VerifyingKey};
use crate::evidence::format::RecordEvent;
use crate::evidence::{EntryDraft, Event, ReceiptError, StatementError, Verifier, check_receipt};
use crate::ledger::{AppendError, BodyMetadata, Durability, EncryptedBody, EraseError, Ledger, ReadError, Submission};
use crate::tlog::{EntryCount, LeafIndex};

/// Signers whose pace is remembered: more start anew, which lets them be faster for a second.
const SIGNERS_MAX: usize = 4096;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The statement may not be registered.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Its signer has registered too many within a second.
    #[error("rate limit exceeded: {0} statements per second and signer")]
    TooFast(u32),
    /// There is no such statement.
    #[error("there is no such statement")]
    NotFound,
    /// It was erased.
    #[error("the statement was erased; its entry stays")]
    Erased,
    /// No checkpoint covers it yet.
    #[error("no signed checkpoint covers the statement yet")]
    NotYet,
    /// The ledger did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The stored bytes are not a statement: a fault of ours.
    #[error("the stored statement cannot be read: {0}")]
    Kept(CoseError),
    /// A receipt that was just made does not prove it: a fault of ours.
    #[error("the receipt does not prove the statement: {0}")]
    Wrong(ReceiptError),
}

impl From<CoseError> for RegisterError {
    fn from(cause: CoseError) -> Self {
        Self::Kept(cause)
    }
}

impl From<ReceiptError> for RegisterError {
    fn from(cause: ReceiptError) -> Self {
        Self::Wrong(cause)
    }
}

/// The log of statements.
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Statements {
    pub ledger: Ledger,
    key: Arc<dyn Signer>,
    key_id: [u8; 32],
    issuer: String,
    per_second: u32,
    clock: Arc<dyn Clock>,
    paces: Mutex<HashMap<Sha256Digest, (Duration, u32)>>,
}

/// A statement that was verified.
#[derive(Debug)]
pub struct PreparedStatement {
    digest: Sha256Digest,
    // None when it is there already.
    submission: Option<Submission>,
}

impl Statements {
    /// The log in `ledger`. `key`, on P-256, signs receipts in the name of `issuer`, the service's address; each signer may
    /// register `per_second` statements a second.
    ///
    /// # Panics
    /// When the key is of another kind.
    #[must_use]
    pub fn new(ledger: Ledger, key: Arc<dyn Signer>, issuer: String, per_second: u32, clock: Arc<dyn Clock>) -> Self {
        let key_id = thumbprint(key.verifying_key()).expect("receipts are signed on P-256");
        Self { ledger, key, key_id, issuer, per_second, clock, paces: Mutex::default() }
    }

    /// The key that receipts are verified with.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Its identifier: the thumbprint of RFC 9679.
    #[must_use]
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key_id
    }

    /// In whose name receipts are signed.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Verifies a statement with `verifier` and the lists `crls`. Blocks for signatures, and for the disk.
    ///
    /// # Errors
    /// When it may not be registered.
    pub fn prepare(
        &self,
        bytes: &[u8],
        verifier: &Verifier,
        crls: &[Vec<u8>],
    ) -> Result<PreparedStatement, RegisterError> {
        let statement = verifier.check_statement(bytes, crls, self.clock.now())?;
        // Whoever sends again what is there uses nothing up: anybody may have it.
        if self.ledger.index_of_record(statement.digest)?.is_some() {
            return Ok(PreparedStatement { digest: statement.digest, submission: None });
        }
        self.check_pace(statement.key)?;
        // An opaque name: whose key it is, is known to whoever has the certificate.
        let hex: String = statement.key.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let (issuer, digest) = (format!("sgn_{hex}"), statement.digest);
        let event = RecordEvent {
            issuer: issuer.clone(),
            seq: EntryCount(0),
            record: digest,
            signer: Some(statement.signer),
            of: None,
        };
        // What is not signed may be anything, so it is not what a repetition is known by.
        let metadata =
            BodyMetadata { issuer, uuid: digest.to_string(), submitted: digest, verdict: "REGISTERED".to_owned() };
        let body = Some(EncryptedBody::seal(digest, metadata, bytes));
        let submission = Submission { draft: EntryDraft::new(Event::StatementRegistered(event)), body };
        Ok(PreparedStatement { digest, submission: Some(submission) })
    }

    /// Registers a statement that was prepared, unless it is there already; gives its digest.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn register(&self, prepared: PreparedStatement) -> Result<Sha256Digest, RegisterError> {
        if let Some(submission) = prepared.submission {
            self.ledger.append(submission, Durability::Included)?.await?;
        }
        Ok(prepared.digest)
    }

    /// A receipt of the statement with this digest, under the newest checkpoint.
    ///
    /// # Errors
    /// When there is none, it was erased, or the ledger cannot be read.
    pub fn receipt(&self, digest: Sha256Digest) -> Result<Vec<u8>, RegisterError> {
        let index = self.ledger.index_of_record(digest)?.ok_or(RegisterError::NotFound)?;
        self.receipt_at(index)
    }

    fn receipt_at(&self, index: LeafIndex) -> Result<Vec<u8>, RegisterError> {
        let stored = self.ledger.record(index)?;
        let (_, statement) = stored.body.ok_or(RegisterError::Erased)?;
        let subject = Sign1::parse(&statement)?.protected().claims.as_ref().and_then(|claims| claims.subject.clone());
        let (proof, root) = self.ledger.newest_proof(index)?.ok_or(RegisterError::NotYet)?;
        let path = proof.hashes().iter().map(|hash| *hash.as_bytes()).collect();
        let size = proof.checkpoint().checkpoint().size().0;
        let claims = (self.issuer.as_str(), subject.as_deref().unwrap_or_default());
        let inclusion = InclusionProof { size, index: index.0, path };
        let receipt =
            sign_receipt(root.as_bytes(), &inclusion, Some(&stored.entry_bytes), claims, &self.key_id, &*self.key)?;
        // What is handed out is what anybody can check.
        check_receipt(&receipt, &statement, self.key())?;
        Ok(receipt)
    }

    /// Erases the statement with this digest: its entry and every receipt that was handed out stay.
    ///
    /// # Errors
    /// When there is none, or a store refuses.
    pub async fn erase(&self, digest: Sha256Digest) -> Result<(), RegisterError> {
        let index = self.ledger.index_of_record(digest)?.ok_or(RegisterError::NotFound)?;
        self.ledger.ensure_erased(index).await.map_err(EraseError::into_cause::<RegisterError>)?;
        Ok(())
    }

    /// Counts what each signer registers in a second. The signature was verified: nobody uses up another's.
    fn check_pace(&self, key: Sha256Digest) -> Result<(), RegisterError> {
        let now = self.clock.monotonic();
        let mut paces = self.paces.lock().expect("no holder of this lock panics");
        if paces.len() >= SIGNERS_MAX && !paces.contains_key(&key) {
            paces.clear();
        }
        let (since, count) = paces.entry(key).or_insert((now, 0));
        if now.saturating_sub(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        if *count >= self.per_second {
            return Err(RegisterError::TooFast(self.per_second));
        }
        *count += 1;
        Ok(())
    }
}
