//! README's commands, run as they stand there.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Every `sh` block of the README behind its first heading of this name, up to the next heading.
fn script(readme: &str, heading: &str) -> String {
    let section = readme.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn readme_the_commands_of_an_issuers_afternoon_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: no curl");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let commands = script(&readme, "An issuer in an afternoon").replace("127.0.0.1:8440", &address);
    assert!(commands.contains("affiant serve") && commands.contains("affiant audit"));
    // The address stands in the printed configuration too.
    let commands =
        commands.replace("--print-config > ", &format!("--print-config | sed s/127.0.0.1:8440/{address}/ > "));
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("policies/scorecards")).unwrap();
    let card = "policies/scorecards/outbound-call.toml";
    std::fs::copy(root.join(card), dir.path().join(card)).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_affiant")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(format!("trap 'kill $(jobs -p); wait' EXIT\n{commands}"))
        .current_dir(dir.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for expected in [
        "TOTAL-PASSED",
        "\"kind\":\"vcon.issued\"",
        "are right.",
        "none between is missing",
        " entries verified",
        "to the last byte",
        "and bodies of",
    ] {
        assert!(out.contains(expected), "{expected}: {out}\n{err}");
    }
    let results = std::fs::read_to_string(dir.path().join("results.ndjson")).unwrap();
    assert!(results.contains("\"line\":1") && results.contains("\"seq\":2"), "{results}");
}

#[test]
fn readme_the_commands_for_vcons_work() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: no openssl");
        return;
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let commands = script(&readme, "vCons on the command line");
    let dir = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_affiant")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .current_dir(dir.path())
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for expected in ["0 MUST", "My router is broken.", "every signature verifies with a key", "Rule 12: "] {
        assert!(out.contains(expected), "{expected}: {out}\n{err}");
    }
    let moved = std::fs::read_to_string(dir.path().join("moved.vcon")).unwrap();
    assert!(moved.contains("https://archive.example.com/"), "{moved}");
    assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
}

#[test]
fn readme_the_demo_shows_what_it_claims() {
    let output = Command::new(env!("CARGO_BIN_EXE_affiant")).args(["demo", "--once"]).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert_eq!(out.matches("TOTAL-PASSED").count(), 4, "{out}");
    for expected in ["SIG_CRYPTO_FAILURE", "HASH_FAILURE", "now witnessed", "Everything was as it should be."] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}
