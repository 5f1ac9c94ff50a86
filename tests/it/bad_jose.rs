//! Signed and encrypted documents, altered at random: nothing panics, and nothing else than what was written comes out.

use std::sync::LazyLock;

use affiant::clock::parse_time;
use affiant::crypto::{ContentAlgorithm, DecryptingKey, EncryptingKey, Signer as _, SigningKey};
use affiant::jose::{
    Compression, Dialect, Jwe, Jwk, Jws, KeyAlgorithm, NewEncryption, NewRecipient, NewSignature, SigningAlgorithm,
    SigningOptions, point_members,
};
use affiant::json::JsonLimits;
use proptest::prelude::*;

const CONTENT: &[u8] = br#"{"parties":[],"uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46"}"#;
/// What JSON, base64 and numbers are made of, so that many an altered document is one still.
const CHARACTERS: &[u8] = b"{}[]\",:\\u01AZaz-_=+/. \nnulltrue";

struct Documents {
    signer: SigningKey,
    signed: Vec<u8>,
    reader: DecryptingKey,
    encrypted: Vec<Vec<u8>>,
    key: Vec<u8>,
}

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| {
    let limits = JsonLimits::default();
    let (signer, _) = SigningKey::generate_ed25519();
    let signed = with(&signer, |new, options| new.sign_with(CONTENT, options, &limits).unwrap());
    let signed = with(&signer, |new, options| new.add_to(&signed, options, &limits).unwrap());
    let (pair, pkcs8) = SigningKey::generate_p256();
    let key = EncryptingKey::new(pair.verifying_key()).unwrap();
    let recipient = NewRecipient { key: &key, algorithm: KeyAlgorithm::EcdhEsA256Kw, thumbprint: Some([1; 32]) };
    let encrypted = [ContentAlgorithm::A256CbcHs512, ContentAlgorithm::A256Gcm].into_iter().flat_map(|content| {
        [&[recipient][..], &[recipient, recipient]].map(|recipients| {
            let (compression, dialect) = (Compression::None, Dialect::Rfc7515);
            let new = NewEncryption { recipients, content, compression, dialect, uuid: Some("u") };
            new.encrypt(CONTENT, &limits).unwrap()
        })
    });
    let reader = DecryptingKey::from_pkcs8_der(&pkcs8).unwrap();
    let key = point_members(pair.verifying_key()).unwrap().to_string().into_bytes();
    Documents { signed, reader, encrypted: encrypted.collect(), key, signer }
});

fn with<T>(signer: &SigningKey, make: impl FnOnce(&NewSignature<'_>, &SigningOptions<'_>) -> T) -> T {
    let issued_at = parse_time("2026-07-01T12:00:00Z").unwrap();
    let options = SigningOptions { algorithm: SigningAlgorithm::EdDsa, ..SigningOptions::default() };
    make(&NewSignature { signer, chain: &[vec![1]], issued_at, uuid: "u" }, &options)
}

/// Puts a character in, takes one out, or writes one over another, at a place of a thousand.
fn altered(document: &[u8], changes: &[(u8, usize, usize)]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for (how, place, character) in changes {
        let at = place * bytes.len() / 1000;
        let character = CHARACTERS[character % CHARACTERS.len()];
        match how {
            0 => bytes.insert(at, character),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ if at < bytes.len() => bytes[at] = character,
            _ => {}
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0..3_u8, 0..1000_usize, any::<usize>()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_opens_is_what_was_encrypted(which in 0..4_usize, changes in changes()) {
        let bytes = altered(&DOCUMENTS.encrypted[which], &changes);
        if let Ok(jwe) = Jwe::parse(&bytes, &JsonLimits::default())
            && let Ok(content) = jwe.decrypt(&DOCUMENTS.reader)
        {
            prop_assert_eq!(content, CONTENT);
        }
    }

    #[test]
    fn what_verifies_is_what_was_signed_and_a_signature_is_added_to_any_jws(changes in changes()) {
        let limits = JsonLimits::default();
        let bytes = altered(&DOCUMENTS.signed, &changes);
        let Ok(jws) = Jws::parse(&bytes, &limits) else { return Ok(()) };
        let right = |jws: &Jws| {
            let key = DOCUMENTS.signer.verifying_key();
            jws.signatures().iter().map(|one| jws.check_signature(one, key).is_ok()).collect::<Vec<_>>()
        };
        if right(&jws).contains(&true) {
            prop_assert_eq!(jws.payload(), CONTENT);
        }
        let added = with(&DOCUMENTS.signer, |new, options| new.add_to(&bytes, options, &limits)).unwrap();
        let more = Jws::parse(&added, &limits).unwrap();
        let mut expected = right(&jws);
        expected.push(true);
        prop_assert_eq!(right(&more), expected);
        prop_assert_eq!(more.payload(), jws.payload());
        // What was there is there still, around what was put in.
        let before = bytes.iter().zip(&added).take_while(|(left, right)| left == right).count();
        let after = bytes.iter().rev().zip(added.iter().rev()).take_while(|(left, right)| left == right).count();
        prop_assert!(before + after >= bytes.len());
    }

    #[test]
    fn a_key_is_read_or_refused(changes in changes()) {
        if let Ok(key) = Jwk::parse(&altered(&DOCUMENTS.key, &changes), &JsonLimits::default()) {
            prop_assert_eq!(point_members(key.key()).is_some(), true);
        }
    }
}
