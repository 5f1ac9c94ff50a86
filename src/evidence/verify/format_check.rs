//! Row 1: the verdict on bytes that are no record (EN 319 102-1 §5.2.2).

use crate::crypto::SignatureError;
use crate::evidence::format::{Bundle, RecordError};
use crate::evidence::report::{SubIndication, Verdict};
use crate::evidence::verify::material::signer_chain::signer_chain;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::verifier::Verifier;
use crate::jose::{HeaderError, Jws, JwsError};
use crate::pki::Certificate;

/// Rows 1 to 1b, unless row 3 explains it: what no signature covers is altered before it is malformed.
pub(super) fn verdict(verifier: &Verifier, bundle: &Bundle, error: &RecordError) -> Verdict {
    let offered = OfferedCertificates::of(bundle);
    let altered = Jws::parse(&bundle.record, &verifier.limits().json).is_ok_and(|jws| {
        jws.signatures().iter().any(|signature| {
            let chain = signer_chain(&jws, signature, offered.ders());
            let leaf = chain.first().and_then(|der| Certificate::from_der(der).ok());
            let key = leaf.as_ref().and_then(|leaf| leaf.key().ok());
            key.is_some_and(|key| jws.check_signature(signature, key) == Err(SignatureError::Wrong))
        })
    });
    if altered {
        return Verdict::failed(SubIndication::SigCryptoFailure, SignatureError::Wrong.to_string());
    }
    match error {
        // What is not understood is not forged: another reader may verify it.
        RecordError::Jws(JwsError::Header(_, HeaderError::CriticalUnknown(_))) => {
            Verdict::indeterminate(SubIndication::SigConstraintsFailure, error.to_string())
        }
        RecordError::Jws(JwsError::Detached) => Verdict::indeterminate(SubIndication::FormatFailure, error.to_string()),
        _ if is_compact(&bundle.record) => {
            let reason = "a JWS in compact serialization, which is not how records are issued, and is not read here";
            Verdict::indeterminate(SubIndication::FormatFailure, reason)
        }
        _ => Verdict::failed(SubIndication::FormatFailure, error.to_string()),
    }
}

/// Whether bytes are three parts of base64url, the first of a JSON object (RFC 7515 §7.1); the second may be empty.
fn is_compact(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = bytes.split(|byte| *byte == b'.');
    bytes.starts_with(b"eyJ") && parts.clone().count() == 3 && parts.all(|part| part.iter().all(is_base64url))
}
