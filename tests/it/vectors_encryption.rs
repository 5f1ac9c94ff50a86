//! Encryption that others made, right and wrong: Wycheproof's A256CBC-HS512, A256GCM, RSAES-OAEP and AES key wrap, where

//! the vectors' folder has them.

use crate::fixtures;
use affiant::crypto::{ContentAlgorithm, ContentKey, DecryptingKey, OaepHash, SealedContent, unwrap_key, wrap_key};
use serde_json::Value;
use zeroize::Zeroizing;

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    let text = value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Holds what `open` says of each case of a file against what is expected; `None` for a case that is not of ours.
fn judge(file: &str, open: fn(&Value, &Value) -> Option<Option<Vec<u8>>>) {
    let Some(folder) = fixtures::vectors::folder("wycheproof") else { return };
    let path = folder.join(file);
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: no vectors at {}", path.display());
        return;
    };
    let file: Value = serde_json::from_slice(&text).unwrap();
    let (mut right, mut wrong) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            let Some(opened) = open(group, case) else { continue };
            let what = format!("{} {} {}", path.display(), case["tcId"], case["comment"]);
            let valid = case["result"] == "valid";
            assert_eq!(opened.is_some(), valid, "{what}");
            if let Some(opened) = opened {
                assert_eq!(opened, bytes(case, "msg"), "{what}");
            }
            if valid { right += 1 } else { wrong += 1 }
        }
    }
    println!("{}: {right} right, {wrong} wrong", path.display());
    assert!(right > 0 && wrong > 0);
}

fn content(algorithm: ContentAlgorithm, case: &Value) -> Option<Option<Vec<u8>>> {
    let key = ContentKey::new(algorithm, Zeroizing::new(bytes(case, "key")))?;
    let sealed = SealedContent { iv: bytes(case, "iv"), ciphertext: bytes(case, "ct"), tag: bytes(case, "tag") };
    Some(key.open(&bytes(case, "aad"), &sealed).ok())
}

#[test]
fn vectors_wycheproof_a256cbc_hs512() {
    judge("a256cbc_hs512_test.json", |_, case| content(ContentAlgorithm::A256CbcHs512, case));
}

#[test]
fn vectors_wycheproof_a256gcm() {
    judge("aes_gcm_test.json", |group, case| {
        // Vectors of other lengths than 96 bits are right elsewhere, and refused here (RFC 7518 §5.3).
        if group["ivSize"] != 96 {
            assert!(content(ContentAlgorithm::A256Gcm, case).flatten().is_none());
            return None;
        }
        content(ContentAlgorithm::A256Gcm, case)
    });
}

#[test]
fn vectors_wycheproof_rsa_oaep() {
    judge("rsa_oaep_2048_sha1_mgf1sha1_test.json", |group, case| oaep(OaepHash::Sha1, group, case));
    judge("rsa_oaep_2048_sha256_mgf1sha256_test.json", |group, case| oaep(OaepHash::Sha256, group, case));
}

fn oaep(hash: OaepHash, group: &Value, case: &Value) -> Option<Option<Vec<u8>>> {
    // A JWE has no label.
    if case["label"] != "" {
        return None;
    }
    let key = DecryptingKey::from_pkcs8_der(&bytes(group, "privateKeyPkcs8")).unwrap();
    Some(key.decrypt_oaep(hash, &bytes(case, "ct")).map(|secret| secret.to_vec()))
}

#[test]
fn vectors_wycheproof_aes_wrap() {
    judge("aes_wrap_test.json", |_, case| {
        let wrapping: [u8; 32] = bytes(case, "key").try_into().ok()?;
        let (key, wrapped) = (bytes(case, "msg"), bytes(case, "ct"));
        if case["result"] == "valid" && key.len() <= 64 {
            assert_eq!(wrap_key(&wrapping, &key).as_deref(), Ok(&*wrapped), "{}", case["tcId"]);
        }
        let opened = unwrap_key(&wrapping, &wrapped).map(|key| key.to_vec());
        // Longer keys than any of ours are not opened.
        (key.len() <= 64 || opened.is_some()).then_some(opened)
    });
}
