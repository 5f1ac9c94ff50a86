//! Rows 1 to 6: the record's own bytes, its certificate, its recordings, its header.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use affiant::evidence::Bundle;

use super::{Expected, PASSED, is};
use crate::fixtures::record::{Case, NOW, RECORDING, SIGNED, at, plus};

const CRITICAL: &str = "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)";
const UNREAD: &str = "INDETERMINATE (FORMAT_FAILURE)";
const FORMAT_FAILURE: &str = "TOTAL-FAILED (FORMAT_FAILURE)";
const NO_CERTIFICATE: &str = "INDETERMINATE (NO_SIGNING_CERTIFICATE_FOUND)";
const NOT_BOUND: &str = "INDETERMINATE (CERTIFICATE_NOT_BOUND)";
const SIG_CRYPTO_FAILURE: &str = "TOTAL-FAILED (SIG_CRYPTO_FAILURE)";
const CRYPTO_CONSTRAINTS: &str = "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE)";
const HASH_FAILURE: &str = "TOTAL-FAILED (HASH_FAILURE)";
const DATA_NOT_FOUND: &str = "INDETERMINATE (SIGNED_DATA_NOT_FOUND)";
const CONSTRAINTS: &str = "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)";

/// Changes the record as a document.
fn change(bundle: &mut Bundle, change: impl FnOnce(&mut Value)) {
    let mut record: Value = serde_json::from_slice(&bundle.record).unwrap();
    change(&mut record);
    bundle.record = record.to_string().into_bytes();
}

/// What is not understood is not forged.
pub(crate) fn not_understood() -> Vec<Expected> {
    let header = |header: fn(&mut Value, &mut Value)| Case::new().header(header);
    vec![
        is(CRITICAL, "a critical member that is not known", header(|protected, _| protected["crit"] = json!(["exp"]))),
        is(PASSED, "the signing time of JAdES", {
            header(|protected, _| {
                protected["crit"] = json!(["sigT"]);
                protected["sigT"] = "2026-06-01T12:00:00Z".into();
            })
        }),
        is("TOTAL-FAILED (FORMAT_FAILURE)", "named, and not there", {
            header(|protected, _| protected["crit"] = json!(["sigT"]))
        }),
    ]
}

/// Serializations that are read, and that are not.
pub(crate) fn serializations() -> Vec<Expected> {
    fn compact(record: &Value) -> String {
        let part = |value: &Value| value.as_str().unwrap().to_owned();
        let signature = &record["signatures"][0];
        [part(&signature["protected"]), part(&record["payload"]), part(&signature["signature"])].join(".")
    }
    let case = |bundle: fn(&mut Bundle)| Case::new().bundle(bundle);
    vec![
        is(PASSED, "flattened", {
            case(|bundle| {
                change(bundle, |record| {
                    let mut flattened = record["signatures"][0].clone();
                    flattened["payload"] = record["payload"].clone();
                    *record = flattened;
                })
            })
        }),
        is("TOTAL-FAILED (FORMAT_FAILURE)", "flattened and general at once", {
            case(|bundle| change(bundle, |record| record["signature"] = record["signatures"][0]["signature"].clone()))
        }),
        is(UNREAD, "compact", {
            case(|bundle| bundle.record = compact(&serde_json::from_slice(&bundle.record).unwrap()).into_bytes())
        }),
        is(UNREAD, "detached", {
            case(|bundle| {
                change(bundle, |record| {
                    record.as_object_mut().unwrap().shift_remove("payload");
                })
            })
        }),
    ]
}

/// What nobody signed, or of which not enough is there: that accuses nobody.
pub(crate) fn not_signed() -> Vec<Expected> {
    let case = |bundle: fn(&mut Bundle)| Case::new().bundle(bundle);
    vec![
        is(UNREAD, "cut off", case(|bundle| bundle.record.truncate(100))).says("it ends in the middle, at byte 100"),
        is(UNREAD, "empty", case(|bundle| bundle.record.clear())).says("this is no signed record: it is empty"),
        is(UNREAD, "another file", case(|bundle| bundle.record = b"RIFF\0\0\0\0WAVEfmt ".to_vec()))
            .says("it is a recording"),
        is(UNREAD, "text", case(|bundle| bundle.record = b"Dear Sirs,".to_vec())).says("not JSON"),
        is(UNREAD, "an unsigned vCon", case(|bundle| bundle.record = br#"{"vcon":"0.4.0","parties":[]}"#.to_vec()))
            .says("neither a payload nor a signature"),
        is(UNREAD, "an encrypted one", case(|bundle| bundle.record = br#"{"ciphertext":"","protected":""}"#.to_vec()))
            .says("it is encrypted"),
        is(UNREAD, "a payload alone", {
            case(|bundle| {
                change(bundle, |record| {
                    record.as_object_mut().unwrap().shift_remove("signatures");
                })
            })
        }),
        is(FORMAT_FAILURE, "two meanings", case(|bundle| bundle.record = br#"{"a":1,"a":2}"#.to_vec())),
        is(SIG_CRYPTO_FAILURE, "altered", case(|bundle| replace(bundle, "\"signature\":\"", "\"signature\":\"AAAA"))),
    ]
}

/// Changes the record as text.
fn replace(bundle: &mut Bundle, from: &str, to: &str) {
    let text = String::from_utf8(bundle.record.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    bundle.record = text.replacen(from, to, 1).into_bytes();
}

pub(crate) fn formats() -> Vec<Expected> {
    let case = |bundle: fn(&mut Bundle)| Case::new().bundle(bundle);
    let header = |header: fn(&mut Value, &mut Value)| Case::new().header(header);
    vec![
        is(PASSED, "as it was made", Case::new()),
        is(PASSED, "with white space", case(|bundle| replace(bundle, ",", " ,\n"))),
        is(
            FORMAT_FAILURE,
            "a list of no signatures",
            case(|bundle| change(bundle, |all| all["signatures"] = json!([]))),
        ),
        is(FORMAT_FAILURE, "a member twice", {
            case(|bundle| replace(bundle, "{\"payload\":", "{\"payload\":\"\",\"payload\":"))
        }),
        is(FORMAT_FAILURE, "a member twice in a header", {
            case(|bundle| replace(bundle, "\"uuid\":", "\"uuid\":\"\",\"uuid\":"))
        }),
        is(FORMAT_FAILURE, "base64url with padding", {
            case(|bundle| {
                change(bundle, |record| record["payload"] = format!("{}=", record["payload"].as_str().unwrap()).into())
            })
        }),
        is(
            FORMAT_FAILURE,
            "no algorithm",
            header(|protected, _| {
                protected.as_object_mut().unwrap().shift_remove("alg");
            }),
        ),
        is(FORMAT_FAILURE, "alg none", header(|protected, _| protected["alg"] = "none".into())),
        is(FORMAT_FAILURE, "an HMAC", header(|protected, _| protected["alg"] = "HS256".into())),
        is(FORMAT_FAILURE, "a crit that names nothing", header(|protected, _| protected["crit"] = json!([]))),
        is(FORMAT_FAILURE, "headers that differ", header(|_, unprotected| unprotected["alg"] = "RS256".into())),
        is(PASSED, "headers that say the same", header(|_, unprotected| unprotected["alg"] = "ES256".into())),
        is(FORMAT_FAILURE, "one signature more than are read", {
            case(|bundle| {
                change(bundle, |record| {
                    let one = record["signatures"][0].clone();
                    record["signatures"] = vec![one; 17].into();
                })
            })
        }),
        is(PASSED, "as many signatures as are read", {
            case(|bundle| {
                change(bundle, |record| {
                    let one = record["signatures"][0].clone();
                    record["signatures"] = vec![one; 16].into();
                })
            })
        }),
    ]
}

pub(crate) fn certificates() -> Vec<Expected> {
    let header = |header: fn(&mut Value, &mut Value)| Case::new().header(header);
    fn without_chain(unprotected: &mut Value) {
        unprotected.as_object_mut().unwrap().shift_remove("x5c");
    }
    vec![
        is(NO_CERTIFICATE, "no x5c", header(|_, unprotected| without_chain(unprotected))),
        is(NO_CERTIFICATE, "an x5u, which nobody fetches", {
            header(|_, unprotected| {
                without_chain(unprotected);
                unprotected["x5u"] = "https://certificates.example.com/signer.pem".into();
            })
        })
        .says("not fetched"),
        is(NO_CERTIFICATE, "what is no certificate", {
            header(|protected, unprotected| {
                protected.as_object_mut().unwrap().shift_remove("x5t#S256");
                unprotected["x5c"] = json!([STANDARD.encode(b"no certificate")]);
            })
        }),
        is(NO_CERTIFICATE, "a certificate of a key that is of no known kind", {
            Case::new().leaf(|mut mint| {
                // The algorithm is id-ecPublicKey (RFC 5480): another last byte is another algorithm.
                let at = mint.spki.windows(7).position(|bytes| bytes == [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]).unwrap();
                mint.spki[at + 6] = 9;
                mint
            })
        })
        .says("the signer's key"),
        is(PASSED, "a certificate that was handed in beside", {
            // Without its thumbprint, too: the certificates of two cases are signed apart.
            let nameless = header(|protected, unprotected| {
                protected.as_object_mut().unwrap().shift_remove("x5t#S256");
                without_chain(unprotected);
                unprotected["x5u"] = "https://certificates.example.com/signer.pem".into();
            });
            nameless.policy(|policy| policy.certificate_reference_required = false).bundle(|bundle| {
                let made: Value = serde_json::from_slice(&Case::new().record()).unwrap();
                let chain = made["signatures"][0]["header"]["x5c"].as_array().unwrap().clone();
                bundle.certificates = chain.iter().map(|one| STANDARD.decode(one.as_str().unwrap()).unwrap()).collect();
            })
        }),
    ]
}

/// The first certificate of the unprotected header.
fn first(unprotected: &Value) -> Vec<u8> {
    STANDARD.decode(unprotected["x5c"][0].as_str().unwrap()).unwrap()
}

/// A reference of JAdES.
fn digest_reference(der: &[u8]) -> Value {
    json!({ "digAlg": "S512", "digVal": URL_SAFE_NO_PAD.encode(affiant::crypto::sha512(der)) })
}

/// References that bind the signer's certificate, and what does not.
pub(crate) fn unbound() -> Vec<Expected> {
    /// A record whose protected header has this, and no thumbprint of ours.
    fn with(header: fn(&mut Value, &mut Value)) -> Case {
        Case::new().header(header)
    }
    fn without(protected: &mut Value, _: &mut Value) {
        protected.as_object_mut().unwrap().shift_remove("x5t#S256");
    }
    let accepted = |case: Case| case.policy(|policy| policy.certificate_reference_required = false);
    /// Another certificate of the same key and name.
    fn twin() -> Vec<u8> {
        Case::new().leaf.signed_by(&crate::fixtures::record::KEYS.authority)
    }
    vec![
        is(NOT_BOUND, "no reference", with(without)).says("it can be exchanged"),
        is(PASSED, "no reference, and the policy accepts that", accepted(with(without))).says("does not bind"),
        is(NOT_BOUND, "accepted, with another of its key in the bundle", {
            accepted(with(without)).bundle(|bundle| bundle.certificates.push(twin()))
        })
        .says("has the same key"),
        is(NOT_BOUND, "accepted, with another of its key in the record", {
            accepted(with(|protected, unprotected| {
                without(protected, unprotected);
                unprotected["x5c"].as_array_mut().unwrap().push(STANDARD.encode(twin()).into());
            }))
        }),
        is(PASSED, "accepted, with the same one again", {
            accepted(with(|protected, unprotected| {
                without(protected, unprotected);
                let own = unprotected["x5c"][0].clone();
                unprotected["x5c"].as_array_mut().unwrap().push(own);
            }))
        }),
        is(PASSED, "another of its key beside one that is bound", {
            Case::new().bundle(|bundle| bundle.certificates.push(twin()))
        }),
        is(NOT_BOUND, "a reference that is not signed", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                unprotected["x5t#o"] = digest_reference(&first(unprotected));
            })
        }),
        is(NOT_BOUND, "a reference by SHA-1", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                protected["x5t"] = URL_SAFE_NO_PAD.encode(affiant::crypto::sha1(&first(unprotected))).into();
            })
        }),
        is(NOT_BOUND, "a reference by what is not known", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                protected["x5t#o"] = json!({ "digAlg": "S3-512", "digVal": "AA" });
            })
        }),
        is(PASSED, "x5t#o", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                protected["x5t#o"] = digest_reference(&first(unprotected));
            })
        }),
        is(PASSED, "sigX5ts", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                protected["sigX5ts"] = json!([digest_reference(&first(unprotected))]);
            })
        }),
        is(PASSED, "a signed chain", {
            with(|protected, unprotected| {
                without(protected, unprotected);
                protected["x5c"] = unprotected.as_object_mut().unwrap().shift_remove("x5c").unwrap();
            })
        }),
    ]
}

pub(crate) fn signatures() -> Vec<Expected> {
    vec![
        is(PASSED, "as it was made", Case::new()),
        is(SIG_CRYPTO_FAILURE, "another payload", {
            Case::new().bundle(|bundle| {
                change(bundle, |record| {
                    let bytes = URL_SAFE_NO_PAD.decode(record["payload"].as_str().unwrap()).unwrap();
                    let other = String::from_utf8(bytes).unwrap().replace("\"parties\":[]", "\"parties\":[{}]");
                    record["payload"] = URL_SAFE_NO_PAD.encode(other).into();
                });
            })
        }),
        is(SIG_CRYPTO_FAILURE, "a payload that is no JSON any more", {
            Case::new().bundle(|bundle| change(bundle, |record| record["payload"] = URL_SAFE_NO_PAD.encode("{").into()))
        }),
        is(SIG_CRYPTO_FAILURE, "a bit of the signature", {
            Case::new().bundle(|bundle| {
                change(bundle, |record| {
                    let signature = &mut record["signatures"][0]["signature"];
                    let mut bytes = URL_SAFE_NO_PAD.decode(signature.as_str().unwrap()).unwrap();
                    bytes[9] ^= 1;
                    *signature = URL_SAFE_NO_PAD.encode(bytes).into();
                });
            })
        }),
        is(SIG_CRYPTO_FAILURE, "one wrong signature among right ones", {
            Case::new().bundle(|bundle| {
                change(bundle, |record| {
                    let mut wrong = record["signatures"][0].clone();
                    wrong["signature"] = URL_SAFE_NO_PAD.encode([1; 64]).into();
                    record["signatures"].as_array_mut().unwrap().push(wrong);
                });
            })
        }),
        is(PASSED, "the same certificate in other white space", {
            Case::new().bundle(|bundle| replace(bundle, "\"signatures\":[", "\"signatures\":\n[ "))
        }),
        is(NO_CERTIFICATE, "another's certificate, where the thumbprint says whose it was", {
            Case::new().header(|_, unprotected| {
                let other = Case::new().leaf(|mint| crate::fixtures::certificates::Mint {
                    spki: crate::fixtures::record::KEYS.other.spki(),
                    ..mint
                });
                let other = other.leaf.signed_by(&crate::fixtures::record::KEYS.authority);
                unprotected["x5c"] = json!([STANDARD.encode(other)]);
            })
        }),
    ]
}

pub(crate) fn algorithms() -> Vec<Expected> {
    vec![
        is(CRYPTO_CONSTRAINTS, "a curve that nobody here verifies with", {
            Case::new().header(|protected, _| protected["alg"] = "ES256K".into())
        }),
        is(SIG_CRYPTO_FAILURE, "an algorithm of another kind of key", {
            Case::new().header(|protected, _| protected["alg"] = "RS256".into())
        }),
        is(PASSED, "the right one", Case::new()),
    ]
}

pub(crate) fn recordings() -> Vec<Expected> {
    let supplied = |recording| Case { recording: Some(recording), ..Case::new() };
    vec![
        is(PASSED, "the recording that was signed", supplied(RECORDING)),
        is(HASH_FAILURE, "another recording", supplied(b"RIFF a recording that is not two")),
        is(HASH_FAILURE, "the right one, cut short", supplied(&RECORDING[..RECORDING.len() - 1])),
        is(HASH_FAILURE, "one too many", {
            supplied(RECORDING).bundle(|bundle| {
                let mut more = bundle.recordings[0].clone();
                more.digests.sha512[0] ^= 1;
                bundle.recordings.push(more);
            })
        }),
        is(PASSED, "none", supplied(RECORDING).bundle(|bundle| bundle.recordings.clear())),
    ]
}

pub(crate) fn required_recordings() -> Vec<Expected> {
    let required = |recording| Case { recording, ..Case::new() }.policy(|policy| policy.recordings_required = true);
    vec![
        is(PASSED, "supplied", required(Some(RECORDING))),
        is(DATA_NOT_FOUND, "not supplied", required(None)),
        is(HASH_FAILURE, "another one supplied", required(Some(b"RIFF"))),
    ]
}

pub(crate) fn constraints() -> Vec<Expected> {
    let header = |header: fn(&mut Value, &mut Value)| Case::new().header(header);
    let claimed = |seconds| Case::new().stamped(at(SIGNED)).claimed(plus(SIGNED, seconds));
    let accurate = |seconds| Case { accuracy: Some(std::time::Duration::from_secs(2)), ..claimed(seconds) };
    let skewed = |seconds| claimed(seconds).policy(|policy| policy.clock_skew_max = chrono::TimeDelta::zero());
    vec![
        is(CONSTRAINTS, "x5t#S256 names another certificate", {
            header(|protected, _| protected["x5t#S256"] = URL_SAFE_NO_PAD.encode([7; 32]).into())
        }),
        is(CONSTRAINTS, "x5t#o names another certificate", {
            header(|protected, _| protected["x5t#o"] = digest_reference(b"another"))
        })
        .says("x5t#o names another"),
        is(CONSTRAINTS, "sigX5ts names another certificate", {
            header(|protected, _| protected["sigX5ts"] = json!([digest_reference(b"another")]))
        }),
        is(CONSTRAINTS, "sigX5ts names one that is not in the path", {
            header(|protected, unprotected| {
                let own = digest_reference(&first(unprotected));
                protected["sigX5ts"] = json!([own, digest_reference(b"another")]);
            })
        })
        .says("not in the path"),
        is(CONSTRAINTS, "x5t names another certificate", {
            header(|protected, _| protected["x5t"] = URL_SAFE_NO_PAD.encode([7; 20]).into())
        }),
        is(CONSTRAINTS, "an unsigned reference names another certificate", {
            header(|_, unprotected| unprotected["x5t#o"] = digest_reference(b"another"))
        }),
        is(CONSTRAINTS, "a signed chain begins with another certificate", {
            header(|protected, unprotected| {
                let mut chain = unprotected.as_object_mut().unwrap().shift_remove("x5c").unwrap();
                chain.as_array_mut().unwrap().reverse();
                protected["x5c"] = chain;
            })
        }),
        is(PASSED, "every reference that there is, to the right one", {
            header(|protected, unprotected| {
                let own = digest_reference(&first(unprotected));
                let above = STANDARD.decode(unprotected["x5c"][1].as_str().unwrap()).unwrap();
                protected["sigX5ts"] = json!([own, digest_reference(&above)]);
                protected["x5t"] = URL_SAFE_NO_PAD.encode(affiant::crypto::sha1(&first(unprotected))).into();
                protected["x5t#o"] = own;
            })
        }),
        is(CONSTRAINTS, "alg outside of what is signed", {
            header(|protected, unprotected| {
                protected.as_object_mut().unwrap().shift_remove("alg");
                unprotected["alg"] = "ES256".into();
            })
        }),
        is(CONSTRAINTS, "the uuid of another vCon", {
            header(|_, unprotected| unprotected["uuid"] = "0190a000-0000-8000-8000-000000000002".into())
        }),
        is(
            PASSED,
            "no uuid",
            header(|_, unprotected| {
                unprotected.as_object_mut().unwrap().shift_remove("uuid");
            }),
        ),
        is(PASSED, "claimed as much ahead of the timestamp as clocks may be", claimed(300)),
        is(PASSED, "a second less", claimed(299)),
        is(CONSTRAINTS, "a second more", claimed(301)),
        is(PASSED, "the accuracy of the timestamp is added", accurate(302)),
        is(CONSTRAINTS, "and no more", accurate(303)),
        is(PASSED, "a policy without tolerance", skewed(0)),
        is(CONSTRAINTS, "a policy without tolerance, and a second", skewed(1)),
        is(PASSED, "claimed as much ahead of the verification", Case::new().claimed(plus(NOW, 300))),
        is(CONSTRAINTS, "claimed a second more ahead of the verification", Case::new().claimed(plus(NOW, 301))),
        is(
            PASSED,
            "nothing is said when",
            header(|protected, _| {
                protected.as_object_mut().unwrap().shift_remove("iat");
            }),
        ),
    ]
}
