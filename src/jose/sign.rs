//! Signing as Affiant issues: RS256, the certificate bound by the signature, the chain where the vCon draft wants it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::crypto::{Hash, SignatureAlgorithm, Signer, SigningError, sha256};

/// Where `alg` stands. Both are the same record: the unprotected header is not signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Names disjoint between the headers (RFC 7515 §7.2.1): what is stored.
    #[default]
    Rfc7515,
    /// `alg` repeated in the unprotected header, as the vCon draft's example has it: an export.
    Draft,
}

/// A signature to be made.
pub struct NewSignature<'a> {
    /// The private key.
    pub signer: &'a dyn Signer,
    /// DER certificates, the signer's first, the root left out.
    pub chain: &'a [Vec<u8>],
    /// The signing time, for `iat`.
    pub issued_at: DateTime<Utc>,
    /// The uuid of the vCon that is signed.
    pub uuid: &'a str,
}

impl NewSignature<'_> {
    /// Signs `payload` with RS256 and gives the JWS in general JSON serialization.
    ///
    /// Protected: `alg`, `iat`, `x5t#S256`. Unprotected: `x5c`, `uuid`.
    ///
    /// # Errors
    /// When the key is not an RSA key, or could not be reached.
    ///
    /// # Panics
    /// When `chain` is empty: a signature without its certificate is our own bug.
    pub fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SigningError> {
        let leaf = self.chain.first().expect("a signature is made with a certificate");
        let protected = json!({
            "alg": "RS256",
            "iat": self.issued_at.timestamp(),
            "x5t#S256": URL_SAFE_NO_PAD.encode(sha256(leaf)),
        });
        let mut input = URL_SAFE_NO_PAD.encode(protected.to_string());
        let protected_length = input.len();
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut input);
        let signature = self.signer.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), input.as_bytes())?;
        let certificates: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        // Base64 needs no escaping, and the payload is most of it all: everything is written once, in its place.
        let (protected, payload) = (&input[..protected_length], &input[protected_length + 1..]);
        let header = json!({ "x5c": certificates, "uuid": self.uuid });
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let record = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","header":{header},"signature":"{signature}"}}]}}"#
        );
        Ok(record.into_bytes())
    }
}

/// Writes a record in the draft's dialect: `alg` repeated in every unprotected header.
///
/// Signed characters stay as they are. Bytes that are not a JWS come back unchanged.
#[must_use]
pub fn draft_dialect(record: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(record) else { return record.to_vec() };
    let Some(signatures) = value.get_mut("signatures").and_then(Value::as_array_mut) else { return record.to_vec() };
    for signature in signatures {
        let protected = signature.get("protected").and_then(Value::as_str).unwrap_or_default();
        let protected = URL_SAFE_NO_PAD.decode(protected).unwrap_or_default();
        let algorithm = serde_json::from_slice::<Value>(&protected).ok().and_then(|header| header.get("alg").cloned());
        if let (Some(algorithm), Some(header)) = (algorithm, signature.get_mut("header").and_then(Value::as_object_mut))
        {
            header.insert("alg".into(), algorithm);
        }
    }
    value.to_string().into_bytes()
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::crypto::{KeySize, SigningKey};
    use crate::jose::Jws;
    use crate::json::JsonLimits;

    #[test]
    fn both_dialects_are_the_same_record() {
        let (key, _) = SigningKey::generate_rsa(KeySize::Rsa2048);
        let record = NewSignature {
            signer: &key,
            chain: &[vec![1, 2, 3]],
            issued_at: parse_time("2026-07-01T12:00:00Z").unwrap(),
            uuid: "01909c6e-0000-8000-8000-000000000000",
        }
        .sign(b"{}")
        .unwrap();
        let parse = |bytes: &[u8]| Jws::parse(bytes, &JsonLimits::default()).unwrap();
        let (stored, draft) = (parse(&record), parse(&draft_dialect(&record)));
        assert!(stored.check_signature(&stored.signatures()[0], key.verifying_key()).is_ok());
        assert_eq!(stored.compact().collect::<Vec<_>>(), draft.compact().collect::<Vec<_>>());
        let header = stored.signatures()[0].header();
        assert_eq!(header.thumbprint, Some(sha256(&[1, 2, 3])));
        assert_eq!(header.issued_at, Some(1_782_907_200));
        assert!(header.algorithm_protected && header.certificate_protected);
        assert!(String::from_utf8(draft_dialect(&record)).unwrap().contains(r#""alg":"RS256""#));
        assert_eq!(draft_dialect(b"no json"), b"no json");
    }
}
