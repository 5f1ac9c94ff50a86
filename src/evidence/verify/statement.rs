//! Signed statements (RFC 9943): whether one may be registered, and what a receipt of it proves.

use std::cell::RefCell;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cose::{CoseError, CoseReceipt, Sign1, algorithm};
use crate::crypto::{Sha256Digest, SignatureError, VerifyingKey, sha256};
use crate::evidence::format::{Entry, EntryError, Event};
use crate::evidence::policy::AlgorithmUse;
use crate::evidence::verify::material::anchor_window::outside_window;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::revocation::checker::{IssuerInPath, RevocationChecker};
use crate::evidence::verify::material::verifier::Verifier;
use crate::pki::{Budget, Certificate, PathOutcome, ValidPath, find_path};
use crate::tlog::merkle::{leaf_hash, root_of_inclusion};
use crate::tlog::{LeafIndex, NodeHash, ProofError, TreeSize};

/// Why a statement is not registered.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not a message.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The payload is not in it.
    #[error("the payload must be in the statement")]
    Detached,
    /// There is no issuer, or no subject.
    #[error("the protected header has no CWT claims with issuer and subject (labels 15, 1 and 2)")]
    Claims,
    /// It names a person.
    #[error("{0} names a person: statements about telephone numbers and mail addresses are not accepted")]
    Personal(&'static str),
    /// There is no certificate that the signature binds.
    #[error("the protected header has neither x5chain nor an x5t whose certificate is in the unprotected x5chain")]
    NoCertificate,
    /// The signer's certificate cannot be read.
    #[error("the signer's certificate: {0}")]
    Certificate(String),
    /// The algorithm is none that is verified here.
    #[error("the signature algorithm is not supported")]
    Algorithm,
    /// The signature is wrong.
    #[error("the signature does not verify under the signer's certificate")]
    Signature,
    /// The signer is not trusted, or not now.
    #[error("the signer is not trusted: {0}")]
    Untrusted(String),
}

/// A statement that may be registered.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SignedStatement {
    /// The digest that the log knows it by.
    pub digest: Sha256Digest,
    /// The `iss` claim.
    pub issuer: String,
    pub subject: String,
    /// SHA-256 of the signer's certificate.
    pub signer: Sha256Digest,
    /// SHA-256 of the signer's public key: whose count it is in.
    pub key: Sha256Digest,
}

impl Verifier {
    /// Verifies a statement as of `now`: that it is one, names no person, and is signed by whom an anchor of the trust
    /// policy vouches for. Of a certificate that a list of `crls` revokes nothing is taken.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check_statement(
        &self,
        bytes: &[u8],
        crls: &[Vec<u8>],
        now: DateTime<Utc>,
    ) -> Result<SignedStatement, StatementError> {
        let message = Sign1::parse(bytes)?;
        let payload = message.payload().ok_or(StatementError::Detached)?;
        let claims = message.protected().claims.clone().ok_or(StatementError::Claims)?;
        let (Some(issuer), Some(subject)) = (claims.issuer, claims.subject) else { return Err(StatementError::Claims) };
        if issuer.is_empty() || subject.is_empty() {
            return Err(StatementError::Claims);
        }
        for (claim, text) in [("the issuer", &issuer), ("the subject", &subject)] {
            let scheme = text.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_number = text.trim_start().starts_with('+');
            if matches!(&*scheme, "tel" | "mailto" | "sip" | "sips" | "sms") || is_number || text.contains('@') {
                return Err(StatementError::Personal(claim));
            }
        }
        let chain = bound_chain(&message)?;
        let unreadable = |error: &dyn std::fmt::Display| StatementError::Certificate(error.to_string());
        let leaf = Certificate::from_der(&chain[0]).map(Arc::new).map_err(|error| unreadable(&error))?;
        let key = leaf.key().map_err(|error| unreadable(&error))?;
        match message.check_signature(payload, key) {
            Ok(()) => {}
            Err(SignatureError::Unsupported) => return Err(StatementError::Algorithm),
            Err(_) => return Err(StatementError::Signature),
        }
        let offered: Vec<_> =
            chain[1..].iter().filter_map(|der| Certificate::from_der(der).ok()).map(Arc::new).collect();
        let path = self.statement_path(&leaf, &offered, now)?;
        let own = message.protected().algorithm.and_then(algorithm);
        let own = own.map(|algorithm| AlgorithmUse { algorithm, key: key.kind() });
        let above = path.certificates().windows(2).filter_map(|pair| AlgorithmUse::of_certificate(&pair[0], &pair[1]));
        let used: Vec<_> = own.into_iter().chain(above).collect();
        if let Some(expired) = self.policy().expired_algorithm(&used, now) {
            return Err(StatementError::Untrusted(expired));
        }
        self.check_not_revoked(&path, &offered, crls, now)?;
        Ok(SignedStatement {
            digest: message.digest(),
            issuer,
            subject,
            signer: Sha256Digest(*leaf.thumbprint()),
            key: Sha256Digest::of(key.spki_der()),
        })
    }

    fn statement_path(
        &self,
        leaf: &Arc<Certificate>,
        offered: &[Arc<Certificate>],
        now: DateTime<Utc>,
    ) -> Result<ValidPath, StatementError> {
        let (anchors, profile) = (&self.policy().anchors, self.policy().signer_profile());
        let mut budget = Budget::default();
        let mut path_to = |anchors: &_| find_path(leaf, offered, anchors, &profile, &mut budget);
        let path = match path_to(&anchors.at(now)) {
            PathOutcome::Valid(path) => path,
            PathOutcome::NoPath(reason) => {
                let outside = outside_window(&path_to(anchors), anchors);
                return Err(StatementError::Untrusted(outside.unwrap_or_else(|| reason.to_string())));
            }
            PathOutcome::Broken { violations, .. } => {
                let first = violations.first().map(ToString::to_string);
                return Err(StatementError::Untrusted(first.unwrap_or_default()));
            }
        };
        let outside = |(_, why)| StatementError::Untrusted(format!("a certificate of its path is {why}"));
        path.check_validity_at(now).map_err(outside)?;
        Ok(path)
    }

    fn check_not_revoked(
        &self,
        path: &ValidPath,
        offered: &[Arc<Certificate>],
        crls: &[Vec<u8>],
        now: DateTime<Utc>,
    ) -> Result<(), StatementError> {
        let held = self.own_lists(crls);
        let (poe, budget) = (ProofsOfExistence::none(now), RefCell::default());
        let checker = RevocationChecker {
            held: &held,
            policy: self.policy(),
            trusted: None,
            now,
            poe: &poe,
            path_ends: path.validity().1,
            offered,
            budget: &budget,
            issuers_checked: self.issuers_checked(),
        };
        for (depth, pair) in path.certificates().windows(2).enumerate() {
            let above = path.certificates().get(depth + 2).map(AsRef::as_ref);
            let issuer = IssuerInPath { certificate: &pair[1], above, untrusted_from: None };
            let subject = pair[0].subject();
            let reason = match checker.state_of(&pair[0], issuer) {
                RevocationState::Revoked { entry, .. } => format!("{subject} was revoked ({})", entry.reason.name()),
                RevocationState::NotUnderstood(why) => format!("whether {subject} was revoked cannot be told: {why}"),
                RevocationState::Good { .. } | RevocationState::Unknown(_) => continue,
            };
            return Err(StatementError::Untrusted(reason));
        }
        Ok(())
    }
}

/// The certificates whose first the signature binds (RFC 9360 §2, RFC 9943 §6.1).
fn bound_chain(message: &Sign1) -> Result<&[Vec<u8>], StatementError> {
    let (protected, unprotected) = (message.protected(), message.unprotected());
    let chain = if protected.certificates.is_empty() { &unprotected.certificates } else { &protected.certificates };
    let first = chain.first().ok_or(StatementError::NoCertificate)?;
    let is_bound = match protected.thumbprint {
        Some(thumbprint) => thumbprint == sha256(first),
        None => !protected.certificates.is_empty(),
    };
    if is_bound { Ok(chain) } else { Err(StatementError::NoCertificate) }
}

/// Why a receipt does not prove that a statement is in a log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// The receipt or the statement is not a message.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The leaf is not an entry.
    #[error("the leaf: {0}")]
    Entry(EntryError),
    /// It proves another statement.
    #[error("the receipt is of another statement")]
    OtherStatement,
    /// The proof does not fit the tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The log did not sign that root.
    #[error("the receipt is not signed by this key")]
    Signature,
}

impl From<EntryError> for ReceiptError {
    fn from(cause: EntryError) -> Self {
        Self::Entry(cause)
    }
}

/// Whether `receipt` proves that the statement is in the log whose receipts `key` signs; gives its entry.
///
/// # Errors
/// With the first thing that is wrong.
pub fn check_receipt(receipt: &[u8], statement: &[u8], key: &VerifyingKey) -> Result<Entry, ReceiptError> {
    let (receipt, statement) = (CoseReceipt::parse(receipt)?, Sign1::parse(statement)?);
    let entry = Entry::parse(receipt.entry())?;
    let proof = receipt.proof();
    let is_of = matches!(&entry.event, Event::StatementRegistered(record) if record.record == statement.digest());
    if !is_of || entry.index != LeafIndex(proof.index) {
        return Err(ReceiptError::OtherStatement);
    }
    let path: Vec<_> = proof.path.iter().map(|hash| NodeHash::new(*hash)).collect();
    let root = root_of_inclusion(leaf_hash(receipt.entry()), LeafIndex(proof.index), &path, TreeSize(proof.size))?;
    receipt.check_signature(root.as_bytes(), key).map_err(|_| ReceiptError::Signature)?;
    Ok(entry)
}
