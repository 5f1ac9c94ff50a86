//! Certificates and revocation lists made to measure, by bytes: what a careful library would refuse to make is made too.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::Arc;

use affiant::crypto::{Hash, KeySize, SignatureAlgorithm, Signer as _, SigningKey};
use affiant::pki::{Certificate, Crl};
use chrono::{DateTime, Datelike as _, Utc};
use rcgen::{PublicKeyData as _, SigningKey as _};

/// Writes a value of ASN.1 in DER.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match length {
        0..0x80 => bytes.push(u8::try_from(length).unwrap()),
        _ => {
            let length = length.to_be_bytes();
            let length = &length[length.iter().position(|byte| *byte != 0).unwrap()..];
            bytes.push(0x80 | u8::try_from(length.len()).unwrap());
            bytes.extend_from_slice(length);
        }
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const INTEGER: u8 = 2;
pub(crate) const OCTETS: u8 = 4;
pub(crate) const TRUE: &[u8] = &[1, 1, 0xff];

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(6, &[der::asn1::ObjectIdentifier::new(text).unwrap().as_bytes()])
}

/// A non-negative INTEGER.
pub(crate) fn unsigned(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let sign: &[u8] = if bytes[first] & 0x80 != 0 { &[0] } else { &[] };
    tlv(INTEGER, &[sign, &bytes[first..]])
}

/// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after.
pub(crate) fn time(at: DateTime<Utc>) -> Vec<u8> {
    if at.year() < 2050 { tlv(0x17, &[at.format("%y%m%d%H%M%SZ").to_string().as_bytes()]) } else { generalized(at) }
}

pub(crate) fn generalized(at: DateTime<Utc>) -> Vec<u8> {
    tlv(0x18, &[at.format("%Y%m%d%H%M%SZ").to_string().as_bytes()])
}

pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes])
}

/// A name of common name alone.
pub(crate) fn name(common: &str) -> Vec<u8> {
    let attribute = tlv(SEQUENCE, &[&oid("2.5.4.3"), &tlv(12, &[common.as_bytes()])]);
    tlv(SEQUENCE, &[&tlv(SET, &[&attribute])])
}

/// A private key and how it signs certificates and lists.
pub(crate) enum Key {
    P256(rcgen::KeyPair, SigningKey),
    /// For authorities, which sign nothing but certificates and lists.
    P384(rcgen::KeyPair),
    Rsa(SigningKey),
}

impl Key {
    pub(crate) fn p256() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = SigningKey::from_pkcs8_der(&pair.serialize_der()).unwrap();
        Self::P256(pair, key)
    }

    pub(crate) fn p384() -> Self {
        Self::P384(rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
    }

    pub(crate) fn rsa(size: KeySize) -> Self {
        Self::Rsa(SigningKey::generate_rsa(size).0)
    }

    pub(crate) fn signer(&self) -> &SigningKey {
        match self {
            Self::P256(_, key) | Self::Rsa(key) => key,
            Self::P384(_) => panic!("a key of P-384 signs no data here"),
        }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            Self::P256(pair, _) | Self::P384(pair) => pair.subject_public_key_info(),
            Self::Rsa(key) => key.verifying_key().spki_der().to_vec(),
        }
    }

    /// SHA-256 of the key, cut to 20 bytes (RFC 7093 §2 (1)).
    pub(crate) fn identifier(&self) -> Vec<u8> {
        affiant::crypto::sha256(&self.spki())[..20].to_vec()
    }

    fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::P256(..) => tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2")]),
            Self::P384(_) => tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.3")]),
            Self::Rsa(_) => tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(pair, _) | Self::P384(pair) => pair.sign(message).unwrap(),
            Self::Rsa(key) => key.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), message).unwrap(),
        }
    }

    /// `SEQUENCE { signed, algorithm, signature }`.
    pub(crate) fn seal(&self, signed: &[u8]) -> Vec<u8> {
        tlv(SEQUENCE, &[signed, &self.algorithm(), &bits(&self.sign(signed))])
    }
}

#[derive(Clone)]
pub(crate) struct Extension {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

impl Extension {
    pub(crate) fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: oid.to_owned(), critical, value }
    }

    fn encode(&self) -> Vec<u8> {
        let critical = if self.critical { TRUE } else { &[] };
        tlv(SEQUENCE, &[&oid(&self.oid), critical, &tlv(OCTETS, &[&self.value])])
    }
}

pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(crate) const SUBJECT_KEY_IDENTIFIER: &str = "2.5.29.14";
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const CRL_NUMBER: &str = "2.5.29.20";
pub(crate) const EXPIRED_CERTS: &str = "2.5.29.60";
pub(crate) const ISSUING_POINT: &str = "2.5.29.28";
pub(crate) const DOCUMENT_SIGNING: &str = "1.3.6.1.5.5.7.3.36";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// keyUsage of digitalSignature; of keyCertSign and cRLSign.
pub(crate) const SIGNS_DATA: &[u8] = &[3, 2, 7, 0x80];
pub(crate) const SIGNS_CERTIFICATES: &[u8] = &[3, 2, 1, 0x06];

/// A certificate to be made. Everything in it may be changed first.
#[derive(Clone)]
pub(crate) struct Mint {
    /// 0 for version 1, 2 for version 3.
    pub(crate) version: u8,
    /// The content of the INTEGER.
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) not_before: DateTime<Utc>,
    pub(crate) not_after: DateTime<Utc>,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

impl Mint {
    /// A certificate with what every kind of them has.
    fn of(subject: &str, key: &Key, issuer: &str, issuer_key: &Key, window: (DateTime<Utc>, DateTime<Utc>)) -> Self {
        let identifier = tlv(SEQUENCE, &[&tlv(0x80, &[&issuer_key.identifier()])]);
        let mut serial = affiant::crypto::sha256(format!("{subject} of {issuer}").as_bytes())[..16].to_vec();
        serial[0] = serial[0] & 0x7f | 1;
        Self {
            version: 2,
            serial,
            issuer: name(issuer),
            subject: name(subject),
            not_before: window.0,
            not_after: window.1,
            spki: key.spki(),
            extensions: vec![
                Extension::new(SUBJECT_KEY_IDENTIFIER, false, tlv(OCTETS, &[&key.identifier()])),
                Extension::new(AUTHORITY_KEY_IDENTIFIER, false, identifier),
            ],
        }
    }

    /// An authority; its own, where subject and issuer are the same.
    pub(crate) fn authority(
        (subject, key): (&str, &Key),
        (issuer, issuer_key): (&str, &Key),
        window: (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        Self::of(subject, key, issuer, issuer_key, window).with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE])).with(
            KEY_USAGE,
            true,
            SIGNS_CERTIFICATES.to_vec(),
        )
    }

    /// A certificate that signs data for one purpose.
    pub(crate) fn leaf(
        (subject, key): (&str, &Key),
        (issuer, issuer_key): (&str, &Key),
        window: (DateTime<Utc>, DateTime<Utc>),
        purpose: &str,
    ) -> Self {
        Self::of(subject, key, issuer, issuer_key, window).with(KEY_USAGE, true, SIGNS_DATA.to_vec()).with(
            EXTENDED_KEY_USAGE,
            purpose == TIME_STAMPING,
            tlv(SEQUENCE, &[&oid(purpose)]),
        )
    }

    /// With this extension, in the place of one of its kind.
    pub(crate) fn with(mut self, oid: &str, critical: bool, value: Vec<u8>) -> Self {
        self = self.without(oid);
        self.extensions.push(Extension::new(oid, critical, value));
        self
    }

    pub(crate) fn without(mut self, oid: &str) -> Self {
        self.extensions.retain(|extension| extension.oid != oid);
        self
    }

    pub(crate) fn signed_by(&self, key: &Key) -> Vec<u8> {
        let version = if self.version == 0 { Vec::new() } else { tlv(0xa0, &[&tlv(INTEGER, &[&[self.version]])]) };
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        let extensions = if self.version == 2 { tlv(0xa3, &[&tlv(SEQUENCE, &[&extensions])]) } else { Vec::new() };
        let signed = tlv(
            SEQUENCE,
            &[
                &version,
                &tlv(INTEGER, &[&self.serial]),
                &key.algorithm(),
                &self.issuer,
                &tlv(SEQUENCE, &[&time(self.not_before), &time(self.not_after)]),
                &self.subject,
                &self.spki,
                &extensions,
            ],
        );
        key.seal(&signed)
    }
}

/// Parses what was made.
pub(crate) fn parsed(der: &[u8]) -> Arc<Certificate> {
    Arc::new(Certificate::from_der(der).unwrap())
}

/// One line of a list.
#[derive(Clone)]
pub(crate) struct Revoked {
    pub(crate) serial: Vec<u8>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) extensions: Vec<Extension>,
}

impl Revoked {
    pub(crate) fn of(certificate: &Mint, at: DateTime<Utc>) -> Self {
        Self { serial: certificate.serial.clone(), at, extensions: Vec::new() }
    }

    /// The number of RFC 5280 §5.3.1.
    pub(crate) fn because(mut self, reason: u8) -> Self {
        self.extensions.push(Extension::new("2.5.29.21", false, tlv(10, &[&[reason]])));
        self
    }

    pub(crate) fn invalid_since(mut self, at: DateTime<Utc>) -> Self {
        self.extensions.push(Extension::new("2.5.29.24", false, generalized(at)));
        self
    }
}

/// A revocation list to be made.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: DateTime<Utc>,
    pub(crate) next_update: Option<DateTime<Utc>>,
    pub(crate) revoked: Vec<Revoked>,
    pub(crate) extensions: Vec<Extension>,
}

impl List {
    pub(crate) fn new(
        (issuer, key): (&str, &Key),
        number: u64,
        this_update: DateTime<Utc>,
        next_update: DateTime<Utc>,
    ) -> Self {
        let identifier = tlv(SEQUENCE, &[&tlv(0x80, &[&key.identifier()])]);
        Self {
            issuer: name(issuer),
            this_update,
            next_update: Some(next_update),
            revoked: Vec::new(),
            extensions: vec![
                Extension::new(AUTHORITY_KEY_IDENTIFIER, false, identifier),
                Extension::new(CRL_NUMBER, false, unsigned(number)),
            ],
        }
    }

    pub(crate) fn with(mut self, oid: &str, critical: bool, value: Vec<u8>) -> Self {
        self.extensions.retain(|extension| extension.oid != oid);
        self.extensions.push(Extension::new(oid, critical, value));
        self
    }

    /// Says that certificates which ended since then stay on it.
    pub(crate) fn keeps_expired_since(self, at: DateTime<Utc>) -> Self {
        self.with(EXPIRED_CERTS, false, generalized(at))
    }

    pub(crate) fn revokes(mut self, entry: Revoked) -> Self {
        self.revoked.push(entry);
        self
    }

    pub(crate) fn signed_by(&self, key: &Key) -> Vec<u8> {
        let entries: Vec<u8> = self.revoked.iter().flat_map(Self::entry).collect();
        let entries = if entries.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[&entries]) };
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        let signed = tlv(
            SEQUENCE,
            &[
                &tlv(INTEGER, &[&[1]]),
                &key.algorithm(),
                &self.issuer,
                &time(self.this_update),
                &self.next_update.map(time).unwrap_or_default(),
                &entries,
                &tlv(0xa0, &[&tlv(SEQUENCE, &[&extensions])]),
            ],
        );
        key.seal(&signed)
    }

    fn entry(revoked: &Revoked) -> Vec<u8> {
        let extensions: Vec<u8> = revoked.extensions.iter().flat_map(Extension::encode).collect();
        let extensions = if extensions.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[&extensions]) };
        tlv(SEQUENCE, &[&tlv(INTEGER, &[&revoked.serial]), &time(revoked.at), &extensions])
    }
}

pub(crate) fn parsed_list(der: &[u8]) -> Crl {
    Crl::from_der(der).unwrap()
}
