//! Documents that open, and the ways in which they do not.

use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::crypto::{DecryptingKey, EncryptingKey, KeySize, Signer as _, SigningKey};
use crate::jose::{Compression, Dialect, EncryptError, NewEncryption, NewRecipient, gzip};

const UUID: &str = "01909c6e-0000-8000-8000-000000000000";
const BOTH: [ContentAlgorithm; 2] = [ContentAlgorithm::A256CbcHs512, ContentAlgorithm::A256Gcm];

struct Reader {
    public: EncryptingKey,
    private: DecryptingKey,
}

impl Reader {
    fn of((key, pkcs8): (SigningKey, Zeroizing<Vec<u8>>)) -> Self {
        let public = EncryptingKey::new(key.verifying_key()).unwrap();
        Self { public, private: DecryptingKey::from_pkcs8_der(&pkcs8).unwrap() }
    }

    fn rsa() -> Self {
        Self::of(SigningKey::generate_rsa(KeySize::Rsa2048))
    }

    fn p256() -> Self {
        Self::of(SigningKey::generate_p256())
    }

    fn with(&self, algorithm: KeyAlgorithm) -> NewRecipient<'_> {
        NewRecipient { key: &self.public, algorithm, thumbprint: None }
    }
}

fn encrypt(recipients: &[NewRecipient<'_>], content: ContentAlgorithm) -> Value {
    let new = NewEncryption {
        recipients,
        content,
        compression: Compression::None,
        dialect: Dialect::Rfc7515,
        uuid: Some(UUID),
    };
    serde_json::from_slice(&new.encrypt(b"content", &JsonLimits::default()).unwrap()).unwrap()
}

fn open(document: &Value, reader: &Reader) -> Result<Vec<u8>, String> {
    let jwe = Jwe::parse(document.to_string().as_bytes(), &JsonLimits::default()).map_err(|error| error.to_string())?;
    jwe.decrypt(&reader.private).map_err(|error| error.to_string())
}

#[test]
fn every_recipient_opens_with_its_own_key_and_a_stranger_does_not() {
    let (rsa, p256, stranger, other) = (Reader::rsa(), Reader::p256(), Reader::rsa(), Reader::p256());
    for content in BOTH {
        for (reader, stranger, algorithm) in [
            (&rsa, &stranger, KeyAlgorithm::RsaOaep),
            (&rsa, &stranger, KeyAlgorithm::RsaOaep256),
            (&p256, &other, KeyAlgorithm::EcdhEsA256Kw),
        ] {
            let document = encrypt(&[reader.with(algorithm)], content);
            assert_eq!(open(&document, reader).unwrap(), b"content");
            assert_eq!(open(&document, stranger), Err(DecryptionError.to_string()));
        }
        let several = [
            stranger.with(KeyAlgorithm::RsaOaep256),
            rsa.with(KeyAlgorithm::RsaOaep),
            p256.with(KeyAlgorithm::EcdhEsA256Kw),
        ];
        let document = encrypt(&several, content);
        for reader in [&stranger, &rsa, &p256] {
            assert_eq!(open(&document, reader).unwrap(), b"content");
        }
        assert_eq!(open(&document, &other), Err(DecryptionError.to_string()));
    }
}

#[test]
fn the_shared_headers_are_disjoint_and_say_what_the_draft_asks() {
    let reader = Reader::rsa();
    let recipient = NewRecipient { thumbprint: Some([7; 32]), ..reader.with(KeyAlgorithm::RsaOaep) };
    let document = encrypt(&[recipient], BOTH[0]);
    let protected = URL_SAFE_NO_PAD.decode(document["protected"].as_str().unwrap()).unwrap();
    assert_eq!(protected, br#"{"alg":"RSA-OAEP","enc":"A256CBC-HS512"}"#);
    assert_eq!(document["unprotected"], json!({ "cty": "application/vcon", "uuid": UUID }));
    assert_eq!(document["recipients"][0]["header"], json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]) }));
    let jwe = Jwe::of(document).unwrap();
    assert_eq!((jwe.content_type(), jwe.content_algorithm()), (Some("application/vcon"), BOTH[0]));
    assert_eq!(jwe.recipients()[0].algorithm(), "RSA-OAEP");
    assert_eq!(jwe.recipients()[0].key_id(), Some(&*URL_SAFE_NO_PAD.encode([7; 32])));
    assert_eq!(jwe.check_uuid(Some(UUID)), Ok(()));
    assert!(jwe.check_uuid(Some("another")).is_err() && jwe.check_uuid(None).is_err());

    let gzipped = NewEncryption {
        recipients: &[recipient],
        content: BOTH[1],
        compression: Compression::Gzip,
        dialect: Dialect::Rfc7515,
        uuid: None,
    };
    let gzipped = gzipped.encrypt(b"content", &JsonLimits::default()).unwrap();
    let jwe = Jwe::parse(&gzipped, &JsonLimits::default()).unwrap();
    assert_eq!(jwe.content_type(), Some("application/vcon+gzip"));
    assert_eq!(jwe.decrypt(&reader.private).unwrap(), gzip(b"content"));
    assert_eq!(jwe.check_uuid(Some("any")), Ok(()));
}

#[test]
fn the_drafts_dialect_repeats_what_it_asks_for() {
    let (rsa, p256) = (Reader::rsa(), Reader::p256());
    let both = [rsa.with(KeyAlgorithm::RsaOaep), p256.with(KeyAlgorithm::EcdhEsA256Kw)];
    for recipients in [&both[..1], &both] {
        let new = NewEncryption {
            recipients,
            content: BOTH[0],
            compression: Compression::None,
            dialect: Dialect::Draft,
            uuid: Some(UUID),
        };
        let document = new.encrypt(b"content", &JsonLimits::default()).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["unprotected"]["enc"], "A256CBC-HS512");
        assert_eq!(document["recipients"][0]["header"]["alg"], "RSA-OAEP");
        assert_eq!(open(&document, &rsa).unwrap(), b"content");
    }
}

#[test]
fn no_altered_part_opens() {
    let (rsa, p256) = (Reader::rsa(), Reader::p256());
    for content in BOTH {
        for (reader, algorithm) in [(&rsa, KeyAlgorithm::RsaOaep), (&p256, KeyAlgorithm::EcdhEsA256Kw)] {
            let document = encrypt(&[reader.with(algorithm)], content);
            for pointer in ["/protected", "/iv", "/ciphertext", "/tag", "/recipients/0/encrypted_key"] {
                let text = document.pointer(pointer).unwrap().as_str().unwrap();
                for at in (0..text.len()).step_by(text.len().div_ceil(40)) {
                    let other = if text[at..].starts_with('A') { "B" } else { "A" };
                    let mut altered = document.clone();
                    let value = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    *altered.pointer_mut(pointer).unwrap() = value.into();
                    assert!(open(&altered, reader).is_err(), "{pointer} {at}");
                }
                let mut missing = document.clone();
                *missing.pointer_mut(pointer).unwrap() = "".into();
                assert!(open(&missing, reader).is_err(), "{pointer}");
            }
            let mut with_aad = document.clone();
            with_aad["aad"] = "AAAA".into();
            assert_eq!(open(&with_aad, reader), Err(DecryptionError.to_string()));
        }
    }
}

/// Whether the content key could be had, and was of the right length, changes nothing of what is said.
#[test]
fn every_failure_to_open_is_the_same_error() {
    let reader = Reader::rsa();
    let document = encrypt(&[reader.with(KeyAlgorithm::RsaOaep)], BOTH[0]);
    let encrypt_oaep =
        |bytes: &[u8]| URL_SAFE_NO_PAD.encode(reader.public.encrypt_oaep(OaepHash::Sha1, bytes).unwrap());
    for key in ["AAAA".into(), encrypt_oaep(&[1; 64]), encrypt_oaep(&[1; 32]), encrypt_oaep(b"")] {
        let mut altered = document.clone();
        altered["recipients"][0]["encrypted_key"] = key.into();
        assert_eq!(open(&altered, &reader), Err(DecryptionError.to_string()));
    }
    let mut altered = document.clone();
    altered["tag"] = "AAAA".into();
    assert_eq!(open(&altered, &reader), Err(DecryptionError.to_string()));
}

#[test]
fn reads_what_others_write_and_refuses_what_could_be_read_in_two_ways() {
    let reader = Reader::rsa();
    let document = encrypt(&[reader.with(KeyAlgorithm::RsaOaep)], BOTH[0]);
    let with = |pointer: &str, name: &str, value: Value| {
        let mut document = document.clone();
        document.pointer_mut(pointer).unwrap()[name] = value;
        open(&document, &reader)
    };
    // The draft's own example repeats enc, in the shared header and in the recipient's.
    assert!(with("/unprotected", "enc", "A256CBC-HS512".into()).is_ok());
    assert!(with("/recipients/0/header", "enc", "A256CBC-HS512".into()).is_ok());
    assert!(with("/unprotected", "enc", "A256GCM".into()).unwrap_err().contains("differs"));
    assert!(with("/recipients/0/header", "alg", "RSA-OAEP-256".into()).unwrap_err().contains("differs"));
    assert!(with("/recipients/0/header", "uuid", "another".into()).unwrap_err().contains("differs"));
    for pointer in ["/unprotected", "/recipients/0/header"] {
        assert!(with(pointer, "zip", "DEF".into()).unwrap_err().contains("zip"));
        assert!(with(pointer, "crit", json!(["exp"])).unwrap_err().contains("crit"));
    }
    assert!(with("/recipients/0/header", "kid", 1.into()).unwrap_err().contains("kid"));

    let mut flattened = document.clone();
    let recipient = flattened.as_object_mut().unwrap().swap_remove("recipients").unwrap()[0].clone();
    flattened["encrypted_key"] = recipient["encrypted_key"].clone();
    assert_eq!(open(&flattened, &reader).unwrap(), b"content");
    for (name, value) in [("header", json!({})), ("encrypted_key", "AAAA".into()), ("encrypted_key", Value::Null)] {
        assert!(with("", name, value).unwrap_err().contains("both serializations"), "{name}");
    }

    for (name, value) in [
        ("recipients", json!([])),
        ("recipients", json!({})),
        ("recipients", json!(vec![document["recipients"][0].clone(); RECIPIENTS_MAX + 1])),
        ("recipients", json!([1])),
        ("protected", json!(1)),
        ("protected", json!("W10")),
        ("protected", json!("eyJhIjoxLCJhIjoxfQ")),
        ("protected", json!("e30=")),
        ("unprotected", json!([])),
        ("iv", json!("A")),
        ("aad", json!("=")),
        ("tag", json!({})),
    ] {
        let mut document = document.clone();
        document[name] = value.clone();
        assert!(Jwe::of(document).is_err(), "{name} {value}");
    }
    let long = json!({ "encrypted_key": "A".repeat(ENCRYPTED_KEY_CHARACTERS_MAX + 1) });
    assert!(with("", "recipients", json!([long])).is_err());
}

/// Every recipient reads the same plaintext.
#[test]
fn recipients_agree_on_what_is_inside() {
    let (rsa, p256) = (Reader::rsa(), Reader::p256());
    let several = [rsa.with(KeyAlgorithm::RsaOaep), p256.with(KeyAlgorithm::EcdhEsA256Kw)];
    let mut document = encrypt(&several, BOTH[0]);
    document["unprotected"] = json!({});
    for (name, value, other) in [("uuid", UUID, "evil"), ("cty", "application/vcon", "application/vcon+gzip")] {
        let with = |values: [Option<&str>; 2]| {
            let mut document = document.clone();
            for (position, value) in values.into_iter().enumerate() {
                if let Some(value) = value {
                    document["recipients"][position]["header"][name] = value.into();
                }
            }
            open(&document, &p256)
        };
        assert_eq!(with([None; 2]).unwrap(), b"content");
        assert_eq!(with([Some(value); 2]).unwrap(), b"content");
        for values in [[Some(value), Some(other)], [Some(value), None], [None, Some(other)]] {
            assert!(with(values).unwrap_err().contains("recipients differ"), "{name} {values:?}");
        }
    }
}

#[test]
fn algorithms_of_other_recipients_are_passed_over() {
    let (reader, p256) = (Reader::rsa(), Reader::p256());
    let several = [p256.with(KeyAlgorithm::EcdhEsA256Kw), reader.with(KeyAlgorithm::RsaOaep)];
    let document = encrypt(&several, BOTH[1]);
    for (algorithm, encrypted_key) in
        [("dir", ""), ("RSA1_5", "AAAA"), ("PBES2-HS512+A256KW", "AAAA"), ("A256KW", "AA")]
    {
        let mut other = document.clone();
        let header = json!({ "alg": algorithm, "p2c": 1_000_000_000, "p2s": "AAAA" });
        other["recipients"][0] = json!({ "header": header, "encrypted_key": encrypted_key });
        assert_eq!(open(&other, &reader).unwrap(), b"content", "{algorithm}");
        assert_eq!(open(&other, &p256), Err(DecryptionError.to_string()), "{algorithm}");
    }
    let mut other = document.clone();
    other["recipients"][0]["header"]["epk"]["crv"] = "secp256k1".into();
    assert_eq!(open(&other, &reader).unwrap(), b"content");
    other["recipients"][0]["header"]["apu"] = "A".repeat(PARTY_CHARACTERS_MAX + 4).into();
    assert!(open(&other, &reader).is_err());
    other["recipients"][0]["header"] = json!({ "alg": "ECDH-ES+A256KW" });
    assert!(open(&other, &reader).is_err());
}

#[test]
fn a_point_that_is_not_on_the_curve_is_no_recipient() {
    let p256 = Reader::p256();
    let several = [p256.with(KeyAlgorithm::EcdhEsA256Kw), p256.with(KeyAlgorithm::EcdhEsA256Kw)];
    let mut document = encrypt(&several, BOTH[0]);
    let x = document["recipients"][0]["header"]["epk"]["x"].clone();
    for position in 0..2 {
        document["recipients"][position]["header"]["epk"]["y"] = x.clone();
    }
    assert_eq!(open(&document, &p256), Err(DecryptionError.to_string()));
}

#[test]
fn encrypts_for_nobody_and_for_no_unfit_key() {
    let reader = Reader::p256();
    let limits = JsonLimits::default();
    let new = |recipients: &[NewRecipient<'_>], limits: &JsonLimits| {
        NewEncryption {
            recipients,
            content: BOTH[0],
            compression: Compression::None,
            dialect: Dialect::Rfc7515,
            uuid: None,
        }
        .encrypt(b"", limits)
    };
    assert_eq!(new(&[], &limits), Err(EncryptError::Recipients(0)));
    let unfit = new(&[reader.with(KeyAlgorithm::RsaOaep)], &limits);
    assert!(matches!(unfit, Err(EncryptError::KeyMismatch { .. })));
    let many = [reader.with(KeyAlgorithm::EcdhEsA256Kw); RECIPIENTS_MAX + 1];
    assert_eq!(new(&many, &limits), Err(EncryptError::Recipients(RECIPIENTS_MAX + 1)));
    assert!(new(&many[1..], &limits).is_ok());
    let small = JsonLimits { bytes_max: 100, ..limits };
    assert!(matches!(new(&many[1..], &small), Err(EncryptError::TooLarge { .. })));
}
