//! Signatures of a record checked by their keys alone: no path, no time, no ledger.

use std::sync::Arc;

use serde::Serialize;

use super::keys::PublicKey;
use crate::clock::format_time;
use crate::crypto::{SignatureError, VerifyingKey};
use crate::evidence::report::RowStatus;
use crate::evidence::{Record, signer_chain};
use crate::jose::{Jws, JwsSignature};
use crate::pki::Certificate;

/// One signature, judged.
#[derive(Debug, Serialize)]
pub(super) struct JudgedSignature {
    /// Which layer it is of: 0 is the outermost.
    pub(super) layer: usize,
    /// Its position there.
    pub(super) position: usize,
    /// `alg`.
    pub(super) algorithm: String,
    /// Whether it verifies: a word for that alone, and not for the whole of what ETSI's indications say.
    pub(super) answer: RowStatus,
    pub(super) reason: String,
    /// Whether the signature is right under some key, whoever's.
    pub(super) verifies: bool,
    /// Whether it is, and nothing in the header contradicts it.
    #[serde(skip)]
    pub(super) sound: bool,
    /// The subject of the certificate whose key it verifies under.
    pub(super) certificate: Option<String>,
    /// `sha256-…` of it.
    pub(super) thumbprint: Option<String>,
    /// `iat`, which is a claim.
    pub(super) claimed_time: Option<String>,
}

impl JudgedSignature {
    /// Its name for people.
    pub(super) fn name(&self) -> String {
        let position = self.position + 1;
        if self.layer == 0 {
            format!("signature {position}")
        } else {
            format!("signature {position} of layer {}", self.layer)
        }
    }
}

/// The finding on a signature whose key may not be used for it (RFC 7517 §4.2 to §4.4).
const NOT_MEANT: &str = "verifies, but use, key_ops or alg of the JWK that was given does not allow it";

/// The result of all signatures: every one counts, and an unreadable one is no record.
pub(super) fn of_all(signatures: &[JudgedSignature]) -> RowStatus {
    let any = |answer| signatures.iter().any(|signature| signature.answer == answer);
    if signatures.is_empty() || any(RowStatus::No) {
        RowStatus::No
    } else if signatures.iter().all(|signature| signature.answer == RowStatus::Yes) {
        RowStatus::Yes
    } else {
        RowStatus::Unknown
    }
}

/// Judges every signature of every layer: first with the keys that are given, then with the certificate that the record
/// carries, or that is among `supplied`.
pub(super) fn judge(record: &Record, given: &[PublicKey], supplied: &[Vec<u8>]) -> Vec<JudgedSignature> {
    let layers = record.layers().iter().enumerate();
    let signatures =
        layers.flat_map(|(layer, jws)| jws.signatures().iter().enumerate().map(move |at| (layer, jws, at)));
    signatures
        .map(|(layer, jws, (position, signature))| {
            let judgement = Judgement::of(record, jws, signature, given, supplied);
            let header = signature.header();
            let time = header.issued_at.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
            JudgedSignature {
                layer,
                position,
                algorithm: header.algorithm.clone(),
                answer: judgement.answer,
                reason: judgement.reason,
                verifies: judgement.verifies,
                sound: judgement.sound,
                certificate: judgement.certificate.as_ref().map(|one| one.subject().to_string()),
                thumbprint: judgement.certificate.as_ref().map(Certificate::thumbprint_url),
                claimed_time: time.map(format_time),
            }
        })
        .collect()
}

struct Judgement {
    answer: RowStatus,
    reason: String,
    verifies: bool,
    sound: bool,
    certificate: Option<Certificate>,
}

impl Judgement {
    fn of(record: &Record, jws: &Jws, signature: &JwsSignature, given: &[PublicKey], supplied: &[Vec<u8>]) -> Self {
        let chain = signer_chain(jws, signature, supplied);
        let certificate = chain.first().and_then(|der| Certificate::from_der(der).ok());
        let verifies = |key: &VerifyingKey| jws.check_signature(signature, key);
        let header = signature.header();
        let mut right = given.iter().filter(|one| verifies(one.key()) == Ok(())).peekable();
        let first = right.peek().copied();
        // One that allows it counts before one that does not.
        let meant = right.find(|one| one.check_verifying(header).is_ok());
        if let Some(given) = meant.or(first) {
            let forbidden = meant.is_none().then_some(NOT_MEANT);
            let contradiction = forbidden.or_else(|| contradiction(record, signature, certificate.as_ref()));
            let answer = if contradiction.is_none() { RowStatus::Yes } else { RowStatus::Unknown };
            let reason = "verifies with the key that was given";
            // A certificate of another key is one that anybody may have put there.
            let of_key = |one: &Certificate| one.key().is_ok_and(|key| key.spki_der() == given.key().spki_der());
            return Self::right(answer, reason, contradiction, certificate.filter(of_key));
        }
        let Some((certificate, key)) = certificate.and_then(|one| one.key().ok().map(Arc::clone).map(|key| (one, key)))
        else {
            return match (given.is_empty(), &signature.header().certificates_url) {
                (false, _) => Self::wrong("does not verify with any key that was given"),
                (true, Some(address)) => Self::unknown(format!(
                    "its certificates are at {}, which is not fetched: give them with --certificates",
                    address.escape_debug()
                )),
                (true, None) => Self::unknown("there is no certificate to verify it with: give the key with --key"),
            };
        };
        match verifies(&key) {
            Ok(()) => {
                let trust = "verifies under its own certificate, and whether that is to be trusted is not judged";
                let contradiction = contradiction(record, signature, Some(&certificate));
                Self::right(RowStatus::Unknown, trust, contradiction, Some(certificate))
            }
            Err(SignatureError::Unsupported) => Self::unknown("its algorithm is not one that is verified here"),
            Err(error) => Self::wrong(&error.to_string()),
        }
    }

    fn right(answer: RowStatus, reason: &str, contradiction: Option<&str>, certificate: Option<Certificate>) -> Self {
        let (reason, sound) = (contradiction.unwrap_or(reason).into(), contradiction.is_none());
        Self { answer, reason, verifies: true, sound, certificate }
    }

    fn wrong(reason: &str) -> Self {
        Self { answer: RowStatus::No, reason: reason.into(), verifies: false, sound: false, certificate: None }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self { answer: RowStatus::Unknown, reason: reason.into(), verifies: false, sound: false, certificate: None }
    }
}

/// The checks that a valid signature still lacks.
fn contradiction(record: &Record, signature: &JwsSignature, certificate: Option<&Certificate>) -> Option<&'static str> {
    let header = signature.header();
    if !header.algorithm_protected {
        return Some("verifies, but alg is not in the protected header");
    }
    if header.uuid.is_some() && header.uuid.as_deref() != record.vcon().uuid() {
        return Some("verifies, but the uuid in the header is not the one in the payload");
    }
    let other = certificate.and_then(|certificate| header.references.other_than(certificate.der()));
    other.map(|_| "verifies, but the header names another certificate")
}
