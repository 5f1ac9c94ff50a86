//! `COSE_Sign1`: one signature over one payload (RFC 9052 §4.2).

use std::collections::BTreeSet;

use minicbor::data::{Tag, Type};
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};

use super::algorithm::algorithm;
use crate::crypto::{Sha256Digest, SignatureAlgorithm, SignatureError, VerifyingKey, with_low_s};

/// Bytes of a message: a statement of a few pages, with a chain of certificates.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Labels of a header: a dozen are in use.
const LABELS_MAX: u64 = 64;
/// Certificates of a chain, as in a JWS.
const CERTIFICATES_MAX: u64 = 10;
/// Characters of an issuer or a subject (RFC 9943 §5.1).
const CLAIM_CHARACTERS_MAX: usize = 8192;
/// `COSE_Sign1` (RFC 9052 §2).
const SIGN1: u64 = 18;
/// `crit` (RFC 9052 §3.1).
const CRITICAL: Label = Label::Number(2);
/// Labels that are understood where `crit` names them.
const UNDERSTOOD: [i64; 9] = [1, 2, 3, 4, 15, 16, 33, 34, 395];

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CoseError {
    /// Larger than a message may be.
    #[error("a message of {0} bytes is longer than {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    /// Not CBOR of the right shape, or with indefinite lengths.
    #[error("not a COSE_Sign1 message of definite lengths")]
    Malformed,
    /// There are bytes behind the message.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
    /// A label is there twice, in one header or in both.
    #[error("label {0:?} is duplicated")]
    Twice(Label),
    /// More labels, certificates or characters than anybody has reason for.
    #[error("too many or too long: {0}")]
    TooMany(&'static str),
    /// A label that has to be understood is not.
    #[error("critical label {0:?} is not understood")]
    Critical(Label),
    /// `crit` is in the unprotected header (RFC 9052 §3.1).
    #[error("critical labels must be named in the protected header")]
    CriticalUnprotected,
}

impl From<DecodeError> for CoseError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// The name of a header parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A registered one.
    Number(i64),
    /// A private one.
    Text(String),
}

/// CWT claims (RFC 9597): who says it, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
}

/// A header, protected or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoseHeader {
    /// `alg` (1), where it is a number.
    pub algorithm: Option<i64>,
    /// `kid` (4).
    pub key_id: Option<Vec<u8>>,
    /// CWT claims (15).
    pub claims: Option<Claims>,
    /// `x5chain` (33), the signer's first, DER.
    pub certificates: Vec<Vec<u8>>,
    /// `x5t` (34), where it is of SHA-256.
    pub thumbprint: Option<[u8; 32]>,
    /// The verifiable data structure of a receipt (395).
    pub data_structure: Option<i64>,
    /// Its proofs of inclusion (396, -1), each as it came.
    pub inclusion_proofs: Vec<Vec<u8>>,
    private_bytes: Vec<(String, Vec<u8>)>,
    critical: Vec<Label>,
    labels: BTreeSet<Label>,
}

/// A signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign1 {
    protected_bytes: Vec<u8>,
    protected: CoseHeader,
    unprotected: CoseHeader,
    payload: Option<Vec<u8>>,
    signature: Vec<u8>,
}

impl Sign1 {
    /// Reads a message. No signature is verified yet.
    ///
    /// # Errors
    /// When it is not one, could be read in two ways, or passes a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(CoseError::TooLong(bytes.len()));
        }
        let mut decoder = Decoder::new(bytes);
        if decoder.tag()? != Tag::new(SIGN1) || decoder.array()? != Some(4) {
            return Err(CoseError::Malformed);
        }
        let protected_bytes = decoder.bytes()?.to_vec();
        let unprotected = CoseHeader::read(&mut decoder)?;
        if unprotected.labels.contains(&CRITICAL) {
            return Err(CoseError::CriticalUnprotected);
        }
        let payload = match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| None)?,
            _ => Some(decoder.bytes()?.to_vec()),
        };
        let signature = decoder.bytes()?.to_vec();
        if decoder.position() != bytes.len() {
            return Err(CoseError::Trailing(bytes.len() - decoder.position()));
        }
        let protected = CoseHeader::of_protected(&protected_bytes)?;
        if let Some(twice) = protected.labels.intersection(&unprotected.labels).next() {
            return Err(CoseError::Twice(twice.clone()));
        }
        Ok(Self { protected_bytes, protected, unprotected, payload, signature })
    }

    /// The header that is signed.
    #[must_use]
    pub fn protected(&self) -> &CoseHeader {
        &self.protected
    }

    /// The header that is not signed.
    #[must_use]
    pub fn unprotected(&self) -> &CoseHeader {
        &self.unprotected
    }

    /// The payload; `None` where it is detached.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// Whether the signature over `payload` is right under `key`, by the algorithm of the protected header.
    ///
    /// # Errors
    /// When it is not, or the algorithm is none that is verified here or does not fit the key.
    pub fn check_signature(&self, payload: &[u8], key: &VerifyingKey) -> Result<(), SignatureError> {
        let algorithm = self.protected.algorithm.and_then(algorithm).ok_or(SignatureError::Unsupported)?;
        key.check_signature(algorithm, &signed_bytes(&self.protected_bytes, payload), &self.signature)
    }

    /// The digest of the message: SHA-256 of it with an empty unprotected header and in deterministic encoding (RFC
    /// 8949 §4.2.1), an ECDSA signature with the smaller of its two right values of `s`. Nothing that is not signed, and
    /// nobody without the key, makes another right message of it.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        let ecdsa = matches!(self.protected.algorithm.and_then(algorithm), Some(SignatureAlgorithm::EcdsaFixed(_)));
        let signature = if ecdsa { with_low_s(&self.signature) } else { self.signature.clone() };
        Sha256Digest::of(&write(&self.protected_bytes, &[0xa0], self.payload.as_deref(), &signature))
    }
}

/// `Sig_structure` (RFC 9052 §4.4) with no external data.
pub(super) fn signed_bytes(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(protected.len() + payload.len() + 32);
    let mut encoder = Encoder::new(&mut bytes);
    let written = (|| {
        encoder.array(4)?.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(payload)?;
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    written.expect("memory takes every byte");
    bytes
}

/// A message of its parts; `unprotected` is a map, encoded.
pub(super) fn write(protected: &[u8], unprotected: &[u8], payload: Option<&[u8]>, signature: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    let mut written = (|| {
        encoder.tag(Tag::new(SIGN1))?.array(4)?.bytes(protected)?;
        encoder.writer_mut().extend_from_slice(unprotected);
        match payload {
            Some(payload) => encoder.bytes(payload)?,
            None => encoder.null()?,
        };
        encoder.bytes(signature)?;
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    written.as_mut().expect("memory takes every byte");
    bytes
}

impl CoseHeader {
    /// The bytes under a private label.
    #[must_use]
    pub fn private_bytes(&self, name: &str) -> Option<&[u8]> {
        self.private_bytes.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes.as_slice())
    }

    fn of_protected(bytes: &[u8]) -> Result<Self, CoseError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut decoder = Decoder::new(bytes);
        let header = Self::read(&mut decoder)?;
        if decoder.position() != bytes.len() {
            return Err(CoseError::Trailing(bytes.len() - decoder.position()));
        }
        for label in &header.critical {
            let understood = matches!(label, Label::Number(number) if UNDERSTOOD.contains(number));
            if !understood || !header.labels.contains(label) {
                return Err(CoseError::Critical(label.clone()));
            }
        }
        Ok(header)
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, CoseError> {
        let count = decoder.map()?.ok_or(CoseError::Malformed)?;
        if count > LABELS_MAX {
            return Err(CoseError::TooMany("labels"));
        }
        let mut header = Self::default();
        for _ in 0..count {
            let label = Label::read(decoder)?;
            let kind = decoder.datatype()?;
            match (&label, kind) {
                (Label::Number(1), kind) if kind != Type::String => header.algorithm = Some(decoder.i64()?),
                (Label::Number(2), _) => {
                    let labels = decoder.array()?.filter(|labels| (1..=LABELS_MAX).contains(labels));
                    for _ in 0..labels.ok_or(CoseError::Malformed)? {
                        header.critical.push(Label::read(decoder)?);
                    }
                }
                (Label::Number(4), _) => header.key_id = Some(decoder.bytes()?.to_vec()),
                (Label::Number(15), _) => header.claims = Some(Claims::read(decoder)?),
                (Label::Number(33), Type::Bytes) => header.certificates = vec![decoder.bytes()?.to_vec()],
                (Label::Number(33), _) => {
                    let count = decoder.array()?.ok_or(CoseError::Malformed)?;
                    if count > CERTIFICATES_MAX {
                        return Err(CoseError::TooMany("certificates"));
                    }
                    for _ in 0..count {
                        header.certificates.push(decoder.bytes()?.to_vec());
                    }
                }
                (Label::Number(34), _) => header.thumbprint = thumbprint(decoder)?,
                (Label::Number(395), _) => header.data_structure = Some(decoder.i64()?),
                (Label::Number(396), _) => header.inclusion_proofs = proofs(decoder)?,
                (Label::Text(name), Type::Bytes) => {
                    header.private_bytes.push((name.clone(), decoder.bytes()?.to_vec()));
                }
                _ => skip(decoder)?,
            }
            if !header.labels.insert(label.clone()) {
                return Err(CoseError::Twice(label));
            }
        }
        Ok(header)
    }
}

/// Steps over a value. Indefinite lengths are refused wherever they are.
fn skip(decoder: &mut Decoder<'_>) -> Result<(), CoseError> {
    let from = decoder.position();
    decoder.skip()?;
    let mut tokens = minicbor::decode::Tokenizer::new(&decoder.input()[from..decoder.position()]);
    let indefinite = |token| {
        use minicbor::data::Token as T;
        matches!(token, Ok(T::BeginBytes | T::BeginString | T::BeginArray | T::BeginMap | T::Break))
    };
    if tokens.any(indefinite) { Err(CoseError::Malformed) } else { Ok(()) }
}

impl Label {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, CoseError> {
        match decoder.datatype()? {
            Type::String => Ok(Self::Text(decoder.str()?.to_owned())),
            _ => Ok(Self::Number(decoder.i64()?)),
        }
    }
}

impl Claims {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, CoseError> {
        let count = decoder.map()?.filter(|count| *count <= LABELS_MAX).ok_or(CoseError::Malformed)?;
        let (mut claims, mut seen) = (Self::default(), BTreeSet::new());
        for _ in 0..count {
            let label = Label::read(decoder)?;
            match label {
                Label::Number(1) => claims.issuer = Some(claim(decoder)?),
                Label::Number(2) => claims.subject = Some(claim(decoder)?),
                _ => skip(decoder)?,
            }
            if !seen.insert(label.clone()) {
                return Err(CoseError::Twice(label));
            }
        }
        Ok(claims)
    }
}

fn claim(decoder: &mut Decoder<'_>) -> Result<String, CoseError> {
    let text = decoder.str()?;
    if text.chars().count() > CLAIM_CHARACTERS_MAX {
        return Err(CoseError::TooMany("characters of a claim"));
    }
    Ok(text.to_owned())
}

/// `COSE_CertHash` (RFC 9360 §2), where it is of SHA-256 (-16).
fn thumbprint(decoder: &mut Decoder<'_>) -> Result<Option<[u8; 32]>, CoseError> {
    if decoder.array()? != Some(2) {
        return Err(CoseError::Malformed);
    }
    let algorithm = Label::read(decoder)?;
    let hash = decoder.bytes()?;
    if algorithm != Label::Number(-16) {
        return Ok(None);
    }
    hash.try_into().map(Some).map_err(|_| CoseError::Malformed)
}

/// The proofs of inclusion among the proofs of a receipt (RFC 9942 §4.3).
fn proofs(decoder: &mut Decoder<'_>) -> Result<Vec<Vec<u8>>, CoseError> {
    let count = decoder.map()?.filter(|count| *count <= LABELS_MAX).ok_or(CoseError::Malformed)?;
    let mut found = Vec::new();
    for _ in 0..count {
        if Label::read(decoder)? != Label::Number(-1) {
            skip(decoder)?;
            continue;
        }
        let proofs = decoder.array()?.filter(|proofs| *proofs <= LABELS_MAX).ok_or(CoseError::Malformed)?;
        for _ in 0..proofs {
            found.push(decoder.bytes()?.to_vec());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers as bytes, with a payload and a signature of one byte.
    fn parse(protected: &[u8], unprotected: &[u8]) -> Result<Sign1, CoseError> {
        let length = 0x40 + u8::try_from(protected.len()).unwrap();
        Sign1::parse(&[&[0xd2, 0x84, length], protected, unprotected, &[0x41, 7, 0x41, 9]].concat())
    }

    #[test]
    fn what_has_to_be_understood_is_named_in_the_protected_header_alone() {
        // {1: -7}, {1: -7, 2: [4], 4: h'01'} and so on.
        let plain = [0xa1, 1, 0x26];
        let named = [0xa3, 1, 0x26, 2, 0x81, 4, 4, 0x41, 1];
        assert!(parse(&plain, &[0xa1, 4, 0x41, 1]).is_ok());
        assert!(parse(&named, &[0xa0]).is_ok());
        for unprotected in [
            // A label that is there and understood, one that is not there, and one that nobody understands.
            &[0xa2, 2, 0x81, 4, 4, 0x41, 1][..],
            &[0xa1, 2, 0x81, 1],
            &[0xa1, 2, 0x81, 0x19, 0x03, 0xe8],
        ] {
            assert_eq!(parse(&plain, unprotected), Err(CoseError::CriticalUnprotected), "{unprotected:x?}");
        }
        assert_eq!(parse(&named, &[0xa1, 2, 0x81, 4]), Err(CoseError::CriticalUnprotected));
        // It names what is signed: 33 is not there, or not there alone.
        let absent = [0xa2, 1, 0x26, 2, 0x81, 0x18, 33];
        for unprotected in [&[0xa0][..], &[0xa1, 0x18, 33, 0x41, 1]] {
            assert_eq!(parse(&absent, unprotected), Err(CoseError::Critical(Label::Number(33))));
        }
        let unknown = [0xa3, 1, 0x26, 2, 0x81, 0x61, b'x', 0x61, b'x', 0];
        assert_eq!(parse(&unknown, &[0xa0]), Err(CoseError::Critical(Label::Text("x".into()))));
        for nothing in [&[0xa2, 1, 0x26, 2, 0x80][..], &[0xa2, 1, 0x26, 2, 4]] {
            assert_eq!(parse(nothing, &[0xa0]), Err(CoseError::Malformed));
        }
    }
}
