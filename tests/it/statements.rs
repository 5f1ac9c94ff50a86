//! The log of signed statements: what is registered and what is not, receipts, and that they last.

use crate::fixtures;
use std::collections::BTreeMap;
use std::process::Command;

use crate::fixtures::server::{AFFIANT, Answer, Client, InProcess, Place, run};
use crate::fixtures::statement::Draft;
use affiant::access::Role;
use affiant::cose::CoseReceipt;
use affiant::crypto::{KeyKind, Sha256Digest, Signer, SigningKey, VerifyingKey, sha256};
use affiant::evidence::{Entry, Event, ReceiptError, check_receipt};
use affiant::tlog::merkle::{leaf_hash, root_of_inclusion};
use affiant::tlog::tile::bundle_entries;
use affiant::tlog::{LeafIndex, NodeHash, SignedCheckpoint, TileKind, TilePath, TreeSize};
use minicbor::Decoder;

struct Bench {
    place: Place,
    admin: String,
    token: String,
    signer: std::sync::Arc<dyn Signer>,
    chain: Vec<Vec<u8>>,
}

impl Bench {
    fn new(more: &str) -> Self {
        let mut place = Place::new();
        place.set("statements", &format!("enabled = true\n{more}"));
        let credential = {
            let authority = place.authority();
            authority.signer(&place.issuer(0)).unwrap()
        };
        let (admin, token) = (place.token(Role::Admin, None, false), place.issuer_token(0));
        Self { place, admin, token, signer: credential.signer.clone(), chain: credential.chain_der.clone() }
    }

    fn draft(&self) -> Draft {
        Draft::new(&self.chain)
    }

    fn sign(&self, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let mut draft = self.draft();
        change(&mut draft);
        draft.sign(&*self.signer)
    }
}

async fn post(client: &Client, kind: &str, body: &[u8]) -> Answer {
    Client::send(client.request("POST", "/entries", "").header("content-type", kind).body(body.to_vec())).await
}

async fn register(client: &Client, statement: &[u8]) -> Answer {
    post(client, "application/cose", statement).await
}

/// Title and detail of concise problem details.
fn problem(answer: &Answer) -> (u16, String, String) {
    assert_eq!(answer.header("content-type"), "application/concise-problem-details+cbor", "{answer:?}");
    let mut decoder = Decoder::new(&answer.body);
    assert_eq!((decoder.map().unwrap(), decoder.i8().unwrap()), (Some(2), -1));
    let title = decoder.str().unwrap().to_owned();
    assert_eq!(decoder.i8().unwrap(), -2);
    (answer.status, title, decoder.str().unwrap().to_owned())
}

/// The key of the service, as it publishes it.
async fn published_key(client: &Client) -> VerifyingKey {
    let set = client.get("/.well-known/scitt-keys", "").await;
    assert_eq!((set.status, set.header("content-type")), (200, "application/cbor"));
    let mut decoder = Decoder::new(&set.body);
    assert_eq!((decoder.array().unwrap(), decoder.map().unwrap()), (Some(1), Some(5)));
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        match decoder.i8().unwrap() {
            -2 => x = decoder.bytes().unwrap().to_vec(),
            -3 => y = decoder.bytes().unwrap().to_vec(),
            _ => decoder.skip().unwrap(),
        }
    }
    VerifyingKey::from_point(KeyKind::P256, &x, &y).unwrap()
}

#[tokio::test]
async fn a_registered_statement_has_a_receipt_that_anybody_can_check() {
    let bench = Bench::new("per_second = 1000");
    let server = bench.place.serve_now().await;
    let client = &server.client;
    let statement = bench.sign(|_| ());
    let answer = register(client, &statement).await;
    assert_eq!((answer.status, answer.header("content-type")), (201, "application/cose"), "{answer:?}");
    let key = published_key(client).await;
    let entry = check_receipt(&answer.body, &statement, &key).unwrap();
    assert_eq!((entry.index, entry.event.kind()), (LeafIndex(2), "statement.registered"));
    let receipt = CoseReceipt::parse(&answer.body).unwrap();
    let header = receipt.message().protected();
    let claims = header.claims.clone().unwrap();
    assert_eq!((claims.issuer.as_deref(), header.algorithm), (Some("http://127.0.0.1:8440"), Some(-7)));
    assert_eq!(claims.subject.as_deref(), bench.draft().subject);
    // The key by its name in the receipt.
    let kid =
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header.key_id.as_ref().unwrap());
    assert_eq!(client.get(&format!("/.well-known/scitt-keys/{kid}"), "").await.status, 200);
    let none = client.get("/.well-known/scitt-keys/AAAA", "").await;
    assert_eq!(problem(&none).1, "No such key");

    // Nothing of it can be changed, and it proves no other statement.
    for at in 0..answer.body.len() {
        let mut flipped = answer.body.clone();
        flipped[at] ^= 1;
        assert!(check_receipt(&flipped, &statement, &key).is_err(), "byte {at}");
    }
    let other = bench.sign(|draft| draft.payload = Some(b"another".to_vec()));
    assert_eq!(check_receipt(&answer.body, &other, &key), Err(ReceiptError::OtherStatement));
    let (stranger, _) = SigningKey::generate_p256();
    assert_eq!(check_receipt(&answer.body, &statement, stranger.verifying_key()), Err(ReceiptError::Signature));

    // Again, with other hints that are not signed: the same entry, whose receipt is fresh.
    for n in 0..300_u32 {
        let more = bench.sign(|draft| draft.payload = Some(n.to_be_bytes().to_vec()));
        assert_eq!(register(client, &more).await.status, 201);
    }
    let hinted = register(client, &bench.sign(|draft| draft.unprotected = 2)).await;
    assert_eq!(hinted.header("location"), answer.header("location"));
    assert_eq!(check_receipt(&hinted.body, &statement, &key).unwrap(), entry);
    assert!(CoseReceipt::parse(&hinted.body).unwrap().proof().size > 256);
    let id = answer.header("location").rsplit('/').next().unwrap().to_owned();
    server.stop().await;

    // Over a restart, and through the public bytes of the log.
    let server = bench.place.serve_now().await;
    let client = &server.client;
    let fresh = client.get(&format!("/entries/{id}"), "").await;
    assert_eq!(check_receipt(&fresh.body, &statement, &key).unwrap(), entry);
    let audited = audit(&bench.place, client).await;
    assert!(audited.contains("statement.registered") && audited.contains("are right."), "{audited}");
    // Erased, the entry and what was handed out stay.
    assert_eq!(client.delete(&format!("/entries/{id}"), &bench.token).await.status, 403);
    for _ in 0..2 {
        assert_eq!(client.delete(&format!("/entries/{id}"), &bench.admin).await.status, 204);
    }
    assert_eq!(problem(&client.get(&format!("/entries/{id}"), "").await).0, 410);
    assert!(check_receipt(&fresh.body, &statement, &key).is_ok());
    assert!(audit(&bench.place, client).await.contains("         1  vcon.erased"));
    server.stop().await;
}

async fn audit(place: &Place, client: &Client) -> String {
    let mut print = Command::new(AFFIANT);
    print
        .args(["serve", "--print-key", "--config"])
        .arg(place.config_file())
        .env("AFFIANT_PASSPHRASE", fixtures::server::PASSPHRASE);
    let url = format!("{}/statements", client.base);
    let audited = tokio::task::spawn_blocking(move || {
        let keys = String::from_utf8(run(&mut print).unwrap().stdout).unwrap();
        let key = keys.lines().nth(1).unwrap().to_owned();
        run(Command::new(AFFIANT).args(["audit", &url, "--key", &key])).unwrap()
    });
    let audited = audited.await.unwrap();
    assert!(audited.status.success(), "{audited:?}");
    String::from_utf8(audited.stdout).unwrap()
}

#[tokio::test]
async fn what_may_not_be_registered_is_told_in_concise_problem_details() {
    let bench = Bench::new("");
    let server = bench.place.serve_now().await;
    let client = &server.client;
    let (stranger, _) = SigningKey::generate_rsa(affiant::crypto::KeySize::Rsa2048);
    let right = bench.sign(|_| ());
    let indefinite = [&[0xd2, 0x9f][..], &right[2..], &[0xff]].concat();
    for (what, statement, title) in [
        ("nothing", vec![], "Malformed request"),
        ("JSON", b"{}".to_vec(), "Malformed request"),
        ("a byte behind", [&right[..], &[0]].concat(), "Malformed request"),
        ("no tag", right[1..].to_vec(), "Malformed request"),
        ("an indefinite length", indefinite, "Malformed request"),
        ("no payload", bench.sign(|draft| draft.payload = None), "Payload Missing"),
        ("an algorithm of nobody's", bench.sign(|draft| draft.algorithm = -65535), "Bad Signature Algorithm"),
        ("HMAC", bench.sign(|draft| draft.algorithm = 5), "Bad Signature Algorithm"),
        ("no issuer", bench.sign(|draft| draft.issuer = None), "Rejected"),
        ("an empty subject", bench.sign(|draft| draft.subject = Some("")), "Rejected"),
        ("no claims", bench.sign(|draft| (draft.issuer, draft.subject) = (None, None)), "Rejected"),
        ("a telephone number", bench.sign(|draft| draft.subject = Some("tel:+12025550123")), "Rejected"),
        ("another spelling", bench.sign(|draft| draft.subject = Some("TEL:+12025550123")), "Rejected"),
        ("a bare number", bench.sign(|draft| draft.subject = Some("+12025550123")), "Rejected"),
        ("a bare address", bench.sign(|draft| draft.subject = Some("robin@example.com")), "Rejected"),
        ("a mail address", bench.sign(|draft| draft.subject = Some("mailto:robin@example.com")), "Rejected"),
        ("no certificate", bench.sign(|draft| draft.chain.clear()), "Rejected"),
        ("junk for a certificate", bench.sign(|draft| draft.chain[0] = vec![1]), "Rejected"),
        ("an authority's certificate", bench.sign(|draft| drop(draft.chain.remove(0))), "Rejected"),
        ("another key", bench.draft().sign(&stranger), "Rejected"),
    ] {
        let answer = register(client, &statement).await;
        let (status, told, detail) = problem(&answer);
        assert_eq!((status, told.as_str()), (400, title), "{what}: {detail}");
    }
    // The certificate may be bound by its thumbprint instead, and the algorithm be another.
    assert_eq!(register(client, &bench.sign(|draft| draft.by_thumbprint = true)).await.status, 201);
    assert_eq!(register(client, &bench.sign(|draft| draft.algorithm = -37)).await.status, 201);
    let named = post(client, "application/json", &right).await;
    assert_eq!(problem(&named).0, 415);
    let large = bench.sign(|draft| draft.payload = Some(vec![0; 1 << 20]));
    assert_eq!(problem(&register(client, &large).await).0, 413);
    for (id, status) in [("x", 400), (&*format!("sha256-{}", "A".repeat(43)), 404)] {
        assert_eq!(problem(&client.get(&format!("/entries/{id}"), "").await).0, status);
    }
    // A certificate that was revoked signs nothing more; what is registered stays.
    let location = register(client, &right).await.header("location").to_owned();
    let certificate = affiant::pki::Certificate::from_der(&bench.chain[0]).unwrap().thumbprint_url();
    let revocation = serde_json::json!({ "certificate": certificate, "reason": "superseded" });
    let revoked = client.post_json("/v1/admin/revocations", &bench.admin, &revocation).await;
    assert!(matches!(revoked.status, 200 | 201), "{revoked:?}");
    let (_, _, detail) = problem(&register(client, &bench.sign(|draft| draft.payload = Some(vec![9]))).await);
    assert!(detail.contains("was revoked"), "{detail}");
    let path = location.strip_prefix("http://127.0.0.1:8440").unwrap();
    assert_eq!(client.get(path, "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_signer_is_told_to_come_again_and_others_are_not_kept_waiting() {
    let bench = Bench::new("per_second = 3");
    let other = {
        let authority = bench.place.authority();
        authority.signer(&bench.place.issuer(1)).unwrap()
    };
    let clock = std::sync::Arc::new(affiant::clock::ManualClock::new(affiant::clock::Clock::now(
        &affiant::clock::SystemClock::default(),
    )));
    let state = bench.place.open_with(clock.clone(), affiant::server::StartOptions::default()).await.unwrap();
    let server = InProcess::of(affiant::server::serve(state).unwrap());
    let client = &server.client;
    let nth = |n: u8| bench.sign(|draft| draft.payload = Some(vec![n]));
    for n in 0..3 {
        assert_eq!(register(client, &nth(n)).await.status, 201);
    }
    // What is there already costs its signer nothing, whoever sends it.
    for _ in 0..5 {
        assert_eq!(register(client, &nth(0)).await.status, 201);
    }
    let told = register(client, &nth(3)).await;
    assert_eq!((problem(&told).0, told.header("retry-after")), (429, "1"));
    assert_eq!(register(client, &Draft::new(&other.chain_der).sign(&*other.signer)).await.status, 201);
    // Whoever signs with another's certificate and a wrong key uses nothing up.
    clock.advance(std::time::Duration::from_secs(1));
    let (stranger, _) = SigningKey::generate_rsa(affiant::crypto::KeySize::Rsa2048);
    for _ in 0..5 {
        assert_eq!(register(client, &bench.draft().sign(&stranger)).await.status, 400);
    }
    assert_eq!(register(client, &nth(3)).await.status, 201);
    server.stop().await;
}

/// The key of the compatibility log, as it publishes it.
async fn compatible_key(client: &Client) -> VerifyingKey {
    let set = client.get("/compatibility/.well-known/scitt-jwks", "").await.json();
    let number = |name: &str| {
        let text = set["keys"][0][name].as_str().unwrap();
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
    };
    VerifyingKey::from_point(KeyKind::P256, &number("x"), &number("y")).unwrap()
}

#[tokio::test]
async fn the_compatibility_log_is_there_for_the_keys_that_are_named() {
    let (client_key, _) = SigningKey::generate_p256();
    let bench = Bench::new("");
    let pem = affiant::pki::to_pem("PUBLIC KEY", client_key.verifying_key().spki_der());
    std::fs::write(bench.place.path().join("client.pem"), pem).unwrap();
    let without = bench.place.serve_now().await;
    assert_eq!(without.client.get("/compatibility/entries/1", "").await.status, 404);
    assert_eq!(without.client.get("/compatibility/.well-known/scitt-jwks", "").await.status, 404);
    without.stop().await;

    let mut bench = bench;
    let keys = bench.place.path().join("client.pem");
    bench.place.set_only("statements", &format!("enabled = true\ncompatibility_keys = {keys:?}"));
    let statement = |payload: &[u8], signer: &SigningKey| {
        let mut draft = Draft::new(&[]);
        (draft.algorithm, draft.payload) = (-7, Some(payload.to_vec()));
        draft.sign(signer)
    };
    let (stranger, _) = SigningKey::generate_p256();
    for turn in 0..2 {
        let server = bench.place.serve_now().await;
        let client = &server.client;
        for n in 1..=9_u8 {
            let body = statement(&[n], &client_key);
            let url = "/compatibility/entries";
            let sent = client.request("POST", url, "").header("content-type", "application/cose").body(body);
            let answer = Client::send(sent).await;
            assert_eq!(answer.status, 201, "{turn}: {answer:?}");
            assert!(answer.header("location").ends_with(&format!("/compatibility/entries/{}", 2 * n - 1)));
            // As such a client checks it: the leaf is the hash of the payload's hash.
            let message = affiant::cose::Sign1::parse(&answer.body).unwrap();
            let mut proof = Decoder::new(&message.unprotected().inclusion_proofs[0]);
            assert_eq!(proof.array().unwrap(), Some(3));
            let (size, index) = (proof.u64().unwrap(), proof.u64().unwrap());
            let count = proof.array().unwrap().unwrap();
            let path: Vec<_> =
                (0..count).map(|_| proof.bytes().unwrap().try_into().unwrap()).map(NodeHash::new).collect();
            let leaf = leaf_hash(&sha256(&[n]));
            let root = root_of_inclusion(leaf, LeafIndex(index), &path, TreeSize(size)).unwrap();
            message.check_signature(root.as_bytes(), &compatible_key(client).await).unwrap();
            assert!(check_receipt(&answer.body, &bench.sign(|_| ()), &published_key(client).await).is_err());
        }
        let refused = client.request("POST", "/compatibility/entries", "").header("content-type", "application/cose");
        let refused = Client::send(refused.body(statement(&[1], &stranger))).await;
        assert_eq!(problem(&refused).1, "Rejected");
        for (id, status) in [("0", 404), ("2", 404), ("19", 404), ("x", 400), ("17", 200)] {
            assert_eq!(client.get(&format!("/compatibility/entries/{id}"), "").await.status, status, "{id}");
        }
        // Nothing of it is public.
        for path in ["/compatibility/checkpoint", "/compatibility/tile/0/000.p/1"] {
            assert_eq!(client.get(path, "").await.status, 404);
        }
        server.stop().await;
    }
}

/// What `transparency-configuration` says, by name.
async fn configuration(client: &Client, below: &str) -> BTreeMap<String, String> {
    let answer = client.get(&format!("{below}/.well-known/transparency-configuration"), "").await;
    let mut decoder = Decoder::new(&answer.body);
    let count = decoder.map().unwrap().unwrap();
    (0..count).map(|_| (decoder.str().unwrap().to_owned(), decoder.str().unwrap().to_owned())).collect()
}

/// The entries of the log, as everybody reads them.
async fn entries(client: &Client) -> Vec<Entry> {
    let note = client.get("/statements/checkpoint", "").await.body;
    let size = SignedCheckpoint::parse(&note).unwrap().checkpoint().size();
    let path = TilePath::new(TileKind::Entries, 0, size.0.try_into().unwrap()).unwrap();
    let bundle = client.get(&format!("/statements/{path}"), "").await.body;
    bundle_entries(&bundle, path.width()).unwrap().into_iter().map(|bytes| Entry::parse(bytes).unwrap()).collect()
}

#[tokio::test]
async fn the_policy_that_statements_are_checked_against_is_in_their_log_before_them() {
    let (client_key, _) = SigningKey::generate_p256();
    let mut bench = Bench::new("");
    let keys = bench.place.path().join("client.pem");
    std::fs::write(&keys, affiant::pki::to_pem("PUBLIC KEY", client_key.verifying_key().spki_der())).unwrap();
    bench.place.set("statements", &format!("compatibility_keys = {keys:?}"));
    std::fs::write(
        bench.place.path().join("trust.toml"),
        "version = 1\nname = \"another\"\n[[anchor]]\nname = \"Root\"\nfile = \"root.pem\"\n",
    )
    .unwrap();
    let mut log = vec!["ledger.opened"];
    for (turn, changed) in [true, false, true].into_iter().enumerate() {
        if turn == 2 {
            let policy = bench.place.path().join("trust.toml");
            bench.place.set("trust", &format!("policy = {policy:?}"));
        }
        let server = bench.place.serve_now().await;
        let client = &server.client;
        let described = configuration(client, "").await;
        assert_eq!(described["registration_policy"], format!("{}/v1/trust-policy", described["issuer"]));
        assert!(!configuration(client, "/compatibility").await.contains_key("registration_policy"));
        let policy = Sha256Digest::of(&client.get("/v1/trust-policy", "").await.body);
        let statement = bench.sign(|draft| draft.payload = Some(vec![u8::try_from(turn).unwrap()]));
        assert_eq!(register(client, &statement).await.status, 201);
        log.extend(changed.then_some("trust.changed").into_iter().chain(["statement.registered"]));
        let entries = entries(client).await;
        assert_eq!(entries.iter().map(|entry| entry.event.kind()).collect::<Vec<_>>(), log);
        let newest = entries.iter().rev().find_map(|entry| match entry.event {
            Event::TrustChanged { policy } => Some(policy),
            _ => None,
        });
        assert_eq!(newest, Some(policy));
        server.stop().await;
    }
}

#[tokio::test]
async fn health_names_each_log_that_takes_nothing() {
    /// Bytes that no file of the server may pass: what is in the compatibility log, and more than any other has.
    const FILE_BYTES: usize = 8 << 20;
    let (client_key, _) = SigningKey::generate_p256();
    let mut bench = Bench::new("");
    let keys = bench.place.path().join("client.pem");
    std::fs::write(&keys, affiant::pki::to_pem("PUBLIC KEY", client_key.verifying_key().spki_der())).unwrap();
    bench.place.set_only("statements", &format!("enabled = true\ncompatibility_keys = {keys:?}"));
    let server = bench.place.serve_now().await;
    let health = server.client.get("/healthz", "").await.json();
    let names: Vec<_> = health["logs"].as_array().unwrap().iter().map(|log| log["log"].as_str().unwrap()).collect();
    assert_eq!(names, ["ledger", "statements", "compatibility"]);
    assert_eq!((&health["status"], &health["trouble"]), (&"ok".into(), &serde_json::Value::Null), "{health}");
    server.stop().await;

    // A folder in the place of its first tile stops the log of statements.
    let statements = bench.place.data().join("statements");
    let told = std::fs::read(statements.join("announced.json")).unwrap();
    std::fs::remove_dir_all(&statements).unwrap();
    std::fs::create_dir_all(statements.join("tiles/tile/0/000")).unwrap();
    std::fs::write(statements.join("announced.json"), told).unwrap();
    std::fs::write(bench.place.data().join("compatibility/digests"), vec![7; FILE_BYTES]).unwrap();
    let limit = format!("trap '' XFSZ; ulimit -S -f {}", FILE_BYTES / 512);
    let server = bench.place.try_spawn(&["--accept-rollback-risk"], Some(&limit)).ok().unwrap();
    let client = &server.client;
    let trouble = |health: &serde_json::Value| health["trouble"].as_str().unwrap_or_default().to_owned();
    let health = client.wait_for_health(|health| !trouble(health).is_empty()).await;
    assert!(trouble(&health).starts_with("statements: ") && !trouble(&health).contains("; "), "{health}");

    let mut draft = Draft::new(&[]);
    draft.algorithm = -7;
    let sent = client.request("POST", "/compatibility/entries", "").header("content-type", "application/cose");
    assert_eq!(problem(&Client::send(sent.body(draft.sign(&client_key))).await).0, 503);
    let health = client.get("/healthz", "").await.json();
    assert!(trouble(&health).contains("; compatibility: "), "{health}");
    let logs = health["logs"].as_array().unwrap();
    let troubled: Vec<_> = logs.iter().map(|log| log["trouble"].is_string()).collect();
    assert_eq!((troubled, health["status"].as_str()), (vec![false, true, true], Some("trouble")), "{health}");
    assert_eq!(logs[2]["size"], FILE_BYTES / 64);
    // Records are taken all the same.
    let ready = client.get("/readyz", "").await;
    assert_eq!((ready.status, ready.text().lines().count()), (200, 3), "{ready:?}");
    assert_eq!(client.post("/v1/records", &bench.token, fixtures::server::call(1)).await.status, 201);
    let metrics = client.get("/metrics", "").await;
    for (log, up) in [("ledger", 1), ("statements", 0), ("compatibility", 0)] {
        assert!(metrics.text().contains(&format!("affiant_log_up{{log=\"{log}\"}} {up}\n")), "{}", metrics.text());
    }
    drop(server);
}

#[tokio::test]
async fn without_the_log_there_is_nothing_of_it() {
    let place = Place::new();
    let server = place.serve().await;
    for path in ["/entries/x", "/.well-known/scitt-keys", "/statements/checkpoint"] {
        assert_eq!(server.client.get(path, "").await.status, 404, "{path}");
    }
    server.stop().await;
}
