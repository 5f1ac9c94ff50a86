//! Records in the form of JAdES (ETSI TS 119 182-1): what is known beside them, and nothing signed changed.

use affiant::access::Role;
use affiant::clock::ManualClock;
use affiant::crypto::Hash;
use affiant::evidence::{Bundle, BundleFiles, JadesGap, JadesLevel, JadesMaterial, Record, record_digest, verify};
use affiant::jose::{Jws, NewProperties, UnsignedProperty};
use affiant::json::JsonLimits;
use affiant::pki::Certificate;
use affiant::pki::tsp::{MessageImprint, TimestampRequest, TimestampResponse};
use affiant::server::StartOptions;
use affiant::vcon::VconLimits;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fixtures::certificates::{List, parsed};
use crate::fixtures::record::{By, Case, DAY, ENDS, KEYS, LISTED, SIGNED, at, leaf_list, plus};
use crate::fixtures::server::{Answer, Client, InProcess, PATIENCE, Place, Process, WitnessPlace, call};

fn jws(bytes: &[u8]) -> Jws {
    Jws::parse(bytes, &JsonLimits::default()).unwrap()
}

/// The record's form at `level`, of which nothing signed is other than in the record.
async fn form(client: &Client, record: &str, token: &str, level: &str) -> Vec<u8> {
    let stored = client.get(record, token).await;
    let form = client.get(&format!("{record}?dialect=jades{level}"), token).await;
    assert_eq!((stored.status, form.status), (200, 200), "{form:?}");
    let (stored, jades) = (jws(&stored.body), jws(&form.body));
    assert!(jades.compact().eq(stored.compact()));
    assert_eq!(record_digest(&jades), record_digest(&stored));
    let value: Value = serde_json::from_slice(&form.body).unwrap();
    for signature in value["signatures"].as_array().unwrap() {
        let header: Vec<_> = signature["header"].as_object().unwrap().keys().collect();
        assert_eq!(header, ["etsiU"], "JAdES has nothing else in the unprotected header");
    }
    form.body
}

#[tokio::test]
async fn without_timestamps_a_record_has_its_path_and_no_higher_level() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap();
    let basic = form(client, record, &token, "").await;
    assert_eq!(form(client, record, &token, "&level=b").await, basic);
    let properties = jws(&basic).signatures()[0].unsigned_properties();
    let properties: Vec<_> = properties.iter().collect();
    let [UnsignedProperty::ValidationData(data)] = &properties[..] else { panic!("{properties:?}") };
    assert_eq!(data.certificates.len(), 3, "signer, issuing authority, root");
    assert!(data.crls.is_empty() && data.ocsp_responses.is_empty());
    let report = client.verify(basic.clone()).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    let mut flipped = basic.clone();
    let at = basic.windows(13).position(|window| window == b"\"signature\":\"").unwrap() + 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(client.verify(flipped).await["verdict"]["indication"], "TOTAL-FAILED");

    for level in ["t", "lt", "lta"] {
        let answer = client.get(&format!("{record}?dialect=jades&level={level}"), &token).await;
        let problem = answer.problem(409, "level-not-available");
        assert_eq!(problem["level"], json!(level));
        assert_eq!(problem["missing"], "no timestamp over the value of signature 0 is kept");
    }
    for query in ["dialect=jades&level=x", "level=b", "dialect=draft&level=b"] {
        client.get(&format!("{record}?{query}"), &token).await.problem(400, "bad-request");
    }
    let admitted = Record::parse(&basic, &VconLimits::default()).unwrap();
    assert_eq!(admitted.digest().to_string(), receipt["record"].as_str().unwrap());
    server.stop().await;
}

/// A place whose log's policy asks for timestamps of signatures, and the authority that makes them.
fn stamping_place() -> (Place, WitnessPlace, Process) {
    let (mut place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    let list = format!("crl_urls = [\"{}/tsa/root.crl\"]\n", process.client.base);
    place.set("witnessing", &format!("signature_timestamps = true\n{}{list}", witness.settings(&process)));
    (place, witness, process)
}

/// Asks until what is taken behind issuing is there.
async fn until_there(client: &Client, path: &str, token: &str) -> Answer {
    let began = Instant::now();
    loop {
        let answer = client.get(path, token).await;
        if answer.status == 200 {
            return answer;
        }
        answer.problem(409, "level-not-available");
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn kinds(form: &[u8]) -> Vec<&'static str> {
    let properties = jws(form).signatures()[0].unsigned_properties();
    assert!(properties.is_whole());
    let kind = |property: &UnsignedProperty| match property {
        UnsignedProperty::SignatureTimestamp(tokens) if tokens.len() == 1 => "sigTst",
        UnsignedProperty::ArchiveTimestamp { over_all: true, .. } => "arcTst",
        UnsignedProperty::ValidationData(data) => match (data.certificates.is_empty(), data.crls.is_empty()) {
            (false, false) => "tstVD",
            (false, true) => "xVals",
            (true, _) => "rVals",
        },
        other => panic!("{other:?}"),
    };
    properties.iter().map(kind).collect()
}

#[tokio::test]
async fn where_the_policy_asks_for_it_signatures_are_timestamped_and_every_level_is_there() {
    let (place, witness, process) = stamping_place();
    let (token, admin) = (place.issuer_token(0), place.token(Role::Admin, None, false));
    let server = place.serve_now().await;
    let client = server.client.clone();
    let receipt = client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap().to_owned();
    until_there(&client, &format!("{record}?dialect=jades&level=lt"), &token).await;
    let mut forms = Vec::new();
    for (level, expected) in [
        ("b", &["xVals"][..]),
        ("t", &["sigTst", "xVals"]),
        ("lt", &["sigTst", "xVals", "rVals", "tstVD"]),
        ("lta", &["sigTst", "xVals", "rVals", "tstVD", "arcTst"]),
    ] {
        let bytes = form(&client, &record, &token, &format!("&level={level}")).await;
        assert_eq!(kinds(&bytes), expected);
        let report = client.verify(bytes.clone()).await;
        assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
        let counted = report["timestamps"].as_array().unwrap().iter().filter(|one| one["counts"] == true);
        let over =
            counted.map(|one| one["over"].as_str().unwrap()).filter(|over| ["signature", "archive"].contains(over));
        let stamps = expected.iter().filter_map(|kind| match *kind {
            "sigTst" => Some("signature"),
            "arcTst" => Some("archive"),
            _ => None,
        });
        assert!(over.eq(stamps), "{report}");
        forms.push(bytes);
    }
    // What was archived is kept, and is the highest level that there is.
    assert_eq!(form(&client, &record, &token, "&level=lta").await, forms[3]);
    assert_eq!(form(&client, &record, &token, "").await, forms[3]);
    // A bundle has it too, and is refused where it is of another record.
    let bundle = client.get(&format!("{record}/bundle"), &token).await.body;
    let files = BundleFiles::from_zip(&bundle).unwrap();
    let in_bundle = files.iter().find(|(name, _)| *name == "record.jades.json").unwrap().1;
    assert_eq!(in_bundle, forms[3]);
    assert_eq!(client.verify(bundle).await["verdict"]["indication"], "TOTAL-PASSED");
    let mut altered = BundleFiles::default();
    for (name, bytes) in files.iter() {
        let bytes = if name == "record.jades.json" { b"{}".to_vec() } else { bytes.to_vec() };
        altered.add(name, bytes);
    }
    let answer = client.post("/v1/verify", "", altered.to_zip()).await;
    answer.problem(422, "not-a-bundle");
    // Without an authority a record is issued as before, and its token is made up for later.
    assert!(process.stop());
    let erased = client.issue(&token, call(3)).await;
    let erased = format!("{}?dialect=jades", erased["links"]["record"].as_str().unwrap());
    let late = client.issue(&token, call(2)).await;
    let late = format!("{}?dialect=jades&level=t", late["links"]["record"].as_str().unwrap());
    client.get(&late, &token).await.problem(409, "level-not-available");
    drop(client);
    server.stop().await;

    let process = witness.serve();
    let server = place.serve_now().await;
    // What was there outlives the restart, and is not taken again.
    assert_eq!(form(&server.client, &record, &token, "").await, forms[3]);
    assert_eq!(form(&server.client, &record, &token, "&level=t").await, forms[1]);
    assert_eq!(kinds(&until_there(&server.client, &late, &token).await.body), ["sigTst", "xVals"]);
    assert_eq!(form(&server.client, &record, &token, "&level=t").await, forms[1]);
    let path = erased.trim_end_matches("?dialect=jades");
    assert_eq!(server.client.delete(path, &admin).await.status, 204);
    for level in ["", "&level=b", "&level=lta"] {
        server.client.get(&format!("{erased}{level}"), &token).await.problem(410, "erased");
    }
    server.stop().await;
    assert!(process.stop());
}

/// A token over `data` of the authority that `process` is.
async fn stamp(process: &Process, data: &[u8]) -> Vec<u8> {
    let request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, data), [7; 8]).encode().unwrap();
    let asked = process.client.request("POST", "/tsa", "").header("content-type", "application/timestamp-query");
    let answer = Client::send(asked.body(request)).await;
    TimestampResponse::parse(&answer.body).unwrap().granted_token().unwrap().to_vec()
}

#[tokio::test]
async fn a_record_that_comes_again_with_more_beside_its_signature_leaves_it_there() {
    let (place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    let token = place.issuer_token(0);
    let server = place.serve_now().await;
    let client = server.client.clone();
    let receipt = client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap().to_owned();
    let stored = jws(&client.get(&record, &token).await.body);
    let value = stored.signatures()[0].signature_characters().as_bytes();
    let with = |tokens: &[Vec<u8>]| {
        let mut properties = NewProperties::default();
        properties.add_signature_timestamps(tokens);
        properties.add_certificates(&stored.signatures()[0].header().certificates);
        stored.with_unsigned_properties(&[properties])
    };
    let tokens = [stamp(&process, value).await, stamp(&process, value).await, stamp(&process, b"another value").await];
    let t = format!("{record}?dialect=jades&level=t");
    client.get(&t, &token).await.problem(409, "level-not-available");

    // A token over something else, and what is not understood, are not kept.
    let mut unread: Value = serde_json::from_slice(&with(&tokens[..1])).unwrap();
    let elements = unread["signatures"][0]["header"]["etsiU"].as_array_mut().unwrap();
    elements.push(json!("eyJjU2lnIjoid29yZHMgb2YgbXkgb3duIn0"));
    for form in [with(&tokens[2..]), unread.to_string().into_bytes()] {
        let answer = client.post("/v1/records", &token, form).await;
        assert_eq!((answer.status, answer.json()["repeated"].as_bool()), (200, Some(true)), "{answer:?}");
        client.get(&t, &token).await.problem(409, "level-not-available");
    }

    let kept = async |form: Vec<u8>| {
        let answer = client.post("/v1/records", &token, form).await;
        assert_eq!((answer.status, &answer.json()["index"]), (200, &receipt["index"]), "{answer:?}");
        let answer = client.get(&t, &token).await;
        let properties = jws(&answer.body).signatures()[0].unsigned_properties();
        let found = properties.iter().find_map(|property| match property {
            UnsignedProperty::SignatureTimestamp(tokens) => Some(tokens.clone()),
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(kept(with(&tokens[..1])).await, tokens[..1]);
    // Less than what is there, or as much, takes nothing away; more takes its place.
    assert_eq!(kept(with(&tokens[1..2])).await, tokens[..1]);
    assert_eq!(kept(with(&tokens[..2])).await, tokens[..2]);
    assert_eq!(kept(with(&tokens[..1])).await, tokens[..2]);
    assert_eq!(jws(&client.get(&record, &token).await.body).signatures()[0].unsigned_properties().iter().len(), 0);
    drop(client);
    server.stop().await;
    let server = place.serve_now().await;
    assert_eq!(tokens_over(&server.client.get(&t, &token).await.body), 2);
    server.stop().await;
    assert!(process.stop());
}

#[tokio::test]
async fn what_a_record_comes_with_is_no_level_before_it_is_checked() {
    let (place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    let token = place.issuer_token(0);
    let other = place.copy();
    let server = place.serve_now().await;
    let receipt = server.client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap().to_owned();
    let stored = jws(&server.client.get(&record, &token).await.body);
    server.stop().await;
    let signature = &stored.signatures()[0];
    let form = async |archived: &[u8]| {
        let mut properties = NewProperties::default();
        properties.add_signature_timestamps(&[stamp(&process, signature.signature_characters().as_bytes()).await]);
        properties.add_certificates(&signature.header().certificates);
        let over = stored.archived_characters(signature, &properties.characters());
        properties.add_archive_timestamps(&[stamp(&process, if archived.is_empty() { &over } else { archived }).await]);
        stored.with_unsigned_properties(&[properties])
    };
    let server = other.serve_now().await;
    let client = &server.client;
    // Its archive timestamp is over something else.
    let answer = client.post("/v1/records", &token, form(b"something else").await).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let path = |level: &str| format!("{record}?dialect=jades{level}");
    assert_eq!(kinds(&client.get(&path(""), &token).await.body), ["sigTst", "xVals"]);
    client.get(&path("&level=lta"), &token).await.problem(409, "level-not-available");
    // One that is over what it has to be makes the level.
    let right = form(b"").await;
    assert_eq!(client.post("/v1/records", &token, right.clone()).await.status, 200);
    for level in ["", "&level=lta"] {
        assert_eq!(client.get(&path(level), &token).await.body, right);
    }
    server.stop().await;
    assert!(process.stop());
}

/// How many tokens are over the first signature.
fn tokens_over(form: &[u8]) -> usize {
    let properties = jws(form).signatures()[0].unsigned_properties();
    let tokens = properties.iter().map(|property| match property {
        UnsignedProperty::SignatureTimestamp(tokens) => tokens.len(),
        _ => 0,
    });
    tokens.sum()
}

/// What is known beside a record, without what the tests leave out.
struct Beside {
    case: Case,
    certificates: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
    anchors: Vec<Arc<Certificate>>,
}

impl Beside {
    fn of(case: Case, record: &Jws) -> Self {
        let over = record.signatures().iter().map(|signature| signature.signature_characters().as_bytes());
        let tokens = over.map(|value| case.token(value, plus(SIGNED, 5))).collect();
        let time_list = List::new(("Time Root", &KEYS.time_root), 1, at(LISTED), plus(LISTED, DAY));
        let case = case.list(By::TimeRoot, time_list);
        let certificates = vec![
            case.leaf.signed_by(&KEYS.authority),
            case.authority.signed_by(&KEYS.root),
            case.root.signed_by(&KEYS.root),
            case.time_root.signed_by(&KEYS.time_root),
        ];
        Self { crls: case.bundled().crls, case, certificates, tokens, anchors: Vec::new() }
    }

    fn properties(&self, record: &Jws, level: JadesLevel) -> Result<Vec<NewProperties>, JadesGap> {
        let mut material = JadesMaterial::default();
        material.add_certificates(&self.certificates);
        material.add_anchors(&self.anchors);
        material.add_crls(&self.crls);
        material.add_tokens(&self.tokens);
        material.properties(record, level)
    }
}

#[test]
fn a_level_that_cannot_be_made_says_what_it_lacks() {
    let record = jws(&Case::new().record());
    let lacks = |level, change: &dyn Fn(&mut Beside)| {
        let mut beside = Beside::of(Case::new(), &record);
        change(&mut beside);
        beside.properties(&record, level).unwrap_err()
    };
    let status = |name: &str| JadesGap::Status(format!("CN={name}"));
    for (level, expected, change) in [
        (JadesLevel::T, JadesGap::SignatureTimestamp(0), (|it| it.tokens.clear()) as fn(&mut Beside)),
        (JadesLevel::T, JadesGap::SignatureTimestamp(0), |it| it.tokens = vec![it.case.token(b"another", at(SIGNED))]),
        (JadesLevel::Lt, JadesGap::Issuer("CN=Root".into()), |it| drop(it.certificates.remove(2))),
        (JadesLevel::Lt, JadesGap::Issuer("CN=Time Root".into()), |it| drop(it.certificates.remove(3))),
        (JadesLevel::Lt, status("Signer"), |it| drop(it.crls.remove(0))),
        (JadesLevel::Lt, status("Authority"), |it| drop(it.crls.remove(1))),
        (JadesLevel::Lt, status("Time"), |it| drop(it.crls.remove(2))),
        // A list of the right name that another made speaks of nobody.
        (JadesLevel::Lt, status("Signer"), |it| it.crls[0] = leaf_list(LISTED).signed_by(&KEYS.other)),
        (JadesLevel::Lt, status("Signer"), |it| *it.crls[0].last_mut().unwrap() ^= 1),
    ] {
        assert_eq!(lacks(level, &change), expected, "{level}");
    }
    let bare = jws(&record.with_unsigned_properties(&[]));
    let mut beside = Beside::of(Case::new(), &bare);
    beside.certificates[0].clone_from(&record.signatures()[0].header().certificates[0]);
    assert!(beside.properties(&bare, JadesLevel::B).is_ok(), "by its reference it is found among others");
    beside.certificates.remove(0);
    assert_eq!(beside.properties(&bare, JadesLevel::B), Err(JadesGap::Signer(0)));
    for (what, header) in [
        (
            "its algorithm",
            (|protected, unprotected| move_over("alg", protected, unprotected)) as fn(&mut Value, &mut Value),
        ),
        ("its time", |protected, unprotected| move_over("iat", protected, unprotected)),
        ("its certificate", |protected, unprotected| move_over("x5t#S256", protected, unprotected)),
    ] {
        let open = jws(&Case::new().header(header).record());
        let found = Beside::of(Case::new(), &open).properties(&open, JadesLevel::B);
        assert_eq!(found, Err(JadesGap::NotSigned { signature: 0, what }));
    }
}

fn move_over(name: &str, from: &mut Value, to: &mut Value) {
    to[name] = from.as_object_mut().unwrap().shift_remove(name).unwrap();
}

#[test]
fn a_path_ends_at_an_anchor_whoever_issued_it() {
    let record = jws(&Case::new().record());
    let mut beside = Beside::of(Case::new(), &record);
    let authority = parsed(&record.signatures()[0].header().certificates[1]);
    beside.certificates.remove(2);
    assert_eq!(beside.properties(&record, JadesLevel::Lt), Err(JadesGap::Issuer("CN=Root".into())));
    beside.anchors.push(authority);
    beside.crls.remove(1);
    let properties = beside.properties(&record, JadesLevel::Lt).unwrap();
    let read = jws(&record.with_unsigned_properties(&properties)).signatures()[0].unsigned_properties();
    let data = read.iter().find_map(|property| match property {
        UnsignedProperty::ValidationData(data) => Some(data.certificates.len()),
        _ => None,
    });
    assert_eq!(data, Some(2), "signer and anchor");
}

#[test]
fn a_level_lt_verifies_with_nothing_else_at_hand_when_its_certificate_has_ended() {
    let case = Case::new().now(plus(ENDS, DAY));
    let record = jws(&case.record());
    let code = |record: Vec<u8>| verify(&Bundle::of_record(record), &case.trust(), case.now).verdict.code();
    assert_eq!(code(record.with_unsigned_properties(&[])), "INDETERMINATE (NO_SIGNING_CERTIFICATE_FOUND)");
    let form = |level| {
        let properties = Beside::of(case.clone(), &record).properties(&record, level).unwrap();
        record.with_unsigned_properties(&properties)
    };
    assert_eq!(code(form(JadesLevel::Lt)), "TOTAL-PASSED");
    assert_ne!(code(form(JadesLevel::T)), "TOTAL-PASSED", "no status of its certificates");
    assert_ne!(code(form(JadesLevel::B)), "TOTAL-PASSED", "no time");
}

#[test]
fn every_signature_has_its_own_properties() {
    let case = Case::new();
    let mut both: Value = serde_json::from_slice(&case.record()).unwrap();
    let other: Value = serde_json::from_slice(&case.record()).unwrap();
    both["signatures"].as_array_mut().unwrap().push(other["signatures"][0].clone());
    let record = jws(both.to_string().as_bytes());
    let values: Vec<_> = record.signatures().iter().map(|signature| signature.signature_characters()).collect();
    assert_ne!(values[0], values[1], "a signature of ECDSA is not made twice");
    let mut beside = Beside::of(case, &record);
    let properties = beside.properties(&record, JadesLevel::Lt).unwrap();
    let written = jws(&record.with_unsigned_properties(&properties));
    for (signature, token) in written.signatures().iter().zip(&beside.tokens) {
        let properties = signature.unsigned_properties();
        let stamp = UnsignedProperty::SignatureTimestamp(vec![token.clone()]);
        assert_eq!(properties.iter().next(), Some(&stamp));
    }
    beside.tokens.pop();
    assert_eq!(beside.properties(&record, JadesLevel::T), Err(JadesGap::SignatureTimestamp(1)));
}

#[tokio::test]
async fn an_archive_timestamp_that_ends_soon_gets_another_over_it_and_not_one_a_request() {
    let (mut place, _witness, process) = stamping_place();
    // Longer than any certificate holds: whatever there is ends within that.
    place.set("archive_timestamp", "before_expiry_days = 20000");
    let token = place.issuer_token(0);
    let clock = Arc::new(ManualClock::new(chrono::Utc::now()));
    let state = place.open_with(clock.clone(), StartOptions::default()).await.unwrap();
    let server = InProcess::of(affiant::server::serve(state).unwrap());
    let client = server.client.clone();
    let receipt = client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap().to_owned();
    until_there(&client, &format!("{record}?dialect=jades&level=lt"), &token).await;
    let first = form(&client, &record, &token, "&level=lta").await;
    assert_eq!(kinds(&first), ["sigTst", "xVals", "rVals", "tstVD", "arcTst"]);
    assert_eq!(form(&client, &record, &token, "&level=lta").await, first, "it was taken just now");
    clock.advance(Duration::from_secs(31 * 86_400));
    let second = form(&client, &record, &token, "&level=lta").await;
    assert_eq!(kinds(&second), ["sigTst", "xVals", "rVals", "tstVD", "arcTst", "tstVD", "arcTst"]);
    assert_eq!(
        jws(&second).signatures()[0].unsigned_properties().elements().unwrap()[..5],
        jws(&first).signatures()[0].unsigned_properties().elements().unwrap()
    );
    // The archive timestamp before stays what it is over.
    let report = client.verify(second.clone()).await;
    let wrong = |one: &&Value| {
        one["over"] == "archive" && !one["reason"].as_str().unwrap().contains("trusted timestamp authority")
    };
    assert_eq!(report["timestamps"].as_array().unwrap().iter().find(wrong), None, "{report}");
    // Nobody answers: what is kept is given out.
    assert!(process.stop());
    clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(form(&client, &record, &token, "&level=lta").await, second);
    drop(client);
    server.stop().await;
}
