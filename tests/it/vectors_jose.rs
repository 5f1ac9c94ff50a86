//! Signatures that others made, right and wrong: Wycheproof's JWS, JWK and RSA cases and the examples of RFC 7520 §4, read

//! from the vectors' folder. Both cryptographic backends give the same verdicts: `--no-default-features` has the other.

use std::path::PathBuf;

use crate::fixtures::conformance::Count;
use crate::fixtures::vectors::folder;
use affiant::crypto::{Hash, SignatureAlgorithm, VerifyingKey};
use affiant::jose::{HeaderError, Jwk, JwkError, Jws, JwsError, algorithm};
use affiant::json::JsonLimits;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Files of a folder whose names begin so, in order.
fn files(folder: &str, beginning: &str) -> Vec<(String, Value)> {
    let Some(folder) = self::folder(folder) else { return Vec::new() };
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = paths.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    let mut files: Vec<_> =
        named.filter(|(name, _)| name.starts_with(beginning)).map(|(name, path)| (name, read(path))).collect();
    if files.is_empty() {
        println!("skipped: no {beginning}* in that folder");
    }
    files.sort_by(|(left, _), (right, _)| left.cmp(right));
    files
}

/// Whether every signature of it verifies under a key that is meant for such signatures.
fn verify(jws: Result<Jws, JwsError>, key: &Value) -> Result<(), String> {
    let jws = jws.map_err(|error| error.to_string())?;
    let key = Jwk::of(key).map_err(|error| error.to_string())?;
    for signature in jws.signatures() {
        let key = key.verifying_key(signature.header()).map_err(|error| error.to_string())?;
        jws.check_signature(signature, key).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The verdict on a case, which both serializations must have: compact, and the same parts in general JSON.
fn verdict(jws: &Value, key: &Value) -> Result<(), String> {
    let limits = JsonLimits::default();
    let Some(compact) = jws.as_str() else {
        return verify(Jws::parse(jws.to_string().as_bytes(), &limits), key);
    };
    let verdict = verify(Jws::parse_compact(compact, &limits), key);
    if let [protected, payload, signature] = compact.split('.').collect::<Vec<_>>()[..] {
        let general = json!({ "payload": payload, "signatures": [{ "protected": protected, "signature": signature }] });
        assert_eq!(verify(Jws::parse(general.to_string().as_bytes(), &limits), key), verdict, "{compact}");
    }
    verdict
}

fn algorithm_of(jws: &Value) -> Option<String> {
    let protected = jws.as_str()?.split('.').next()?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(protected).ok()?).ok()?;
    Some(header["alg"].as_str()?.to_owned())
}

/// Whether a modulus has the fingerprint of ROCA (CVE-2017-15361): modulo every small prime a power of 65537.
fn is_roca(key: &Value) -> bool {
    let Some(modulus) = key["n"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else { return false };
    let primes = (3..=167_u32).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
    primes.into_iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |remainder, byte| (remainder * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (65537 % prime) % prime;
            power == remainder
        })
    })
}

/// Whether a modulus has fewer than 2048 bits.
fn is_short(key: &Value) -> bool {
    let modulus = key["n"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
    key["kty"] == "RSA" && significant < 256
}

/// What the rules here say of a case, where it is not what the case expects.
enum Divergence {
    /// Whatever is expected, it is refused.
    Refused(&'static str),
    /// A case that is to be refused is accepted.
    Accepted(&'static str),
}

fn divergence(jws: &Value, key: &Value) -> Option<Divergence> {
    let algorithm = algorithm_of(jws);
    if key["kty"] == "oct" || algorithm.as_deref().is_some_and(|name| name.starts_with("HS")) {
        return Some(Divergence::Refused("an HMAC proves no origin: whoever can check it can make it"));
    }
    if key["kty"] == "EC" && !["P-256", "P-384", "P-521"].contains(&key["crv"].as_str().unwrap_or_default()) {
        return Some(Divergence::Refused("no vCon needs the curve, and one of the backends lacks it"));
    }
    let named = key["alg"].as_str();
    if named.is_some() && named != algorithm.as_deref() {
        return Some(Divergence::Refused("the key's alg is another than the signature's (RFC 7517 §4.4)"));
    }
    let weak = "a weak key makes right signatures; what they are worth is a report's matter, not a parser's";
    (is_short(key) || is_roca(key)).then_some(Divergence::Accepted(weak))
}

/// Judges every case of a file of groups.
fn judge(count: &mut Count, name: &str, file: &Value, keys: fn(&Value) -> Vec<Value>) {
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            let mut verified = false;
            let mut reason = None;
            for key in keys(group) {
                let accepted = verdict(&case["jws"], &key).is_ok();
                verified |= accepted;
                match divergence(&case["jws"], &key) {
                    Some(Divergence::Refused(why)) => {
                        assert!(!accepted, "{name} {}: accepted, though {why}", case["tcId"]);
                        reason = Some(why);
                    }
                    Some(Divergence::Accepted(why)) if accepted => reason = Some(why),
                    _ => {}
                }
            }
            let (valid, what) = (case["result"] == "valid", format!("{name} {} {}", case["tcId"], case["comment"]));
            let id = format!("{name} {}", case["tcId"]);
            if verified == valid {
                count.passed(&id);
            } else {
                let reason = reason.unwrap_or_else(|| panic!("{what}: verified {verified}, to be {valid}"));
                println!("{what}: {reason}");
                count.diverged(&id, reason);
            }
        }
    }
}

#[test]
fn vectors_wycheproof_jws() {
    let mut count = Count::new("Wycheproof JWS");
    for (name, file) in files("wycheproof", "json_web_signature") {
        let keys = |group: &Value| {
            vec![if group["public"].is_object() { &group["public"] } else { &group["private"] }.clone()]
        };
        judge(&mut count, &name, &file, keys);
        assert!(count.has_passed() > 100 && count.has_diverged() < count.has_passed() / 10);
    }
    count.finish();
}

#[test]
fn vectors_wycheproof_jwk() {
    let mut count = Count::new("Wycheproof JWK");
    for (name, file) in files("wycheproof", "json_web_key") {
        let keys = |group: &Value| {
            let set = if group["public"].is_object() { &group["public"] } else { &group["private"] };
            set["keys"].as_array().unwrap().clone()
        };
        judge(&mut count, &name, &file, keys);
        // Sets of symmetric keys have nothing to do here but to be refused.
        for group in file["testGroups"].as_array().unwrap() {
            for key in keys(group).iter().filter(|key| key["kty"] == "oct") {
                assert_eq!(Jwk::of(key).unwrap_err(), JwkError::Kind);
            }
        }
    }
    count.finish();
}

#[test]
fn vectors_wycheproof_rsa_signatures() {
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let mut count = Count::new("Wycheproof RSA signatures");
    for (name, file) in files("wycheproof", "rsa_signature") {
        let (mut right, mut wrong) = (0, 0);
        for group in file["testGroups"].as_array().unwrap() {
            let hash = match text(group, "sha") {
                "SHA-256" => Hash::Sha256,
                "SHA-384" => Hash::Sha384,
                "SHA-512" => Hash::Sha512,
                _ => continue,
            };
            let key = VerifyingKey::from_spki_der(&bytes(text(group, "publicKeyDer"))).unwrap();
            let numbers = Jwk::of(&group["keyJwk"]);
            assert!(numbers.is_ok_and(|jwk| *jwk.key() == key), "{name}: the JWK is another key");
            for case in group["tests"].as_array().unwrap() {
                let (message, signature) = (bytes(text(case, "msg")), bytes(text(case, "sig")));
                let verified = key.check_signature(SignatureAlgorithm::RsaPkcs1(hash), &message, &signature).is_ok();
                // «Acceptable» is what some accept though it is not what RFC 8017 §9.2 encodes: there is one encoding.
                assert_eq!(verified, case["result"] == "valid", "{name} {} {}", case["tcId"], case["comment"]);
                count.passed(&format!("{name} {}", case["tcId"]));
                if verified { right += 1 } else { wrong += 1 }
            }
        }
        println!("{name}: {right} right, {wrong} wrong");
        assert!(right > 0 && wrong > 0);
    }
    count.finish();
}

/// The signatures of an example in general JSON serialization, each with its key.
fn example_signatures(example: &Value) -> Vec<(Value, Value)> {
    let listed = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let keys = listed(&example["input"]["key"]);
    let signatures = example["output"]["json"]["signatures"].as_array().unwrap().clone();
    assert_eq!(keys.len(), signatures.len());
    signatures.into_iter().zip(keys).collect()
}

#[test]
fn vectors_rfc_7520_signatures() {
    let mut count = Count::new("RFC 7520 §4");
    for (name, example) in files("jose-cookbook", "4_") {
        let content = text(&example["input"], "payload");
        // One example detaches its payload, which a vCon never does.
        let payload = URL_SAFE_NO_PAD.encode(content);
        for (position, (signature, key)) in example_signatures(&example).into_iter().enumerate() {
            let id = format!("{name} {position}");
            let jws = json!({ "payload": payload, "signatures": [signature] });
            let parsed = Jws::parse(jws.to_string().as_bytes(), &JsonLimits::default());
            if key["kty"] == "oct" {
                let refused = matches!(parsed, Err(JwsError::Header(0, HeaderError::ForbiddenAlgorithm(_))));
                assert!(refused, "{name}: an HMAC is not refused");
                count.diverged(&id, "an HMAC proves no origin: whoever can check it can make it");
                continue;
            }
            let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(parsed.payload(), content.as_bytes(), "{name}");
            let key = Jwk::of(&key).unwrap();
            let signature = &parsed.signatures()[0];
            assert_eq!(parsed.check_signature(signature, key.key()), Ok(()), "{name}");
            let altered =
                json!({ "payload": URL_SAFE_NO_PAD.encode(format!("{content}.")), "signatures": jws["signatures"] });
            let altered = Jws::parse(altered.to_string().as_bytes(), &JsonLimits::default()).unwrap();
            assert!(altered.check_signature(&altered.signatures()[0], key.key()).is_err(), "{name}");
            count.passed(&id);
        }
        // With an HMAC among its signatures the whole of it is refused: nobody is to take that one for a signature.
        let whole = Jws::parse(example["output"]["json"].to_string().as_bytes(), &JsonLimits::default());
        let symmetric = example_signatures(&example).iter().any(|(_, key)| key["kty"] == "oct");
        assert_eq!(whole.is_err(), symmetric, "{name}");
    }
    count.finish();
}

/// The PKCS#8 of a private RSA, P-256 or P-384 key in JWK (RFC 7518 §6.2.2, §6.3.2); `None` of another.
#[cfg(feature = "server")]
fn pkcs8(jwk: &Value) -> Option<Vec<u8>> {
    use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef};
    use der::{Encode as _, Sequence};

    /// RFC 8017 §A.1.2.
    #[derive(Sequence)]
    struct RsaPrivateKey<'a> {
        version: u8,
        n: UintRef<'a>,
        e: UintRef<'a>,
        d: UintRef<'a>,
        p: UintRef<'a>,
        q: UintRef<'a>,
        dp: UintRef<'a>,
        dq: UintRef<'a>,
        qi: UintRef<'a>,
    }
    /// RFC 5915 §3.
    #[derive(Sequence)]
    struct EcPrivateKey<'a> {
        version: u8,
        key: &'a OctetStringRef,
    }
    #[derive(Sequence)]
    struct AlgorithmIdentifier<'a> {
        algorithm: ObjectIdentifier,
        parameters: AnyRef<'a>,
    }
    /// RFC 5958 §2.
    #[derive(Sequence)]
    struct PrivateKeyInfo<'a> {
        version: u8,
        algorithm: AlgorithmIdentifier<'a>,
        key: &'a OctetStringRef,
    }

    let number = |name| URL_SAFE_NO_PAD.decode(text(jwk, name)).unwrap();
    let curve = match jwk["crv"].as_str() {
        Some("P-256") => Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
        Some("P-384") => Some(ObjectIdentifier::new_unwrap("1.3.132.0.34")),
        _ => None,
    };
    let (algorithm, parameters, key) = match (&jwk["kty"], &curve) {
        (kty, None) if kty == "RSA" => {
            let numbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(number);
            let [n, e, d, p, q, dp, dq, qi] = numbers.each_ref().map(|number| UintRef::new(number).unwrap());
            let key = RsaPrivateKey { version: 0, n, e, d, p, q, dp, dq, qi }.to_der().unwrap();
            ("1.2.840.113549.1.1.1", AnyRef::NULL, key)
        }
        (kty, Some(curve)) if kty == "EC" => {
            let key = EcPrivateKey { version: 1, key: OctetStringRef::new(&number("d")).unwrap() }.to_der().unwrap();
            ("1.2.840.10045.2.1", AnyRef::from(curve), key)
        }
        _ => return None,
    };
    let algorithm = AlgorithmIdentifier { algorithm: ObjectIdentifier::new_unwrap(algorithm), parameters };
    let info = PrivateKeyInfo { version: 0, algorithm, key: OctetStringRef::new(&key).unwrap() };
    Some(info.to_der().unwrap())
}

/// Signing gives the example's own signature where the algorithm leaves no choice.
#[cfg(feature = "server")]
#[test]
fn vectors_rfc_7520_reproduced() {
    use affiant::crypto::{Signer as _, SigningKey};

    for (name, example) in files("jose-cookbook", "4_") {
        if example["reproducible"] != true || example["input"]["key"]["kty"] != "RSA" {
            continue;
        }
        let key = SigningKey::from_pkcs8_der(&pkcs8(&example["input"]["key"]).unwrap()).unwrap();
        let algorithm = self::algorithm(text(&example["input"], "alg")).unwrap();
        let signature = key.sign(algorithm, text(&example["signing"], "sig-input").as_bytes()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), text(&example["signing"], "sig"), "{name}");
    }
}

/// RFC 7516 §A.1: RSAES-OAEP and AES-GCM, in general JSON serialization; and no longer with a character altered.
#[cfg(feature = "server")]
#[test]
fn vectors_rfc_7516_appendix_a1() {
    use affiant::crypto::DecryptingKey;
    use affiant::jose::{DecryptionError, Jwe};

    let jwk = json!({
        "kty": "RSA",
        "n": concat!(
            "oahUIoWw0K0usKNuOR6H4wkf4oBUXHTxRvgb48E-BVvxkeDNjbC4he8rUWcJoZmds2h7M70imEVhRU5djINXtqllXI4DFqcI",
            "1DgjT9LewND8MW2Krf3Spsk_ZkoFnilakGygTwpZ3uesH-PFABNIUYpOiN15dsQRkgr0vEhxN92i2asbOenSZeyaxziK72Uw",
            "xrrKoExv6kc5twXTq4h-QChLOln0_mtUZwfsRaMStPs6mS6XrgxnxbWhojf663tuEQueGC-FCMfra36C9knDFGzKsNa7LZK2",
            "djYgyD3JR_MB_4NUJW_TqOQtwHYbxevoJArm-L5StowjzGy-_bq6Gw",
        ),
        "e": "AQAB",
        "d": concat!(
            "kLdtIj6GbDks_ApCSTYQtelcNttlKiOyPzMrXHeI-yk1F7-kpDxY4-WY5NWV5KntaEeXS1j82E375xxhWMHXyvjYecPT9fpw",
            "R_M9gV8n9Hrh2anTpTD93Dt62ypW3yDsJzBnTnrYu1iwWRgBKrEYY46qAZIrA2xAwnm2X7uGR1hghkqDp0Vqj3kbSCz1XyfC",
            "s6_LehBwtxHIyh8Ripy40p24moOAbgxVw3rxT_vlt3UVe4WO3JkJOzlpUf-KTVI2Ptgm-dARxTEtE-id-4OJr0h-K-VFs3VS",
            "ndVTIznSxfyrj8ILL6MG_Uv8YAu7VILSB3lOW085-4qE3DzgrTjgyQ",
        ),
        "p": concat!(
            "1r52Xk46c-LsfB5P442p7atdPUrxQSy4mti_tZI3Mgf2EuFVbUoDBvaRQ-SWxkbkmoEzL7JXroSBjSrK3YIQgYdMgyAEPTPj",
            "Xv_hI2_1eTSPVZfzL0lffNn03IXqWF5MDFuoUYE0hzb2vhrlN_rKrbfDIwUbTrjjgieRbwC6Cl0",
        ),
        "q": concat!(
            "wLb35x7hmQWZsWJmB_vle87ihgZ19S8lBEROLIsZG4ayZVe9Hi9gDVCOBmUDdaDYVTSNx_8Fyw1YYa9XGrGnDew00J28cRUo",
            "eBB_jKI1oma0Orv1T9aXIWxKwd4gvxFImOWr3QRL9KEBRzk2RatUBnmDZJTIAfwTs0g68UZHvtc",
        ),
        "dp": concat!(
            "ZK-YwE7diUh0qR1tR7w8WHtolDx3MZ_OTowiFvgfeQ3SiresXjm9gZ5KLhMXvo-uz-KUJWDxS5pFQ_M0evdo1dKiRTjVw_x4",
            "NyqyXPM5nULPkcpU827rnpZzAJKpdhWAgqrXGKAECQH0Xt4taznjnd_zVpAmZZq60WPMBMfKcuE",
        ),
        "dq": concat!(
            "Dq0gfgJ1DdFGXiLvQEZnuKEN0UUmsJBxkjydc3j4ZYdBiMRAy86x0vHCjywcMlYYg4yoC4YZa9hNVcsjqA3FeiL19rk8g6Qn",
            "29Tt0cj8qqyFpz9vNDBUfCAiJVeESOjJDZPYHdHY8v1b-o-Z2X5tvLx-TCekf7oxyeKDUqKWjis",
        ),
        "qi": concat!(
            "VIMpMYbPf47dT1w_zDUXfPimsSegnMOA1zTaX7aGk_8urY6R8-ZW1FxU7AlWAyLWybqq6t16VFd7hQd0y6flUK4SlOydB61g",
            "wanOsXGOAOv82cHq0E3eL4HrtZkUuKvnPrMnsUUFlfUdybVzxyjz9JF_XyaY14ardLSjf4L_FNY",
        ),
    });
    let key = DecryptingKey::from_pkcs8_der(&pkcs8(&jwk).unwrap()).unwrap();
    let encrypted_key = concat!(
        "OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKA",
        "q7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb76FdIKLaV",
        "mqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQ",
        "r66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg",
    );
    let document = json!({
        "protected": "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
        "recipients": [{ "encrypted_key": encrypted_key }],
        "iv": "48V1_ALb6US04U3b",
        "ciphertext":
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
        "tag": "XFBoMYUZodetZdvTiFvSkQ",
    });
    let open =
        |document: &Value| Jwe::parse(document.to_string().as_bytes(), &JsonLimits::default()).unwrap().decrypt(&key);
    assert_eq!(open(&document).unwrap(), b"The true sign of intelligence is not knowledge but imagination.");
    for (name, altered) in [("iv", "48V1_ALb6US04U3c"), ("tag", "YFBoMYUZodetZdvTiFvSkQ")] {
        let mut document = document.clone();
        document[name] = altered.into();
        assert_eq!(open(&document), Err(DecryptionError));
    }
}

/// What a key opens, or why not; and whether it is one of ours, as the algorithms that are named.
#[cfg(feature = "server")]
fn open(jwe: &Value, jwk: &Value) -> (Result<Vec<u8>, String>, bool) {
    use affiant::crypto::DecryptingKey;
    use affiant::jose::{Jwe, KeyAlgorithm, content_algorithm};

    let header = jwe["protected"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let named = |name: &str| header[name].as_str().unwrap_or_default();
    let ours = named("alg").parse::<KeyAlgorithm>().is_ok() && content_algorithm(named("enc")).is_ok();
    let Some(pkcs8) = pkcs8(jwk) else { return (Err("not a key that is encrypted to here".into()), false) };
    let key = DecryptingKey::from_pkcs8_der(&pkcs8).unwrap();
    let jwe = Jwe::parse(jwe.to_string().as_bytes(), &JsonLimits::default());
    (jwe.map_err(|error| error.to_string()).and_then(|jwe| jwe.decrypt(&key).map_err(|error| error.to_string())), ours)
}

/// RFC 7520 §5, where the folder has it: what is encrypted with algorithms of ours opens, and nothing else.
#[cfg(feature = "server")]
#[test]
fn vectors_rfc_7520_encryption() {
    for (name, example) in files("jose-cookbook", "5_") {
        match open(&example["output"]["json"], &example["input"]["key"]) {
            (opened, true) => {
                assert_eq!(opened.as_deref(), Ok(text(&example["input"], "plaintext").as_bytes()), "{name}");
                println!("{name}: opens");
            }
            (opened, false) => assert!(opened.is_err(), "{name}"),
        }
    }
}

/// Wycheproof's JWE, where the folder has them: compact there, and in general JSON serialization here.
#[cfg(feature = "server")]
#[test]
fn vectors_wycheproof_jwe() {
    for (name, file) in files("wycheproof", "json_web_encryption") {
        let (mut right, mut wrong, mut unused) = (0, 0, 0);
        for group in file["testGroups"].as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                let parts: Vec<_> = text(case, "jwe").split('.').collect();
                let [protected, encrypted_key, iv, ciphertext, tag] = parts[..] else {
                    assert_eq!(case["result"], "invalid");
                    continue;
                };
                let jwe = json!({
                    "protected": protected, "recipients": [{ "encrypted_key": encrypted_key }], "iv": iv,
                    "ciphertext": ciphertext, "tag": tag,
                });
                let what = format!("{name} {} {}", case["tcId"], case["comment"]);
                let (opened, ours) = open(&jwe, &group["private"]);
                if !ours {
                    // Another algorithm, or no header at all.
                    assert!(opened.is_err(), "{what}");
                    unused += 1;
                    continue;
                }
                let valid = case["result"] == "valid";
                assert_eq!(opened.is_ok(), valid, "{what}: {opened:?}");
                if let Ok(opened) = opened {
                    let opened: String = opened.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(opened, text(case, "pt"), "{what}");
                }
                if valid { right += 1 } else { wrong += 1 }
            }
        }
        println!("{name}: {right} open, {wrong} do not, {unused} have algorithms that are not used here");
        assert!(right > 0);
    }
}
