//! Every attack that a verifier of records has to withstand, and the test of each. Those that are not here are where the

//! part is that withstands; the last test sees to it that they are there.

use crate::fixtures;
use std::net::TcpListener;
use std::path::Path;

use crate::fixtures::certificates::{DOCUMENT_SIGNING, Mint, Revoked, name};
use crate::fixtures::record::{
    BEGINS, By, Case, ENDS, KEYS, LISTED, NOW, RECORDING, SIGNED, UUID, anchor, at, checkpoint, leaf_list,
    leaf_list_at, plus, sign_leaf,
};
use affiant::crypto::{Hash, SignatureAlgorithm, Signer as _, SigningKey, sha256};
use affiant::evidence::report::{LedgerStatus, RowStatus, SignatureReport, Warning};
use affiant::evidence::{Bundle, ConsistencyProof, LedgerRequirement, SuppliedRecording, Verifier, verify};
use affiant::pki::{TrustAnchors, to_pem};
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::{Checkpoint, LeafHash, LeafIndex, RightEdge, RootHash, SignedCheckpoint, TlogProof, TreeSize};
use affiant::vcon::ContentHash;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// What is attacked, how, and the tests that show that it fails: file and name.
const ATTACKS: &[(&str, &[&str])] = &[
    ("alg none", &["src/jose/header.rs refuses_algorithms_that_prove_no_origin"]),
    (
        "alg: the public key as the secret of an HMAC",
        &["tests/it/attacks.rs an_hmac_made_with_the_public_key_is_no_signature"],
    ),
    ("alg: another kind of key", &["src/crypto/signing_key.rs a_key_signs_only_with_its_own_algorithms"]),
    ("jwk, jku: a key from the header", &["tests/it/attacks.rs a_key_in_the_header_is_no_key"]),
    (
        "x5u, jku, recordings: an address from the record",
        &[
            "tests/it/attacks.rs a_server_asks_no_address_that_a_record_names",
            "tests/it/cli_vcon_jose.rs an_x5u_needs_its_certificates_from_the_caller",
        ],
    ),
    ("x5c: another of its certificates", &["tests/it/attacks.rs only_the_first_certificate_of_an_x5c_signs"]),
    (
        "x5c: another certificate of the same key",
        &["tests/it/attacks.rs the_same_key_under_another_name_is_another_signer"],
    ),
    (
        "x5c: another certificate, to hide or feign an alteration",
        &["tests/it/cli_vcon_jose.rs a_replaced_or_missing_certificate_neither_hides_an_alteration_nor_makes_one"],
    ),
    (
        "JSON: a member twice",
        &[
            "tests/it/attacks.rs a_member_that_is_there_twice_is_refused_at_every_level",
            "src/json/strict.rs refuses_duplicate_members_at_every_level_and_in_every_spelling",
        ],
    ),
    ("headers that differ", &["src/jose/header.rs equal_copies_are_one_and_differing_copies_none"]),
    ("unprotected header: what is not signed", &["tests/it/attacks.rs what_no_signature_covers_is_a_hint_at_most"]),
    ("base64: one content in several spellings", &["tests/it/attacks.rs a_record_has_one_spelling"]),
    (
        "several signatures: a wrong or strange one among right ones",
        &[
            "tests/it/attacks.rs a_strangers_signature_beside_a_right_one_is_not_ignored",
            "tests/it/decision_table.rs row_3_a_wrong_signature",
        ],
    ),
    ("crit", &["src/jose/header.rs understands_the_signing_time_and_no_other_critical_extension"]),
    (
        "gzip: a bomb, a second member, bytes behind it",
        &[
            "src/vcon/document/gzip.rs a_bomb_is_stopped_by_ratio_and_by_size",
            "src/vcon/document/gzip.rs opens_one_member_and_nothing_behind_it",
            "src/evidence/format/record.rs gzip_inside_gzip_is_one_bomb",
        ],
    ),
    (
        "path building: many certificates, long paths, cross-signing, many names",
        &[
            "tests/it/path_budget.rs cross_signed_authorities_end_with_the_budget",
            "tests/it/path_budget.rs names_against_constraints_end_with_the_budget",
            "tests/it/attacks.rs certificates_without_end_are_not_looked_at",
            "tests/it/path_budget.rs no_more_certificates_are_looked_at_than_an_honest_chain_has",
        ],
    ),
    ("revocation lists: an older one again", &["tests/it/attacks.rs an_older_list_does_not_bring_a_certificate_back"]),
    (
        "revocation lists: so many that the verifier's own is not reached",
        &["tests/it/attacks.rs no_list_takes_the_place_of_ones_own"],
    ),
    (
        "revocation lists: many by strangers, and certificates that might be of who made them",
        &["tests/it/attacks.rs lists_and_keys_of_strangers_cost_no_more_than_the_budget"],
    ),
    ("revocation lists: one that never runs out", &["tests/it/decision_table.rs row_16_not_known_or_stale"]),
    (
        "revocation lists: by a revoked authority",
        &[
            "tests/it/authority.rs the_lists_of_a_revoked_authority_prove_nothing",
            "tests/it/decision_table.rs row_15a_an_authority_revoked_later",
        ],
    ),
    (
        "recordings: addresses inside, redirects, endless bodies",
        &[
            "src/client/content.rs nothing_is_asked_that_was_not_allowed",
            "src/client/content.rs addresses_that_not_everybody_can_reach_are_not_public",
            "src/client.rs follows_no_redirect_and_reads_no_further_than_told",
            "tests/it/cli_vcon_content.rs pack_fetches_from_hosts_that_are_allowed_and_from_no_other",
        ],
    ),
    ("content_hash: cut short", &["src/vcon/document/content.rs a_hash_has_its_exact_length"]),
    ("content_hash: one of several", &["tests/it/attacks.rs a_recording_has_to_match_every_hash_that_was_signed"]),
    ("content_hash: an algorithm that nobody knows", &["tests/it/attacks.rs an_unknown_hash_proves_nothing"]),
    ("private RSA keys: timing", &["tests/it/attacks.rs private_rsa_keys_are_used_by_the_constant_time_library_alone"]),
    (
        "timestamps: another signer, purpose, data, time",
        &[
            "tests/it/decision_table.rs row_t1_a_wrong_token_is_dropped",
            "tests/it/timestamps.rs a_signer_is_the_one_that_the_signed_attribute_names",
            "src/pki/tsp/token.rs rfc3161_vectors_open_with_their_data_and_with_nothing_changed",
        ],
    ),
    ("timestamps: over another checkpoint", &["tests/it/attacks.rs a_timestamp_over_another_checkpoint_dates_nothing"]),
    (
        "split view: a fork for one reader",
        &[
            "tests/it/attacks.rs a_fork_that_no_witness_saw_is_not_witnessed",
            "tests/it/witness.rs two_forks_sent_at_once_are_not_both_cosigned",
            "tests/it/witnessing.rs a_restored_backup_does_not_fork",
        ],
    ),
    (
        "clock rollback",
        &[
            "tests/it/ledger.rs one_writer_one_key_and_a_believable_clock",
            "tests/it/decision_table.rs row_l_the_ledger_has_a_row_of_its_own",
        ],
    ),
    (
        "names: letters that look like others, characters that are not seen",
        &[
            "tests/it/attacks.rs a_name_that_looks_like_another_is_flagged",
            "src/pki/name.rs a_value_does_not_look_like_another_attribute",
            "src/evidence/render/text.rs a_name_does_not_move_the_cursor_or_turn_the_line",
        ],
    ),
    ("anchors and policies that a bundle brings along", &["tests/it/attacks.rs what_a_bundle_offers_is_not_trusted"]),
];

#[test]
fn every_attack_has_its_tests() {
    for (attack, tests) in ATTACKS {
        assert!(!tests.is_empty(), "{attack}");
        for test in *tests {
            let (file, name) = test.split_once(' ').unwrap();
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{attack}: there is no {file}"));
            let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_else(|| {
                // The rows of the decision table are named in its macro.
                text.split_once(&format!("{name} \"")).unwrap_or_else(|| panic!("{attack}: {file} has no test {name}"))
            });
            assert!(before.contains("#[test]") || before.contains("#[tokio::test]"), "{attack}: {name} is no test");
        }
    }
}

fn code(bundle: &Bundle, case: &Case) -> String {
    verify(bundle, &case.trust(), case.now).verdict.code()
}

const FORMAT_FAILURE: &str = "TOTAL-FAILED (FORMAT_FAILURE)";
const SIG_CRYPTO_FAILURE: &str = "TOTAL-FAILED (SIG_CRYPTO_FAILURE)";
const NO_CERTIFICATE: &str = "INDETERMINATE (NO_SIGNING_CERTIFICATE_FOUND)";
const NO_CHAIN: &str = "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)";
const PASSED: &str = "TOTAL-PASSED";

/// The parts of the record of a case: protected header, unprotected header, payload.
fn parts(case: &Case) -> (Value, Value, String) {
    let record: Value = serde_json::from_slice(&case.record()).unwrap();
    let signature = &record["signatures"][0];
    let protected = URL_SAFE_NO_PAD.decode(signature["protected"].as_str().unwrap()).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(record["payload"].as_str().unwrap()).unwrap();
    (serde_json::from_slice(&protected).unwrap(), signature["header"].clone(), String::from_utf8(payload).unwrap())
}

/// A record of these parts, signed by whatever `sign` does.
fn put_together(protected: &str, header: &Value, payload: &str, sign: impl FnOnce(&[u8]) -> String) -> Vec<u8> {
    let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(format!("{protected}.{payload}").as_bytes());
    json!({ "payload": payload, "signatures": [{ "protected": protected, "header": header, "signature": signature }] })
        .to_string()
        .into_bytes()
}

fn stranger(input: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(KEYS.other.signer().sign(SignatureAlgorithm::EcdsaFixed(Hash::Sha256), input).unwrap())
}

fn of_record(case: &Case, record: Vec<u8>) -> Bundle {
    Bundle { record, ..case.bundled() }
}

/// HMAC-SHA-256 (RFC 2104) under a key of at most a block, or its hash.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&sha256(key))
    } else {
        block[..key.len()].copy_from_slice(key)
    }
    let pad = |byte: u8| block.map(|one| one ^ byte).to_vec();
    sha256(&[pad(0x5c), sha256(&[&pad(0x36), message].concat()).to_vec()].concat())
}

#[test]
fn an_hmac_made_with_the_public_key_is_no_signature() {
    let case = Case::new();
    let (mut protected, header, payload) = parts(&case);
    protected["alg"] = "HS256".into();
    let spki = KEYS.leaf.spki();
    for key in [spki.clone(), to_pem("PUBLIC KEY", &spki).into_bytes()] {
        let record =
            put_together(&protected.to_string(), &header, &payload, |input| URL_SAFE_NO_PAD.encode(hmac(&key, input)));
        assert_eq!(code(&of_record(&case, record), &case), FORMAT_FAILURE);
    }
    // The algorithm that the key is of is no way around it.
    protected["alg"] = "ES256".into();
    let record =
        put_together(&protected.to_string(), &header, &payload, |input| URL_SAFE_NO_PAD.encode(hmac(&spki, input)));
    assert_eq!(code(&of_record(&case, record), &case), SIG_CRYPTO_FAILURE);
}

#[test]
fn certificates_without_end_are_not_looked_at() {
    let case = Case::new().header(|_, unprotected| unprotected["x5c"].as_array_mut().unwrap().truncate(1));
    let record = case.record();
    let authority = case.authority.signed_by(&KEYS.root);
    // The same stranger over and over, then the one that is needed.
    let with = |strangers: usize| {
        let mut certificates = vec![case.time.signed_by(&KEYS.time_root); strangers];
        certificates.push(authority.clone());
        code(&Bundle { certificates, record: record.clone(), ..case.bundled() }, &case)
    };
    assert_eq!(with(0), PASSED);
    assert_eq!(with(31), PASSED);
    assert_eq!(with(32), NO_CHAIN);
}

#[test]
fn a_key_in_the_header_is_no_key() {
    let case = Case::new();
    let (protected, header, payload) = parts(&case);
    let point = KEYS.other.signer().verifying_key().raw().to_vec();
    let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65) });
    for (member, value) in [("jwk", jwk.clone()), ("jku", "https://keys.example.com/".into()), ("kid", "1".into())] {
        let mut protected = protected.clone();
        protected[member] = value;
        let record = put_together(&protected.to_string(), &header, &payload, stranger);
        assert_eq!(code(&of_record(&case, record), &case), SIG_CRYPTO_FAILURE, "{member}");
        protected.as_object_mut().unwrap().shift_remove("x5t#S256");
        let record = put_together(&protected.to_string(), &json!({ "uuid": UUID, "jwk": jwk }), &payload, stranger);
        assert_eq!(code(&of_record(&case, record), &case), NO_CERTIFICATE, "{member}");
    }
}

#[test]
fn only_the_first_certificate_of_an_x5c_signs() {
    let case = Case::new();
    let (mut protected, mut header, payload) = parts(&case);
    // The signer's own certificate first, then one of the attacker, which signed.
    let own = Mint { spki: KEYS.other.spki(), subject: name("Attacker"), ..case.leaf.clone() };
    let x5c = header["x5c"].as_array_mut().unwrap();
    x5c.insert(1, STANDARD.encode(own.signed_by(&KEYS.other)).into());
    let record = put_together(&protected.to_string(), &header, &payload, stranger);
    assert_eq!(code(&of_record(&case, record), &case), SIG_CRYPTO_FAILURE);
    protected.as_object_mut().unwrap().shift_remove("x5t#S256");
    let record = put_together(&protected.to_string(), &header, &payload, stranger);
    assert_eq!(code(&of_record(&case, record), &case), SIG_CRYPTO_FAILURE);
    // And rightly signed it is no worse for what follows the first.
    let case = case.policy(|policy| policy.certificate_reference_required = false);
    let record = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    assert_eq!(code(&of_record(&case, record), &case), PASSED);
}

#[test]
fn a_reference_that_is_added_does_not_excuse_a_wrong_signature() {
    let case = Case::new();
    let (protected, mut header, payload) = parts(&case);
    header["x5t#o"] = json!({ "digAlg": "S256", "digVal": URL_SAFE_NO_PAD.encode([7; 32]) });
    let record = put_together(&protected.to_string(), &header, &payload, stranger);
    assert_eq!(code(&of_record(&case, record), &case), SIG_CRYPTO_FAILURE);
}

#[test]
fn certificates_of_others_do_not_push_out_those_of_the_chain() {
    let case = Case::new();
    let (protected, mut header, payload) = parts(&case);
    // The authority's certificate is in the bundle; in the record are as many as there may be that have nothing to do with it.
    let stranger_ = |n: u8| {
        let mint = Mint::authority(("Stranger", &KEYS.other), ("Stranger", &KEYS.other), (at(BEGINS), at(ENDS)));
        Mint { serial: vec![n], ..mint }.signed_by(&KEYS.other)
    };
    let x5c = header["x5c"].as_array_mut().unwrap();
    let authority = STANDARD.decode(x5c.pop().unwrap().as_str().unwrap()).unwrap();
    x5c.extend((1..10).map(|n| STANDARD.encode(stranger_(n)).into()));
    let record = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    let mut bundle = of_record(&case, record);
    bundle.certificates = (10..30).map(stranger_).chain([authority]).collect();
    assert_eq!(code(&bundle, &case), PASSED);
}

#[test]
fn a_revoked_certificate_is_not_exchanged_for_another_of_its_key() {
    let case = Case::new();
    let (mut protected, mut header, payload) = parts(&case);
    let revoked = case.clone().revoked(|entry| entry, plus(SIGNED, -60));
    // The signer has a second certificate of the same key, which nobody revoked.
    let second = Mint { serial: vec![9], ..case.leaf.clone() }.signed_by(&KEYS.authority);
    header["x5c"][0] = STANDARD.encode(&second).into();
    let bound = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    assert_ne!(code(&of_record(&revoked, bound), &revoked), PASSED);
    protected.as_object_mut().unwrap().shift_remove("x5t#S256");
    let record = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    let exchanged = of_record(&revoked, record);
    assert_eq!(code(&exchanged, &revoked), "INDETERMINATE (CERTIFICATE_NOT_BOUND)");
    // Whoever does without a reference still sees the two, where both are at hand.
    let accepting = revoked.policy(|policy| policy.certificate_reference_required = false);
    let mut both = exchanged;
    both.certificates.push(accepting.leaf.signed_by(&KEYS.authority));
    assert_eq!(code(&both, &accepting), "INDETERMINATE (CERTIFICATE_NOT_BOUND)");
}

#[test]
fn the_same_key_under_another_name_is_another_signer() {
    let case = Case::new();
    let (protected, mut header, payload) = parts(&case);
    // The authority certified the key a second time, for whoever brought it.
    let again =
        Mint { subject: name("Somebody Else"), serial: vec![9], ..case.leaf.clone() }.signed_by(&KEYS.authority);
    header["x5c"][0] = STANDARD.encode(again).into();
    let record = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    assert_eq!(code(&of_record(&case, record), &case), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
}

#[test]
fn a_member_that_is_there_twice_is_refused_at_every_level() {
    let case = Case::new();
    let (protected, header, payload) = parts(&case);
    let protected = protected.to_string();
    let check = |protected: &str, payload: &str, change: fn(String) -> String| {
        let record = put_together(protected, &header, payload, sign_leaf);
        let record = change(String::from_utf8(record).unwrap()).into_bytes();
        code(&of_record(&case, record), &case)
    };
    let same = |text| text;
    assert_eq!(check(&protected, &payload, same), PASSED);
    for (from, to) in [
        ("\"parties\":[]", "\"parties\":[],\"parties\":[]"),
        ("\"parties\":[]", "\"parties\":[{\"tel\":\"1\",\"tel\":\"2\"}]"),
        ("\"parties\":[]", "\"parties\":[{\"tel\":\"1\",\"\\u0074el\":\"2\"}]"),
    ] {
        assert!(payload.contains(from));
        assert_eq!(check(&protected, &payload.replacen(from, to, 1), same), FORMAT_FAILURE, "{to}");
    }
    assert_eq!(check(&protected.replacen('{', "{\"alg\":\"ES256\",", 1), &payload, same), FORMAT_FAILURE);
    let twice: [fn(String) -> String; 3] = [
        |text| text.replacen("\"signatures\":", "\"signatures\":[],\"signatures\":", 1),
        |text| text.replacen("\"signature\":\"", "\"signature\":\"AA\",\"signature\":\"", 1),
        |text| text.replacen("\"header\":{", "\"header\":{\"x5c\":[],", 1),
    ];
    for change in twice {
        assert_eq!(check(&protected, &payload, change), FORMAT_FAILURE);
    }
}

#[test]
fn what_no_signature_covers_is_a_hint_at_most() {
    let case = Case::new();
    let (mut protected, mut header, payload) = parts(&case);
    // A time that nobody signed is no claim that could make a record look older; a uuid that differs is a contradiction.
    header["iat"] = 1.into();
    let differs = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    assert_eq!(code(&of_record(&case, differs), &case), FORMAT_FAILURE);
    header.as_object_mut().unwrap().shift_remove("iat");
    // Neither thumbprint nor chain is signed: it verifies, and the report says what that is worth.
    protected.as_object_mut().unwrap().shift_remove("x5t#S256");
    let record = put_together(&protected.to_string(), &header, &payload, sign_leaf);
    let report = verify(&of_record(&case, record), &case.trust(), case.now);
    assert!(report.signatures[0].warnings.iter().any(|one| one.to_string().contains("does not bind the certificate")));
    // Members beside payload and signatures are not looked at, and that is said.
    let bundle = case.bundled();
    let text = String::from_utf8(bundle.record.clone()).unwrap();
    let record = text.replacen('{', "{\"parties\":[{\"name\":\"Mallory\"}],", 1).into_bytes();
    let report = verify(&Bundle { record, ..bundle }, &case.trust(), case.now);
    assert!(report.signatures[0].warnings.iter().any(|one| one.to_string().contains("not looked at: parties")));
}

#[test]
fn a_record_has_one_spelling() {
    let case = Case::new();
    let bundle = case.bundled();
    let document: Value = serde_json::from_slice(&bundle.record).unwrap();
    let respelled = |pointer: &str, change: fn(&str) -> String| {
        let mut document = document.clone();
        let value = document.pointer_mut(pointer).unwrap();
        let changed = change(value.as_str().unwrap());
        assert_ne!(*value, *changed);
        *value = changed.into();
        code(&Bundle { record: document.to_string().into_bytes(), ..bundle.clone() }, &case)
    };
    // The last character of what is not whole groups of three bytes has bits that mean nothing.
    fn loose(text: &str) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = ALPHABET.iter().position(|byte| *byte == *text.as_bytes().last().unwrap()).unwrap();
        format!("{}{}", &text[..text.len() - 1], ALPHABET[last ^ 1] as char)
    }
    for pointer in ["/payload", "/signatures/0/protected", "/signatures/0/signature"] {
        let changes: [fn(&str) -> String; 4] = [
            |text| format!("{text}="),
            |text| format!("{text} "),
            |text| format!(" {text}"),
            |text| format!("{}\n{}", &text[..4], &text[4..]),
        ];
        for change in changes {
            assert_eq!(respelled(pointer, change), FORMAT_FAILURE, "{pointer}");
        }
        if !document.pointer(pointer).unwrap().as_str().unwrap().len().is_multiple_of(4) {
            assert_ne!(respelled(pointer, loose), PASSED, "{pointer}");
        }
    }
    assert_ne!(respelled("/signatures/0/signature", loose), PASSED);
    assert_eq!(
        respelled("/signatures/0/header/x5c/0", |text| text.trim_end_matches('=').to_owned() + "\n"),
        FORMAT_FAILURE
    );
}

#[test]
fn a_strangers_signature_beside_a_right_one_is_not_ignored() {
    let case = Case::new();
    let (mut protected, _, payload) = parts(&case);
    let window = (at("2020-01-01T00:00:00Z"), at("2045-01-01T00:00:00Z"));
    let own = ("Stranger", &KEYS.other);
    let own = Mint::leaf(own, own, window, DOCUMENT_SIGNING).signed_by(&KEYS.other);
    protected["x5t#S256"] = URL_SAFE_NO_PAD.encode(sha256(&own)).into();
    let header = json!({ "x5c": [STANDARD.encode(own)], "uuid": UUID });
    let second: Value =
        serde_json::from_slice(&put_together(&protected.to_string(), &header, &payload, stranger)).unwrap();
    let bundle = case.bundled();
    for first in [true, false] {
        let mut record: Value = serde_json::from_slice(&bundle.record).unwrap();
        let signatures = record["signatures"].as_array_mut().unwrap();
        signatures.insert(usize::from(!first), second["signatures"][0].clone());
        let report =
            verify(&Bundle { record: record.to_string().into_bytes(), ..bundle.clone() }, &case.trust(), case.now);
        assert_eq!(report.verdict.code(), NO_CHAIN);
        let codes: Vec<_> = report.signatures.iter().map(|one| one.verdict.code()).collect();
        assert_eq!(codes.iter().filter(|code| *code == PASSED).count(), 1, "{codes:?}");
        assert_eq!(codes.len(), 2);
    }
}

#[test]
fn an_older_list_does_not_bring_a_certificate_back() {
    // Taken back once, the list from before is shown again: alone it is fresh, beside the newer one it counts no more.
    let revoked = Case::new().revoked(|entry: Revoked| entry, at(LISTED));
    let older = leaf_list(SIGNED);
    let alone =
        Case::new().lists(vec![(By::Authority, older.clone()), (By::Root, fixtures::record::root_list(LISTED))]);
    assert_eq!(alone.code(), PASSED);
    for both in [revoked.clone().list(By::Authority, older.clone()), {
        let mut case = revoked.list(By::Authority, older);
        case.lists.reverse();
        case
    }] {
        assert_eq!(both.code(), "INDETERMINATE (REVOKED_NO_POE)");
    }
    // A number cannot be made up: it is signed. And a list that is kept for long is stale.
    assert_eq!(alone.now(plus(SIGNED, 7 * fixtures::record::DAY + 1)).code(), "INDETERMINATE (TRY_LATER)");
}

/// Certificates that call themselves the authority, for lists alone, each of another number, certified by nobody.
fn feigned_keys(from: u16, count: u16) -> Vec<String> {
    let window = (at("2020-01-01T00:00:00Z"), at("2045-01-01T00:00:00Z"));
    let mint = Mint::authority(("Authority", &KEYS.other), ("Root", &KEYS.other), window);
    let mint = mint.with(fixtures::certificates::KEY_USAGE, true, vec![3, 2, 1, 2]);
    let numbered =
        |n: u16| Mint { serial: [&[1], &n.to_be_bytes()[..]].concat(), ..mint.clone() }.signed_by(&KEYS.other);
    (from..from + count).map(|n| STANDARD.encode(numbered(n))).collect()
}

#[test]
fn lists_and_keys_of_strangers_cost_no_more_than_the_budget() {
    let mut case = Case::new();
    for n in 0..30 {
        let list = fixtures::record::leaf_list_at(plus(LISTED, -n));
        case = case.list(By::Other, list);
    }
    // Two layers of sixteen signatures, each of which has every list held against its path, and so many keys.
    let (protected, header, payload) = parts(&case);
    let layer = |payload: &str, keys: &dyn Fn(u16) -> Vec<String>| {
        let mut record: Value =
            serde_json::from_slice(&put_together(&protected.to_string(), &header, payload, sign_leaf)).unwrap();
        let signature = record["signatures"][0].clone();
        let signature = |n| {
            let mut signature = signature.clone();
            let chain = signature["header"]["x5c"].as_array_mut().unwrap();
            chain.extend(keys(n).into_iter().map(Value::from));
            signature
        };
        record["signatures"] = (0..16).map(signature).collect();
        record.to_string()
    };
    let signed_with = |keys: &dyn Fn(u16) -> Vec<String>| {
        let record = layer(&layer(&payload, keys), &|n| keys(n + 16));
        verify(&of_record(&case, record.into_bytes()), &case.trust(), case.now)
    };
    // The same for all: what was found out once is known, and costs but once.
    let keys = feigned_keys(0, 8);
    let report = signed_with(&|_| keys.clone());
    assert_eq!(report.verdict.code(), PASSED, "{}", report.verdict.reason);
    // Others for each: those that are not looked at prove nothing, for or against.
    let report = signed_with(&|n| feigned_keys(n * 8, 8));
    let seen: Vec<_> = report.signatures.iter().map(|one| one.verdict.code()).collect();
    let spent = seen.iter().position(|code| code != PASSED).unwrap();
    let verdict = &report.signatures[spent].verdict;
    assert_eq!(verdict.code(), "INDETERMINATE (TRY_LATER)", "{}", verdict.reason);
    assert!(spent > 0 && verdict.reason.contains("more signature checks than allowed"), "{}", verdict.reason);
    assert!(seen[spent..].iter().all(|code| code != PASSED), "{seen:?}");
}

#[test]
fn what_a_request_spent_is_forgotten_with_it() {
    // The authority ended, and was renewed with its key: there are two paths, and the second is the one that stands.
    let window = (at("2020-01-01T00:00:00Z"), plus(NOW, -1));
    let case = Case::new().authority(|mint| Mint { not_before: window.0, not_after: window.1, ..mint });
    let case = case.bundle(|bundle| {
        let renewed = Mint { serial: vec![1, 2, 3], ..Case::new().authority };
        bundle.certificates.push(renewed.signed_by(&KEYS.root));
    });
    let victim = case.bundled();
    let own = serde_json::from_slice::<Value>(&victim.record).unwrap()["signatures"][0].clone();
    // Signatures with so many feigned keys together, and then the victim's own: the search for its paths ends early.
    let with_keys = |from: u16, count: u16| {
        let mut signature = own.clone();
        let chain = signature["header"]["x5c"].as_array_mut().unwrap();
        chain.extend(feigned_keys(from, count).into_iter().map(Value::from));
        signature
    };
    // Each is another chain by the key that it ends with, so that none is known from before.
    let spending = |from: u16, count: u16| -> Vec<Value> {
        let full = (from..from + count).map(|n| {
            let mut signature = with_keys(0, 8);
            let last = feigned_keys(100 + n, 1).remove(0);
            *signature["header"]["x5c"].as_array_mut().unwrap().last_mut().unwrap() = last.into();
            signature
        });
        full.collect()
    };
    let outer = spending(0, 14);
    // A search costs four checks and one for each key: every sum from ten on, in at most two more of seven keys each.
    for checks in 10..40_u16 {
        let mut inner: Value = serde_json::from_slice(&victim.record).unwrap();
        let (full, rest) = ((checks - 10) / 12, 10 + (checks - 10) % 12);
        let mut signatures = spending(14, full);
        signatures.extend([with_keys(0, rest / 2 - 4), with_keys(50, rest - rest / 2 - 4), own.clone()]);
        inner["signatures"] = signatures.into();
        let record = json!({ "payload": URL_SAFE_NO_PAD.encode(inner.to_string()), "signatures": outer });
        let verifier = Verifier::new(case.trust());
        let attack = Bundle { record: record.to_string().into_bytes(), ..victim.clone() };
        let _spent = verifier.verify(&attack, case.now);
        let report = verifier.verify(&victim, case.now);
        assert_eq!(report.verdict.code(), PASSED, "after {checks} checks: {}", report.verdict.reason);
    }
}

/// A record with one recording of these hashes, and what the report says of the recording when it is supplied.
fn hashes(hashes: Value) -> (RowStatus, String) {
    let case = Case { recording: Some(RECORDING), ..Case::new() };
    let (protected, header, payload) = parts(&case);
    let mut payload: Value = serde_json::from_str(&payload).unwrap();
    payload["dialog"][0]["content_hash"] = hashes;
    let record = put_together(&protected.to_string(), &header, &payload.to_string(), sign_leaf);
    let report = verify(&of_record(&case, record), &case.trust(), case.now);
    let recording = report.rows.iter().find(|row| row.title == "Recording matches").unwrap();
    (recording.answer, report.verdict.code())
}

#[test]
fn a_recording_has_to_match_every_hash_that_was_signed() {
    let right = ContentHash::of(RECORDING).to_string();
    let wrong = ContentHash::of(b"another").to_string();
    let sha256_of = |content| format!("sha256-{}", URL_SAFE_NO_PAD.encode(sha256(content)));
    assert_eq!(hashes(json!([right, sha256_of(RECORDING)])), (RowStatus::Yes, PASSED.into()));
    for several in [json!([right, wrong]), json!([wrong, right]), json!([right, sha256_of(b"another")])] {
        assert_eq!(hashes(several), (RowStatus::No, "TOTAL-FAILED (HASH_FAILURE)".into()));
    }
}

#[test]
fn an_unknown_hash_proves_nothing() {
    // A file that was supplied may be what was never fingerprinted: it is not accused, and not vouched for.
    let (answer, code) = hashes(json!(["sha0-AAAA"]));
    assert_eq!((answer, code.as_str()), (RowStatus::NotChecked, PASSED));
    let case = Case { recording: Some(RECORDING), ..Case::new() };
    let (protected, header, payload) = parts(&case);
    let mut payload: Value = serde_json::from_str(&payload).unwrap();
    payload["dialog"][0]["content_hash"] = "sha0-AAAA".into();
    let record = put_together(&protected.to_string(), &header, &payload.to_string(), sign_leaf);
    let bundle = Bundle { recordings: Vec::<SuppliedRecording>::new(), ..of_record(&case, record) };
    let report = verify(&bundle, &case.trust(), case.now);
    assert_eq!(report.recordings[0].answer, RowStatus::NotChecked);
    assert!(report.recordings[0].reason.contains("no content hash of a known algorithm"));
}

#[test]
fn private_rsa_keys_are_used_by_the_constant_time_library_alone() {
    // RUSTSEC-2023-0071: the timing of `rsa` tells of the key. It is there for public operations.
    fn check(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                check(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let private =
                    ["RsaPrivateKey", "SigningKey as Rsa", "rsa::traits::Decryptor", "rsa::pkcs1v15::SigningKey"];
                assert!(private.iter().all(|word| !text.contains(word)), "{}", path.display());
            }
        }
    }
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}

#[test]
fn a_timestamp_over_another_checkpoint_dates_nothing() {
    let dated = Case { checkpoint_stamped: vec![at(SIGNED)], ..Case::new().entered(at(SIGNED)) };
    let dated = dated.policy(|policy| policy.timestamp_required = true);
    assert_eq!(dated.code(), PASSED);
    // A token of another checkpoint of the same log, from before.
    let mut bundle = dated.bundled();
    let other = checkpoint(TreeSize(9), RootHash::new([9; 32]), None);
    bundle.evidence.checkpoint_tokens = vec![dated.token(other.note().text().as_bytes(), plus(SIGNED, -60))];
    assert_eq!(code(&bundle, &dated), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
    // And that checkpoint with it: the entry is not under it.
    bundle.evidence.proof = Some(TlogProof::new(LeafIndex(0), Vec::new(), other).to_string().into_bytes());
    let report = verify(&bundle, &dated.trust(), dated.now);
    assert_eq!(report.verdict.code(), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
    assert!(report.timestamps.iter().all(|one| !one.counts));
}

#[test]
fn a_later_checkpoint_that_was_timestamped_dates_what_is_under_it_alone() {
    // Cosigned at once and timestamped later, under a checkpoint of one more entry.
    let case = Case::new().cosigned(at(SIGNED)).policy(|policy| {
        policy.timestamp_required = true;
        policy.time_from_cosignatures = false;
    });
    let mut bundle = case.bundled();
    assert_eq!(code(&bundle, &case), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
    let mut tree = RightEdge::new(TreeSize(0), Vec::new()).unwrap();
    let [entry, other] = [bundle.evidence.entry.as_deref().unwrap(), b"another entry"].map(leaf_hash);
    tree.append(entry);
    tree.append(other);
    let later = checkpoint(TreeSize(2), tree.root(), None);
    let token = |checkpoint: &SignedCheckpoint| case.token(checkpoint.note().text().as_bytes(), plus(SIGNED, 60));
    let proof = |index, hash: LeafHash, checkpoint| {
        TlogProof::new(index, vec![hash.into()], checkpoint).to_string().into_bytes()
    };
    bundle.evidence.second_tokens = vec![token(&later)];
    assert_eq!(code(&bundle, &case), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)", "a token without its proof");
    bundle.evidence.second_proof = Some(proof(LeafIndex(0), other, later.clone()));
    let report = verify(&bundle, &case.trust(), case.now);
    assert_eq!((report.verdict.code(), report.times.existed_by), (PASSED.to_owned(), Some(plus(SIGNED, 60))));
    // That the two checkpoints are of one tree is said where it is shown.
    assert!(report.ledger.consistent_with.is_empty());
    let same = ConsistencyProof {
        origin: "log.example/1".into(),
        old: TreeSize(1),
        new: TreeSize(2),
        hashes: vec![other.into()],
    };
    bundle.consistency = vec![same.to_text().into_bytes()];
    assert_eq!(verify(&bundle, &case.trust(), case.now).ledger.consistent_with, [2]);

    // Another place, another tree, another log, nothing at all: what is there is wrong.
    let elsewhere = checkpoint(TreeSize(2), RootHash::new([9; 32]), None);
    let (signer, _) = SigningKey::generate_ed25519();
    let foreign = Checkpoint::new("other.example/1", TreeSize(2), tree.root()).unwrap().sign(&signer).unwrap();
    for (what, wrong, checkpoint) in [
        ("place", proof(LeafIndex(1), entry, later.clone()), later.clone()),
        ("tree", proof(LeafIndex(0), other, elsewhere.clone()), elsewhere),
        ("log", proof(LeafIndex(0), other, foreign.clone()), foreign),
        ("nothing", b"no proof".to_vec(), later),
    ] {
        let mut bundle = bundle.clone();
        bundle.evidence.second_proof = Some(wrong);
        bundle.evidence.second_tokens = vec![token(&checkpoint)];
        let report = verify(&bundle, &case.trust(), case.now);
        assert_eq!(report.ledger.status, LedgerStatus::Inconsistent, "{what}: {:?}", report.ledger);
        assert!(report.timestamps.iter().all(|one| !one.counts) && report.times.existed_by.is_none(), "{what}");
    }
}

#[test]
fn a_fork_that_no_witness_saw_is_not_witnessed() {
    // The log signs a tree for one reader; the witness has cosigned another of the same size.
    let case = Case::new().cosigned(at(SIGNED));
    let bundle = case.bundled();
    let proof = TlogProof::parse(bundle.evidence.proof.as_ref().unwrap()).unwrap();
    let seen = checkpoint(TreeSize(1), RootHash::new([3; 32]), Some(at(SIGNED)));
    let cosignature = seen.note().signatures().last().unwrap().clone();
    let mut fork = checkpoint(TreeSize(1), proof.checkpoint().checkpoint().root(), None);
    let unseen = TlogProof::new(LeafIndex(0), Vec::new(), fork.clone()).to_string().into_bytes();
    fork.add(cosignature).unwrap();
    let feigned = TlogProof::new(LeafIndex(0), Vec::new(), fork).to_string().into_bytes();
    let strict = case.policy(|policy| policy.ledger_required = LedgerRequirement::Witnessed);
    assert_eq!(code(&bundle, &strict), PASSED);
    for proof in [unseen, feigned] {
        let mut forked = bundle.clone();
        forked.evidence.proof = Some(proof);
        let report = verify(&forked, &strict.trust(), strict.now);
        assert_eq!(report.verdict.code(), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
        assert_ne!(report.ledger.quorum, Some(true));
        assert!(report.ledger.witnesses.is_empty(), "{:?}", report.ledger);
    }
}

#[test]
fn a_name_that_looks_like_another_is_flagged() {
    let warnings = |subject: &str| {
        let case = Case::new().leaf(|mint| Mint { subject: name(subject), ..mint });
        let report = case.report();
        assert_eq!(report.verdict.code(), PASSED);
        warnings_of(&report.signatures[0])
    };
    assert_eq!(warnings("Acme Ltd"), "");
    // The first letter is Cyrillic.
    assert!(warnings("\u{410}cme Ltd").contains("mixes scripts"));
    // An authority's name, too, where it is shown as who vouches.
    let case = Case::new().authority(|mint| Mint { subject: name("\u{410}uthority"), ..mint });
    let case = case.leaf(|mint| Mint { issuer: name("\u{410}uthority"), ..mint });
    assert!(warnings_of(&case.report().signatures[0]).contains("mixes scripts"));
}

#[test]
fn what_a_bundle_offers_is_not_trusted() {
    let case = Case::new().cosigned(at(SIGNED));
    let mut bundle = case.bundled();
    bundle.offered_anchors = vec![case.root.signed_by(&KEYS.root)];
    bundle.certificates = bundle.offered_anchors.clone();
    bundle.offered_log_policy = Some(fixtures::record::log_policy().text().into_bytes());
    assert_eq!(code(&bundle, &case), PASSED);
    let mut other = case.trust();
    other.anchors = TrustAnchors::new(vec![anchor(&case.time_root, &KEYS.time_root)]);
    other.log_policy = None;
    let report = verify(&bundle, &other, at(NOW));
    assert_eq!(report.verdict.code(), NO_CHAIN);
    assert_eq!(report.signatures[0].offered_anchor.as_ref().unwrap().subject, "CN=Root");
    assert_eq!(report.ledger.quorum, None);
}

#[tokio::test]
async fn a_server_asks_no_address_that_a_record_names() {
    let place = fixtures::server::Place::new();
    let server = place.serve().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    let case = Case::new();
    let (mut protected, header, payload) = parts(&case);
    let mut payload: Value = serde_json::from_str(&payload).unwrap();
    payload["dialog"] = json!([{
        "type": "recording", "start": SIGNED, "parties": [], "mediatype": "audio/wav", "url": address,
        "content_hash": ContentHash::of(RECORDING).to_string(),
    }]);
    payload["attachments"] =
        json!([{ "purpose": "x", "url": address, "content_hash": ContentHash::of(b"x").to_string() }]);
    for (member, value) in [("x5u", &address), ("jku", &address)] {
        protected[member] = value.clone().into();
    }
    for header in [header, json!({ "uuid": UUID })] {
        let record = put_together(&protected.to_string(), &header, &payload.to_string(), sign_leaf);
        let report = server.client.verify(record).await;
        assert_eq!(report["recordings"][0]["answer"], "not_checked", "{report}");
    }
    let asked = listener.accept().err().map(|error| error.kind());
    assert_eq!(asked, Some(std::io::ErrorKind::WouldBlock));
    server.stop().await;
}

#[test]
fn no_list_takes_the_place_of_ones_own() {
    let case = Case::new();
    let revoked = leaf_list(LISTED).revokes(Revoked::of(&case.leaf, plus(SIGNED, -60))).signed_by(&KEYS.authority);
    let mut bundle = case.bundled();
    bundle.local_crls = vec![revoked];
    for padding in [0, 40] {
        // Right lists of the authority, older each, and none of them names the certificate.
        let older = (1..=padding).map(|hours| leaf_list_at(plus(LISTED, -3600 * hours)).signed_by(&KEYS.authority));
        bundle.crls.extend(older);
        bundle.crls.extend(vec![b"no".to_vec(); 200]);
        let code = verify(&bundle, &case.trust(), case.now).verdict.code();
        assert_eq!(code, "INDETERMINATE (REVOKED_NO_POE)", "{padding}");
    }
    // What is no list takes nobody's place either.
    let mut junk = case.bundled();
    junk.crls.splice(0..0, (0..100_u8).map(|n| vec![n]));
    assert_eq!(verify(&junk, &case.trust(), case.now).verdict.code(), "TOTAL-PASSED");
}

fn warnings_of(signature: &SignatureReport) -> String {
    signature.warnings.iter().map(Warning::to_string).collect::<Vec<_>>().join("; ")
}
