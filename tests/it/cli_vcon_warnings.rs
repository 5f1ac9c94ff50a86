//! `affiant vcon` where silence would be taken for an answer: it warns, or refuses.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Exit code, standard output and standard error of `affiant vcon` with the words of `arguments`.
fn vcon(arguments: &str, input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
    command.arg("vcon").args(arguments.split_whitespace());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn call() -> Value {
    json!({
        "vcon": "0.4.0", "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc46", "created_at": "2026-07-01T12:00:00Z",
        "subject": "Ann's knee", "parties": [{ "name": "Ann", "tel": "+12025550100" }],
        "dialog": [{ "type": "text", "start": "2026-07-01T12:00:00Z", "parties": 0, "body": "My knee hurts" }],
        "analysis": [{ "type": "transcript", "vendor": "x", "dialog": 0, "body": "Ann: My knee hurts" }],
    })
}

#[test]
fn a_redacted_body_is_not_left_in_its_transcript() {
    for which in ["--dialog 0:body", "--dialog 0 --member body"] {
        let redact = format!("redact --domain example.com --type PII {which}");
        let (code, out, complaint) = vcon(&redact, &call().to_string());
        assert_eq!((code, out.as_str()), (3, ""), "{which}");
        assert!(complaint.contains("analysis 0 refers to dialog 0"), "{complaint}");
        assert_eq!(vcon(&format!("{redact} --keep-references"), &call().to_string()).0, 0);
        assert_eq!(vcon(&format!("{redact} --analysis 0"), &call().to_string()).0, 0);
    }
}

#[test]
fn a_redacted_party_that_is_still_told_of_is_warned_of() {
    let redact = |which: &str| vcon(&format!("redact --domain example.com --type PII {which}"), &call().to_string());
    for which in ["--party 0", "--party 0:name"] {
        let (code, _, warnings) = redact(which);
        assert_eq!(code, 0, "{warnings}");
        for place in ["the subject", "analysis 0"] {
            assert!(warnings.contains(&format!("the name of party 0 still stands in {place}")), "{warnings}");
        }
        assert!(!warnings.contains("Ann"), "{warnings}");
    }
    assert_eq!(redact("--party 0:tel").2, "");
}

#[test]
fn no_name_steers_the_terminal_of_who_reads_a_transcript() {
    let mut steering = call();
    steering["parties"][0]["name"] = json!("\u{1b}[2JAnn");
    steering["analysis"][0]["body"] = json!([{ "speaker": 0, "text": "Hi" }]);
    assert_eq!(vcon("transcript show", &steering.to_string()).1, "\u{fffd}[2JAnn: Hi\n");
    steering["extensions"] = json!(["\u{202e}x"]);
    let (_, _, warnings) = vcon("redact --domain example.com --type PII --party 0:tel", &steering.to_string());
    assert!(warnings.contains("extension \"\u{fffd}x\""), "{warnings}");
}

#[test]
fn a_permission_that_an_unread_record_could_deny_cannot_be_said() {
    let (_, granted, _) =
        vcon("lawful-basis add --basis consent --grant recording --deny training", &call().to_string());
    let check = |attachment: Value, arguments: &str| {
        let mut document: Value = serde_json::from_str(&granted).unwrap();
        document["attachments"].as_array_mut().unwrap().push(attachment);
        let said = vcon(&format!("lawful-basis check {arguments}"), &document.to_string());
        (said.0, said.1)
    };
    for unread in [
        json!({ "purpose": "lawful_basis", "party": 0, "dialog": 0, "url": "https://x.example/1" }),
        json!({ "purpose": "lawful_basis", "party": 0, "dialog": 0, "body": { "lawful_basis": "whim" } }),
    ] {
        let (code, said) = check(unread.clone(), "--purpose recording");
        assert!(code == 2 && said.contains("cannot be said") && said.contains("attachment 1"), "{code}: {said}");
        assert_eq!(check(unread.clone(), "--purpose other --json").0, 2);
        assert_eq!(check(unread.clone(), "--purpose recording --party 0").0, 2);
        assert_eq!(check(unread, "--purpose training").0, 1);
    }
    assert_eq!(check(json!({ "purpose": "note" }), "--purpose recording").0, 0);
}

#[test]
fn nothing_is_attached_to_a_dialog_that_is_not_there() {
    let empty = r#"{"parties":[{}],"dialog":[]}"#;
    for arguments in ["tag add --tag a:b", "lawful-basis add --basis consent --grant recording"] {
        let (code, out, complaint) = vcon(arguments, empty);
        assert_eq!((code, out.as_str()), (3, ""), "{arguments}");
        assert!(complaint.contains("no dialog") && complaint.contains("add one first"), "{complaint}");
    }
}

#[test]
fn a_fingerprint_is_taken_of_the_standard_input() {
    let (code, out, complaint) = vcon("fingerprint -", "abc");
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(out, format!("{}  -\n", affiant::vcon::ContentHash::of(b"abc")));
}

#[test]
fn pack_refuses_content_of_which_one_hash_of_several_is_wrong() {
    use base64::Engine as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("1.wav"), "x").unwrap();
    let pack = |content: &[u8]| {
        let digest = affiant::vcon::ContentDigests::of(content).sha384;
        let wrong = format!("sha384-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest));
        let hashes = json!([affiant::vcon::ContentHash::of(b"x").to_string(), wrong]);
        let dialog = json!({ "mediatype": "audio/wav", "url": "https://x.example/1.wav", "content_hash": hashes });
        let document = json!({ "parties": [], "dialog": [dialog] }).to_string();
        vcon(&format!("pack --from {}", dir.path().display()), &document)
    };
    assert_eq!(pack(b"x").0, 0);
    let (code, out, complaint) = pack(b"y");
    assert!(code == 3 && out.is_empty() && complaint.contains("does not have the hash sha384-"), "{complaint}");
}
