//! `affiant vcon` where it changes and reads what is in a vCon, as a person runs it: files, pipes, exit codes.

use crate::fixtures;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use affiant::vcon::ContentHash;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The exit code of a command that could not do what it was asked to do.
const COULD_NOT_RUN: i32 = 3;

struct Said {
    code: i32,
    out: Vec<u8>,
    complaint: String,
}

impl Said {
    fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.complaint);
        std::str::from_utf8(&self.out).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap()
    }

    /// What it complained of, having written nothing.
    fn refusal(&self) -> &str {
        assert_eq!((self.code, self.out.len()), (COULD_NOT_RUN, 0), "{}", self.complaint);
        &self.complaint
    }
}

/// Runs `affiant vcon` with the words of `arguments`, `input` on its standard input.
fn vcon(arguments: &str, input: impl AsRef<[u8]>) -> Said {
    let words: Vec<_> = arguments.split_whitespace().collect();
    vcon_args(&words, input)
}

fn vcon_args(arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
    run(Command::new(env!("CARGO_BIN_EXE_affiant")), arguments, input)
}

fn run(mut command: Command, arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
    command.arg("vcon").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    Said { code: output.status.code().unwrap(), out: output.stdout, complaint }
}

const CALL: &str = r#"{ "vcon":"0.4.0", "uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46", "created_at":"2026-07-01T12:00:00Z",
  "parties": [{"name":"Ann","tel":"+12025550100"}, {"name":"Bob"}],
  "dialog": [{"type":"text","start":"2026-07-01T12:00:00Z","parties":1,"mediatype":"text/plain","body":"Hi","encoding":"none"}],
  "zzz": 1e2 }"#;

#[test]
fn tags_are_added_read_and_removed_in_a_pipe() {
    let tagged = vcon("tag add --tag topic:billing --tag seen:12:30 --at 2026-07-01T13:00:00Z", CALL);
    let document = tagged.json();
    assert!(tagged.text().starts_with(CALL.trim_end_matches(" }")), "every other byte is kept");
    let attachment = json!({
        "purpose": "tags", "start": "2026-07-01T13:00:00.000Z", "party": 0, "dialog": 0,
        "mediatype": "application/json", "body": ["topic:billing", "seen:12:30"], "encoding": "json",
    });
    assert_eq!(document["attachments"], json!([attachment]));

    assert_eq!(vcon("tag get --key seen", tagged.text()).text(), "12:30\n");
    assert_eq!(vcon("tag get --key seen --json", tagged.text()).json(), json!(["12:30"]));
    assert_eq!(vcon("tag get --key nothing", tagged.text()).code, 1);
    assert_eq!(vcon("tag list", tagged.text()).text(), "KEY    VALUE\ntopic  billing\nseen   12:30\n");
    let listed = vcon("tag list --json", tagged.text()).json();
    assert_eq!(listed[1], json!({ "key": "seen", "value": "12:30" }));

    let removed = vcon("tag remove --key topic", tagged.text());
    assert_eq!(removed.json()["attachments"][0]["body"], json!(["seen:12:30"]));
    assert_eq!(vcon("tag remove --key seen --value x", removed.text()).text(), removed.text());
}

#[test]
fn tags_that_are_none_are_refused() {
    assert!(vcon("tag add --tag urgent", CALL).refusal().contains("not KEY:VALUE"));
    assert!(vcon("tag add --tag :x", CALL).refusal().contains("key"));
    assert!(vcon("tag list", "{}").refusal().contains("not a vCon"));
    let steering = r#"{"attachments":[{"purpose":"tags","body":["a:\u001b[2J"]}]}"#;
    assert_eq!(vcon("tag get --key a", steering).text(), "\u{fffd}[2J\n");
    let odd = r#"{"attachments":[{"purpose":"tags","body":7}]}"#;
    assert!(vcon("tag list", odd).refusal().contains("attachment 0"));
    assert!(vcon("tag add --tag a:b", r#"{"payload":"","signatures":[]}"#).refusal().contains("signed"));
}

#[test]
fn a_fingerprint_is_the_hash_that_binds_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("call.wav");
    std::fs::write(&path, recording()).unwrap();
    let (path, hash) = (path.to_str().unwrap(), ContentHash::of(&recording()).to_string());
    assert_eq!(vcon_args(&["fingerprint", path], "").text(), format!("{hash}  {path}\n"));
    let expected = json!([{ "file": path, "content_hash": hash, "bytes": recording().len() }]);
    assert_eq!(vcon_args(&["fingerprint", path, "--json"], "").json(), expected);
    assert!(vcon("fingerprint /nowhere/x", "").refusal().contains("opening"));
}

/// Large enough to be held outside of the document.
fn recording() -> Vec<u8> {
    (0..200_000_u32).map(|byte| (byte * 7 % 251) as u8).collect()
}

fn with_recordings() -> String {
    let (big, small) = (URL_SAFE_NO_PAD.encode(recording()), URL_SAFE_NO_PAD.encode(b"RIFF"));
    format!(
        r#"{{ "parties":[{{}}], "zzz":1e2,
  "dialog": [
    {{"type":"recording","mediatype":"audio/wav","filename":"../../call.wav","body":"{big}","encoding":"base64url"}},
    {{"type":"text","mediatype":"text/plain","body":"Hi","encoding":"none"}},
    {{"type":"recording","mediatype":"audio/x-wav","filename":"call.wav","body":"{small}","encoding":"base64url"}}
  ], "attachments": [ {{"purpose":"scan","mediatype":"image/png","encoding":"base64url","body":"AAAA"}} ] }}"#
    )
}

#[test]
fn what_is_unpacked_is_packed_again_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("files");
    let folder = out.to_str().unwrap();
    let unpacked = vcon_args(&["unpack", "--dir", folder, "--url-prefix", "https://x.example/r/"], with_recordings());
    let document = unpacked.json();
    let first = json!({
        "type": "recording", "mediatype": "audio/wav", "filename": "../../call.wav",
        "url": "https://x.example/r/call.wav", "content_hash": ContentHash::of(&recording()).to_string(),
    });
    assert_eq!(document["dialog"][0], first);
    assert_eq!(document["dialog"][1]["body"], "Hi");
    assert_eq!(document["dialog"][2]["url"], "https://x.example/r/dialog-2-call.wav");
    assert_eq!(document["attachments"][0]["url"], "https://x.example/r/attachment-0.png");
    assert_eq!(std::fs::read(out.join("call.wav")).unwrap(), recording());
    assert_eq!(std::fs::read(out.join("dialog-2-call.wav")).unwrap(), b"RIFF");
    assert!(unpacked.text().contains(r#""zzz":1e2"#) && unpacked.complaint.contains("dialog 2"));

    let packed = vcon_args(&["pack", "--from", folder], unpacked.text());
    let expected: Value = serde_json::from_str(&with_recordings()).unwrap();
    assert_eq!(packed.json(), expected);
    let target = dir.path().join("packed.json");
    let target = target.to_str().unwrap();
    assert_eq!(vcon_args(&["pack", "--from", folder, "--dialog", "2", "-o", target], unpacked.text()).text(), "");
    let half: Value = serde_json::from_slice(&std::fs::read(target).unwrap()).unwrap();
    assert_eq!((&half["dialog"][2], &half["dialog"][0]), (&expected["dialog"][2], &document["dialog"][0]));
    // Content that is inline already goes through as it is.
    let again = vcon_args(&["pack", "--from", folder, target], "");
    assert_eq!(again.json(), expected);
    // Out of gzip, as every other command takes it.
    assert_eq!(vcon_args(&["pack", "--from", folder], gzip(unpacked.text().as_bytes())).json(), expected);
    let empty = dir.path().join("again");
    let unpack = ["unpack", "--dir", empty.to_str().unwrap(), "--url-prefix", "https://x.example/r/"];
    assert_eq!(vcon_args(&unpack, gzip(with_recordings().as_bytes())).json(), document);
    let mut cut = gzip(with_recordings().as_bytes());
    cut.truncate(cut.len() - 1);
    assert!(vcon_args(&["pack", "--from", folder], cut).refusal().contains("gzip stream is corrupt"));
    let bomb = format!(r#"{{"dialog":[{{"body":"{}"}}]}}"#, "A".repeat(4 << 20));
    assert!(vcon_args(&["pack", "--from", folder], gzip(bomb.as_bytes())).refusal().contains("inflates to more than"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn unpack_overwrites_nothing_and_leaves_nothing_behind_when_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let arguments = ["unpack", "--dir", folder, "--url-prefix", "https://x.example/"];
    std::fs::write(dir.path().join("dialog-2-call.wav"), "mine").unwrap();
    assert!(vcon_args(&arguments, with_recordings()).refusal().contains("there already"));
    let names = || std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), ["dialog-2-call.wav"]);
    assert_eq!(std::fs::read(dir.path().join("dialog-2-call.wav")).unwrap(), b"mine");

    let bad = with_recordings().replace("\"AAAA\"", "\"AA+A\"");
    assert!(vcon_args(&[&arguments[..], &["--force"]].concat(), &bad).refusal().contains("attachment 0"));
    let hashed =
        with_recordings().replace("\"AAAA\"", &format!("\"AAAA\",\"content_hash\":\"{}\"", ContentHash::of(b"x")));
    assert!(vcon_args(&[&arguments[..], &["--force"]].concat(), hashed).refusal().contains("does not have the hash"));
    assert_eq!(names().len(), 1);
    assert_eq!(vcon_args(&[&arguments[..], &["--force"]].concat(), with_recordings()).code, 0);
    assert_eq!(std::fs::read(dir.path().join("dialog-2-call.wav")).unwrap(), b"RIFF");

    let letters = format!(r#"{{"dialog":[{{"type":"text","body":"{}","encoding":"none"}}]}}"#, "a".repeat(100_000));
    assert_eq!(vcon_args(&arguments, &letters).text(), letters);
    let all = vcon_args(&[&arguments[..], &["--all"]].concat(), &letters);
    assert!(all.refusal().contains("looks like base64url"), "{}", all.complaint);
    assert!(vcon_args(&arguments, [0x1f, 0x8b, 8, 0]).refusal().contains("corrupt"));
    assert!(vcon_args(&["unpack", "--dir", folder, "--url-prefix", "http://x/"], "{}").refusal().contains("https"));
    assert!(
        vcon_args(&[&arguments[..], &["--dialog", "9"]].concat(), with_recordings()).refusal().contains("dialog 9")
    );
    let all = vcon_args(&[&arguments[..], &["--force", "--all", "--dialog", "1"]].concat(), with_recordings()).json();
    assert_eq!(all["dialog"][1]["url"], "https://x.example/dialog-1.txt");
    assert_eq!(std::fs::read(dir.path().join("dialog-1.txt")).unwrap(), b"Hi");
}

fn external(url: &str, hash: &str) -> String {
    format!(r#"{{"parties":[],"dialog":[{{"type":"recording","url":"{url}"{hash}}}]}}"#)
}

fn bound(content: &[u8]) -> String {
    format!(r#","content_hash":"{}""#, ContentHash::of(content))
}

#[test]
fn pack_takes_no_content_without_its_hash_and_from_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(dir.path().join("secret"), "x").unwrap();
    std::fs::write(folder.join("1.wav"), "x").unwrap();
    std::fs::write(folder.join("1"), "x").unwrap();
    let target = dir.path().join("out.json");
    let (from, out) = (folder.to_str().unwrap(), target.to_str().unwrap());
    let pack = |document: String| vcon_args(&["pack", "--from", from, "-o", out], document);
    let typed = |content: &[u8]| format!(r#","mediatype":"audio/x-wav"{}"#, bound(content));
    for (document, complaint) in [
        (external("https://x.example/1.wav", ""), "no content_hash"),
        (external("https://x.example/1.wav", &bound(b"y")), "does not have the hash"),
        (external("https://x.example/1.wav", r#","content_hash":"sha999-AAAA""#), "sha512"),
        (external("https://x.example/1.wav", r#","content_hash":"sha512-AAAA""#), "not a content hash"),
        (external("https://x.example/1", &bound(b"x")), "no mediatype"),
        (external("https://x.example/../secret", &typed(b"x")), "not in the directory"),
        (external("https://x.example/", &format!(r#","filename":"../secret"{}"#, typed(b"x"))), "not in the directory"),
    ] {
        let said = pack(document);
        assert!(said.refusal().contains(complaint), "{}", said.complaint);
        assert!(!target.exists());
    }
    std::fs::write(folder.join("a call.wav"), "x").unwrap();
    let spaced = external("https://x.example/a%20call.wav", &format!(r#","filename":"a call.wav"{}"#, bound(b"x")));
    assert_eq!(pack(spaced).code, 0);
    let two = format!(r#","content_hash":["sha999-AAAA","{}"]"#, ContentHash::of(b"x"));
    assert_eq!(pack(external("https://x.example/1.wav?token=1", &two)).code, 0);
    let packed: Value = serde_json::from_slice(&std::fs::read(target).unwrap()).unwrap();
    assert_eq!(
        packed["dialog"][0],
        json!({ "type": "recording", "mediatype": "audio/x-wav", "body": "eA", "encoding": "base64url" })
    );
}

/// Serves one file over HTTPS on this machine and gives `localhost:PORT`; its certificate goes to `root`. Other paths
/// are redirects to it.
fn https_server(root: &Path) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(root, certificate.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = vec![0; 4096];
            let Ok(length) = stream.read(&mut request) else { continue };
            let is_file = request[..length].starts_with(b"GET /r/call.wav ");
            let head = if is_file {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", recording().len())
            } else {
                "HTTP/1.1 302 Found\r\nlocation: /r/call.wav\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into()
            };
            let _ = stream.write_all(head.as_bytes());
            if is_file {
                let _ = stream.write_all(&recording());
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    host
}

#[test]
fn pack_fetches_from_hosts_that_are_allowed_and_from_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    let host = https_server(&root);
    let pack = |arguments: &[&str], document: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.env("SSL_CERT_FILE", &root);
        run(command, &[&["pack"], arguments].concat(), document)
    };
    let url = format!("https://{host}/r/call.wav");
    let document = || external(&url, &bound(&recording()));
    let packed = pack(&["--allow", &host, "--allow-private"], document()).json();
    assert_eq!(packed["dialog"][0]["body"], URL_SAFE_NO_PAD.encode(recording()));

    for (arguments, document, complaint) in [
        (&[][..], document(), "is not allowed"),
        (&["--allow-private"], document(), "is not allowed"),
        (&["--allow", "localhost", "--allow-private"], document(), "is not allowed"),
        (&["--allow", &host], document(), "no public address"),
        (&["--allow", &host, "--allow-private"], document().replace("https", "http"), "not an https address"),
        (&["--allow", &host, "--allow-private"], document().replace("call.wav", "x"), "status 302"),
        (&["--allow", &host, "--allow-private"], external(&url, &bound(b"y")), "does not have the hash"),
    ] {
        let said = pack(arguments, document);
        assert!(said.refusal().contains(complaint), "{complaint}: {}", said.complaint);
    }
    let mut stranger = Command::new(env!("CARGO_BIN_EXE_affiant"));
    stranger.env_remove("SSL_CERT_FILE");
    let said = run(stranger, &["pack", "--allow", &host, "--allow-private"], document());
    assert!(said.refusal().contains("connection"), "{}", said.complaint);
}

#[test]
fn an_amendment_points_back_to_what_it_amends() {
    let amended = vcon("amend --domain example.com --at 2026-07-01T13:00:00Z", CALL);
    let document = amended.json();
    assert_eq!(document["amended"], json!({ "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc46" }));
    assert_eq!(
        (&document["created_at"], &document["uuid"].as_str().unwrap()[14..15]),
        (&json!("2026-07-01T13:00:00.000Z"), "8")
    );
    assert!(amended.text().contains(r#""zzz": 1e2"#));

    // Whatever signed it: the payload is what is amended, and the signed form is what is referred to.
    let signed = json!({
        "payload": URL_SAFE_NO_PAD.encode(CALL),
        "signatures": [{ "protected": URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), "signature": "AAAA" }],
    });
    let signed = signed.to_string();
    let amended = vcon("amend --domain example.com --url https://x.example/1", &signed).json();
    let hash = ContentHash::of(signed.as_bytes()).to_string();
    let expected = json!({
        "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc46", "url": "https://x.example/1", "content_hash": hash,
    });
    assert_eq!((&amended["amended"], &amended["dialog"][0]["body"]), (&expected, &json!("Hi")));

    assert!(vcon("amend --domain example.com --url http://x.example", CALL).refusal().contains("https"));
    assert!(vcon("amend --domain example.com", r#"{"parties":[]}"#).refusal().contains("no uuid"));
    let critical = r#"{"uuid":"a","parties":[],"critical":["holograms"]}"#;
    assert!(vcon("amend --domain example.com", critical).refusal().contains("holograms"));
    assert!(vcon("amend --domain example.com", r#"{"ciphertext":"","recipients":[]}"#).refusal().contains("decrypt"));
}

#[test]
fn a_redaction_leaves_placeholders_and_refers_to_the_encrypted_whole() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.json");
    let encrypted =
        r#"{"unprotected":{"uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46"},"ciphertext":"","recipients":[]}"#;
    std::fs::write(&whole, encrypted).unwrap();
    let file = whole.to_str().unwrap();
    let redact = |arguments: &str| vcon(&format!("redact --domain example.com --type PII {arguments}"), CALL);
    let redacted =
        redact(&format!("--party 0:tel --party 1 --dialog 0 --original {file} --original-url https://x.example/1"));
    let document = redacted.json();
    assert_eq!(document["parties"], json!([{ "name": "Ann" }, {}]));
    assert_eq!(document["dialog"], json!([{}]));
    let expected = json!({
        "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc46", "url": "https://x.example/1",
        "content_hash": ContentHash::of(encrypted.as_bytes()).to_string(), "type": "PII",
    });
    assert_eq!(document["redacted"], expected);
    assert!(!redacted.text().contains("Hi") && !redacted.text().contains("Bob"));

    let names = redact("--party 0 --party 1 --member name --no-original").json();
    assert_eq!(
        (&names["parties"], &names["redacted"]),
        (&json!([{ "tel": "+12025550100" }, {}]), &json!({ "type": "PII" }))
    );

    for (arguments, complaint) in [
        ("", "nothing to redact"),
        ("--party 7", "no party 7"),
        ("--party x", "index"),
        ("--party 1:tel", "no tel"),
        ("--top-level uuid", "cannot be removed"),
        ("--party 0 --original-url https://x.example/1", "--original"),
    ] {
        assert!(redact(arguments).refusal().contains(complaint), "{arguments}: {}", redact(arguments).complaint);
    }
    let clear = dir.path().join("clear.json");
    std::fs::write(&clear, CALL).unwrap();
    assert!(redact(&format!("--party 0 --original {}", clear.display())).refusal().contains("not encrypted"));
    std::fs::write(&clear, encrypted.replace("019f", "019e")).unwrap();
    assert!(redact(&format!("--party 0 --original {}", clear.display())).refusal().contains("is vCon 019e"));
    let transcribed = CALL.replace(r#""zzz""#, r#""analysis":[{"type":"transcript","dialog":0,"body":"Hi"}], "zzz""#);
    let refused = vcon("redact --domain example.com --type PII --dialog 0", &transcribed);
    assert!(refused.refusal().contains("analysis 0 refers to dialog 0"), "{}", refused.complaint);
    assert_eq!(vcon("redact --domain example.com --type PII --dialog 0 --keep-references", &transcribed).code, 0);
}

#[test]
fn a_lawful_basis_is_recorded_and_what_is_recorded_is_said() {
    let add = |arguments: &str, document: &str| {
        vcon(&format!("lawful-basis add --at 2026-07-01T12:00:00Z {arguments}"), document)
    };
    let consent = add(
        "--basis consent --expires 2027-07-01T12:00:00Z --grant recording --grant analysis --deny training
         --condition analysis=anonymous --member terms_of_service=https://x.example",
        CALL,
    );
    let attachment = json!({
        "purpose": "lawful_basis", "start": "2026-07-01T12:00:00.000Z", "party": 0, "dialog": 0,
        "mediatype": "application/json", "encoding": "json", "body": {
            "lawful_basis": "consent", "expiration": "2027-07-01T12:00:00.000Z", "purpose_grants": [
                { "purpose": "recording", "granted": true, "granted_at": "2026-07-01T12:00:00.000Z" },
                { "purpose": "analysis", "granted": true, "granted_at": "2026-07-01T12:00:00.000Z", "conditions": ["anonymous"] },
                { "purpose": "training", "granted": false, "granted_at": "2026-07-01T12:00:00.000Z" },
            ], "terms_of_service": "https://x.example",
        },
    });
    assert_eq!(consent.json()["attachments"], json!([attachment]));
    assert_eq!(consent.json()["extensions"], json!(["lawful_basis"]));

    let check = |arguments: &str| {
        let said = vcon(&format!("lawful-basis check --json {arguments}"), consent.text());
        let answer: Value = serde_json::from_slice(&said.out).unwrap();
        (said.code, answer["permission"].as_str().unwrap().to_owned())
    };
    assert_eq!(check("--purpose recording --at 2026-08-01T00:00:00Z"), (0, "granted".into()));
    assert_eq!(check("--purpose recording --at 2027-08-01T00:00:00Z"), (1, "not recorded".into()));
    assert_eq!(check("--purpose recording --at 2026-08-01T00:00:00Z --party 1"), (1, "not recorded".into()));
    assert_eq!(check("--purpose training --at 2026-08-01T00:00:00Z"), (1, "denied".into()));
    let said = vcon("lawful-basis check --purpose recording --at 2026-08-01T00:00:00Z", consent.text());
    assert!(said.text().contains("granted") && said.text().contains("does not say that processing is lawful"));

    let listed = vcon("lawful-basis list --at 2028-01-01T00:00:00Z", consent.text());
    assert!(listed.text().contains("(expired)  +recording +analysis -training"), "{}", listed.text());
    let listed = vcon("lawful-basis list --json --at 2028-01-01T00:00:00Z", consent.text()).json();
    assert_eq!((&listed[0]["expired"], &listed[0]["body"]["lawful_basis"]), (&json!(true), &json!("consent")));

    for (arguments, complaint) in [
        ("--basis whim", "not one of consent"),
        ("--basis consent --expires soon", "not an RFC 3339 time"),
        ("--basis consent --party 7", "no party 7"),
        ("--basis consent --deny x --condition x=y", "x is not granted"),
        ("--basis consent --member purpose_grants=7", "purpose_grants"),
        ("--basis consent --member content_hash={}", "content_hash"),
    ] {
        let said = add(arguments, CALL);
        assert!(said.refusal().contains(complaint), "{arguments}: {}", said.complaint);
    }
}

#[test]
fn a_transcript_is_added_shown_and_written_as_captions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wtf.json");
    let file = file.to_str().unwrap();
    let body = json!({
        "transcript": { "text": "Hello. Hi.", "language": "en", "duration": 75, "confidence": 0.9 },
        "segments": [
            { "id": 0, "start": 0.5, "end": 2.25, "text": "Hello.", "confidence": 0.9, "speaker": 0 },
            { "id": 1, "start": 72, "end": 74, "text": "Hi & bye.", "confidence": 0.9, "speaker": "S" },
        ],
        "speakers": { "S": { "id": "S", "label": "Bob" } },
        "metadata": {
            "created_at": "2026-07-01T12:00:00Z", "processed_at": "2026-07-01T12:00:00Z", "provider": "p", "model": "m",
        },
    });
    std::fs::write(file, body.to_string()).unwrap();
    let added = vcon_args(&["transcript", "add", "--body", file, "--at", "2026-07-01T13:00:00Z"], CALL);
    let analysis = json!({
        "type": "wtf_transcription", "start": "2026-07-01T13:00:00.000Z", "dialog": 0, "vendor": "p", "product": "m",
        "mediatype": "application/json", "encoding": "json", "body": body,
    });
    assert_eq!(added.json()["analysis"], json!([analysis]));
    assert_eq!(added.json()["extensions"], json!(["wtf_transcription"]));
    assert_eq!(vcon("transcript show", added.text()).text(), "  0:00.5  Ann: Hello.\n  1:12.0  Bob: Hi & bye.\n");
    assert_eq!(vcon("transcript show --json", added.text()).json(), body);
    let srt = "1\n00:00:00,500 --> 00:00:02,250\nAnn: Hello.\n\n2\n00:01:12,000 --> 00:01:14,000\nBob: Hi & bye.\n\n";
    assert_eq!(vcon("transcript srt", added.text()).text(), srt);
    let vtt = "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\n<v Ann>Hello.\n\n00:01:12.000 --> 00:01:14.000\n<v Bob>Hi &amp; bye.\n\n";
    assert_eq!(vcon("transcript vtt", added.text()).text(), vtt);
    assert_eq!(vcon("transcript show", CALL).text(), "Bob: Hi\n");

    assert!(vcon("transcript srt", CALL).refusal().contains("0 transcripts"));
    assert!(vcon("transcript vtt --number 1", added.text()).refusal().contains("1 transcripts"));
    assert!(vcon("transcript show", r#"{"parties":[]}"#).refusal().contains("no transcript"));
    assert!(vcon_args(&["transcript", "add", "--body", file, "--dialog", "1"], CALL).refusal().contains("no dialog 1"));
    std::fs::write(file, r#"{"segments":[]}"#).unwrap();
    assert!(vcon_args(&["transcript", "add", "--body", file], CALL).refusal().contains("/transcript/text"));
    std::fs::write(file, "[]").unwrap();
    assert!(vcon_args(&["transcript", "add", "--body", file], CALL).refusal().contains("segments"));
}

fn example(folder: &Path, name: &str) -> (String, Value) {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

#[test]
fn vectors_the_recording_of_the_draft_goes_in_and_out() {
    let Some(folder) = fixtures::vectors::folder("vcon-core-03") else { return };
    let recording = std::fs::read(folder.join("ab_call.mp3")).unwrap();
    let (inline, with_body) = example(&folder, "ab_call_int_rec.vcon");
    let (external, with_url) = example(&folder, "ab_call_ext_rec.vcon");

    // Inline is a shorter recording of the same call.
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let unpacked = vcon_args(&["unpack", "--dir", out, "--url-prefix", "https://x.example/"], &inline);
    let content = std::fs::read(dir.path().join("ab_call.wav")).unwrap();
    assert!(content.starts_with(b"RIFF"));
    let body = with_body["dialog"][0]["body"].as_str().unwrap().trim_end_matches('=');
    assert_eq!(URL_SAFE_NO_PAD.encode(&content), body);
    let again = vcon_args(&["pack", "--from", out], unpacked.text()).json();
    assert_eq!(again["dialog"][0]["body"], body);

    let packed = vcon_args(&["pack", "--from", folder.to_str().unwrap()], &external).json();
    assert_eq!(packed["dialog"][0]["body"], URL_SAFE_NO_PAD.encode(&recording));
    let unpacked =
        vcon_args(&["unpack", "--dir", out, "--url-prefix", "https://x.example/"], packed.to_string()).json();
    assert_eq!(unpacked["dialog"][0]["content_hash"], with_url["dialog"][0]["content_hash"]);
    assert!(vcon("pack", &external).refusal().contains("not allowed"));
}

#[test]
fn vectors_the_instance_versions_of_the_draft_are_made() {
    let Some(folder) = fixtures::vectors::folder("vcon-core-03") else { return };
    let (whole, _) = example(&folder, "ab_call_ext_rec.vcon");
    let (_, mut expected) = example(&folder, "ab_call_ext_rec_amended.vcon");
    let mut amended = vcon("amend --domain example.com", &whole).json();
    // What is added is the caller's matter, and so are the uuid and the time.
    for list in ["dialog", "analysis", "attachments"] {
        let kept = amended[list].as_array().unwrap().len();
        expected[list].as_array_mut().unwrap().truncate(kept);
    }
    for document in [&mut amended, &mut expected] {
        let members = document.as_object_mut().unwrap();
        ["uuid", "created_at", "updated_at"].into_iter().for_each(|name| drop(members.remove(name)));
    }
    assert_eq!(amended, expected);

    // The draft's redacted example, as its text describes it.
    let arguments = "redact --domain example.com --type PII --party 0 --party 1 --member tel --dialog 0:url";
    let redacted = vcon(arguments, &whole).json();
    assert_eq!(redacted["parties"], json!([{ "name": "Alice" }, { "name": "Bob" }]));
    assert_eq!((redacted["dialog"][0].get("url"), &redacted["redacted"]["type"]), (None, &json!("PII")));

    // The signed form of the same call.
    let (signed, _) = example(&folder, "ab_call_ext_rec_signed.vcon");
    let amended = vcon("amend --domain example.com --url https://x.example/signed.vcon", &signed).json();
    assert_eq!(amended["amended"]["content_hash"], ContentHash::of(signed.as_bytes()).to_string());
    assert_eq!(amended["parties"], expected["parties"]);
}
