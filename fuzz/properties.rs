//! What holds of any bytes at all: the properties that the fuzzer tries to break, and the corpus is held against.

#![allow(dead_code, reason = "each fuzz target has one of them")]

use std::sync::{Arc, LazyLock};

use affiant::clock::parse_time;
use affiant::crypto::MlDsa44Key;
use affiant::evidence::{Bundle, Entry, JadesLevel, JadesMaterial, Record, RecordError, TrustPolicy, Verifier, verify};
use affiant::jose::{Jwe, Jws};
use affiant::json::{self, JsonLimits};
use affiant::pki::ocsp::{OcspRequest, OcspResponse};
use affiant::pki::{Certificate, Crl, TrustAnchors};
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::tile::{append_to_bundle, bundle_entries};
use affiant::tlog::{LogPolicy, SignedCheckpoint, TilePath, TlogProof, VerifierKey};
use affiant::trusted_list::TrustedList;
use affiant::vcon::{
    DocumentPart, PriorVersion, References, Removal, StreamingReader, Vcon, VconLimits, Wtf, migrate as migrated,
    redact as redacted, turns, uuid8, validate, validate_any,
};
use serde_json::Value;

/// Limits that a fuzzer reaches.
fn limits() -> VconLimits {
    let json = JsonLimits { bytes_max: 1 << 16, depth_max: 32, values_max: 4096 };
    VconLimits { json, ..VconLimits::default() }
}

/// Every property of its name, for the corpus.
pub(crate) fn holds(name: &str, bytes: &[u8]) {
    match name {
        "json" => json(bytes),
        "vcon" => vcon(bytes),
        "jwe" => jwe(bytes),
        "jws" => jws(bytes),
        "migrate" => migrate(bytes),
        "redact" => redact(bytes),
        "streaming" => streaming(bytes),
        "tlog" => tlog(bytes),
        "wtf" => wtf(bytes),
        "ocsp" => ocsp(bytes),
        "crl" => crl(bytes),
        "etsi_u" => etsi_u(bytes),
        "jades" => jades(bytes),
        "trusted_list" => trusted_list(bytes),
        other => panic!("no property {other}"),
    }
}

/// What a log, a witness or a bundle sends is written again byte for byte, whichever format it is of; and no signature is
/// right that was not made.
pub(crate) fn tlog(bytes: &[u8]) {
    let key = MlDsa44Key::from_bytes(&[7; 1312]).expect("any 1312 bytes are a key");
    let key = VerifierKey::ml_dsa_44_cosignature("w", &key).expect("a name");
    if let Ok(signed) = SignedCheckpoint::parse(bytes) {
        assert_eq!(signed.to_string().as_bytes(), bytes);
        assert!(signed.cosignatures(&[&key]).map_or(true, |found| found.is_empty()));
    }
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        let _ = proof.check_inclusion(leaf_hash(b""));
    }
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
    if let Ok(policy) = LogPolicy::parse(bytes) {
        assert_eq!(LogPolicy::parse(bytes).ok(), Some(policy));
    }
    for width in [1, 2, 3, 256] {
        if let Ok(entries) = bundle_entries(bytes, width) {
            let mut again = Vec::new();
            entries.iter().for_each(|entry| append_to_bundle(&mut again, entry).expect("as long as it was"));
            assert_eq!(again, bytes);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
}

/// What passes the strict gate reads as another parser reads it, and is written again byte for byte.
pub(crate) fn json(bytes: &[u8]) {
    let limits = limits().json;
    let Ok(value) = json::parse(bytes, &limits) else { return };
    assert_eq!(serde_json::from_slice::<Value>(bytes).ok().as_ref(), Some(&value));
    if let Value::Object(members) = &value {
        assert_eq!(json::rewrite(bytes, members, &limits).as_deref(), Ok(bytes));
    }
    let _ = json::to_canonical(&value);
}

/// A vCon keeps its bytes, whatever is read of it.
pub(crate) fn vcon(bytes: &[u8]) {
    let limits = limits();
    if let Ok(findings) = validate_any(bytes, &limits) {
        assert!(findings.len() <= 100);
    }
    let Ok(mut vcon) = Vcon::parse(bytes, &limits) else { return };
    let _ = (validate(&vcon), turns(&vcon));
    for dialog in vcon.dialogs() {
        let _ = (dialog.content().bytes(), dialog.content_hashes(), dialog.speaker());
    }
    assert_eq!(vcon.to_bytes(), bytes);
    vcon.set_updated_at("2026-07-01T12:00:00Z");
    vcon.add_attachment(serde_json::Map::new());
    let changed = vcon.to_bytes();
    assert_eq!(Vcon::parse(&changed, &VconLimits::default()).as_ref(), Ok(&vcon));
}

/// A record parses or does not; verified without any trust it never passes.
pub(crate) fn jws(bytes: &[u8]) {
    let _ = Record::parse(bytes, &limits());
    let now = parse_time("2026-07-01T12:00:00Z").expect("a time");
    let report = verify(&Bundle::of_record(bytes.to_vec()), &TrustPolicy::nobody(), now);
    assert_ne!(report.verdict.code(), "TOTAL-PASSED");
    let _ = (report.to_json(), report.to_text());
}

/// An encrypted document parses or does not; what is around it may be asked of it either way.
pub(crate) fn jwe(bytes: &[u8]) {
    let limits = limits();
    let _ = validate_any(bytes, &limits);
    let Ok(jwe) = Jwe::parse(bytes, &limits.json) else { return };
    assert!(!jwe.recipients().is_empty());
    let _ = (jwe.content_algorithm(), jwe.content_type(), jwe.check_uuid(jwe.uuid()).expect("its own"));
    for recipient in jwe.recipients() {
        let _ = (recipient.algorithm(), recipient.key_id());
    }
}

/// A document that was migrated is one, and is not migrated again.
pub(crate) fn migrate(bytes: &[u8]) {
    let Ok(old) = Vcon::parse(bytes, &limits()) else { return };
    let now = parse_time("2026-07-01T12:00:00Z").expect("a time");
    let (new, _) = migrated(&old, now);
    let written = new.to_bytes();
    assert_eq!(Vcon::parse(&written, &VconLimits::default()).as_ref(), Ok(&new));
    let (again, changes) = migrated(&new, now);
    assert_eq!((again, changes), (new, Vec::new()));
}

/// What is redacted is gone, and nothing else moves.
pub(crate) fn redact(bytes: &[u8]) {
    let Ok(whole) = Vcon::parse(bytes, &limits()) else { return };
    let now = parse_time("2026-07-01T12:00:00Z").expect("a time");
    let reference = PriorVersion { uuid: Some("a".into()), ..PriorVersion::default() };
    // Enough to reach every kind; each is a copy of the document.
    for place in whole.places().take(8) {
        let removals = [Removal::Item(place)];
        for references in [References::Refused, References::Kept] {
            let uuid = uuid8("fuzz.example", now);
            let Ok(part) = redacted(&whole, uuid, now, "PII", &removals, &reference, references) else { continue };
            let written = part.to_bytes();
            assert_eq!(Vcon::parse(&written, &VconLimits::default()).as_ref(), Ok(&part));
            assert!(part.item(place).expect("its place stays").is_empty());
            assert_eq!(part.places().count(), whole.places().count());
            for other in whole.places().filter(|other| *other != place) {
                assert_eq!(part.item(other), whole.item(other));
            }
        }
    }
}

/// A document with big bodies is the same however it comes, and comes out as it went in. `~` stands for what makes a
/// body big, which a fuzzer would not find by itself.
pub(crate) fn streaming(bytes: &[u8]) {
    let json = JsonLimits { bytes_max: 1 << 18, ..limits().json };
    let limits = VconLimits { json, ..limits() };
    // Nobody writes the marks, which are made of a random number, unless it is always the same.
    if bytes.windows(7).any(|part| part == b"body-07") {
        return;
    }
    let big = "A".repeat(65 << 10);
    let text = String::from_utf8_lossy(bytes).replacen('~', &big, 3).into_bytes();
    let read = |step: usize| {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        let mut reader = StreamingReader::new([7; 16], &limits);
        for part in text.chunks(step) {
            let keep = |number: usize, bytes: &[u8]| {
                bodies.resize_with(bodies.len().max(number + 1), Vec::new);
                bodies[number].extend_from_slice(bytes);
                Ok(())
            };
            reader.update(part, keep).map_err(|error| error.to_string())?;
        }
        let document = reader.finish().map_err(|error| error.to_string())?;
        let text = document.to_bytes();
        let whole: Vec<u8> = document
            .pieces(&text)
            .into_iter()
            .flat_map(|piece| match piece {
                DocumentPart::Text(text) => text,
                DocumentPart::Body(number) => bodies[number].as_slice(),
            })
            .copied()
            .collect();
        Ok::<_, String>(whole)
    };
    let whole = read(text.len().max(1));
    if let Ok(whole) = &whole {
        assert_eq!(*whole, text);
    }
    assert_eq!(whole, read(1000 + bytes.len() % 97));
}

/// Captions hold what was said, and nothing that was said makes a caption of its own.
pub(crate) fn wtf(bytes: &[u8]) {
    let Ok(body) = json::parse(bytes, &limits().json) else { return };
    let Ok(transcript) = Wtf::parse(body) else { return };
    let _ = transcript.departures();
    let said = transcript.segments().iter().filter(|segment| !segment.text.is_empty()).count();
    let name = |speaker: &str| transcript.label(speaker).unwrap_or(speaker).to_owned();
    let vtt = transcript.to_vtt(name);
    assert!(vtt.starts_with("WEBVTT\n\n"));
    assert_eq!(vtt.matches("-->").count(), said);
    let is_timing =
        |line: &&str| line.len() >= 29 && line.split(" --> ").filter(|time| time.contains(',')).count() == 2;
    assert!(transcript.to_srt(name).lines().filter(is_timing).count() >= said);
}

/// A signed record, whose authority nobody can forge: its keys are gone.
const RECORD: &str = include_str!("signed/record.vcon.json");

/// The record alone, parsed once.
static ALONE: LazyLock<Result<Record, RecordError>> =
    LazyLock::new(|| Record::parse(RECORD.as_bytes(), &VconLimits::default()));

/// Of whoever trusts the record's root; made once, so that the links of its path are checked once.
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let root = Certificate::from_der(include_bytes!("signed/root.der")).expect("a certificate");
    Verifier::new(TrustPolicy { anchors: TrustAnchors::new(vec![Arc::new(root)]), ..TrustPolicy::nobody() })
});

/// The verdict on a record with what is beside it.
fn verdict(record: &Result<Record, RecordError>, bundle: &Bundle) -> String {
    let now = parse_time("2026-06-02T00:00:00Z").expect("a time");
    let report = VERIFIER.verify_parsed(bundle, record, now);
    let _ = (report.to_json(), report.to_text());
    report.verdict.code()
}

/// That nothing is known of the record's certificates, as of the record alone.
const ALONE_VERDICT: &str = "INDETERMINATE (TRY_LATER)";

/// The record's bundle, to which evidence is added.
fn bundle() -> Bundle {
    Bundle::of_record(RECORD.into())
}

/// A response keeps its bytes, a request is written again as it was, and what nobody of the path has signed turns no verdict.
pub(crate) fn ocsp(bytes: &[u8]) {
    if let Ok(request) = OcspRequest::from_der(bytes) {
        for id in request.ids() {
            let again = OcspRequest::from_der(&OcspRequest::encode(id)).expect("a request for one");
            assert_eq!(again.ids(), std::slice::from_ref(id));
        }
    }
    let Ok(response) = OcspResponse::from_der(bytes) else { return };
    assert_eq!(response.der(), bytes);
    let (ocsp_responses, local_ocsp_responses) = (vec![bytes.to_vec()], vec![bytes.to_vec()]);
    let bundle = Bundle { ocsp_responses, local_ocsp_responses, ..bundle() };
    assert_eq!(verdict(&ALONE, &bundle), ALONE_VERDICT);
}

/// A list keeps its bytes and is not later than itself, and one that nobody of the path has signed turns no verdict.
pub(crate) fn crl(bytes: &[u8]) {
    static LEAF: LazyLock<Certificate> =
        LazyLock::new(|| Certificate::from_der(include_bytes!("signed/leaf.der")).expect("a certificate"));
    let Ok(list) = Crl::from_der(bytes) else { return };
    assert_eq!(list.der(), bytes);
    assert!(!list.is_later_than(&list));
    let _ = (list.revocation_of(&LEAF), list.check_rules());
    let (crls, local_crls) = (vec![bytes.to_vec()], vec![bytes.to_vec()]);
    let bundle = Bundle { crls, local_crls, ..bundle() };
    assert_eq!(verdict(&ALONE, &bundle), ALONE_VERDICT);
}

/// Whatever anybody lays beside a signature as its unsigned properties, the record stays the same, and so does the verdict
/// unless somebody of the path has signed it.
pub(crate) fn etsi_u(bytes: &[u8]) {
    if json::parse(bytes, &limits().json).is_err() {
        return;
    }
    let text = with_etsi_u(bytes);
    let alone = ALONE.as_ref().expect("a record");
    let record = Record::parse(text.as_bytes(), &VconLimits::default()).expect("as it was");
    assert_eq!(record.digest(), alone.digest());
    let jws = Jws::parse(text.as_bytes(), &JsonLimits::default()).expect("as it was");
    let properties = jws.signatures()[0].unsigned_properties();
    let count = properties.iter().count();
    assert!((0..=count).filter_map(|position| properties.characters_before(position)).count() >= 1);
    if count == 0 {
        return;
    }
    assert_eq!(verdict(&Ok(record), &Bundle::of_record(text.into_bytes())), ALONE_VERDICT);
}

/// The record with `value` as the unsigned properties of its signature.
fn with_etsi_u(value: &[u8]) -> String {
    let value = std::str::from_utf8(value).expect("JSON is UTF-8");
    RECORD.replacen(r#""header":{"#, &format!(r#""header":{{"etsiU":{value},"#), 1)
}

/// Whatever a record brings beside its signature, its form of JAdES is the same record, and what is written there is read
/// again. There is always a level B, and nothing that nobody of the path has signed makes a level LT.
pub(crate) fn jades(bytes: &[u8]) {
    if json::parse(bytes, &limits().json).is_err() {
        return;
    }
    let text = with_etsi_u(bytes);
    let jws = Jws::parse(text.as_bytes(), &JsonLimits::default()).expect("as it was");
    let mut material = JadesMaterial::default();
    material.add_carried(&jws);
    material.add_anchors(VERIFIER.policy().anchors.iter());
    let alone = ALONE.as_ref().expect("a record");
    for level in [JadesLevel::B, JadesLevel::T, JadesLevel::Lt, JadesLevel::Lta] {
        let Ok(properties) = material.properties(&jws, level) else {
            assert_ne!(level, JadesLevel::B);
            continue;
        };
        assert!(level < JadesLevel::Lt);
        let form = jws.with_unsigned_properties(&properties);
        let record = Record::parse(&form, &VconLimits::default()).expect("a record");
        assert_eq!(record.digest(), alone.digest());
        let read = Jws::parse(&form, &JsonLimits::default()).expect("a record is a JWS");
        assert_eq!(read.signatures()[0].unsigned_properties(), properties[0].read());
    }
}

/// A list that opens says what was signed, however it is written.
pub(crate) fn trusted_list(bytes: &[u8]) {
    const LIST: &[u8] = include_bytes!("../tests/fixtures/trusted-list/list.xml");
    static SIGNERS: LazyLock<Vec<Arc<Certificate>>> = LazyLock::new(|| {
        let pem = include_str!("../tests/fixtures/trusted-list/list.pem");
        Certificate::from_pem_bundle(pem, 1).expect("a certificate").into_iter().map(Arc::new).collect()
    });
    static SIGNED: LazyLock<String> =
        LazyLock::new(|| format!("{:?}", TrustedList::open(LIST, &SIGNERS).expect("the list as it was signed")));
    if let Ok(list) = TrustedList::open(bytes, &SIGNERS) {
        assert_eq!(format!("{list:?}"), *SIGNED);
    }
}
