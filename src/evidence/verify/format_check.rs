//! Row 1: the verdict on bytes that are no record (EN 319 102-1 §5.2.2).

use crate::crypto::SignatureError;
use crate::evidence::format::{Bundle, RecordError};
use crate::evidence::report::{SubIndication, Verdict};
use crate::evidence::verify::material::signer_chain::signer_chain;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::verifier::Verifier;
use crate::jose::Jws;
use crate::pki::Certificate;

/// Row 1, unless row 3 explains it: what no signature covers is altered before it is malformed.
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
    Verdict::failed(SubIndication::FormatFailure, error.to_string())
}
