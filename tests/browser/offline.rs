//! Drop, verify, tamper, see it: on this machine, with nothing sent.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;

use affiant::crypto::Sha256Digest;
use serde_json::json;

use super::reader::{Reader, code};
use crate::fixtures::server::RECORDING;
use crate::fixtures::webdriver::Browser;

#[tokio::test]
async fn what_is_dropped_is_verified_and_what_was_altered_fails() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    browser.visit(&reader.client().base).await;

    browser.drop_on("body", &[("call.evidence.zip", &reader.bundle), ("call.wav", RECORDING)]).await;
    let report = browser.verdict().await;
    assert_eq!(code(&report), "TOTAL-PASSED");
    assert!(report.contains("HASH_MATCHES") && report.contains("\"file\": \"call.wav\""), "{report}");
    let shown = browser.text("#report").await;
    assert!(shown.contains("TOTAL-PASSED") && shown.contains("In the ledger") && shown.contains("does not prove"));
    assert!(browser.text("#made-here").await.contains("call.evidence.zip, call.wav"));
    assert!(browser.run("return document.title", json!([])).await.as_str().unwrap().starts_with("TOTAL-PASSED"));

    let tampered = std::fs::read(reader.tampered()).unwrap();
    browser.drop_on("#record", &[("call.evidence.zip", &tampered)]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (SIG_CRYPTO_FAILURE)");
    assert!(browser.text("#report h1").await.len() > 10);

    let mut other = RECORDING.to_vec();
    other[3] ^= 1;
    browser.drop_on("#record", &[("call.evidence.zip", &reader.bundle)]).await;
    browser.drop_on("#recording", &[("call.json", &other)]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (HASH_FAILURE)");
}

#[tokio::test]
async fn a_bundle_may_come_unpacked() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    crate::fixtures::server::unpack(&reader.bundle, &reader.path("unpacked"));
    let mut files = Vec::new();
    for folder in ["unpacked", "unpacked/crls"] {
        for entry in std::fs::read_dir(reader.path(folder)).unwrap().map(Result::unwrap) {
            files.extend(entry.file_type().unwrap().is_file().then(|| entry.path()));
        }
    }
    browser.visit(&reader.client().base).await;
    let paths: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    browser.choose("#record", &paths).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-PASSED");
    // Without the revocation lists it could not have passed.
    let without: Vec<_> = paths.into_iter().filter(|path| !path.to_str().unwrap().contains(".crl.")).collect();
    browser.choose("#record", &without).await;
    assert_eq!(code(&browser.verdict().await), "INDETERMINATE (TRY_LATER)");
}

#[tokio::test]
async fn nothing_is_sent_unless_the_reader_chooses_to() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    let (base, record) = (reader.client().base.clone(), reader.path("call.evidence.zip"));
    browser.visit(&base).await;
    assert!(browser.requests().await.iter().any(|url| url.ends_with(".js")), "the worker was loaded with the page");
    assert!(browser.text("#note").await.starts_with("Files stay on this machine."));
    // The server goes, and who listens in its place would notice.
    let address = base.strip_prefix("http://").unwrap().to_owned();
    reader.server.stop().await;
    let listener = TcpListener::bind(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    browser.choose("#record", &[&record]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-PASSED");
    let refused = "return fetch('/').then(() => 'sent', (error) => error.name)";
    assert_eq!(browser.run(refused, json!([])).await, "TypeError");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(browser.requests().await, [""; 0]);
    // This is how it would have been noticed.
    listener.set_nonblocking(false).unwrap();
    // Later, so that the driver has answered by then: a page that is on its way it would wait for.
    browser.run("setTimeout(() => document.getElementById('send-away').click(), 500)", json!([])).await;
    let mut line = String::new();
    BufReader::new(listener.accept().unwrap().0).read_line(&mut line).unwrap();
    assert!(line.starts_with("POST /v1/verify "), "{line}");
}

#[tokio::test]
async fn the_reader_may_send_it_to_the_server_instead() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    browser.visit(&reader.client().base).await;
    browser.give(&reader.path("call.evidence.zip"), &[&reader.path("call.wav")]).await;
    browser.click("#send-away").await;
    browser.wait("location.pathname === '/v1/verify'").await;
    let shown = browser.text("#report").await;
    assert!(shown.contains("TOTAL-PASSED") && shown.contains("HASH_MATCHES"), "{shown}");
    // And verify the next one here.
    browser.wait("document.documentElement.dataset.verifies === 'here'").await;
    browser.give(&reader.tampered(), &[]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (SIG_CRYPTO_FAILURE)");
}

#[tokio::test]
async fn without_script_the_server_verifies() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.open(&reader.client().base).await;
    browser.type_into("#record", reader.path("call.evidence.zip").to_str().unwrap()).await;
    browser.click("#send").await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    browser.wait("location.pathname === '/v1/verify'").await;
    assert!(browser.text("#report").await.contains("TOTAL-PASSED"));
}

#[tokio::test]
async fn where_the_verifier_does_not_start_the_server_verifies() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    let lose_it = "const There = Worker; window.Worker = function () { return new There('/verifier/lost.js') }";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": lose_it })).await;
    browser.open(&reader.client().base).await;
    assert_eq!(browser.wait("document.documentElement.dataset.verifies").await, "elsewhere");
    assert!(browser.text("#note").await.starts_with("Files are sent to this server"));
    browser.choose("#record", &[&reader.path("call.evidence.zip")]).await;
    browser.click("#send").await;
    browser.wait("location.pathname === '/v1/verify'").await;
    assert!(browser.text("#report").await.contains("TOTAL-PASSED"));
}

#[tokio::test]
async fn what_cannot_be_verified_is_said_in_words() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    browser.visit(&reader.client().base).await;
    let not_a_time = "\"yesterday\" is not an RFC 3339 time";
    for (name, bytes, at, said) in [
        ("x.zip", &b"PK\x03\x04 nonsense"[..], "", "not an unambiguous zip file"),
        ("x.json", b"{}", "yesterday", not_a_time),
    ] {
        browser.run("document.getElementById('at').value = arguments[0]", json!([at])).await;
        browser.choose("#record", &[&reader.file(name, bytes)]).await;
        browser.click("#send").await;
        browser.wait("!document.getElementById('problem').hidden").await;
        let problem = browser.text("#problem").await;
        assert!(problem.contains(said), "{problem}");
    }
    browser.run("document.getElementById('at').value = ''", json!([])).await;
    assert_eq!(code(&browser.verdict().await), "INDETERMINATE (FORMAT_FAILURE)");
    let large = reader.file("large.zip", b"PK");
    std::fs::File::options().write(true).open(&large).unwrap().set_len((128 << 20) + 1).unwrap();
    browser.choose("#record", &[&large]).await;
    browser.click("#send").await;
    browser.wait("!document.getElementById('problem').hidden").await;
    assert!(browser.text("#problem").await.contains("no record or bundle has more than"));
}

#[tokio::test]
async fn neither_page_nor_worker_may_connect_to_anything() {
    let reader = Reader::new().await;
    let page = reader.client().get("/", "").await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("connect-src"),
        "{policy}"
    );
    let worker = page.text().split_once("data-worker=\"").unwrap().1.split_once('"').unwrap().0;
    let answer = reader.client().get(worker, "").await;
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; script-src 'wasm-unsafe-eval'");
    assert!(answer.header("cache-control").contains("immutable"));
    assert!(worker.contains(&Sha256Digest::of(&answer.body).to_string()));
    reader.client().get("/verifier/sha256-x.js", "").await.problem(404, "not-found");
    let saved = reader.client().get("/verify.html", "").await;
    let policy = saved.header("content-security-policy");
    assert!(policy.contains("form-action 'none'") && !policy.contains("'self'") && !policy.contains("connect-src"));
}
