//! The certificate chain of a signature (RFC 7515 §4.1.5 to §4.1.8).

use crate::jose::{Jws, JwsSignature};
use crate::pki::Certificate;

/// Certificates of an address that are tried, as many as an `x5c` may have.
const OFFERED_MAX: usize = 10;

/// The signer's certificates, its own first: those that the header names, in `x5c` or by a reference, else those among
/// `offered` that its `x5u` points to, with one first under which the signature verifies.
///
/// Empty when there is nothing to tell by: a signature is not wrong because somebody gave the wrong certificate.
#[must_use]
pub fn signer_chain(jws: &Jws, signature: &JwsSignature, offered: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let header = signature.header();
    let mut chain = header.signer_chain(offered);
    if header.certificates.is_empty() && header.references.is_empty() && chain.len() > 1 {
        chain.truncate(OFFERED_MAX);
        let verifies = |der: &Vec<u8>| {
            let certificate = Certificate::from_der(der).ok();
            let key = certificate.as_ref().and_then(|certificate| certificate.key().ok());
            key.is_some_and(|key| jws.check_signature(signature, key).is_ok())
        };
        match chain.iter().position(verifies) {
            Some(signer) => chain[..=signer].rotate_right(1),
            None => chain.clear(),
        }
    }
    chain
}
