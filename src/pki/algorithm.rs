//! The signature algorithms that certificates and revocation lists name.

use const_oid::ObjectIdentifier;
use der::{Any, Decode as _, Encode as _, Sequence};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::crypto::{Hash, SignatureAlgorithm};

/// How a certificate or revocation list says that it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSignature {
    /// With an algorithm that this build verifies.
    Supported(SignatureAlgorithm),
    /// With a digest that no longer binds: the name of the algorithm.
    Weak(&'static str),
    /// With anything else: its object identifier.
    Unknown(String),
}

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// RSASSA-PSS-params (RFC 4055 §3.1).
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", optional = "true", tag_mode = "EXPLICIT")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", optional = "true", tag_mode = "EXPLICIT")]
    salt_bytes: Option<u32>,
    #[asn1(context_specific = "3", optional = "true", tag_mode = "EXPLICIT")]
    trailer: Option<u32>,
}

impl CertificateSignature {
    pub(super) fn new(algorithm: &AlgorithmIdentifierOwned) -> Self {
        use SignatureAlgorithm as A;
        let no_parameters = algorithm.parameters.is_none();
        let null_or_none = no_parameters || algorithm.parameters.as_ref().is_some_and(Any::is_null);
        let supported = match algorithm.oid.to_string().as_str() {
            "1.2.840.113549.1.1.11" if null_or_none => A::RsaPkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" if null_or_none => A::RsaPkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" if null_or_none => A::RsaPkcs1(Hash::Sha512),
            "1.2.840.10045.4.3.2" if no_parameters => A::EcdsaDer(Hash::Sha256),
            "1.2.840.10045.4.3.3" if no_parameters => A::EcdsaDer(Hash::Sha384),
            "1.2.840.10045.4.3.4" if no_parameters => A::EcdsaDer(Hash::Sha512),
            "1.3.101.112" if no_parameters => A::Ed25519,
            "1.2.840.113549.1.1.5" => return Self::Weak("sha1WithRSAEncryption"),
            "1.2.840.113549.1.1.4" => return Self::Weak("md5WithRSAEncryption"),
            "1.2.840.113549.1.1.2" => return Self::Weak("md2WithRSAEncryption"),
            "1.2.840.10045.4.1" => return Self::Weak("ecdsa-with-SHA1"),
            "1.2.840.10040.4.3" => return Self::Weak("id-dsa-with-sha1"),
            _ if algorithm.oid == RSA_PSS => return pss(algorithm),
            other => return Self::Unknown(other.to_owned()),
        };
        Self::Supported(supported)
    }
}

impl std::fmt::Display for CertificateSignature {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Supported(algorithm) => write!(formatter, "{algorithm:?}"),
            Self::Weak(name) => formatter.write_str(name),
            Self::Unknown(oid) => formatter.write_str(oid),
        }
    }
}

/// RSASSA-PSS with the same hash in its mask, and any salt. What its parameters leave out is SHA-1, and a salt of 20 bytes
/// (RFC 4055 §3.1).
fn pss(algorithm: &AlgorithmIdentifierOwned) -> CertificateSignature {
    read_pss(algorithm).unwrap_or_else(|| CertificateSignature::Unknown(algorithm.oid.to_string()))
}

fn read_pss(algorithm: &AlgorithmIdentifierOwned) -> Option<CertificateSignature> {
    const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
    const MGF_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
    let parameters = algorithm.parameters.as_ref()?.to_der().ok()?;
    let parameters = PssParameters::from_der(&parameters).ok()?;
    if parameters.hash.as_ref().is_none_or(|hash| hash.oid == SHA_1) {
        return Some(CertificateSignature::Weak("id-RSASSA-PSS with SHA-1"));
    }
    let hash = hash(&parameters.hash?)?;
    let mask = parameters.mask?;
    let mask_hash = AlgorithmIdentifierOwned::from_der(&mask.parameters?.to_der().ok()?).ok()?;
    let one_hash = mask.oid == MGF_1 && self::hash(&mask_hash) == Some(hash);
    if !one_hash || parameters.trailer.is_some_and(|trailer| trailer != 1) {
        return None;
    }
    let salt_bytes = u16::try_from(parameters.salt_bytes.unwrap_or(20)).ok()?;
    Some(CertificateSignature::Supported(match usize::from(salt_bytes) == hash.bytes() {
        true => SignatureAlgorithm::RsaPss(hash),
        false => SignatureAlgorithm::RsaPssSalted(hash, salt_bytes),
    }))
}

fn hash(algorithm: &AlgorithmIdentifierOwned) -> Option<Hash> {
    match algorithm.oid.to_string().as_str() {
        "2.16.840.1.101.3.4.2.1" => Some(Hash::Sha256),
        "2.16.840.1.101.3.4.2.2" => Some(Hash::Sha384),
        "2.16.840.1.101.3.4.2.3" => Some(Hash::Sha512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(oid: &str) -> CertificateSignature {
        CertificateSignature::new(&AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap(oid),
            parameters: None,
        })
    }

    #[test]
    fn tells_supported_weak_and_unknown_apart() {
        let supported = SignatureAlgorithm::RsaPkcs1(Hash::Sha256);
        assert_eq!(named("1.2.840.113549.1.1.11"), CertificateSignature::Supported(supported));
        assert_eq!(named("1.2.840.113549.1.1.5"), CertificateSignature::Weak("sha1WithRSAEncryption"));
        assert_eq!(named("1.2.3.4"), CertificateSignature::Unknown("1.2.3.4".into()));
        // In a signature RSASSA-PSS has parameters (RFC 4055 §3.1).
        assert_eq!(named("1.2.840.113549.1.1.10"), CertificateSignature::Unknown("1.2.840.113549.1.1.10".into()));
    }
}
