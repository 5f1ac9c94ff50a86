//! Bring your own key: a certificate request in, a chain out (PKCS #10, RFC 2986).
//!
//! Of a request only the key counts, and the proof that its sender holds it; the names and uses in it are ours to decide.

use der::{Decode as _, Reader as _, SliceReader};

use super::error::AuthorityError;
use crate::crypto::{KeyKind, SignatureError, VerifyingKey};
use crate::pki::{CertificateSignature, signed_parts};

/// Largest request that is read: what a certificate may have at most.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Shortest RSA key that is certified (NIST SP 800-131A).
const RSA_BITS_MIN: usize = 2048;

/// Reads a DER request and gives its key, when the request was signed with it.
pub(super) fn proven_key(der: &[u8]) -> Result<VerifyingKey, AuthorityError> {
    let refused = |what: &str| AuthorityError::Request { what: what.to_owned() };
    if der.len() > REQUEST_BYTES_MAX {
        return Err(refused("it is larger than 64 KiB"));
    }
    let (signed, algorithm, signature) = signed_parts(der).map_err(|_| refused("it is not DER"))?;
    let spki = key_info(signed).map_err(|_| refused("it is not a certificate request"))?;
    let key = VerifyingKey::from_spki_der(spki).map_err(|error| refused(&error.to_string()))?;
    match key.kind() {
        KeyKind::Rsa { bits } if bits >= RSA_BITS_MIN => {}
        KeyKind::Rsa { bits } => return Err(refused(&format!("an RSA key of {bits} bits is shorter than 2048"))),
        _ => return Err(refused("records are signed with RSA keys (RS256)")),
    }
    let checked = match algorithm {
        CertificateSignature::Supported(algorithm) => key.check_signature(algorithm, signed, &signature),
        CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => Err(SignatureError::Unsupported),
    };
    checked.map_err(|error| refused(&error.to_string()))?;
    Ok(key)
}

/// The third field of CertificationRequestInfo: version, subject, key, attributes.
fn key_info(info: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(info)?;
    let spki = reader.sequence(|fields| -> der::Result<&[u8]> {
        u8::decode(fields)?;
        fields.tlv_bytes()?;
        let spki = fields.tlv_bytes()?;
        while !fields.is_finished() {
            fields.tlv_bytes()?;
        }
        Ok(spki)
    })?;
    reader.finish()?;
    Ok(spki)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    fn request(algorithm: &'static rcgen::SignatureAlgorithm, key: Option<RsaKeySize>) -> Vec<u8> {
        let key = match key {
            Some(size) => KeyPair::generate_rsa_for(algorithm, size),
            None => KeyPair::generate_for(algorithm),
        };
        CertificateParams::default().serialize_request(&key.unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn takes_a_key_that_signed_its_request_and_no_other() {
        let der = request(&PKCS_RSA_SHA256, Some(RsaKeySize::_2048));
        assert_eq!(proven_key(&der).unwrap().kind(), KeyKind::Rsa { bits: 2048 });
        let mut flipped = der.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for wrong in [&flipped[..], &der[..der.len() - 1], &request(&rcgen::PKCS_ED25519, None), &[]] {
            assert!(matches!(proven_key(wrong), Err(AuthorityError::Request { .. })));
        }
    }
}
