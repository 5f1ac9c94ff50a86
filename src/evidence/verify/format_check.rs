//! Rows 1 to 1c: the verdict on bytes that are no record (EN 319 102-1 §5.2.2).

use crate::crypto::SignatureError;
use crate::evidence::format::{Bundle, RecordError};
use crate::evidence::report::{SubIndication, Verdict};
use crate::evidence::verify::material::signer_chain::signer_chain;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::verifier::Verifier;
use crate::jose::{HeaderError, Jws, JwsError};
use crate::json::StrictError;
use crate::pki::Certificate;

/// Rows 1 to 1c, unless row 3 explains it: what no signature covers is altered before it is malformed.
pub(super) fn verdict(verifier: &Verifier, bundle: &Bundle, error: &RecordError) -> Verdict {
    let offered = OfferedCertificates::of(bundle, &[]);
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
        // Nobody signed it, or what was signed is not here: that accuses nobody.
        RecordError::Jws(JwsError::Json(StrictError::Syntax { at, .. })) => {
            let reason = not_json(&bundle.record, *at).unwrap_or_else(|| error.to_string());
            Verdict::indeterminate(SubIndication::FormatFailure, format!("this is no signed record: {reason}"))
        }
        RecordError::Jws(JwsError::NotSigned(why)) => {
            Verdict::indeterminate(SubIndication::FormatFailure, format!("this is no signed record: {why}"))
        }
        _ => Verdict::failed(SubIndication::FormatFailure, error.to_string()),
    }
}

/// The kind of bytes that are not JSON from `at` on, where it is recognized.
fn not_json(bytes: &[u8], at: usize) -> Option<String> {
    let starts = |magic: &[&[u8]]| magic.iter().any(|magic| bytes.starts_with(magic));
    let is_media = starts(&[b"RIFF", b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\x1aE\xdf\xa3"]);
    if is_media || bytes.get(4..8) == Some(b"ftyp") {
        return Some("it is a recording, which is verified together with the record that names it".into());
    }
    match bytes {
        [] => Some("it is empty".into()),
        [b'{', ..] if at >= bytes.len() => Some(format!("it ends in the middle, at byte {at}")),
        _ => None,
    }
}

/// Whether bytes are three parts of base64url, the first of a JSON object (RFC 7515 §7.1); the second may be empty.
fn is_compact(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = bytes.split(|byte| *byte == b'.');
    bytes.starts_with(b"eyJ") && parts.clone().count() == 3 && parts.all(|part| part.iter().all(is_base64url))
}
