//! The name of a certificate in requests and responses (RFC 6960 §4.1.1): digests of its issuer's name and key, and its
//! serial number.

use crate::crypto::{Hash, sha1};
use crate::pki::asn1::{self, Malformed, Oid, Value};
use crate::pki::certificate::Certificate;

const SHA_1: Oid = Oid::new_unwrap("1.3.14.3.2.26");

/// The digest that an issuer is named by. A digest here finds an issuer; a signature is what binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdHash {
    /// The algorithm that every client and responder supports.
    Sha1,
    /// SHA-256, SHA-384 or SHA-512.
    Sha2(Hash),
}

/// Which certificate a status is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId {
    // The AlgorithmIdentifier, and which of ours it is.
    algorithm: Vec<u8>,
    hash: Option<IdHash>,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    serial: Vec<u8>,
}

impl IdHash {
    fn identifier(self) -> Vec<u8> {
        match self {
            Self::Sha1 => asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(SHA_1), &[asn1::NULL, 0]]),
            Self::Sha2(hash) => asn1::encode_hash_algorithm(hash),
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1(bytes).to_vec(),
            Self::Sha2(hash) => asn1::digest(hash, bytes),
        }
    }
}

impl CertificateId {
    /// Names the certificate with this serial number (content of the INTEGER); `None` where the issuer's key is none that
    /// is read.
    #[must_use]
    pub fn of(hash: IdHash, issuer: &Certificate, serial: &[u8]) -> Option<Self> {
        Some(Self {
            algorithm: hash.identifier(),
            hash: Some(hash),
            name_hash: hash.digest(issuer.subject().der()),
            key_hash: key_hash(hash, issuer)?,
            serial: serial.to_vec(),
        })
    }

    pub(super) fn read(value: Value<'_>) -> Result<Self, Malformed> {
        let mut values = value.values();
        let algorithm = values.expect(asn1::SEQUENCE)?;
        let oid = asn1::plain_algorithm(algorithm)?;
        let hash = if oid == SHA_1 { Some(IdHash::Sha1) } else { asn1::hash_of(oid).map(IdHash::Sha2) };
        let name_hash = values.expect(asn1::OCTET_STRING)?.content().to_vec();
        let key_hash = values.expect(asn1::OCTET_STRING)?.content().to_vec();
        let serial = values.expect(asn1::INTEGER)?.integer()?.to_vec();
        values.finish()?;
        Ok(Self { algorithm: algorithm.whole().to_vec(), hash, name_hash, key_hash, serial })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let octets = |bytes: &[u8]| asn1::encode(asn1::OCTET_STRING, &[bytes]);
        let serial = asn1::encode(asn1::INTEGER, &[&self.serial]);
        asn1::encode(asn1::SEQUENCE, &[&self.algorithm, &octets(&self.name_hash), &octets(&self.key_hash), &serial])
    }

    /// The serial number: the content of its INTEGER.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether it names a certificate of this issuer's key. Of a digest that is not made here no issuer is found.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.hash.is_some_and(|hash| {
            self.name_hash == hash.digest(issuer.subject().der())
                && key_hash(hash, issuer).is_some_and(|of_key| of_key == self.key_hash)
        })
    }
}

/// The digest of a key: over the content of its BIT STRING, without the count of unused bits.
fn key_hash(hash: IdHash, certificate: &Certificate) -> Option<Vec<u8>> {
    public_key_bits(certificate).map(|bits| hash.digest(&bits))
}

/// The digest of a key that a responder is named by (RFC 6960 §4.2.1).
pub(super) fn responder_key_hash(certificate: &Certificate) -> Option<Vec<u8>> {
    key_hash(IdHash::Sha1, certificate)
}

fn public_key_bits(certificate: &Certificate) -> Option<Vec<u8>> {
    let key = certificate.key().ok()?;
    let mut values = Value::only(key.spki_der(), asn1::SEQUENCE).ok()?.values();
    values.expect(asn1::SEQUENCE).ok()?;
    values.expect(asn1::BIT_STRING).ok()?.content().get(1..).map(<[u8]>::to_vec)
}
