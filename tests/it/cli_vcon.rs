//! `affiant vcon` as its users call it: files and pipes, good input and bad.

use std::collections::HashSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fixtures::vectors::folder;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        name.to_owned()
    }

    /// Runs `affiant vcon` in this place, with `input` at its standard input.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.arg("vcon").args(arguments).current_dir(self.0.path());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // A command that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn good(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn text(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.good(arguments, input)).unwrap()
    }

    /// The message of a command that could not run.
    fn refused(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote something before it refused");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().filter(|path| path.to_string_lossy().contains(".vcon"))
}

#[test]
fn a_conversation_is_put_together_in_a_pipe_and_read_by_a_person() {
    let place = Place::new();
    place.file("recording.wav", b"RIFF and more");
    place.file("note.txt", "Call back on Monday");
    place.file("summary.json", r#"{"mood": 1e2}"#);
    let new = ["new", "--domain", "example.com", "--subject", "Broken router", "--party", "Ann=tel:+12025550100"];
    let at = "2026-07-01T12:00:00Z";
    let mut vcon = place.good(&[&new[..], &["--at", at]].concat(), b"");
    for step in [
        &["party", "add", "--name", "Bob", "--mailto", "bob@example.com", "--member", "x=0.10"][..],
        &["dialog", "add", "--party", "1", "--start", at, "--text", "My router is broken."],
        &[
            "dialog",
            "add",
            "--type",
            "recording",
            "--party",
            "0",
            "--party",
            "1",
            "--start",
            at,
            "--duration",
            "61.50",
            "--content",
            "recording.wav",
            "--url",
            "https://recordings.example/1.wav",
        ],
        &["attach", "--party", "0", "--dialog", "1", "--start", at, "--purpose", "note", "--content", "note.txt"],
        &["analyze", "--type", "sentiment", "--vendor", "example", "--dialog", "0", "--content", "summary.json"],
    ] {
        vcon = place.good(step, &vcon);
    }
    let text = String::from_utf8(vcon.clone()).unwrap();
    // Numbers keep their spelling through all of it.
    assert!(text.contains("\"x\":0.10") && text.contains("\"duration\":61.50"), "{text}");
    let value: Value = serde_json::from_slice(&vcon).unwrap();
    let hash = affiant::vcon::ContentHash::of(b"RIFF and more").to_string();
    assert_eq!(value["dialog"][1]["content_hash"], hash);
    assert_eq!(value["attachments"][0]["body"], "Call back on Monday");
    assert_eq!((&value["analysis"][0]["encoding"], &value["analysis"][0]["dialog"]), (&json!("json"), &json!(0)));

    let shown = place.text(&["show"], &vcon);
    for part in ["Broken router", "0  Ann  tel:+12025550100", "My router is broken.", "1 min 2 s", &hash, "note.txt"] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours where there is no terminal");
    // What only reads takes a signed one too.
    let signed = json!({ "payload": URL_SAFE_NO_PAD.encode(&vcon), "signatures": [{ "header": { "alg": "RS256" }, "signature": "AA" }] });
    for list in ["party", "dialog"] {
        assert_eq!(place.text(&[list, "list"], signed.to_string().as_bytes()), place.text(&[list, "list"], &vcon));
    }
    let summary: Value = serde_json::from_slice(&place.good(&["show", "--json"], &vcon)).unwrap();
    assert_eq!(summary["turns"], json!([{ "party": 1, "text": "My router is broken." }]));
    assert_eq!(place.text(&["dialog", "list"], &vcon).lines().count(), 3);
    let parties: Value = serde_json::from_slice(&place.good(&["party", "list", "--json"], &vcon)).unwrap();
    assert_eq!(parties[1]["name"], "Bob");
    // Two names that nobody validated are recommendations, so the exit code is that of success.
    assert!(place.text(&["validate"], &vcon).contains("0 MUST and 2 SHOULD"));
}

#[test]
fn a_file_is_changed_in_place_as_a_whole_and_nowhere_else() {
    let place = Place::new();
    let text = "{\n  \"parties\": [ ],\n  \"x\": \"\\/\", \"n\": 1e2\n}\n";
    place.file("a.vcon", text);
    place.good(&["party", "add", "a.vcon", "--name", "anonymous", "--output", "a.vcon"], b"");
    let changed = std::fs::read_to_string(place.path("a.vcon")).unwrap();
    assert_eq!(changed, text.replace("[ ]", "[{\"name\":\"anonymous\"} ]"));
    assert!(
        place.refused(&["party", "add", "a.vcon", "--output", "no/such/folder/a"], b"").contains("no/such/folder/a")
    );
    assert_eq!(std::fs::read_to_string(place.path("a.vcon")).unwrap(), changed);
}

#[test]
fn a_program_is_told_what_was_written() {
    let place = Place::new();
    let said = place.text(&["new", "--domain", "example.com", "--output", "a.vcon", "--json"], b"");
    let written: Value = serde_json::from_str(&said).unwrap();
    let bytes = std::fs::read(place.path("a.vcon")).unwrap();
    let hash = affiant::vcon::ContentHash::of(&bytes).to_string();
    assert_eq!(written, serde_json::json!({ "file": "a.vcon", "content_hash": hash, "bytes": bytes.len() }));
    // What is printed is the document itself.
    assert_eq!(place.text(&["party", "add", "--name", "Ann", "--json"], &bytes).matches("Ann").count(), 1);
    let uuid: Value = serde_json::from_str(&place.text(&["uuid8", "example.com", "--json"], b"")).unwrap();
    assert_eq!(uuid["uuid"].as_str().map(str::len), Some(36));
}

#[test]
fn what_is_killed_while_it_writes_leaves_the_old_file_or_the_new_one() {
    let place = Place::new();
    let old = b"{\"parties\":[]}";
    let (mut killed_half_way, mut left) = (0, HashSet::new());
    for round in 0..6 {
        place.file("a.vcon", old);
        let big = format!("{{\"parties\":[],\"x\":\"{}\"}}", "y".repeat((4 + round) << 20));
        place.file("b.vcon", &big);
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.current_dir(place.path("")).args(["vcon", "party", "add", "b.vcon", "--output", "a.vcon"]);
        let mut child = command.spawn().unwrap();
        // Killed as soon as it begins to write, or after some mebibytes.
        let bytes_min = u64::try_from(round << 20).unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            let mut entries = std::fs::read_dir(place.path("")).unwrap().map(Result::unwrap);
            let is_begun = |entry: &std::fs::DirEntry| {
                entry.file_name().to_string_lossy().starts_with(".new-")
                    && entry.metadata().is_ok_and(|data| data.len() >= bytes_min)
            };
            // What an earlier round left behind is there too.
            if let Some(begun) = entries.find(|entry| !left.contains(&entry.file_name()) && is_begun(entry)) {
                child.kill().unwrap();
                left.insert(begun.file_name());
            }
        };
        let found = std::fs::read(place.path("a.vcon")).unwrap();
        assert!(found == old || found.len() > big.len(), "round {round}: {} bytes", found.len());
        assert!(status.success() || status.signal() == Some(9), "{status}");
        killed_half_way += usize::from(found == old && !status.success());
    }
    assert!(killed_half_way > 0, "no round was killed in time");
}

#[test]
fn validate_says_which_rule_where_and_how_strongly() {
    let place = Place::new();
    let broken = br#"{"uuid":"x","created_at":"2026-07-01T12:00:00Z","dialog":[{"type":"video","start":"now"}]}"#;
    let output = place.run(&["validate", "--json"], broken);
    assert_eq!(output.status.code(), Some(1));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<_> = results[0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["pointer"].as_str().unwrap(), finding["rule"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, [("/uuid", 7), ("/dialog/0/type", 14), ("/dialog/0/start", 1)]);
    for rule in 1..=33 {
        let text = place.text(&["validate", "--explain", &rule.to_string()], b"");
        assert!(text.starts_with(&format!("Rule {rule}: ")), "{text}");
    }
    assert!(place.refused(&["validate", "--explain", "34"], b"").contains("no rule 34"));
    // Several files at once, and one of them gzipped.
    place.file("a.vcon", br#"{"parties":[]}"#);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(br#"{"parties":[],"vcon":"0.0.1"}"#).unwrap();
    place.file("b.vcon.gz", gzip.finish().unwrap());
    let output = place.run(&["validate", "a.vcon", "b.vcon.gz"], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a.vcon: 2 MUST and 0 SHOULD") && text.contains("b.vcon.gz: 2 MUST and 1 SHOULD"), "{text}");
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_written() {
    let place = Place::new();
    place.file("bare", "no extension");
    let vcon: &[u8] = br#"{"parties":[{}],"dialog":[{}]}"#;
    let signed: &[u8] = br#"{"payload":"e30","signatures":[{"header":{"alg":"RS256"},"signature":"AA"}]}"#;
    let encrypted: &[u8] = br#"{"ciphertext":"","recipients":[],"unprotected":{"uuid":"some \u001b[31mid"}}"#;
    let critical: &[u8] = br#"{"parties":[{}],"dialog":[{}],"critical":["holograms"]}"#;
    let twice: &[u8] = br#"{"parties":[],"parties":[]}"#;
    for (arguments, input, message) in [
        (&["party", "add", "--name", "x"][..], signed, "is signed"),
        (&["party", "add", "--name", "x"], encrypted, "is encrypted"),
        (&["party", "add", "--name", "x"], twice, "appears twice"),
        (&["party", "add", "--name", "x"], b"[]", "not a vCon"),
        (&["party", "add", "--name", "x"], b"\xff{}", "UTF-8"),
        (&["party", "add", "--name", "x", "--member", "name=y"], vcon, "name is given twice"),
        (&["dialog", "add", "--party", "1", "--text", "x"], vcon, "no party 1"),
        (&["dialog", "add", "--start", "today", "--text", "x"], vcon, "today"),
        (&["dialog", "add", "--duration", "long", "--text", "x"], vcon, "long"),
        (&["dialog", "add"], vcon, "--text, --content, or --url"),
        (&["dialog", "add", "--content", "bare"], vcon, "--mediatype"),
        (&["dialog", "add", "--url", "http://x.example", "--hash", "sha512-AA"], vcon, "HTTPS"),
        (&["dialog", "add", "--url", "https://x.example"], vcon, "--content or --hash"),
        (&["dialog", "add", "--url", "https://x.example", "--hash", "sha512-AA"], vcon, "not a content hash"),
        (&["attach", "--party", "0", "--dialog", "1", "--text", "x"], vcon, "no dialog 1"),
        (&["party", "add", "--name", "x"], critical, "holograms"),
        (&["tag", "add", "--tag", "a:b"], critical, "holograms"),
        (&["migrate"], critical, "holograms"),
        (&["unpack", "--dir", "out", "--url-prefix", "https://x.example/"], critical, "holograms"),
        (&["dialog", "add", "--type", "bogus", "--text", "x"], vcon, "bogus"),
        (&["dialog", "add", "--type", "incomplete", "--disposition", "busy", "--text", "x"], vcon, "no content"),
        (&["dialog", "add", "--type", "incomplete"], vcon, "--disposition"),
        (&["dialog", "add", "--disposition", "busy", "--text", "x"], vcon, "--disposition"),
        (&["new", "--domain", ""], b"", "domain"),
        (&["show"], encrypted, "affiant vcon decrypt"),
        (&["show"], b"{}", "not a vCon"),
        (&["show", "missing.vcon"], b"", "missing.vcon"),
        (&["new", "--domain", "example.com", "--party", "Ann"], b"", "NAME=URI"),
        (&["uuid8", "example.com", "--at", "now"], b"", "RFC 3339"),
    ] {
        let said = place.refused(arguments, input);
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(!said.contains('\u{1b}'), "{arguments:?} hands a command to the terminal");
    }
    let large = vec![b' '; (32 << 20) + 1];
    assert!(place.refused(&["show"], &large).contains("33554432 bytes"));
}

#[test]
fn vectors_every_example_is_shown_and_every_older_one_migrated() {
    let place = Place::new();
    for path in folder("vcon-core-03").iter().chain(&folder("vcon-legacy")).flat_map(|folder| files(folder)) {
        let bytes = std::fs::read(&path).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        if affiant::vcon::Form::of(&value).is_none() {
            // The draft's folder also holds a test of its own typesetting.
            assert!(place.refused(&["show"], &bytes).contains("not a vCon"));
            continue;
        }
        let shown = place.text(&["show"], &bytes);
        let named = value["parties"].as_array().into_iter().flatten().filter_map(|party| party["name"].as_str());
        for name in named {
            assert!(shown.contains(name), "{}: {name} is not in\n{shown}", path.display());
        }
        if value.get("payload").is_some() {
            continue;
        }
        let migrated = place.good(&["migrate"], &bytes);
        let results: Value = serde_json::from_slice(&place.run(&["validate", "--json"], &migrated).stdout).unwrap();
        for finding in results[0]["findings"].as_array().unwrap() {
            let (rule, pointer) = (finding["rule"].as_u64().unwrap(), finding["pointer"].as_str().unwrap());
            // What no document says: times without an offset, who brought an attachment, what media type it has.
            let unsaid = finding["message"].as_str().unwrap().ends_with("is missing") || matches!(rule, 1 | 19);
            let gone = matches!(pointer.rsplit('/').next().unwrap(), "role" | "group" | "timezone");
            assert!(finding["level"] == "SHOULD" && (rule != 8 || gone) || unsaid, "{}: {finding}", path.display());
        }
        assert_eq!(place.good(&["migrate"], &migrated), migrated, "a second time nothing is changed");
    }
}
