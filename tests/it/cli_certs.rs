//! `affiant certs` and `affiant token`, as a person runs them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

struct Shell {
    directory: tempfile::TempDir,
}

impl Shell {
    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_affiant"))
            .args(arguments)
            .args(["--data", "data", "--json"])
            .current_dir(self.directory.path())
            .env("AFFIANT_PASSPHRASE", "correct")
            .output()
            .unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout).unwrap() }
    }

    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// The built-in profiles with keys that are quick to make.
fn write_profiles(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/profiles")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("rsa-4096", "rsa-2048").replace("rsa-3072", "rsa-2048");
        std::fs::write(directory.join(path.file_name().unwrap()), text).unwrap();
    }
}

#[test]
fn a_certificate_lives_from_init_to_revocation() {
    let shell = Shell { directory: tempfile::tempdir().unwrap() };
    write_profiles(&shell.directory.path().join("profiles"));
    let init = ["certs", "init", "--organisation", "Example Ltd", "--base-url", "http://pki.example.com"];
    let init = [&init[..], &["--root-key", "root-key.pem", "--profiles", "profiles"]].concat();
    assert_eq!(shell.run(&init).as_array().unwrap().len(), 3);
    assert!(shell.refusal(&init).contains("already has an authority"));

    let added = shell.run(&["certs", "add-issuer", "Example calls"]);
    let issuer = added["issuer"].as_str().unwrap();
    shell.run(&["certs", "rotate", issuer]);
    assert_eq!(shell.run(&["certs", "rotate"]), Value::Array(vec![]));
    let shown = shell.run(&["certs", "show", added["certificate"].as_str().unwrap()]);
    assert_eq!(shown["certificate"]["state"], "passive");

    let revoke = ["certs", "revoke", shown["certificate"]["serial"].as_str().unwrap(), "--reason", "superseded"];
    assert_eq!(shell.run(&revoke)[0]["number"], 2);
    assert!(shell.refusal(&revoke).contains("already revoked"));
    let crls = shell.run(&["certs", "crl", "--renew", "--out", "crls"]);
    assert_eq!(crls[1]["number"], 3);
    assert!(shell.directory.path().join("crls/issuing-1.crl.pem").exists());
    let renewed = shell.run(&["certs", "ceremony", "renew-crl", "--root-key", "root-key.pem"]);
    assert_eq!(renewed[0]["number"], 2);
    let listed = shell.run(&["certs", "list"]);
    assert_eq!(listed["certificates"].as_array().unwrap().len(), 6);

    std::fs::write(shell.directory.path().join("wrong"), "wrong\n").unwrap();
    assert!(shell.refusal(&["certs", "list", "--passphrase-file", "wrong"]).contains("wrong pass phrase"));

    let made = shell.run(&["token", "create", "--role", "issuer", "--issuer", issuer, "--expires-days", "30"]);
    assert!(made["secret"].as_str().unwrap().starts_with("aff_"));
    let token = made["token"]["id"].as_str().unwrap();
    shell.run(&["token", "revoke", token]);
    let tokens = shell.run(&["token", "list"]);
    assert!(tokens[0]["revoked_at"].is_string());
    assert!(tokens[0].get("secret").is_none() && tokens[0].get("secret_sha256").is_none());
    assert!(shell.refusal(&["token", "create", "--role", "admin", "--issuer", issuer]).contains("role"));
}
