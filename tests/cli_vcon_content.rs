//! `affiant vcon` where it changes and reads what is in a vCon, as a person runs it: files, pipes, exit codes.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::process::{Command, Stdio};

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
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
    let odd = r#"{"attachments":[{"purpose":"tags","body":7}]}"#;
    assert!(vcon("tag list", odd).refusal().contains("attachment 0"));
    assert!(vcon("tag add --tag a:b", r#"{"payload":"","signatures":[]}"#).refusal().contains("signed"));
}
