//! Making the certificates of a timestamp authority: a root, and one that signs tokens.

use chrono::{DateTime, Datelike as _, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use zeroize::Zeroizing;

use crate::crypto::random;

/// Years that the root holds: longer than any token under it is of use.
const ROOT_YEARS: i32 = 30;
/// Years that the signing certificate holds.
const SIGNER_YEARS: i32 = 10;
/// RFC 5280 §4.2.1.12, with id-kp-timeStamping alone.
const TIME_STAMPING_ALONE: &[u8] = &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

/// The root and, under it, a certificate that may timestamp and do nothing else (RFC 3161 §2.3).
pub(crate) fn certificates(
    name: &str,
    root_pkcs8: &Zeroizing<Vec<u8>>,
    signer_pkcs8: &Zeroizing<Vec<u8>>,
    now: DateTime<Utc>,
) -> Result<(String, String), rcgen::Error> {
    let (root_key, signer_key) = (key_pair(root_pkcs8)?, key_pair(signer_pkcs8)?);
    let root = root_params(name, now);
    let root_certificate = root.self_signed(&root_key)?;

    let mut signer = params(&format!("{name} timestamping"), now, SIGNER_YEARS);
    signer.is_ca = IsCa::ExplicitNoCa;
    signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    signer.use_authority_key_identifier_extension = true;
    let mut usage = CustomExtension::from_oid_content(EXTENDED_KEY_USAGE, TIME_STAMPING_ALONE.to_vec());
    usage.set_criticality(true);
    signer.custom_extensions = vec![usage];
    let signer_certificate = signer.signed_by(&signer_key, &Issuer::from_params(&root, &root_key))?;
    Ok((root_certificate.pem(), signer_certificate.pem()))
}

/// The key, as it signs certificates and lists.
pub(crate) fn key_pair(pkcs8: &Zeroizing<Vec<u8>>) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_slice().into(), &rcgen::PKCS_RSA_SHA256)
}

/// The root's own parameters, but for its serial number and validity what they were when it was made.
pub(crate) fn root_params(name: &str, now: DateTime<Utc>) -> CertificateParams {
    let mut root = params(&format!("{name} timestamping root"), now, ROOT_YEARS);
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root
}

fn params(common_name: &str, now: DateTime<Utc>, years: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut serial = random::<16>();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let (month, day) = (u8::try_from(now.month()).expect("at most 12"), u8::try_from(now.day()).expect("at most 31"));
    // From the start of the day, and to the 28th at most, which every month has.
    params.not_before = rcgen::date_time_ymd(now.year(), month, day);
    params.not_after = rcgen::date_time_ymd(now.year() + years, month, day.min(28));
    params
}
