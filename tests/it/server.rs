//! The server over HTTP, as issuers, auditors, admins and strangers use it.

use crate::fixtures;
use std::path::Path;
use std::process::Command;

use crate::fixtures::server::{Client, Place, RECORDING, affiant, builder, call, openssl, unpack, uuid, verify_line};
use affiant::access::Role;
use affiant::pki::Certificate;
use affiant::pki::ocsp::{CertificateId, CertificateStatus, IdHash, OcspRequest, OcspResponse};
use affiant::tlog::EntryCount;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[tokio::test]
async fn a_call_becomes_a_record_once_however_often_it_is_sent() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;

    let first = client.post("/v1/records", &token, call(1)).await;
    assert_eq!(first.status, 201, "{first:?}");
    let receipt = first.json();
    assert_eq!(first.header("location"), receipt["links"]["record"].as_str().unwrap());
    assert_eq!((&receipt["uuid"], &receipt["kind"]), (&json!(uuid(1)), &json!("vcon.issued")));
    assert_eq!((&receipt["seq"], &receipt["status"]), (&json!(1), &json!("included")));
    assert_eq!(receipt["issuer"], place.issuer(0).as_str());

    let second = client.post("/v1/records", &token, call(1)).await;
    assert_eq!(second.status, 200);
    for member in ["uuid", "record", "issuer", "seq", "index", "time"] {
        assert_eq!(second.json()[member], receipt[member], "{member}");
    }
    assert_eq!((&receipt["repeated"], &second.json()["repeated"]), (&json!(false), &json!(true)));

    let other_bytes = builder(1).member("subject", json!("the same uuid")).clone().build().to_bytes();
    client.post("/v1/records", &token, other_bytes).await.problem(409, "uuid-conflict");

    for (n, wait) in [(2, "accepted"), (3, "included")] {
        let answer = client.post(&format!("/v1/records?wait={wait}"), &token, call(n)).await;
        assert_eq!((answer.status, &answer.json()["status"]), (201, &json!(wait)));
        assert_eq!(answer.json()["checkpoint"].is_null(), wait == "accepted");
    }
    client.post("/v1/records?wait=for-ever", &token, call(5)).await.problem(400, "bad-request");

    let listed = client.get("/v1/records?limit=2", &token).await.json();
    assert_eq!((&listed["records"][0]["uuid"], &listed["next"]), (&json!(uuid(1)), &json!(3)));
    let rest = client.get("/v1/records?from=3", &token).await.json();
    assert_eq!((&rest["records"][0]["uuid"], &rest["next"]), (&json!(uuid(3)), &Value::Null));

    let stored = client.get(&format!("/v1/records/{}", uuid(1)), &token).await;
    assert_eq!((stored.status, stored.header("content-type")), (200, "application/vcon+json"));
    let digest = receipt["record"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/records/{digest}"), &token).await.body, stored.body);
    let draft = client.get(&format!("/v1/records/{digest}?dialect=draft"), &token).await.json();
    assert_eq!(draft["signatures"][0]["header"]["alg"], "RS256");
    let signed = stored.json();
    assert!(signed["signatures"][0]["header"].get("alg").is_none());
    assert_eq!(draft["payload"], signed["payload"]);
    let again = client.get(&format!("/v1/records/{digest}/receipt"), &token).await.json();
    assert_eq!((&again["index"], &again["seq"]), (&receipt["index"], &receipt["seq"]));
    client.get(&format!("/v1/records/{}", uuid(99)), &token).await.problem(404, "not-found");

    server.stop().await;
    assert_eq!(place.audit().await.unwrap().issuers[place.issuer(0).as_str()], EntryCount(3));
}

#[tokio::test]
async fn the_same_call_sent_at_once_by_many_is_one_record() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    for n in 0..8 {
        let posts = (0..16).map(|_| server.client.post("/v1/records?wait=accepted", &token, call(n)));
        let answers = futures_util::future::join_all(posts).await;
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        let repeated = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((created, repeated), (1, 15), "{answers:?}");
        assert!(answers.iter().all(|answer| answer.json()["index"] == answers[0].json()["index"]));
    }
    server.stop().await;
    assert_eq!(place.audit().await.unwrap().issuers[place.issuer(0).as_str()], EntryCount(8));
}

#[tokio::test]
async fn a_bundle_verifies_in_an_empty_folder_with_affiant_and_with_openssl() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let receipt = server.client.issue(&token, call(1)).await;
    let bundle = server.client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await;
    assert_eq!((bundle.status, bundle.header("content-type")), (200, "application/zip"));
    assert!(bundle.header("content-disposition").contains(&format!("{}.evidence.zip", uuid(1))));
    let report = server.client.verify(bundle.body.clone()).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    assert_eq!(report["ledger"]["status"], "INCLUDED");
    server.stop().await;

    let folder = tempfile::tempdir().unwrap();
    let (dir, root) = (folder.path(), place.root());
    unpack(&bundle.body, dir);
    let root = root.to_str().unwrap();
    for (arguments, code) in [
        (&["verify", ".", "--trust", root, "--log-policy", "ledger.tlog-policy"][..], 0),
        (&["verify", ".", "--trust", root], 0),
        (&["verify", "."], 2),
        (&["verify", "record.vcon.json", "--trust", root], 2),
        (&["verify", "record.vcon.json", "--trust", root, "--crl", "crls/0.crl.pem", "--crl", "crls/1.crl.pem"], 0),
        (&["verify", "nothing"], 3),
    ] {
        let run = affiant(dir, arguments);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}\n{}", String::from_utf8_lossy(&run.stdout));
    }
    // The statuses that were signed when it was collected are enough, whatever became of the lists.
    std::fs::rename(dir.join("crls"), dir.join("aside")).unwrap();
    assert_eq!(affiant(dir, &["verify", ".", "--trust", root]).status.code(), Some(0));
    std::fs::rename(dir.join("aside"), dir.join("crls")).unwrap();
    std::fs::write(dir.join("call.wav"), RECORDING).unwrap();
    let with = |file| affiant(dir, &["verify", ".", "--trust", root, "--json", "--recording", file]);
    let report: Value = serde_json::from_slice(&with("call.wav").stdout).unwrap();
    assert_eq!(report["recordings"][0]["answer"], "yes", "{report}");
    std::fs::write(dir.join("call.wav"), [RECORDING, b"!"].concat()).unwrap();
    assert_eq!(with("call.wav").status.code(), Some(1));
    std::fs::remove_file(dir.join("call.wav")).unwrap();

    let line = verify_line(dir, "openssl verify");
    if openssl(dir, &line).is_some() {
        assert_eq!(openssl(dir, &line), Some(true));
        assert_eq!(openssl(dir, &line.replace("-CAfile anchors.pem", "-CAfile certificates.pem")), Some(false));
    }
    let mut record = std::fs::read(dir.join("record.vcon.json")).unwrap();
    let at = record.windows(11).position(|window| window == b"\"payload\":\"").unwrap() + 40;
    record[at] = if record[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(dir.join("record.vcon.json"), record).unwrap();
    assert_eq!(affiant(dir, &["verify", ".", "--trust", root]).status.code(), Some(1));
}

#[tokio::test]
async fn a_role_allows_what_it_says_and_no_more() {
    let place = Place::new();
    let [token, other] = [0, 1].map(|position| place.issuer_token(position));
    let auditor = place.token(Role::Auditor, None, false);
    let admin = place.token(Role::Admin, None, false);
    let server = place.serve().await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    client.issue(&other, call(1)).await;
    let (own, theirs) = (place.issuer(0), place.issuer(1));
    let record = receipt["links"]["record"].as_str().unwrap();
    let tampered = format!("{token}x");

    // An issuer: its own, and another's is as if it were not there.
    for path in [record.to_owned(), format!("{record}/bundle"), format!("{record}/receipt")] {
        client.get(&path, &other).await.problem(404, "not-found");
        client.get(&path, "").await.problem(401, "unauthorized");
        client.get(&path, &tampered).await.problem(401, "unauthorized");
        assert_eq!(client.get(&path, &auditor).await.status, 200);
        assert_eq!(client.get(&path, &admin).await.status, 200);
    }
    let theirs_by_uuid = client.get(&format!("/v1/records/{}/receipt", uuid(1)), &other).await.json();
    assert_eq!(theirs_by_uuid["issuer"], theirs.as_str());
    client.get(&format!("/v1/records?issuer={own}"), &other).await.problem(403, "forbidden");
    client.get("/v1/records", &auditor).await.problem(400, "bad-request");
    let listed = client.get(&format!("/v1/records?issuer={own}"), &auditor).await.json();
    assert_eq!(listed["records"].as_array().unwrap().len(), 1);

    // Nobody but an issuer, and an admin in its name, submits; nobody but an admin changes what there is.
    client.post(&format!("/v1/records?issuer={theirs}"), &token, call(2)).await.problem(403, "forbidden");
    client.post("/v1/batches", &auditor, call(2)).await.problem(403, "forbidden");
    for (path, status, kind) in
        [("/v1/records".to_owned(), 403, "forbidden"), (format!("/v1/records?issuer={own}"), 403, "forbidden")]
    {
        client.post(&path, &auditor, call(2)).await.problem(status, kind);
    }
    client.post("/v1/records", &admin, call(2)).await.problem(400, "bad-request");
    assert_eq!(client.post(&format!("/v1/records?issuer={own}"), &admin, call(2)).await.status, 201);
    let revocation = json!({ "certificate": "00", "reason": "superseded" });
    for who in [&token, &auditor] {
        client.delete(record, who).await.problem(403, "forbidden");
        for path in ["/v1/admin/issuers", "/v1/admin/tokens"] {
            client.get(path, who).await.problem(403, "forbidden");
        }
        client.post_json("/v1/admin/issuers", who, &json!({ "name": "Third" })).await.problem(403, "forbidden");
        client.post_json("/v1/admin/revocations", who, &revocation).await.problem(403, "forbidden");
        client.post_json("/v1/admin/tokens", who, &json!({ "role": "admin" })).await.problem(403, "forbidden");
        for path in [
            format!("/v1/admin/issuers/{own}/rotate"),
            format!("/v1/admin/issuers/{own}/certificates"),
            "/v1/admin/crls".into(),
        ] {
            client.post(&path, who, "").await.problem(403, "forbidden");
        }
        client.delete("/v1/admin/tokens/tok_0", who).await.problem(403, "forbidden");
    }
    server.stop().await;
    let summary = place.audit().await.unwrap();
    assert_eq!((summary.issuers[own.as_str()], summary.issuers[theirs.as_str()]), (EntryCount(2), EntryCount(1)));
}

#[tokio::test]
async fn an_admin_adds_rotates_revokes_and_erases_while_the_server_runs() {
    let place = Place::new();
    let admin = place.token(Role::Admin, None, false);
    let other = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;

    let added = client.post_json("/v1/admin/issuers", &admin, &json!({ "name": "Third Calls" })).await;
    assert_eq!(added.status, 201, "{added:?}");
    let third = added.json()["id"].as_str().unwrap().to_owned();
    assert!(client.get("/v1/admin/issuers", &admin).await.text().contains("Third Calls"));
    let new = json!({ "role": "issuer", "issuer": third });
    let made = client.post_json("/v1/admin/tokens", &admin, &new).await;
    assert_eq!(made.status, 201);
    let (made, id) = (made.json(), made.json()["token"]["id"].as_str().unwrap().to_owned());
    let token = made["secret"].as_str().unwrap();
    assert!(!client.get("/v1/admin/tokens", &admin).await.text().contains(token));
    let first = client.issue(token, call(1)).await;

    let rotated = client.post(&format!("/v1/admin/issuers/{third}/rotate"), &admin, "").await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    let second = client.issue(token, call(2)).await;
    let signer = async |receipt: &Value| -> Value {
        let record = client.get(receipt["links"]["record"].as_str().unwrap(), token).await;
        client.verify(record.body).await["signatures"][0]["signer"]["thumbprint"].clone()
    };
    let (old, new) = (signer(&first).await, signer(&second).await);
    assert_ne!(old, new);
    assert_eq!(new, rotated.json()["certificate"]);

    let revocation = json!({ "certificate": new, "reason": "keyCompromise" });
    assert_eq!(client.post_json("/v1/admin/revocations", &admin, &revocation).await.status, 201);
    client.post_json("/v1/admin/revocations", &admin, &revocation).await.problem(409, "revoked-already");
    let unknown = json!({ "certificate": "00", "reason": "keyCompromise" });
    client.post_json("/v1/admin/revocations", &admin, &unknown).await.problem(404, "unknown-certificate");
    let no_reason = json!({ "certificate": new, "reason": "whim" });
    client.post_json("/v1/admin/revocations", &admin, &no_reason).await.problem(400, "bad-request");
    client.post("/v1/records", token, call(3)).await.problem(409, "certificate-not-active");
    let verdict = async |receipt: &Value| -> Value {
        let record = client.get(receipt["links"]["record"].as_str().unwrap(), token).await;
        client.verify(record.body).await["verdict"].clone()
    };
    assert_eq!(verdict(&second).await["sub_indication"], "REVOKED_NO_POE");
    assert_eq!(verdict(&first).await["indication"], "TOTAL-PASSED");
    let issued = client.post(&format!("/v1/admin/issuers/{third}/certificates"), &admin, "").await;
    assert_eq!(issued.status, 201);
    client.issue(token, call(3)).await;

    // Another issuer's record with the same uuid is not erased in its place.
    client.issue(&other, call(1)).await;
    client.delete(&format!("/v1/records/{}", uuid(1)), &admin).await.problem(409, "uuid-conflict");
    let record = first["links"]["record"].as_str().unwrap();
    assert_eq!(client.delete(record, &admin).await.status, 204);
    client.get(record, &admin).await.problem(410, "erased");
    disposal_is_certified(client, &admin, &other, record).await;
    client.get(&format!("{record}/bundle"), &admin).await.problem(410, "erased");
    client.get(&format!("/v1/records/{}", uuid(1)), token).await.problem(404, "not-found");
    // The same run again brings nothing back; and a batch says so in its line.
    assert_eq!(client.post("/v1/records", token, call(1)).await.problem(410, "erased")["index"], first["index"]);
    let batch = client.post("/v1/batches", token, call(1)).await;
    assert!(batch.text().contains("urn:affiant:problem:erased"), "{}", batch.text());

    // The call, with what another issuer has of it.
    let [one, another] = [client.issue(token, call(8)).await, client.issue(&other, call(8)).await];
    let [one, another] = [&one, &another].map(|receipt| receipt["links"]["record"].as_str().unwrap());
    client.delete(&format!("{one}?scope=all"), &admin).await.problem(400, "bad-request");
    assert_eq!(client.delete(&format!("{one}?scope=call"), &admin).await.status, 204);
    for record in [one, another] {
        client.get(record, &admin).await.problem(410, "erased");
    }

    assert_eq!(client.delete(&format!("/v1/admin/tokens/{id}"), &admin).await.status, 204);
    client.post("/v1/records", token, call(4)).await.problem(401, "unauthorized");
    client.delete("/v1/admin/tokens/tok_0", &admin).await.problem(404, "not-found");
    client.post("/v1/admin/issuers/iss_0/rotate", &admin, "").await.problem(404, "not-found");
    client.post_json("/v1/admin/issuers", &admin, &json!({ "nome": "x" })).await.problem(400, "bad-request");
    assert_eq!(client.post("/v1/admin/crls", &admin, "").await.status, 201);

    server.stop().await;
    let kinds = place.audit().await.unwrap().kinds;
    assert_eq!((kinds["vcon.issued"], kinds["vcon.erased"], kinds["certificate.revoked"]), (7, 3, 1));
}

#[tokio::test]
async fn what_happens_to_a_record_goes_into_the_ledger_and_says_no_more() {
    let place = Place::new();
    let (token, other) = (place.issuer_token(0), place.issuer_token(1));
    let (admin, auditor) = (place.token(Role::Admin, None, false), place.token(Role::Auditor, None, false));
    let server = place.serve().await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    let events = format!("/v1/records/{}/events", uuid(1));

    let revoked = json!({ "operation": "vcon_consent_revoked" });
    let answer = client.post_json(&events, &token, &revoked).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let event = answer.json();
    assert_eq!((&event["record"], &event["operation"]), (&receipt["record"], &json!("consent-revoked")));
    assert!(event["index"].as_u64() > receipt["index"].as_u64());
    let by_digest = format!("/v1/records/{}/events", receipt["record"].as_str().unwrap());
    assert_eq!(client.post_json(&by_digest, &admin, &json!({ "operation": "vcon_sent" })).await.status, 201);

    // A request that got no answer is sent again under its number.
    let third = json!({ "operation": "vcon_sent", "number": 3 });
    let [first, again] =
        [client.post_json(&events, &token, &third).await, client.post_json(&events, &token, &third).await];
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!((&again.json()["index"], &again.json()["repeated"]), (&first.json()["index"], &json!(true)));
    // By many at once it is one, and the others are told of that one.
    let fourth = json!({ "operation": "vcon_received", "number": 4 });
    let at_once = (0..50).map(|_| client.post_json(&events, &token, &fourth));
    let answers = futures_util::future::join_all(at_once).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.json()["index"] == answers[0].json()["index"]));
    let [taken, gap] = [2, 6].map(|number| json!({ "operation": "vcon_deleted", "number": number }));
    client.post_json(&events, &token, &taken).await.problem(409, "number-conflict");
    client.post_json(&events, &token, &gap).await.problem(409, "number-conflict");
    let listed = client.get(&events, &token).await.json();
    let told: Vec<_> = listed["events"].as_array().unwrap().iter().map(|event| event["operation"].clone()).collect();
    assert_eq!(told, ["consent-revoked", "sent", "sent", "received"]);
    let one = client.get(&format!("{events}?limit=1"), &auditor).await.json();
    assert_eq!((&one["events"][0], &one["next"]), (&listed["events"][0], &json!(event["index"].as_u64().unwrap() + 1)));
    client.get(&events, &other).await.problem(404, "not-found");

    client.post_json(&events, &other, &revoked).await.problem(404, "not-found");
    client.post_json(&events, &auditor, &revoked).await.problem(403, "forbidden");
    client.post_json(&events, "aff_none", &revoked).await.problem(401, "unauthorized");
    for wrong in [json!({ "operation": "vcon_lost" }), json!({ "operation": "consent-revoked" }), json!({})] {
        client.post_json(&events, &token, &wrong).await.problem(400, "bad-request");
    }
    let with_more = json!({ "operation": "vcon_sent", "to": "+12025550100" });
    client.post_json(&events, &token, &with_more).await.problem(400, "bad-request");

    server.stop().await;
    assert_eq!(place.audit().await.unwrap().kinds["vcon.event"], 4);
}

#[tokio::test]
async fn strangers_read_certificates_lists_and_the_log() {
    let mut place = Place::new();
    place.set("log", "format = \"text\"");
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    for n in 0..20 {
        client.issue(&token, call(n)).await;
    }
    let root = client.get("/v1/certificates/root.pem", "").await;
    assert_eq!(root.body, std::fs::read(place.root()).unwrap());
    assert!(client.get("/v1/certificates/chain.pem", "").await.text().starts_with("-----BEGIN CERTIFICATE"));
    assert!(client.get("/v1/certificates", "").await.json().as_array().unwrap().len() >= 4);
    for name in ["root", "issuing-1"] {
        let crl = client.get(&format!("/crls/{name}.crl"), "").await;
        assert_eq!((crl.status, crl.header("content-type")), (200, "application/pkix-crl"));
        assert!(affiant::pki::Crl::from_der(&crl.body).is_ok());
        let certificate = client.get(&format!("/certificates/{name}.cer"), "").await;
        assert_eq!((certificate.status, certificate.header("content-type")), (200, "application/pkix-cert"));
        assert!(affiant::pki::Certificate::from_der(&certificate.body).is_ok());
    }
    statuses_are_answered(client).await;
    for path in ["/crls/issuing-9.crl", "/certificates/issuing-9.cer"] {
        assert_eq!(client.get(path, "").await.status, 404, "{path}");
    }

    let checkpoint = client.get("/checkpoint", "").await;
    assert_eq!(checkpoint.header("content-type"), "text/plain; charset=utf-8");
    assert!(checkpoint.header("cache-control").contains("max-age=1"));
    let note = affiant::tlog::SignedCheckpoint::open(&checkpoint.body, &place.log_key()).unwrap();
    let size = note.checkpoint().size().0;
    assert!(size > 20);
    for (path, bytes) in [
        (format!("/tile/0/000.p/{size}"), Some(size * 32)),
        (format!("/tile/entries/000.p/{size}"), None),
        ("/tile/0/000.p/3".into(), Some(96)),
    ] {
        let tile = client.get(&path, "").await;
        assert_eq!((tile.status, tile.header("content-type")), (200, "application/octet-stream"), "{path}");
        assert!(tile.header("cache-control").contains("immutable"));
        assert!(bytes.is_none_or(|bytes| tile.body.len() as u64 == bytes), "{path}");
    }
    for path in [
        "/tile/0/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/001.p/1",
        "/tile/1/000.p/1",
        "/tile/64/000",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/entries/000",
        "/tile/entries/001.p/1",
        "/tile/../state.json",
        "/tile/",
        "/tile/0/000.p/255",
        "/nothing",
    ] {
        client.get(path, "").await.problem(404, "not-found");
    }
    assert!(client.get("/v1/ledger/policy", "").await.text().starts_with(&format!("log {}", place.log_key())));
    let audited = affiant(place.path(), &["audit", &client.base, "--json", "--key", &place.log_key().to_string()]);
    assert_eq!(audited.status.code(), Some(0), "{}", String::from_utf8_lossy(&audited.stderr));
    let audited: Value = serde_json::from_slice(&audited.stdout).unwrap();
    assert!(audited["size"].as_u64().unwrap() >= size);
    server.stop().await;
    let audited = affiant(place.path(), &["audit", "data"]);
    assert_eq!(audited.status.code(), Some(0));
}

/// Of a signing certificate and of the authority above it, by GET and by POST (RFC 6960 appendix A).
async fn statuses_are_answered(client: &Client) {
    let root = client.get("/certificates/root.cer", "").await;
    let issuing = client.get("/certificates/issuing-1.cer", "").await;
    let [root, issuing] = [root, issuing].map(|answer| Certificate::from_der(&answer.body).unwrap());
    let listed = client.get("/v1/certificates", "").await.json();
    let leaf = listed.as_array().unwrap().iter().find(|one| one["kind"] == "signing-leaf").unwrap();
    let serial = leaf["serial"].as_str().unwrap();
    let serial: Vec<u8> =
        (0..serial.len() / 2).map(|at| u8::from_str_radix(&serial[at * 2..at * 2 + 2], 16).unwrap()).collect();
    for (issuer, serial) in [(&issuing, &serial[..]), (&root, issuing.serial())] {
        let request = OcspRequest::encode(&CertificateId::of(IdHash::Sha1, issuer, serial).unwrap());
        let encoded = STANDARD.encode(&request).replace('/', "%2F").replace('+', "%2B");
        let posted = client.request("POST", "/ocsp", "").header("content-type", "application/ocsp-request");
        let posted = Client::send(posted.body(request)).await;
        let got = client.get(&format!("/ocsp/{encoded}"), "").await;
        assert_eq!((got.status, got.header("content-type")), (200, "application/ocsp-response"));
        assert!(got.header("cache-control").contains("max-age"));
        assert_eq!(got.body, posted.body);
        let response = OcspResponse::from_der(&got.body).unwrap();
        assert_eq!(response.statuses()[0].status, CertificateStatus::Good);
        assert_eq!(response.statuses()[0].id.serial(), serial);
    }
    for path in ["/ocsp/", "/ocsp/AAAA", "/ocsp/!"] {
        assert_eq!(client.get(path, "").await.body, [0x30, 3, 10, 1, 1], "{path}: a malformed request");
    }
    let long = client.request("POST", "/ocsp", "").body(vec![0x30; 20_000]);
    assert_eq!(Client::send(long).await.body, [0x30, 3, 10, 1, 1]);
}

#[tokio::test]
async fn operators_see_how_it_is() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.spawn();
    let client = &server.client;
    client.issue(&token, call(1)).await;
    let health = client.get("/healthz", "").await.json();
    assert_eq!((&health["status"], &health["trouble"]), (&json!("ok"), &Value::Null));
    assert_eq!(client.get("/readyz", "").await.text(), "ready\n");
    assert!(client.get("/metrics", "").await.text().contains("affiant_log_size{log=\"ledger\"}"));
    let document = client.get("/openapi.json", "").await.json();
    for path in ["/v1/records", "/v1/batches", "/v1/verify", "/v1/admin/issuers", "/checkpoint", "/healthz"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    assert!(client.get("/docs/", "").await.text().contains("<html"));
    let home = client.get("/", "").await;
    assert_eq!(home.header("content-type"), "text/html; charset=utf-8");
    assert!(home.header("content-security-policy").contains("default-src 'none'"));
    assert!(home.text().contains("vcon.issued"));
    assert_eq!(home.header("x-content-type-options"), "nosniff");
    assert!(server.stop());
    assert!(place.audit().await.is_ok());
}

#[tokio::test]
async fn anybody_verifies_a_record_in_every_form() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    let record = client.get(receipt["links"]["record"].as_str().unwrap(), &token).await.body;
    let bundle = client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await.body;

    let json = client.verify(record.clone()).await;
    assert_eq!(json["rows"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&json["verdict"]["indication"], &json["ledger"]["status"]),
        (&json!("TOTAL-PASSED"), &json!("INCLUDED"))
    );
    let recording = |report: &Value| report["recordings"][0]["answer"].clone();
    for bytes in [&record, &bundle] {
        let right = client.verify_form(bytes, &[("call.wav", RECORDING)]).await.json();
        assert_eq!((recording(&right), &right["verdict"]["indication"]), (json!("yes"), &json!("TOTAL-PASSED")));
        let wrong = client.verify_form(bytes, &[("call.wav", &RECORDING[1..])]).await.json();
        assert_eq!(wrong["verdict"]["sub_indication"], "HASH_FAILURE");
        let none = client.verify_form(bytes, &[("", b"")]).await.json();
        assert_eq!(none["verdict"]["indication"], "TOTAL-PASSED");
    }
    let request = client.request("POST", "/v1/verify", "").header("accept", "text/html,*/*;q=0.8").body(record.clone());
    let html = Client::send(request).await;
    assert_eq!((html.status, html.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(html.text().contains("TOTAL-PASSED") && html.text().contains("What this does not prove"));
    // Whose word it is, on the page and wherever the report goes.
    assert!(html.text().contains("their word about themselves"));
    assert_eq!(json["trust_policy"], "own policy of http://127.0.0.1:8440");

    // The ledger knows which records it does not have.
    let elsewhere = Place::new();
    let token = elsewhere.issuer_token(1);
    let other = elsewhere.serve().await;
    let receipt = other.client.issue(&token, call(1)).await;
    let foreign = other.client.get(receipt["links"]["record"].as_str().unwrap(), &token).await.body;
    other.stop().await;
    let report = client.verify(foreign).await;
    assert_eq!(report["ledger"]["status"], "NOT_INCLUDED", "{report}");

    client.post("/v1/verify", "", "").await.problem(400, "bad-request");
    client.form("/v1/verify", &[("recording", "a", b"a")]).await.problem(400, "bad-request");
    client.form("/v1/verify", &[("record", "a", b"{}"), ("record", "b", b"{}")]).await.problem(400, "bad-request");
    client.form("/v1/verify", &[("x", "a", b"{}")]).await.problem(400, "bad-request");
    client.post("/v1/verify", "", "PK no zip").await.problem(422, "not-a-bundle");
    server.stop().await;
}

/// A record of the second issuer, signed at another server of the same authority.
async fn signed_elsewhere(place: &Place) -> Vec<u8> {
    let elsewhere = place.copy();
    let token = elsewhere.issuer_token(1);
    let server = elsewhere.serve().await;
    let receipt = server.client.issue(&token, call(7)).await;
    let record = server.client.get(receipt["links"]["record"].as_str().unwrap(), &token).await.body;
    server.stop().await;
    record
}

#[tokio::test]
async fn a_record_signed_elsewhere_is_anchored_for_whom_it_may_be() {
    let place = Place::new();
    let record = signed_elsewhere(&place).await;
    let [first, second] = [0, 1].map(|position| place.issuer_token(position));
    let foreign = place.token(Role::Issuer, Some(place.issuer(0)), true);
    let server = place.serve().await;
    let client = &server.client;

    client.post("/v1/records", &first, record.clone()).await.problem(403, "foreign-record");
    let mut tampered: Value = serde_json::from_slice(&record).unwrap();
    let signature = tampered["signatures"][0]["signature"].as_str().unwrap().to_owned();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    tampered["signatures"][0]["signature"] = format!("{flipped}{}", &signature[1..]).into();
    for token in [&first, &second, &foreign] {
        let problem = client.post("/v1/records", token, tampered.to_string()).await.problem(422, "total-failed");
        assert_eq!(problem["report"]["verdict"]["sub_indication"], "SIG_CRYPTO_FAILURE");
    }

    // A certificate that is only named signed nothing: here nobody verifies the algorithm.
    let mut unverified: Value = serde_json::from_slice(&record).unwrap();
    unverified["signatures"][0]["protected"] = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256K"}"#).into();
    client.post("/v1/records", &second, unverified.to_string()).await.problem(403, "foreign-record");

    let own = client.post("/v1/records", &second, record.clone()).await;
    assert_eq!((own.status, &own.json()["kind"]), (201, &json!("vcon.anchored")), "{own:?}");
    assert_eq!(client.get(own.json()["links"]["record"].as_str().unwrap(), &second).await.body, record);
    client.post("/v1/records", &foreign, record.clone()).await.problem(409, "record-conflict");
    // The same record in other bytes is the same record.
    let spaced = [&record[..], b"\n"].concat();
    let again = client.post("/v1/records", &second, spaced).await;
    assert_eq!((again.status, &again.json()["index"]), (200, &own.json()["index"]));
    server.stop().await;
    assert_eq!(place.audit().await.unwrap().kinds["vcon.anchored"], 1);

    let place = Place::new();
    let foreign = place.token(Role::Issuer, Some(place.issuer(0)), true);
    let server = place.serve().await;
    let answer = server.client.post("/v1/records", &foreign, record).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let bundle = server.client.get(answer.json()["links"]["bundle"].as_str().unwrap(), &foreign).await;
    assert_eq!(bundle.status, 200, "{bundle:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_batch_goes_on_where_it_ended_and_a_bad_line_fails_alone() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    std::fs::write(place.path().join("token"), &token).unwrap();
    let lines: Vec<Vec<u8>> = (0..20).map(|n| if n == 7 { b"{}".to_vec() } else { call(n) }).collect();
    std::fs::write(place.path().join("calls.ndjson"), lines.join(&b'\n')).unwrap();
    let arguments =
        ["issue-batch", "calls.ndjson", "--server", &server.client.base, "--token-file", "token", "--out", "results"];
    let results = || -> Vec<Value> {
        let text = std::fs::read_to_string(place.path().join("results")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(affiant_while_served(place.path(), &arguments).await, Some(1));
    let first = results();
    assert_eq!(first.len(), 20);
    assert_eq!(first[7]["problem"]["type"], "urn:affiant:problem:not-a-vcon");
    for (line, result) in (1..).zip(&first) {
        assert_eq!((&result["line"], result["receipt"].is_object()), (&json!(line), line != 8), "{result}");
    }

    // Broken off in the middle of a line: what is whole stays, the rest is asked for again.
    let text = std::fs::read_to_string(place.path().join("results")).unwrap();
    let cut: usize = text.lines().take(12).map(|line| line.len() + 1).sum();
    std::fs::write(place.path().join("results"), &text[..cut + 9]).unwrap();
    assert_eq!(affiant_while_served(place.path(), &arguments).await, Some(0));
    for (result, first) in results().iter().zip(&first) {
        for member in ["/line", "/receipt/index", "/receipt/seq", "/receipt/record"] {
            assert_eq!(result.pointer(member), first.pointer(member));
        }
    }
    assert_eq!(results().len(), 20);
    let nobody = ["issue-batch", "calls.ndjson", "--server", "http://127.0.0.1:1", "--token-file", "token"];
    assert_eq!(affiant_while_served(place.path(), &nobody).await, Some(3));
    server.stop().await;
    assert_eq!(place.audit().await.unwrap().issuers[place.issuer(0).as_str()], EntryCount(19));
}

/// Runs `affiant` while this process serves, and gives its exit code.
async fn affiant_while_served(folder: &Path, arguments: &[&str]) -> Option<i32> {
    let (folder, arguments) = (folder.to_owned(), arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
    let run = move || affiant(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap().status.code()
}

/// A form that states the erasure, proved under the log that is trusted, and of no record that is still there.
async fn disposal_is_certified(client: &Client, token: &str, issuer: &str, record: &str) {
    let folder = tempfile::tempdir().unwrap();
    let policy = client.get("/v1/ledger/policy", token).await.body;
    std::fs::write(folder.path().join("log"), &policy).unwrap();
    let other = String::from_utf8(policy).unwrap().replacen("log ", "log x", 1);
    std::fs::write(folder.path().join("other"), other).unwrap();
    let certificate = async |digest: &str, policy: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.current_dir(folder.path()).env("AFFIANT_TOKEN", token);
        command.args(["certificate", "disposal", digest, "--server", &client.base, "--log-policy", policy]);
        command.args(["--output", "form.html"]);
        let output = tokio::task::spawn_blocking(move || fixtures::server::run(&mut command).unwrap()).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let digest = record.rsplit('/').next().unwrap();
    assert_eq!(certificate(digest, "log").await, (0, String::new()));
    let page = std::fs::read_to_string(folder.path().join("form.html")).unwrap();
    assert!(page.contains(digest) && page.contains("states that the body of a record was erased"), "{page}");
    assert_eq!(certificate(digest, "other").await.0, 3);
    let there = client.issue(issuer, call(7)).await;
    let (code, said) = certificate(there["record"].as_str().unwrap(), "log").await;
    assert!(code == 3 && said.contains("states no erasure"), "{said}");
}

#[tokio::test]
async fn bundles_that_are_collected_at_once_take_turns() {
    const AT_ONCE: usize = 96;
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.spawn();
    server.client.issue(&token, call(1)).await;
    let paths = ["/bundle", "?dialect=jades&level=b", "?dialect=draft"];
    let paths = paths.map(|form| format!("/v1/records/{}{form}", uuid(1)));
    let threads = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        line.map_or(0, |count| count.trim().parse::<usize>().unwrap())
    };
    let before = threads();
    let all = paths.iter().cycle().take(AT_ONCE).map(|path| server.client.get(path, &token));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // A thread that has nothing to do stays for some seconds: each of those that worked is still there.
    assert!(threads() < before + AT_ONCE / 4, "{before} threads became {}", threads());
    server.stop();
}
