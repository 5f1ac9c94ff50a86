//! The page from a saved file, with no server and no network.

use serde_json::json;

use super::reader::{Reader, code};
use crate::fixtures::server::affiant;
use crate::fixtures::webdriver::Browser;

#[tokio::test]
async fn a_saved_page_verifies_offline_under_the_readers_own_policy() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    let page = reader.file("verify.html", &reader.client().get("/verify.html", "").await.body);
    let (record, tampered, nobody) = (reader.path("call.evidence.zip"), reader.tampered(), reader.nobody());
    let policy = reader.file("policy.toml", &reader.trust_policy().await.body);
    reader.server.stop().await;

    browser.visit(&format!("file://{}", page.display())).await;
    browser.choose("#record", &[&record]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-PASSED");
    browser.choose("#record", &[&tampered]).await;
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (SIG_CRYPTO_FAILURE)");

    browser.run("document.querySelector('.trust').open = true", json!([])).await;
    assert!(browser.text("#policy-source").await.contains("whoever runs that server chose whom it trusts"));
    let offered = browser.text("#policy-digest").await;
    browser.choose("#record", &[&record]).await;
    browser.choose("#policy", &[&nobody]).await;
    browser.wait("document.getElementById('policy-name').textContent === 'none'").await;
    assert!(browser.text("#policy-source").await.contains("nobody.toml"));
    assert_eq!(code(&browser.verdict().await), "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)");

    // Its root alone: trusted for signers, and for no time or ledger.
    browser.choose("#policy", &[&reader.place.root()]).await;
    browser.wait("document.getElementById('policy-name').textContent.startsWith('certificates')").await;
    assert!(browser.text("#policy-text").await.contains("[[anchor]]"));
    let report = browser.verdict().await;
    assert_eq!(code(&report), "TOTAL-PASSED");
    assert!(report.contains("\"status\": \"UNAVAILABLE\""), "{report}");
    browser.choose("#policy", &[&nobody]).await;
    browser.wait("document.getElementById('policy-name').textContent === 'none'").await;

    browser.choose("#policy", &[&tampered]).await;
    browser.wait("!document.getElementById('problem').hidden").await;
    assert!(browser.text("#problem").await.contains("is not used as trust policy"));
    assert_eq!(browser.text("#policy-name").await, "none", "the policy before it stays");

    browser.choose("#policy", &[&policy]).await;
    browser.wait("document.getElementById('policy-source').textContent.includes('policy.toml')").await;
    assert_eq!(browser.text("#policy-digest").await, offered);
    browser.choose("#policy", &[&nobody]).await;
    browser.wait("document.getElementById('policy-name').textContent === 'none'").await;
    browser.click("#policy-back").await;
    browser.wait("document.getElementById('policy-name').textContent !== 'none'").await;
    assert_eq!(browser.text("#policy-digest").await, offered);
    assert_eq!(code(&browser.verdict().await), "TOTAL-PASSED");

    assert_eq!(browser.requests().await, [""; 0]);
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[tokio::test]
async fn a_page_is_made_without_a_server() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    reader.file("policy.toml", &reader.trust_policy().await.body);
    reader.file("root.pem", &std::fs::read(reader.place.root()).unwrap());
    for (options, expected) in [
        (&[][..], "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)"),
        (&["--trust", "root.pem"], "TOTAL-PASSED"),
        (&["--trust-policy", "policy.toml"], "TOTAL-PASSED"),
    ] {
        let run = affiant(reader.folder(), &[&["page", "--output", "page.html"], options].concat());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        browser.visit(&format!("file://{}", reader.path("page.html").display())).await;
        browser.choose("#record", &[&reader.path("call.evidence.zip")]).await;
        assert_eq!(code(&browser.verdict().await), expected, "{options:?}");
    }
    let policy = std::fs::read_to_string(reader.path("policy.toml")).unwrap();
    assert_eq!(browser.text("#policy-text").await, policy, "it is in the page whole");
}
