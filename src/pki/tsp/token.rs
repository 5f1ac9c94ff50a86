//! Timestamp tokens: an authority's word that something existed at a time (RFC 3161 §2.4.2, RFC 5816).
//!
//! [`Timestamp::open`] checks everything that the token and the data alone decide: the imprint, the signed attributes,
//! the signature, and that the signer's certificate may timestamp and do nothing else. Whether that certificate leads to
//! a trusted anchor at the token's time is the caller's to ask.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::error::{TOKEN_BYTES_MAX, TimestampError};
use super::imprint::{MessageImprint, NONCE_BYTES_MAX, bounded, check_extensions};
use super::response::TimestampResponse;
use crate::crypto::{Hash, SignatureAlgorithm};
use crate::pki::asn1::{self, Malformed, Oid, Value, Values};
use crate::pki::cms::SignedData;

/// `id-ct-TSTInfo` (RFC 3161 §2.4.2).
pub(super) const TST_INFO: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// `id-kp-timeStamping` (RFC 3161 §2.3).
const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Bytes of a serial number: RFC 3161 §2.4.2 asks for 160 bits, and one more may hold the sign.
const SERIAL_BYTES_MAX: usize = 21;
/// The content of a token: TSTInfo (RFC 3161 §2.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TstInfo {
    /// The policy that the authority followed, an object identifier.
    pub policy: String,
    /// The imprint of its data.
    pub imprint: MessageImprint,
    /// The token's number, big-endian with its sign.
    pub serial: Vec<u8>,
    /// When the authority saw the imprint.
    pub gen_time: DateTime<Utc>,
    /// How far from that the time may be, either way; `None` when the authority does not say.
    pub accuracy: Option<Duration>,
    /// Whether two tokens of the authority can be ordered whatever the accuracy.
    pub ordering: bool,
    /// The nonce of the request, as the content of its integer.
    pub nonce: Option<Vec<u8>>,
}

impl TstInfo {
    fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        let mut values = Value::only(bytes, asn1::SEQUENCE)?.values();
        let version = values.expect(asn1::INTEGER)?.small()?;
        if version != 1 {
            return Err(TimestampError::Version { version });
        }
        let policy = values.expect(asn1::OBJECT_IDENTIFIER)?.oid()?.to_string();
        let imprint = MessageImprint::parse(values.expect(asn1::SEQUENCE)?)?;
        let serial = bounded(values.expect(asn1::INTEGER)?, SERIAL_BYTES_MAX)?;
        let gen_time = generalized_time(values.expect(asn1::GENERALIZED_TIME)?.content()).ok_or(Malformed)?;
        let accuracy = values.optional(asn1::SEQUENCE)?.map(|value| accuracy(value.values())).transpose()?;
        let ordering = values.optional(asn1::BOOLEAN)?.map_or(Ok(false), |value| value.boolean())?;
        let nonce = values.optional(asn1::INTEGER)?.map(|value| bounded(value, NONCE_BYTES_MAX)).transpose()?;
        values.optional(asn1::context(0))?;
        if let Some(extensions) = values.optional(asn1::context(1))? {
            check_extensions(extensions.values())?;
        }
        values.finish()?;
        Ok(Self { policy, imprint, serial, gen_time, accuracy, ordering, nonce })
    }

    /// The serial number's bytes in lower-case hexadecimal.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn accuracy(mut values: Values<'_>) -> Result<Duration, Malformed> {
    let seconds = values.optional(asn1::INTEGER)?.map_or(Ok(0), |value| value.small())?;
    let mut part = |number| -> Result<u32, Malformed> {
        match values.optional(asn1::context_primitive(number))?.map(|value| value.small()).transpose()? {
            None => Ok(0),
            Some(part @ 1..=999) => Ok(part),
            Some(_) => Err(Malformed),
        }
    };
    let (millis, micros) = (part(0)?, part(1)?);
    values.finish()?;
    Ok(Duration::new(u64::from(seconds), (millis * 1000 + micros) * 1000))
}

/// `YYYYMMDDhhmmss[.f…]Z`, without trailing zeros in the fraction (RFC 3161 §2.4.2).
fn generalized_time(content: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) {
        return None;
    }
    let nanos = match fraction {
        None => 0,
        Some(fraction) if fraction.is_empty() || fraction.len() > 9 || fraction.ends_with('0') => return None,
        Some(fraction) if !digits(fraction) => return None,
        Some(fraction) => format!("{fraction:0<9}").parse().ok()?,
    };
    let number = |from: usize, to: usize| whole[from..to].parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(4, 6)?, number(6, 8)?)?;
    Some(date.and_hms_nano_opt(number(8, 10)?, number(10, 12)?, number(12, 14)?, nanos)?.and_utc())
}

/// A token of which nothing has been verified.
#[derive(Clone, Debug)]
pub struct TimestampToken {
    der: Vec<u8>,
    signed: SignedData,
    info: TstInfo,
}

impl TimestampToken {
    /// Parses a token, bare or in the response that it came in.
    ///
    /// # Errors
    /// When it is malformed, the response holds none, or the token asks for what is not supported here.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(TimestampError::TooLong { bytes: bytes.len() });
        }
        // A response starts with a status, which is a sequence; a token with an object identifier.
        let first = Value::only(bytes, asn1::SEQUENCE)?.values().next()?.tag();
        let der = if first == asn1::SEQUENCE {
            let response = TimestampResponse::parse(bytes)?;
            response.granted_token().ok_or(TimestampError::NotGranted(response.status()))?.to_vec()
        } else {
            bytes.to_vec()
        };
        let signed = SignedData::parse(&der, TST_INFO)?;
        let info = TstInfo::parse(signed.content())?;
        Ok(Self { der, signed, info })
    }

    /// The token, bare.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The content of the token, not verified.
    #[must_use]
    pub fn info(&self) -> &TstInfo {
        &self.info
    }
}

/// A token that is about the data, rightly signed by a certificate that may timestamp.
#[derive(Clone, Debug)]
pub struct Timestamp {
    info: TstInfo,
    algorithm: SignatureAlgorithm,
    signer: Vec<u8>,
    certificates: Vec<Vec<u8>>,
}

impl Timestamp {
    /// Parses a token, bare or in its response, and verifies it against `data`.
    ///
    /// The signer's certificate is looked for in the token and in `certificates` (DER each), by the signed attribute that
    /// names it. A path from it to an anchor at [`gen_time`](TstInfo::gen_time) is the caller's to find.
    ///
    /// # Errors
    /// When it does not parse, is about other data, is not rightly signed, or its signer may not timestamp.
    pub fn open(bytes: &[u8], data: &[u8], certificates: &[Vec<u8>]) -> Result<Self, TimestampError> {
        Self::open_digest(bytes, |hash| asn1::digest(hash, data), certificates)
    }

    /// The same for data of any size, of which `digest` gives the digest that the token asks for.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_digest(
        bytes: &[u8],
        digest: impl FnOnce(Hash) -> Vec<u8>,
        certificates: &[Vec<u8>],
    ) -> Result<Self, TimestampError> {
        let TimestampToken { signed, info, .. } = TimestampToken::parse(bytes)?;
        info.imprint.check_digest(&digest(info.imprint.hash()))?;
        let (signer, certificate) = signed.check_signature(certificates)?;
        check_signer(&certificate)?;
        let certificates = signed.certificates().iter().filter(|other| **other != signer).cloned().collect();
        Ok(Self { info, algorithm: signed.signature_algorithm(), signer, certificates })
    }

    /// The content of the token.
    #[must_use]
    pub fn info(&self) -> &TstInfo {
        &self.info
    }

    /// How it was signed.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The signer's certificate, in DER.
    #[must_use]
    pub fn signer(&self) -> &[u8] {
        &self.signer
    }

    /// The other certificates that the token holds, in DER: hints for a path, and no more.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}

/// RFC 3161 §2.3: timestamping is the one purpose, and critical; and RFC 5280 §4.2.1.3.
fn check_signer(certificate: &Certificate) -> Result<(), TimestampError> {
    let certificate = certificate.tbs_certificate();
    match certificate.get_extension::<ExtendedKeyUsage>() {
        Ok(Some((true, usage))) if usage.0 == [TIME_STAMPING] => {}
        _ => return Err(TimestampError::ExtendedKeyUsage),
    }
    match certificate.get_extension::<KeyUsage>() {
        Ok(None) => {}
        Ok(Some((_, usage))) if usage.digital_signature() || usage.non_repudiation() => {}
        _ => return Err(TimestampError::KeyUsage),
    }
    match certificate.get_extension::<BasicConstraints>() {
        Ok(None) => Ok(()),
        Ok(Some((_, constraints))) if !constraints.ca => Ok(()),
        _ => Err(TimestampError::CertificateAuthority),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn a_generalized_time_has_one_spelling() {
        let time = |text: &str| generalized_time(text.as_bytes()).map(|time| time.to_rfc3339());
        assert_eq!(time("20230201000000Z").as_deref(), Some("2023-02-01T00:00:00+00:00"));
        assert_eq!(time("20230201000000.05Z").as_deref(), Some("2023-02-01T00:00:00.050+00:00"));
        for wrong in [
            "20230201000000",
            "202302010000Z",
            "20230201000000.Z",
            "20230201000000.50Z",
            "20230201000000.1234567891Z",
            "20230201000000+0100",
            "20231301000000Z",
            "20230230000000Z",
            "20230201000060Z",
            "2023020100000éZ",
            "+0230201000000Z",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_accuracy_adds_up_its_parts() {
        let read = |bytes: &[u8]| accuracy(Values::new(bytes));
        assert_eq!(read(&[2, 1, 1, 0x80, 2, 1, 0xf4, 0x81, 1, 3]), Ok(Duration::new(1, 500_003_000)));
        assert_eq!(read(&[]), Ok(Duration::ZERO));
        assert_eq!(read(&[0x80, 2, 3, 0xe8]), Err(Malformed));
        assert_eq!(read(&[0x81, 1, 3, 0x80, 1, 1]), Err(Malformed));
        assert_eq!(read(&[2, 1, 0xff]), Err(Malformed));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = TimestampToken::parse(&bytes);
            let _ = TimestampResponse::parse(&bytes);
            let _ = crate::pki::tsp::TimestampRequest::parse(&bytes);
        }
    }

    /// Some of the files have white space in their base64.
    fn pem_certificates(path: &std::path::Path) -> Vec<Vec<u8>> {
        use base64::Engine as _;
        let pem = std::fs::read_to_string(path).unwrap();
        pem.split("-----BEGIN CERTIFICATE-----")
            .skip(1)
            .map(|block| {
                let body = block.split_once("-----END").unwrap().0.split_whitespace().collect::<String>();
                base64::engine::general_purpose::STANDARD.decode(body).unwrap()
            })
            .collect()
    }

    /// The tokens of a folder and the data that each is about, where it is known.
    fn cases(folder: &std::path::Path) -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
        // What rfc3161-client's own script stamps where there is no payload beside the token.
        let mut data = vec![b"hello".to_vec()];
        data.extend(std::fs::read(folder.join("payload")));
        let paths = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
        let tokens = paths.filter(|path| path.extension().is_some_and(|extension| extension == "tsr"));
        tokens
            .map(|path| {
                let token = std::fs::read(&path).unwrap();
                let imprint = TimestampToken::parse(&token).unwrap().info().imprint.clone();
                let data = data.iter().find(|data| imprint.check(data).is_ok()).cloned();
                let name = path.strip_prefix(folder.parent().unwrap()).unwrap().display().to_string();
                (name, token, data)
            })
            .collect()
    }

    #[test]
    fn rfc3161_vectors_open_with_their_data_and_with_nothing_changed() {
        let Some(folder) = crate::pki::vectors("rfc3161") else { return };
        let mut count = crate::conformance::Count::new("rfc3161");
        for folder in std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()) {
            let chain = pem_certificates(&folder.join("ts_chain.pem"));
            for (name, token, data) in cases(&folder) {
                let Some(data) = data else {
                    count.not_applicable(&name, "the data that the token is about is not there");
                    continue;
                };
                let opened = Timestamp::open(&token, &data, &chain).unwrap();
                // Certificates injected around it change nothing: the signed attribute names the signer.
                assert!(!opened.certificates().contains(&opened.signer));
                let mut other = data.clone();
                other[0] ^= 1;
                assert_eq!(Timestamp::open(&token, &other, &chain).err(), Some(TimestampError::Imprint));
                check_changed_bits(&token, &data, &chain, &opened);
                count.passed(&name);
            }
        }
        assert!(count.has_passed() > 0);
        count.finish();
    }

    /// No bit of a token changes what it says: it is refused, or the bit is of something that nobody signs.
    pub(in super::super) fn check_changed_bits(token: &[u8], data: &[u8], chain: &[Vec<u8>], right: &Timestamp) {
        let mut refused = 0;
        for at in 0..token.len() {
            let mut changed = token.to_vec();
            changed[at] ^= 1 << (at % 8);
            match Timestamp::open(&changed, data, chain) {
                Ok(opened) => {
                    assert_eq!((opened.info, opened.signer), (right.info.clone(), right.signer.clone()), "{at}")
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 300, "{refused}");
    }
}
