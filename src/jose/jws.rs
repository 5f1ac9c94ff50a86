//! JWS in JSON serialization, general or flattened, as received (RFC 7515 §7.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{HeaderError, JoseHeader, UnsignedProperties, algorithm};
use crate::crypto::{SignatureError, VerifyingKey};
use crate::json::{self, JsonLimits, StrictError};

/// Signatures of one JWS: an issuer, a few witnesses and renewals; each costs a verification.
pub const SIGNATURES_MAX: usize = 16;

/// Why bytes are not a JWS that can be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JwsError {
    /// Not JSON that every parser reads alike.
    #[error(transparent)]
    Json(#[from] StrictError),
    /// JSON that nobody signed: neither payload nor signatures, or no signature.
    #[error("not signed: {0}")]
    NotSigned(&'static str),
    /// A JWS of another shape.
    #[error("not a JWS in general JSON serialization: {0}")]
    Shape(&'static str),
    /// The payload is elsewhere (RFC 7515 appendix F).
    #[error("detached signature: the payload is not in the document")]
    Detached,
    /// Characters outside base64url, padding, or bits set behind the last byte.
    #[error("{0} is not strict base64url")]
    Base64(&'static str),
    /// The protected header of a signature is not JSON that every parser reads alike.
    #[error("protected header of signature {0}: {1}")]
    ProtectedHeader(usize, StrictError),
    /// The header of a signature cannot be used.
    #[error("signature {0}: {1}")]
    Header(usize, HeaderError),
}

/// A JWS, its bytes kept.
#[derive(Debug, Clone)]
pub struct Jws {
    payload_characters: String,
    payload: Vec<u8>,
    signatures: Vec<JwsSignature>,
    other_members: Vec<String>,
}

/// One signature of a JWS.
#[derive(Debug, Clone)]
pub struct JwsSignature {
    protected_characters: String,
    signature_characters: String,
    signature: Vec<u8>,
    header: JoseHeader,
    // `etsiU` of the unprotected header.
    unsigned: Option<Value>,
}

impl Jws {
    /// Parses a JWS in JSON serialization, general (RFC 7515 §7.2.1) or flattened (§7.2.2).
    ///
    /// # Errors
    /// When the bytes could be read in two ways, have another shape, or carry a header that cannot be used.
    pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Self, JwsError> {
        Self::of(json::parse(bytes, limits)?)
    }

    /// The same of a value that [`json::parse`] gave.
    ///
    /// # Errors
    /// When it has another shape, or carries a header that cannot be used.
    pub fn of(value: Value) -> Result<Self, JwsError> {
        let Value::Object(members) = value else { return Err(JwsError::NotSigned("not an object")) };
        let is_flattened = members.contains_key("signature");
        if is_flattened && members.contains_key("signatures") {
            return Err(JwsError::Shape("signature stands beside signatures"));
        }
        let (mut payload, mut signatures, mut other_members) = (None, None, Vec::new());
        let mut flattened = Map::new();
        for (name, member) in members {
            match name.as_str() {
                "payload" => payload = Some(member),
                "signatures" => signatures = Some(member),
                "protected" | "header" | "signature" if is_flattened => {
                    flattened.insert(name, member);
                }
                _ => other_members.push(name),
            }
        }
        let payload = match payload {
            Some(Value::String(payload)) => payload,
            Some(_) => return Err(JwsError::Shape("payload is not a string")),
            None if is_flattened || signatures.is_some() => return Err(JwsError::Detached),
            None if other_members.iter().any(|name| name == "ciphertext") => {
                return Err(JwsError::NotSigned("it is encrypted, and has to be decrypted first"));
            }
            None => return Err(JwsError::NotSigned("there is neither a payload nor a signature")),
        };
        let signatures = if is_flattened { Some(Value::Array(vec![flattened.into()])) } else { signatures };
        let signatures = match signatures {
            Some(Value::Array(signatures)) => signatures,
            Some(_) => return Err(JwsError::Shape("signatures is not a list")),
            None => return Err(JwsError::NotSigned("there are no signatures")),
        };
        if !(1..=SIGNATURES_MAX).contains(&signatures.len()) {
            return Err(JwsError::Shape("there are no signatures, or more than 16"));
        }
        let signatures = signatures.into_iter().enumerate();
        Ok(Self {
            payload: decode(&payload, "payload")?,
            payload_characters: payload,
            signatures: signatures.map(JwsSignature::of).collect::<Result<_, _>>()?,
            other_members,
        })
    }

    /// Parses a JWS in compact serialization (RFC 7515 §7.1): one signature, its whole header protected.
    ///
    /// # Errors
    /// When it has not three parts of strict base64url, passes the limits, or carries a header that cannot be used.
    pub fn parse_compact(text: &str, limits: &JsonLimits) -> Result<Self, JwsError> {
        let (bytes, bytes_max) = (text.len(), limits.bytes_max);
        if bytes > bytes_max {
            return Err(StrictError::TooLarge { bytes, bytes_max }.into());
        }
        let mut parts = text.split('.');
        let (Some(protected), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Shape("not three parts with a full stop between them"));
        };
        Self::of(json!({
            "payload": payload,
            "signatures": [{ "protected": protected, "signature": signature }],
        }))
    }

    /// The payload, decoded.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, as the characters that are signed.
    pub(super) fn payload_characters(&self) -> &str {
        &self.payload_characters
    }

    /// The signatures, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[JwsSignature] {
        &self.signatures
    }

    /// Names of members beside `payload` and `signatures`: some tools leave clear copies there, which nothing signs.
    #[must_use]
    pub fn other_members(&self) -> &[String] {
        &self.other_members
    }

    /// Each signature as a JWS in compact serialization (RFC 7515 §7.1), in its parts: the payload is not copied.
    pub fn compact(&self) -> impl Iterator<Item = [&str; 5]> + '_ {
        self.signatures.iter().map(|signature| {
            [&*signature.protected_characters, ".", &*self.payload_characters, ".", &*signature.signature_characters]
        })
    }

    /// What an archive timestamp of `signature`, one of ours, is over: payload, protected header and signature value, and
    /// the unsigned properties before it (TS 119 182-1 §5.3.6.3.1).
    #[must_use]
    pub fn archived_characters(&self, signature: &JwsSignature, before: &str) -> Vec<u8> {
        let parts =
            [&*self.payload_characters, &signature.protected_characters, &signature.signature_characters, before];
        parts.join(".").into_bytes()
    }

    /// Checks that `signature`, one of ours, was made with the private half of `key`.
    ///
    /// # Errors
    /// When it was not, or its algorithm is not one that we verify.
    pub fn check_signature(&self, signature: &JwsSignature, key: &VerifyingKey) -> Result<(), SignatureError> {
        let algorithm = algorithm(&signature.header.algorithm).ok_or(SignatureError::Unsupported)?;
        let mut input = Vec::with_capacity(signature.protected_characters.len() + 1 + self.payload_characters.len());
        input.extend_from_slice(signature.protected_characters.as_bytes());
        input.push(b'.');
        input.extend_from_slice(self.payload_characters.as_bytes());
        key.check_signature(algorithm, &input, &signature.signature)
    }
}

impl JwsSignature {
    fn of((position, value): (usize, Value)) -> Result<Self, JwsError> {
        let Value::Object(mut members) = value else { return Err(JwsError::Shape("a signature is not an object")) };
        let mut characters = |name| match members.swap_remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwsError::Shape("protected or signature is not a string")),
        };
        let protected_characters = characters("protected")?.unwrap_or_default();
        let signature_characters = characters("signature")?.ok_or(JwsError::Shape("a signature has no signature"))?;
        let mut unprotected = match members.swap_remove("header") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(header)) => header,
            Some(_) => return Err(JwsError::Shape("a header is not an object")),
        };
        let decoded = decode(&protected_characters, "protected")?;
        let protected = if decoded.is_empty() {
            Map::new()
        } else {
            match json::parse(&decoded, &JsonLimits::default()) {
                Ok(Value::Object(protected)) => protected,
                Ok(_) => return Err(JwsError::Shape("a protected header is not an object")),
                Err(error) => return Err(JwsError::ProtectedHeader(position, error)),
            }
        };
        Ok(Self {
            unsigned: unprotected.swap_remove("etsiU"),
            header: JoseHeader::join(&protected, &unprotected).map_err(|error| JwsError::Header(position, error))?,
            signature: decode(&signature_characters, "signature")?,
            protected_characters,
            signature_characters,
        })
    }

    /// The header, protected and unprotected members joined.
    #[must_use]
    pub fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// The unsigned properties: what JAdES lays beside a signature.
    #[must_use]
    pub fn unsigned_properties(&self) -> UnsignedProperties {
        UnsignedProperties::read(self.unsigned.as_ref())
    }

    /// Whether the protected header has a member of this name: then the signature covers it.
    #[must_use]
    pub fn protects(&self, name: &str) -> bool {
        let protected = decode(&self.protected_characters, "protected").unwrap_or_default();
        json::parse(&protected, &JsonLimits::default()).is_ok_and(|header| header.get(name).is_some())
    }

    /// The protected header, as the characters that are signed.
    pub(super) fn protected_characters(&self) -> &str {
        &self.protected_characters
    }

    /// The signature value in base64url: what a timestamp of the signature is over (TS 119 182-1 §5.3.4).
    #[must_use]
    pub fn signature_characters(&self) -> &str {
        &self.signature_characters
    }
}

fn decode(characters: &str, what: &'static str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(characters).map_err(|_| JwsError::Base64(what))
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Hash, KeySize, SignatureAlgorithm, Signer as _, SigningKey};

    fn parse(text: &str) -> Result<Jws, JwsError> {
        Jws::parse(text.as_bytes(), &JsonLimits::default())
    }

    #[test]
    fn refuses_what_is_not_a_jws() {
        for text in [
            "{}",
            "[]",
            "1",
            r#"{"payload":1,"signatures":[]}"#,
            r#"{"payload":"AA"}"#,
            r#"{"payload":"AA","signatures":[]}"#,
            r#"{"payload":"AA","signatures":[{"protected":"e30"}]}"#,
            r#"{"payload":"A=","signatures":[{"header":{"alg":"RS256"},"signature":"AA"}]}"#,
            r#"{"payload":"AB","signatures":[{"header":{"alg":"RS256"},"signature":"AA"}]}"#,
            r#"{"payload":"AA","signatures":[{"protected":"W10","signature":"AA"}]}"#,
            r#"{"payload":"AA","payload":"AA","signatures":[{"header":{"alg":"RS256"},"signature":"AA"}]}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let jws =
            parse(r#"{"payload":"AA","x":1,"signatures":[{"header":{"alg":"RS256"},"signature":"AA"}]}"#).unwrap();
        assert_eq!(jws.other_members(), ["x"]);
        assert_eq!(jws.compact().map(|parts| parts.concat()).collect::<Vec<_>>(), [".AA.AA"]);
    }

    #[test]
    fn a_signature_holds_for_its_bytes_alone() {
        let (key, _) = SigningKey::generate_rsa(KeySize::Rsa2048);
        let protected = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256"}"#);
        let payload = URL_SAFE_NO_PAD.encode(b"payload");
        let signature =
            key.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), format!("{protected}.{payload}").as_bytes()).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let text = |payload: &str| {
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#
            )
        };
        let jws = parse(&text(&payload)).unwrap();
        assert_eq!(jws.check_signature(&jws.signatures()[0], key.verifying_key()), Ok(()));
        let tampered = parse(&text(&URL_SAFE_NO_PAD.encode(b"Payload"))).unwrap();
        assert_eq!(
            tampered.check_signature(&tampered.signatures()[0], key.verifying_key()),
            Err(SignatureError::Wrong)
        );
    }
}
