//! Signing of tokens, with the key of a timestamp authority (RFC 3161 §2.4.2, RFC 5816).

use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::token::{TST_INFO, TstInfo};
use crate::crypto::{Hash, SignatureAlgorithm, Signer, SigningError};
use crate::pki::asn1::{self, Malformed, Oid};
use crate::pki::cms;

/// Why no token was made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TstError {
    /// The signer's certificate, or the policy, is not well-formed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The accuracy has parts below a microsecond, or is of more seconds than a token can say.
    #[error("an accuracy is whole microseconds, and at most 2^31 seconds")]
    Accuracy,
    /// The key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl TstInfo {
    fn encode(&self) -> Result<Vec<u8>, TstError> {
        let mut content = asn1::encode(asn1::INTEGER, &[&[1]]);
        content.extend(asn1::encode_oid(Oid::new(&self.policy).map_err(|_| Malformed)?));
        content.extend(self.imprint.encode());
        content.extend(asn1::encode(asn1::INTEGER, &[&self.serial]));
        let millis = self.gen_time.timestamp_subsec_millis();
        let mut time = self.gen_time.format("%Y%m%d%H%M%S").to_string();
        if millis > 0 {
            time += format!(".{millis:03}").trim_end_matches('0');
        }
        time.push('Z');
        content.extend(asn1::encode(asn1::GENERALIZED_TIME, &[time.as_bytes()]));
        if let Some(accuracy) = self.accuracy {
            content.extend(encode_accuracy(accuracy)?);
        }
        if self.ordering {
            content.extend(asn1::encode(asn1::BOOLEAN, &[&[0xff]]));
        }
        if let Some(nonce) = &self.nonce {
            content.extend(asn1::encode(asn1::INTEGER, &[nonce]));
        }
        Ok(asn1::encode(asn1::SEQUENCE, &[&content]))
    }
}

fn encode_accuracy(accuracy: std::time::Duration) -> Result<Vec<u8>, TstError> {
    let seconds = i32::try_from(accuracy.as_secs()).map_err(|_| TstError::Accuracy)?;
    let (millis, micros) = (accuracy.subsec_millis(), accuracy.subsec_micros() % 1000);
    if !accuracy.subsec_nanos().is_multiple_of(1000) {
        return Err(TstError::Accuracy);
    }
    let mut parts = asn1::encode_unsigned(&seconds.to_be_bytes());
    for (number, part) in [(0, millis), (1, micros)] {
        if part > 0 {
            let mut integer = asn1::encode_unsigned(&part.to_be_bytes());
            integer[0] = asn1::context_primitive(number);
            parts.extend(integer);
        }
    }
    Ok(asn1::encode(asn1::SEQUENCE, &[&parts]))
}

/// Signs a token with an RSA key. `chain` starts with the signer's certificate; `embedded` of its certificates go into
/// the token. The time is cut to milliseconds.
///
/// # Errors
/// When the signer's certificate or the policy is malformed, the accuracy cannot be said, or the key does not sign.
///
/// # Panics
/// When `chain` is empty.
pub fn sign_token(
    info: &TstInfo,
    chain: &[Vec<u8>],
    embedded: usize,
    signer: &dyn Signer,
) -> Result<Vec<u8>, TstError> {
    let leaf = chain.first().expect("a chain starts with its leaf");
    let certificate = Certificate::from_der(leaf).map_err(|_| Malformed)?;
    let certificate = certificate.tbs_certificate();
    let content = info.encode()?;
    let sha_256 = asn1::encode_hash_algorithm(Hash::Sha256);

    let named = asn1::encode(asn1::SEQUENCE, &[&asn1::encode(asn1::OCTET_STRING, &[&crate::crypto::sha256(leaf)])]);
    let named = asn1::encode(asn1::SEQUENCE, &[&asn1::encode(asn1::SEQUENCE, &[&named])]);
    let digest = asn1::encode(asn1::OCTET_STRING, &[&crate::crypto::sha256(&content)]);
    let mut attributes = [
        attribute(cms::CONTENT_TYPE, &asn1::encode_oid(TST_INFO)),
        attribute(cms::MESSAGE_DIGEST, &digest),
        attribute(cms::SIGNING_CERTIFICATE_V2, &named),
    ];
    // X.690 §11.6: the members of a set stand in the order of their encodings.
    attributes.sort();
    let attributes = attributes.concat();
    let algorithm = SignatureAlgorithm::RsaPkcs1(Hash::Sha256);
    let signature = signer.sign(algorithm, &asn1::encode(asn1::SET, &[&attributes]))?;

    let issuer = certificate.issuer().to_der().map_err(|_| Malformed)?;
    let serial = asn1::encode(asn1::INTEGER, &[certificate.serial_number().as_bytes()]);
    let signer_info = asn1::encode(
        asn1::SEQUENCE,
        &[
            &asn1::encode(asn1::INTEGER, &[&[1]]),
            &asn1::encode(asn1::SEQUENCE, &[&issuer, &serial]),
            &sha_256,
            &asn1::encode(asn1::context(0), &[&attributes]),
            &asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(cms::RSA_SHA_256), &[asn1::NULL, 0]]),
            &asn1::encode(asn1::OCTET_STRING, &[&signature]),
        ],
    );
    let content = asn1::encode(asn1::OCTET_STRING, &[&content]);
    let content = asn1::encode(asn1::context(0), &[&content]);
    let mut certificates: Vec<&[u8]> = chain.iter().take(embedded).map(Vec::as_slice).collect();
    certificates.sort_unstable();
    let certificates = if embedded == 0 { Vec::new() } else { asn1::encode(asn1::context(0), &certificates) };
    let signed = asn1::encode(
        asn1::SEQUENCE,
        &[
            // RFC 5652 §5.1: the content is not plain data.
            &asn1::encode(asn1::INTEGER, &[&[3]]),
            &asn1::encode(asn1::SET, &[&sha_256]),
            &asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(TST_INFO), &content]),
            &certificates,
            &asn1::encode(asn1::SET, &[&signer_info]),
        ],
    );
    let signed = asn1::encode(asn1::context(0), &[&signed]);
    Ok(asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(cms::SIGNED_DATA), &signed]))
}

fn attribute(kind: Oid, value: &[u8]) -> Vec<u8> {
    asn1::encode(asn1::SEQUENCE, &[&asn1::encode_oid(kind), &asn1::encode(asn1::SET, &[value])])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, KeyUsagePurpose};

    use super::super::error::TimestampError;
    use super::super::imprint::MessageImprint;
    use super::super::token::Timestamp;
    use super::super::token::tests::check_changed_bits;
    use super::*;
    use crate::crypto::{KeySize, SigningKey};

    /// `id-kp-timeStamping`, and with it `id-kp-serverAuth`.
    const SOLE: &[u8] = &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8];
    const SHARED: &[u8] = &[0x30, 20, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];

    fn certificate(key: &KeyPair, usage: &[u8], critical: bool, change: impl Fn(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new([]).unwrap();
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], usage.to_vec());
        extension.set_criticality(critical);
        params.custom_extensions = vec![extension];
        change(&mut params);
        params.self_signed(key).unwrap().der().to_vec()
    }

    fn info(data: &[u8]) -> TstInfo {
        TstInfo {
            policy: "1.3.6.1.4.1.1".to_owned(),
            imprint: MessageImprint::of(Hash::Sha384, data),
            serial: vec![0, 0xff, 1],
            gen_time: crate::clock::parse_time("2026-07-01T12:00:00.120Z").unwrap(),
            accuracy: Some(Duration::new(1, 500_003_000)),
            ordering: true,
            nonce: Some(vec![0xff]),
        }
    }

    #[test]
    fn a_token_says_what_it_was_made_to_say_and_only_by_a_timestamping_certificate() {
        let (signer, pkcs8) = SigningKey::generate_rsa(KeySize::Rsa2048);
        let pkcs8 = pkcs8.as_slice().into();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_RSA_SHA256).unwrap();
        let info = info(b"data");
        let open = |certificate: Vec<u8>, embedded| {
            let token = sign_token(&info, std::slice::from_ref(&certificate), embedded, &signer).unwrap();
            Timestamp::open(&token, b"data", &[certificate]).map(|opened| (token, opened))
        };
        let right = certificate(&key, SOLE, true, |_| {});
        let (token, opened) = open(right.clone(), 1).unwrap();
        assert_eq!((opened.info(), opened.signer()), (&info, right.as_slice()));
        assert_eq!(Timestamp::open(&token, b"date", &[]).err(), Some(TimestampError::Imprint));
        check_changed_bits(&token, b"data", std::slice::from_ref(&right), &opened);

        let (token, _) = open(right, 0).unwrap();
        let missing = Some(TimestampError::Cms(cms::CmsError::NoSigningCertificate));
        assert_eq!(Timestamp::open(&token, b"data", &[]).err(), missing);

        let refused = |usage, critical, change: fn(&mut CertificateParams)| {
            open(certificate(&key, usage, critical, change), 1).err()
        };
        assert_eq!(refused(SOLE, false, |_| {}), Some(TimestampError::ExtendedKeyUsage));
        assert_eq!(refused(SHARED, true, |_| {}), Some(TimestampError::ExtendedKeyUsage));
        let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        assert_eq!(refused(SOLE, true, authority), Some(TimestampError::CertificateAuthority));
        let sealing = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        assert_eq!(refused(SOLE, true, sealing), Some(TimestampError::KeyUsage));
    }

    #[test]
    fn an_accuracy_that_no_token_can_say_is_refused() {
        assert_eq!(encode_accuracy(Duration::from_nanos(1)), Err(TstError::Accuracy));
        assert_eq!(encode_accuracy(Duration::from_secs(1 << 31)), Err(TstError::Accuracy));
        assert_eq!(encode_accuracy(Duration::from_millis(128)).unwrap(), [0x30, 7, 2, 1, 0, 0x80, 2, 0, 0x80]);
    }
}
