//! One record, verified by server, command line and browser: the same bytes of JSON.

use serde_json::{Value, json};

use super::reader::{Reader, code};
use crate::fixtures::server::{RECORDING, affiant};
use crate::fixtures::webdriver::Browser;

#[tokio::test]
async fn server_command_line_and_browser_give_the_same_bytes() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::witnessed().await;
    reader.file("policy.toml", &reader.trust_policy().await.body);
    let tampered = std::fs::read(reader.tampered()).unwrap();
    browser.visit(&reader.client().base).await;

    let recording: &[(&str, &[u8])] = &[("call.wav", RECORDING)];
    for (name, bundle, recordings, expected) in [
        ("call.evidence.zip", &reader.bundle, &[][..], "TOTAL-PASSED"),
        ("call.evidence.zip", &reader.bundle, recording, "TOTAL-PASSED"),
        ("tampered.evidence.zip", &tampered, recording, "TOTAL-FAILED (SIG_CRYPTO_FAILURE)"),
    ] {
        let answer = reader.client().verify_form(bundle, recordings).await;
        let of_server = answer.text();
        assert_eq!(code(of_server), expected);
        let report: Value = answer.json();
        let at = report["verified_at"].as_str().unwrap();
        assert_eq!(report["times"]["existed_by"].is_string(), expected == "TOTAL-PASSED", "{report}");

        let mut arguments = vec!["verify", name, "--trust-policy", "policy.toml", "--json", "--at", at];
        recordings.iter().for_each(|(name, _)| arguments.extend(["--recording", name]));
        let run = affiant(reader.folder(), &arguments);
        let of_command_line = String::from_utf8(run.stdout).unwrap();

        let paths: Vec<_> = recordings.iter().map(|(name, _)| reader.path(name)).collect();
        let paths: Vec<_> = paths.iter().map(std::path::PathBuf::as_path).collect();
        browser.run("document.getElementById('recording').value = ''", json!([])).await;
        browser.run("document.getElementById('at').value = arguments[0]", json!([at])).await;
        browser.give(&reader.path(name), &paths).await;
        let of_browser = browser.verdict().await;

        assert_eq!(of_server, of_browser);
        assert_eq!(format!("{of_server}\n"), of_command_line);
    }
}
