//! Signing: RS256 as Affiant issues, or as asked, the certificate bound by the signature, the chain where the vCon draft
//! wants it.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::splice::end_of_signatures;
use super::{Jws, JwsError, SIGNATURES_MAX, SigningAlgorithm};
use crate::crypto::{KeyKind, Signer, SigningError, sha256};
use crate::json::JsonLimits;

/// Characters of an `x5u`: what servers and proxies commonly take as an address.
const X5U_CHARACTERS_MAX: usize = 2048;

/// Where `alg` stands. Both are the same record: the unprotected header is not signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Names disjoint between the headers (RFC 7515 §7.2.1): what is stored.
    #[default]
    Rfc7515,
    /// `alg` repeated in the unprotected header, as the vCon draft's example has it: an export.
    Draft,
}

/// How a verifier comes to the certificates. The signature binds the signer's in both (`x5t#S256`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificatesBy<'a> {
    /// `x5c`: they are in the header.
    #[default]
    Value,
    /// `x5u`: the header says where they are, as PEM, the signer's first (RFC 7515 §4.1.5).
    Address(&'a str),
}

/// Whether a payload that is made here is gzipped first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// Gzipped (RFC 1952), which the vCon draft allows and marks nowhere.
    Gzip,
}

/// How a signature is made. The default is what Affiant issues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigningOptions<'a> {
    /// `alg`.
    pub algorithm: SigningAlgorithm,
    /// Where `alg` stands.
    pub dialect: Dialect,
    /// `x5c` or `x5u`.
    pub certificates: CertificatesBy<'a>,
    /// Of the payload; an added signature takes the payload that is there.
    pub compression: Compression,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum SignError {
    /// The key cannot make signatures of that algorithm.
    #[error("a key of kind {kind:?} makes no {algorithm} signatures")]
    KeyMismatch {
        /// The key's.
        kind: KeyKind,
        algorithm: SigningAlgorithm,
    },
    /// The key could not be reached.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The document to be signed again is not a JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// One more signature and nobody here would read it.
    #[error("there are {SIGNATURES_MAX} signatures already")]
    TooManySignatures,
    /// The record would be larger than what is read here.
    #[error("the signed document has {bytes} bytes, more than the {bytes_max} allowed")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// A signature that nobody can tie to a certificate is not one of a vCon (draft §5.2).
    #[error("there is no certificate to sign with")]
    NoCertificate,
    /// Not an HTTPS address, or too long.
    #[error("an x5u is an https address of at most {X5U_CHARACTERS_MAX} printable characters")]
    Address,
}

/// A signature to be made.
///
/// ```
/// # #[cfg(feature = "server")] {
/// use affiant::crypto::{Signer as _, SigningKey};
/// use affiant::jose::{Jws, NewSignature, SigningAlgorithm, SigningOptions};
/// use affiant::json::JsonLimits;
///
/// let (key, _) = SigningKey::generate_p256();
/// let signature = NewSignature {
///     signer: &key,
///     chain: &[b"the DER of the certificate".to_vec()],
///     issued_at: affiant::clock::parse_time("2026-07-01T12:00:00Z").unwrap(),
///     uuid: "019f15a6-a752-826f-b9a2-279e0d16bc46",
/// };
/// let options = SigningOptions { algorithm: SigningAlgorithm::Es256, ..SigningOptions::default() };
/// let limits = JsonLimits::default();
/// let record = signature.sign_with(br#"{"parties":[]}"#, &options, &limits).unwrap();
///
/// // A second signer adds a signature; years later an archive signs all of it again (draft §5.2, "Long Term Archiving").
/// let added = signature.add_to(&record, &options, &limits).unwrap();
/// let renewed = signature.renew(&added, &options, &limits).unwrap();
///
/// let outer = Jws::parse(&renewed, &limits).unwrap();
/// assert_eq!(outer.payload(), added);
/// let inner = Jws::parse(outer.payload(), &limits).unwrap();
/// for one in inner.signatures() {
///     inner.check_signature(one, key.verifying_key()).unwrap();
/// }
/// # }
/// ```
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
        self.record(payload, leaf, &SigningOptions::default())
    }

    /// Signs `payload` as asked and gives the JWS in general JSON serialization.
    ///
    /// # Errors
    /// When the key does not fit the algorithm or could not be reached, there is no certificate, or the record would
    /// pass the limits.
    pub fn sign_with(
        &self,
        payload: &[u8],
        options: &SigningOptions<'_>,
        limits: &JsonLimits,
    ) -> Result<Vec<u8>, SignError> {
        let leaf = self.checked(options)?;
        let record = match options.compression {
            Compression::None => self.record(payload, leaf, options),
            Compression::Gzip => self.record(&gzip(payload), leaf, options),
        }?;
        within(record, limits)
    }

    /// Adds a signature to a record: every byte that is there stays, but the list has one more. A flattened record gets a
    /// list (RFC 7515 §7.2.2); what is signed stays.
    ///
    /// Whether the signatures that are there are right is for the caller to see to.
    ///
    /// # Errors
    /// As [`sign_with`](Self::sign_with), and when `record` is not a JWS or has no place for one more.
    pub fn add_to(
        &self,
        record: &[u8],
        options: &SigningOptions<'_>,
        limits: &JsonLimits,
    ) -> Result<Vec<u8>, SignError> {
        let leaf = self.checked(options)?;
        let jws = Jws::parse(record, limits)?;
        if jws.signatures().len() >= SIGNATURES_MAX {
            return Err(SignError::TooManySignatures);
        }
        let mut input = self.protected(leaf, options);
        let protected_length = input.len();
        input.push('.');
        input.push_str(jws.payload_characters());
        let signature = self.signature(&input, protected_length, options)?;
        let general;
        let record = if is_flattened(record) {
            general = with_list(record);
            &general
        } else {
            record
        };
        let end = end_of_signatures(record).expect("a parsed JWS that is not flattened has a list of signatures");
        let mut added = Vec::with_capacity(record.len() + signature.len() + 1);
        added.extend_from_slice(&record[..end]);
        added.push(b',');
        added.extend_from_slice(signature.as_bytes());
        added.extend_from_slice(&record[end..]);
        within(added, limits)
    }

    /// Signs a record again, all of it, as the payload of the next: an archive does so before a certificate ends.
    ///
    /// The caller has verified the record before (draft §5.2, "Long Term Archiving of Signed vCons").
    ///
    /// # Errors
    /// As [`sign_with`](Self::sign_with), and when `record` is not a JWS.
    pub fn renew(
        &self,
        record: &[u8],
        options: &SigningOptions<'_>,
        limits: &JsonLimits,
    ) -> Result<Vec<u8>, SignError> {
        Jws::parse(record, limits)?;
        self.sign_with(record, options, limits)
    }

    /// The signer's certificate, once nothing speaks against signing.
    fn checked(&self, options: &SigningOptions<'_>) -> Result<&[u8], SignError> {
        let kind = self.signer.verifying_key().kind();
        if !kind.allows(options.algorithm.signature_algorithm()) {
            return Err(SignError::KeyMismatch { kind, algorithm: options.algorithm });
        }
        if let CertificatesBy::Address(address) = options.certificates {
            let printable = address.bytes().all(|byte| byte.is_ascii_graphic());
            let host = address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
            if !host || !printable || address.len() > X5U_CHARACTERS_MAX {
                return Err(SignError::Address);
            }
        }
        self.chain.first().map(Vec::as_slice).ok_or(SignError::NoCertificate)
    }

    fn record(&self, payload: &[u8], leaf: &[u8], options: &SigningOptions<'_>) -> Result<Vec<u8>, SigningError> {
        let mut input = self.protected(leaf, options);
        let protected_length = input.len();
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut input);
        let signature = self.signature(&input, protected_length, options)?;
        // Base64 needs no escaping, and the payload is most of it all: everything is written once, in its place.
        let payload = &input[protected_length + 1..];
        Ok(format!(r#"{{"payload":"{payload}","signatures":[{signature}]}}"#).into_bytes())
    }

    fn protected(&self, leaf: &[u8], options: &SigningOptions<'_>) -> String {
        let protected = json!({
            "alg": options.algorithm.name(),
            "iat": self.issued_at.timestamp(),
            "x5t#S256": URL_SAFE_NO_PAD.encode(sha256(leaf)),
        });
        URL_SAFE_NO_PAD.encode(protected.to_string())
    }

    /// One item of the list, over `protected.payload`.
    fn signature(
        &self,
        input: &str,
        protected_length: usize,
        options: &SigningOptions<'_>,
    ) -> Result<String, SigningError> {
        let signature = self.signer.sign(options.algorithm.signature_algorithm(), input.as_bytes())?;
        let mut header = Map::new();
        match options.certificates {
            CertificatesBy::Value => {
                let certificates = self.chain.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>();
                header.insert("x5c".into(), certificates.into());
            }
            CertificatesBy::Address(address) => {
                header.insert("x5u".into(), address.into());
            }
        }
        header.insert("uuid".into(), self.uuid.into());
        if options.dialect == Dialect::Draft {
            header.insert("alg".into(), options.algorithm.name().into());
        }
        let (protected, header) = (&input[..protected_length], Value::Object(header));
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(format!(r#"{{"protected":"{protected}","header":{header},"signature":"{signature}"}}"#))
    }
}

fn within(record: Vec<u8>, limits: &JsonLimits) -> Result<Vec<u8>, SignError> {
    let (bytes, bytes_max) = (record.len(), limits.bytes_max);
    if bytes > bytes_max { Err(SignError::TooLarge { bytes, bytes_max }) } else { Ok(record) }
}

/// Gzips `bytes` (RFC 1952), with no name and no time in it: equal bytes give equal bytes.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing into memory")
}

/// Whether a JWS has one signature without a list of them (RFC 7515 §7.2.2).
fn is_flattened(record: &[u8]) -> bool {
    end_of_signatures(record).is_none()
}

/// A flattened JWS with a list of its one signature.
fn with_list(record: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(record) else { return record.to_vec() };
    let signature = ["protected", "header", "signature"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), members.shift_remove(name)?)))
        .collect::<Map<_, _>>();
    members.insert("signatures".into(), json!([signature]));
    Value::Object(members).to_string().into_bytes()
}

/// Writes a record in the draft's dialect: `alg` repeated in every unprotected header.
///
/// Signed characters stay as they are. Bytes that are not a JWS come back unchanged.
#[must_use]
pub fn draft_dialect(record: &[u8]) -> Vec<u8> {
    let general =
        Jws::parse(record, &JsonLimits::default()).is_ok_and(|_| is_flattened(record)).then(|| with_list(record));
    let record = general.as_deref().unwrap_or(record);
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

    fn parse(bytes: &[u8]) -> Jws {
        Jws::parse(bytes, &JsonLimits::default()).unwrap()
    }

    fn with<T>(signer: &SigningKey, chain: &[Vec<u8>], make: impl FnOnce(&NewSignature<'_>) -> T) -> T {
        let issued_at = parse_time("2026-07-01T12:00:00Z").unwrap();
        make(&NewSignature { signer, chain, issued_at, uuid: "01909c6e-0000-8000-8000-000000000000" })
    }

    #[test]
    fn both_dialects_are_the_same_record() {
        let (key, _) = SigningKey::generate_rsa(KeySize::Rsa2048);
        let chain = [vec![1, 2, 3]];
        let record = with(&key, &chain, |new| new.sign(b"{}").unwrap());
        let (stored, draft) = (parse(&record), parse(&draft_dialect(&record)));
        assert!(stored.check_signature(&stored.signatures()[0], key.verifying_key()).is_ok());
        assert_eq!(stored.compact().collect::<Vec<_>>(), draft.compact().collect::<Vec<_>>());
        let header = stored.signatures()[0].header();
        assert_eq!(header.references.thumbprint(), Some(sha256(&[1, 2, 3])));
        assert_eq!(header.issued_at, Some(1_782_907_200));
        assert!(header.algorithm_protected && header.references.is_signed());
        assert!(String::from_utf8(draft_dialect(&record)).unwrap().contains(r#""alg":"RS256""#));
        assert_eq!(draft_dialect(b"no json"), b"no json");

        // RSASSA-PKCS1-v1_5 is deterministic: both ways to sign, and both to come to the draft's dialect, are one.
        let limits = JsonLimits::default();
        let signed = |options: &SigningOptions<'_>| with(&key, &chain, |new| new.sign_with(b"{}", options, &limits));
        assert_eq!(signed(&SigningOptions::default()), Ok(record.clone()));
        let options = SigningOptions { dialect: Dialect::Draft, ..SigningOptions::default() };
        assert_eq!(signed(&options), Ok(draft_dialect(&record)));
    }

    #[test]
    fn every_algorithm_signs_with_its_keys_alone() {
        let keys = [
            SigningKey::generate_rsa(KeySize::Rsa2048).0,
            SigningKey::generate_p256().0,
            SigningKey::generate_ed25519().0,
        ];
        let (chain, limits) = ([vec![1]], JsonLimits::default());
        let mut signed = 0;
        for algorithm in SigningAlgorithm::ALL {
            let options = SigningOptions { algorithm, ..SigningOptions::default() };
            for key in &keys {
                let kind = key.verifying_key().kind();
                let record = with(key, &chain, |new| new.sign_with(b"{}", &options, &limits));
                if !kind.allows(algorithm.signature_algorithm()) {
                    assert_eq!(record, Err(SignError::KeyMismatch { kind, algorithm }));
                    continue;
                }
                let jws = parse(&record.unwrap());
                assert_eq!(jws.signatures()[0].header().algorithm, algorithm.name());
                assert_eq!(jws.check_signature(&jws.signatures()[0], key.verifying_key()), Ok(()));
                signed += 1;
            }
        }
        assert_eq!(signed, 4);
    }

    #[test]
    fn an_added_signature_leaves_every_byte_where_it_is() {
        let (first, second) = (SigningKey::generate_ed25519().0, SigningKey::generate_p256().0);
        let limits = JsonLimits::default();
        let options = |algorithm| SigningOptions { algorithm, ..SigningOptions::default() };
        let (ed, es) = (options(SigningAlgorithm::EdDsa), options(SigningAlgorithm::Es256));
        let record = with(&first, &[vec![1]], |new| new.sign_with(b"{\"parties\":[]}", &ed, &limits).unwrap());
        // Foreign white space, members and escapes are no reason to write anything anew.
        let text = String::from_utf8(record).unwrap();
        let text = text.replace(r#"","signatures":["#, "\" ,\"x\": [1e2],\n\"\\u0073ignatures\": [ ");
        let added = with(&second, &[vec![2]], |new| new.add_to(text.as_bytes(), &es, &limits).unwrap());
        let end = text.rfind(']').unwrap();
        assert!(added.starts_with(&text.as_bytes()[..end]) && added.ends_with(&text.as_bytes()[end..]));
        let jws = parse(&added);
        assert_eq!(jws.check_signature(&jws.signatures()[0], first.verifying_key()), Ok(()));
        assert_eq!(jws.check_signature(&jws.signatures()[1], second.verifying_key()), Ok(()));

        // A flattened one has no list: with a second signature it is a general one (RFC 7515 §7.2.2).
        let general: Value = serde_json::from_str(&text).unwrap();
        let mut flattened = general["signatures"][0].clone();
        flattened["payload"] = general["payload"].clone();
        let flattened = flattened.to_string();
        let added_to_flattened =
            with(&second, &[vec![2]], |new| new.add_to(flattened.as_bytes(), &es, &limits).unwrap());
        assert!(draft_dialect(flattened.as_bytes()).windows(12).any(|window| window == b"\"signatures\""));
        let jws = parse(&added_to_flattened);
        assert_eq!(jws.check_signature(&jws.signatures()[0], first.verifying_key()), Ok(()));
        assert_eq!(jws.check_signature(&jws.signatures()[1], second.verifying_key()), Ok(()));

        let mut full = added;
        for _ in 2..SIGNATURES_MAX {
            full = with(&second, &[vec![2]], |new| new.add_to(&full, &es, &limits).unwrap());
        }
        assert_eq!(parse(&full).signatures().len(), SIGNATURES_MAX);
        with(&second, &[vec![2]], |new| {
            assert_eq!(new.add_to(&full, &es, &limits), Err(SignError::TooManySignatures));
            assert!(matches!(new.add_to(b"{}", &es, &limits), Err(SignError::Jws(_))));
            assert!(matches!(new.renew(b"{}", &es, &limits), Err(SignError::Jws(_))));
            let small = JsonLimits { bytes_max: full.len(), ..limits };
            assert!(matches!(new.renew(&full, &es, &small), Err(SignError::TooLarge { .. })));
        });
    }

    #[test]
    fn a_payload_may_be_gzipped_and_a_renewal_too() {
        let (key, _) = SigningKey::generate_ed25519();
        let limits = JsonLimits::default();
        let options = SigningOptions {
            algorithm: SigningAlgorithm::EdDsa,
            compression: Compression::Gzip,
            ..SigningOptions::default()
        };
        with(&key, &[vec![1]], |new| {
            let record = new.sign_with(b"{\"parties\":[]}", &options, &limits).unwrap();
            assert_eq!(parse(&record).payload(), gzip(b"{\"parties\":[]}"));
            let renewed = new.renew(&record, &options, &limits).unwrap();
            assert_eq!(parse(&renewed).payload(), gzip(&record));
        });
        assert_eq!(gzip(b"x"), gzip(b"x"));
        assert_eq!(gzip(b"x")[..3], [0x1f, 0x8b, 8]);
    }

    #[test]
    fn an_address_stands_for_the_certificates_that_the_signature_binds() {
        let (key, _) = SigningKey::generate_ed25519();
        let sign = |address, chain: &[Vec<u8>]| {
            let certificates = CertificatesBy::Address(address);
            let algorithm = SigningAlgorithm::EdDsa;
            let options = SigningOptions { algorithm, certificates, ..SigningOptions::default() };
            with(&key, chain, |new| new.sign_with(b"{}", &options, &JsonLimits::default()))
        };
        let chain = [vec![1], vec![2]];
        let jws = parse(&sign("https://pki.example/chain.pem", &chain).unwrap());
        let header = jws.signatures()[0].header();
        assert_eq!(header.certificates_url.as_deref(), Some("https://pki.example/chain.pem"));
        assert!(header.certificates.is_empty() && header.references.is_signed());
        // The caller brings the certificates, in any order.
        assert_eq!(header.signer_chain(&[vec![2], vec![1]]), chain);
        assert!(header.signer_chain(&[vec![2]]).is_empty());
        assert_eq!(sign("https://pki.example/chain.pem", &[]), Err(SignError::NoCertificate));
        for address in ["", "https://", "https:///x", "http://pki.example/", "https://pki.example/a b", "ftp://x"] {
            assert_eq!(sign(address, &chain), Err(SignError::Address), "{address}");
        }
    }
}
