//! CMS SignedData with one signer and signed attributes: what a timestamp token is wrapped in (RFC 5652 §5).
//!
//! Nothing is written again before it is hashed: the content and the signed attributes are the bytes that came.

use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::algorithm::CertificateSignature;
use super::asn1::{self, Malformed, Oid, Value, Values};
use crate::crypto::{Hash, SignatureAlgorithm, SignatureError, VerifyingKey};

/// `id-signedData`.
pub(super) const SIGNED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.2");
/// `id-contentType`.
pub(super) const CONTENT_TYPE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.3");
/// `id-messageDigest`.
pub(super) const MESSAGE_DIGEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.4");
/// `id-aa-signingCertificate` (RFC 2634 §5.4).
const SIGNING_CERTIFICATE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// `id-aa-signingCertificateV2` (RFC 5035 §3).
pub(super) const SIGNING_CERTIFICATE_V2: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// `rsaEncryption`, which leaves the digest to the signer's digest algorithm (RFC 3370 §3.2).
const RSA_ENCRYPTION: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
/// `sha256WithRSAEncryption`.
pub(super) const RSA_SHA_256: Oid = Oid::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA_384: Oid = Oid::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA_512: Oid = Oid::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA_256: Oid = Oid::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: Oid = Oid::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA_512: Oid = Oid::new_unwrap("1.2.840.10045.4.3.4");

/// Certificates of one message: a signer, its authorities, and a second chain.
pub const CERTIFICATES_MAX: usize = 32;
/// Signed attributes of one signer: real tokens have four or five.
const ATTRIBUTES_MAX: usize = 32;

/// Why SignedData is not acceptable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum CmsError {
    /// Not the structure.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The content is of another type, says the message or the signer.
    #[error("the content is of another type than required")]
    ContentType,
    /// More certificates or attributes than allowed.
    #[error("more than {CERTIFICATES_MAX} certificates or {ATTRIBUTES_MAX} attributes")]
    TooMany,
    /// Other than one signer.
    #[error("{signers} signers, where one is required")]
    Signers {
        /// How many there are.
        signers: usize,
    },
    /// A signed attribute is missing, or there twice.
    #[error("the signed attribute {attribute} is missing or duplicated")]
    Attribute { attribute: &'static str },
    /// An algorithm that is not one of ours.
    #[error("algorithm {0} is not supported")]
    UnsupportedAlgorithm(String),
    /// The digest of the content is not the signed one.
    #[error("the content does not match the signed digest")]
    MessageDigest,
    /// No certificate is the one that the signer named.
    #[error("the certificate of the signer is missing")]
    NoSigningCertificate,
    /// The certificate's key is not one of ours.
    #[error("the key of the signing certificate is not supported")]
    Key,
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// How a signer names its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SignerId {
    /// DER of the issuer's name, and the content of the serial number.
    IssuerAndSerial(Vec<u8>, Vec<u8>),
    KeyId(Vec<u8>),
}

/// How a signed attribute names the certificate (ESSCertID, ESSCertIDv2).
#[derive(Clone, Debug, PartialEq, Eq)]
enum CertificateHash {
    /// RFC 2634: names a certificate, signs nothing by itself.
    Sha1(Vec<u8>),
    Sha2(Hash, Vec<u8>),
}

impl CertificateHash {
    fn is_of(&self, certificate: &[u8]) -> bool {
        match self {
            Self::Sha1(hash) => crate::crypto::sha1(certificate) == hash.as_slice(),
            Self::Sha2(algorithm, hash) => asn1::digest(*algorithm, certificate) == *hash,
        }
    }
}

/// A signed message of one signer.
#[derive(Clone, Debug)]
pub struct SignedData {
    content: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    signer_id: SignerId,
    digest_algorithm: Hash,
    // The attributes with the tag of a SET, as they are signed (RFC 5652 §5.4).
    signed_attributes: Vec<u8>,
    message_digest: Vec<u8>,
    // Invariant: not empty.
    certificate_hashes: Vec<CertificateHash>,
    signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

impl SignedData {
    /// Parses a ContentInfo with SignedData over content of the type `content_type`.
    ///
    /// # Errors
    /// When it is malformed, of another type, of other than one signer, lacks a signed attribute that is required here
    /// (content type, message digest, signing certificate), or uses algorithms that are not ours.
    pub(super) fn parse(bytes: &[u8], content_type: Oid) -> Result<Self, CmsError> {
        let mut info = Value::only(bytes, asn1::SEQUENCE)?.values();
        if info.expect(asn1::OBJECT_IDENTIFIER)?.oid()? != SIGNED_DATA {
            return Err(CmsError::ContentType);
        }
        let explicit = info.expect(asn1::context(0))?;
        info.finish()?;
        let mut signed = Value::only(explicit.content(), asn1::SEQUENCE)?.values();
        signed.expect(asn1::INTEGER)?.small()?;
        signed.expect(asn1::SET)?;
        let content = Self::encapsulated(signed.expect(asn1::SEQUENCE)?.values(), content_type)?;
        let mut certificates = Vec::new();
        if let Some(set) = signed.optional(asn1::context(0))? {
            let mut choices = set.values();
            while !choices.is_finished() {
                let choice = choices.next()?;
                if certificates.len() == CERTIFICATES_MAX {
                    return Err(CmsError::TooMany);
                }
                // Other choices are attribute certificates and formats of the past.
                if choice.tag() == asn1::SEQUENCE {
                    certificates.push(choice.whole().to_vec());
                }
            }
        }
        signed.optional(asn1::context(1))?;
        let signers = signed.expect(asn1::SET)?;
        signed.finish()?;
        let mut infos = signers.values();
        let mut count = 0;
        let mut first = None;
        while !infos.is_finished() {
            let info = infos.expect(asn1::SEQUENCE)?;
            first.get_or_insert(info);
            count += 1;
        }
        let Some(signer) = first.filter(|_| count == 1) else { return Err(CmsError::Signers { signers: count }) };
        Self::signer(signer.values(), content, certificates, content_type)
    }

    fn encapsulated(mut encapsulated: Values<'_>, content_type: Oid) -> Result<Vec<u8>, CmsError> {
        if encapsulated.expect(asn1::OBJECT_IDENTIFIER)?.oid()? != content_type {
            return Err(CmsError::ContentType);
        }
        let explicit = encapsulated.expect(asn1::context(0))?;
        encapsulated.finish()?;
        Ok(Value::only(explicit.content(), asn1::OCTET_STRING)?.content().to_vec())
    }

    fn signer(
        mut info: Values<'_>,
        content: Vec<u8>,
        certificates: Vec<Vec<u8>>,
        content_type: Oid,
    ) -> Result<Self, CmsError> {
        info.expect(asn1::INTEGER)?.small()?;
        let signer_id = match info.optional(asn1::context_primitive(0))? {
            Some(key_id) => SignerId::KeyId(key_id.content().to_vec()),
            None => {
                let mut named = info.expect(asn1::SEQUENCE)?.values();
                let issuer = named.expect(asn1::SEQUENCE)?.whole().to_vec();
                let serial = named.expect(asn1::INTEGER)?.integer()?.to_vec();
                named.finish()?;
                SignerId::IssuerAndSerial(issuer, serial)
            }
        };
        let digest_algorithm = hash_algorithm(info.expect(asn1::SEQUENCE)?)?;
        let attributes = info.optional(asn1::context(0))?.ok_or(CmsError::Attribute { attribute: "contentType" })?;
        let signature_algorithm = signature_algorithm(info.expect(asn1::SEQUENCE)?, digest_algorithm)?;
        let signature = info.expect(asn1::OCTET_STRING)?.content().to_vec();
        info.optional(asn1::context(1))?;
        info.finish()?;

        let attributes_read = Attributes::read(attributes)?;
        if attributes_read.required(CONTENT_TYPE, "contentType")?.oid()? != content_type {
            return Err(CmsError::ContentType);
        }
        let digest = attributes_read.required(MESSAGE_DIGEST, "messageDigest")?;
        if digest.tag() != asn1::OCTET_STRING {
            return Err(Malformed.into());
        }
        let mut signed_attributes = attributes.whole().to_vec();
        signed_attributes[0] = asn1::SET;
        Ok(Self {
            content,
            certificates,
            signer_id,
            digest_algorithm,
            signed_attributes,
            message_digest: digest.content().to_vec(),
            certificate_hashes: attributes_read.certificate_hashes()?,
            signature_algorithm,
            signature,
        })
    }

    /// The signed content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The certificates that came with it, in DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// Verifies the signature, and gives the signer's certificate: the one that the signed attributes name, from among
    /// those of the message and `certificates`.
    ///
    /// Whether that certificate may sign this, and leads to anyone trusted, is not asked here.
    ///
    /// # Errors
    /// When the content is another than was signed, the certificate is not there, or the signature is wrong.
    pub fn check_signature(&self, certificates: &[Vec<u8>]) -> Result<(Vec<u8>, Certificate), CmsError> {
        if asn1::digest(self.digest_algorithm, &self.content) != self.message_digest {
            return Err(CmsError::MessageDigest);
        }
        let (der, certificate) = self
            .certificates
            .iter()
            .chain(certificates)
            .filter(|certificate| self.certificate_hashes.iter().all(|hash| hash.is_of(certificate)))
            .filter_map(|der| Certificate::from_der(der).ok().map(|certificate| (der, certificate)))
            .find(|(_, certificate)| self.names(certificate))
            .ok_or(CmsError::NoSigningCertificate)?;
        let key = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(|_| CmsError::Key)?;
        let key = VerifyingKey::from_spki_der(&key).map_err(|_| CmsError::Key)?;
        key.check_signature(self.signature_algorithm, &self.signed_attributes, &self.signature)?;
        Ok((der.clone(), certificate))
    }

    fn names(&self, certificate: &Certificate) -> bool {
        let certificate = certificate.tbs_certificate();
        match &self.signer_id {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.serial_number().as_bytes() == serial
                    && certificate.issuer().to_der().is_ok_and(|name| name == *issuer)
            }
            SignerId::KeyId(key_id) => matches!(
                certificate.get_extension::<SubjectKeyIdentifier>(),
                Ok(Some((_, extension))) if extension.0.as_bytes() == key_id
            ),
        }
    }
}

/// The signed attributes: a type and its values each.
struct Attributes<'a>(Vec<(Oid, Values<'a>)>);

impl<'a> Attributes<'a> {
    fn read(set: Value<'a>) -> Result<Self, CmsError> {
        let mut attributes = Vec::new();
        let mut values = set.values();
        while !values.is_finished() {
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(CmsError::TooMany);
            }
            let mut attribute = values.expect(asn1::SEQUENCE)?.values();
            let kind = attribute.expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
            let set = attribute.expect(asn1::SET)?.values();
            attribute.finish()?;
            attributes.push((kind, set));
        }
        Ok(Self(attributes))
    }

    /// The one value of the one attribute of a kind; `None` when there is no such attribute.
    fn single(&self, kind: Oid, attribute: &'static str) -> Result<Option<Value<'a>>, CmsError> {
        let mut found = self.0.iter().filter(|(seen, _)| *seen == kind);
        let Some((_, values)) = found.next() else { return Ok(None) };
        let mut values = values.clone();
        let value = values.next()?;
        if found.next().is_some() || !values.is_finished() {
            return Err(CmsError::Attribute { attribute });
        }
        Ok(Some(value))
    }

    fn required(&self, kind: Oid, attribute: &'static str) -> Result<Value<'a>, CmsError> {
        self.single(kind, attribute)?.ok_or(CmsError::Attribute { attribute })
    }

    /// The first certificate of each signing-certificate attribute: the signer's own (RFC 5035 §3). The issuer and
    /// serial number that may follow the hash add nothing to it, and are compared through the signer's identifier.
    fn certificate_hashes(&self) -> Result<Vec<CertificateHash>, CmsError> {
        let mut hashes = Vec::new();
        if let Some(value) = self.single(SIGNING_CERTIFICATE, "signingCertificate")? {
            let hash = first_certificate(value)?.expect(asn1::OCTET_STRING)?.content();
            hashes.push(CertificateHash::Sha1(hash.to_vec()));
        }
        if let Some(value) = self.single(SIGNING_CERTIFICATE_V2, "signingCertificateV2")? {
            let mut named = first_certificate(value)?;
            let algorithm = named.optional(asn1::SEQUENCE)?.map_or(Ok(Hash::Sha256), hash_algorithm)?;
            hashes.push(CertificateHash::Sha2(algorithm, named.expect(asn1::OCTET_STRING)?.content().to_vec()));
        }
        if hashes.is_empty() { Err(CmsError::Attribute { attribute: "signingCertificate" }) } else { Ok(hashes) }
    }
}

fn first_certificate(value: Value<'_>) -> Result<Values<'_>, Malformed> {
    if value.tag() != asn1::SEQUENCE {
        return Err(Malformed);
    }
    let mut certificates = value.values().expect(asn1::SEQUENCE)?.values();
    Ok(certificates.expect(asn1::SEQUENCE)?.values())
}

fn hash_algorithm(identifier: Value<'_>) -> Result<Hash, CmsError> {
    let oid = asn1::plain_algorithm(identifier)?;
    asn1::hash_of(oid).ok_or_else(|| CmsError::UnsupportedAlgorithm(oid.to_string()))
}

fn signature_algorithm(identifier: Value<'_>, digest: Hash) -> Result<SignatureAlgorithm, CmsError> {
    use SignatureAlgorithm::{EcdsaDer, RsaPkcs1};
    let oid = identifier.values().expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
    let algorithm = match oid {
        RSA_ENCRYPTION => RsaPkcs1(digest),
        RSA_SHA_256 => RsaPkcs1(Hash::Sha256),
        RSA_SHA_384 => RsaPkcs1(Hash::Sha384),
        RSA_SHA_512 => RsaPkcs1(Hash::Sha512),
        ECDSA_SHA_256 => EcdsaDer(Hash::Sha256),
        ECDSA_SHA_384 => EcdsaDer(Hash::Sha384),
        ECDSA_SHA_512 => EcdsaDer(Hash::Sha512),
        // RSASSA-PSS (RFC 4056) and Ed25519 (RFC 8419) are named as in certificates.
        _ => {
            let named = AlgorithmIdentifierOwned::from_der(identifier.whole()).map_err(Malformed::from)?;
            return match CertificateSignature::new(&named) {
                CertificateSignature::Supported(algorithm) => Ok(algorithm),
                CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => {
                    Err(CmsError::UnsupportedAlgorithm(oid.to_string()))
                }
            };
        }
    };
    asn1::plain_algorithm(identifier)?;
    Ok(algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(identifier: &[u8]) -> Result<SignatureAlgorithm, CmsError> {
        signature_algorithm(Value::only(identifier, asn1::SEQUENCE).unwrap(), Hash::Sha384)
    }

    /// RSASSA-PSS with MGF1, each over SHA-256 or over the other hash, and a salt.
    fn pss(hash: Oid, mask_hash: Oid, salt: u8) -> Vec<u8> {
        let sequence = |parts: &[&[u8]]| asn1::encode(asn1::SEQUENCE, parts);
        let digest = |oid| sequence(&[&asn1::encode_oid(oid), &[asn1::NULL, 0]]);
        let mask = sequence(&[&asn1::encode_oid(Oid::new_unwrap("1.2.840.113549.1.1.8")), &digest(mask_hash)]);
        let fields = [
            asn1::encode(asn1::context(0), &[&digest(hash)]),
            asn1::encode(asn1::context(1), &[&mask]),
            asn1::encode(asn1::context(2), &[&asn1::encode_unsigned(&[salt])]),
        ];
        let pss = asn1::encode_oid(Oid::new_unwrap("1.2.840.113549.1.1.10"));
        sequence(&[&pss, &sequence(&[&fields.concat()])])
    }

    #[test]
    fn a_signer_may_name_pss_with_any_salt_and_ed25519_and_nothing_that_is_not_verified() {
        let (sha_256, sha_384) = (Oid::new_unwrap("2.16.840.1.101.3.4.2.1"), Oid::new_unwrap("2.16.840.1.101.3.4.2.2"));
        let sha_1 = Oid::new_unwrap("1.3.14.3.2.26");
        assert_eq!(named(&pss(sha_256, sha_256, 32)), Ok(SignatureAlgorithm::RsaPss(Hash::Sha256)));
        assert_eq!(named(&pss(sha_256, sha_256, 20)), Ok(SignatureAlgorithm::RsaPssSalted(Hash::Sha256, 20)));
        assert_eq!(named(&[0x30, 5, 6, 3, 0x2b, 0x65, 0x70]), Ok(SignatureAlgorithm::Ed25519));
        let plain = asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(RSA_ENCRYPTION), &[asn1::NULL, 0]]);
        assert_eq!(named(&plain), Ok(SignatureAlgorithm::RsaPkcs1(Hash::Sha384)));
        let unsupported = [
            pss(sha_256, sha_384, 32),
            pss(sha_1, sha_1, 20),
            // Ed25519 with parameters, Ed448, and RSASSA-PSS without any.
            vec![0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0],
            vec![0x30, 5, 6, 3, 0x2b, 0x65, 0x71],
            asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(Oid::new_unwrap("1.2.840.113549.1.1.10"))]),
        ];
        for identifier in unsupported {
            assert!(matches!(named(&identifier), Err(CmsError::UnsupportedAlgorithm(_))), "{identifier:x?}");
        }
    }
}
