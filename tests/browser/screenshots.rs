//! Pictures of the page for whoever judges how it looks, on request, into the folder that `AFFIANT_PICTURES` names.
//!
//! `AFFIANT_PICTURES=/tmp/pictures cargo test --features browser --test browser -- --ignored screenshots`

use std::path::PathBuf;

use serde_json::json;

use super::reader::Reader;
use crate::fixtures::webdriver::Browser;

#[tokio::test]
#[ignore = "pictures, not facts"]
async fn pictures_of_the_page() {
    let folder = PathBuf::from(std::env::var_os("AFFIANT_PICTURES").expect("AFFIANT_PICTURES names a folder"));
    std::fs::create_dir_all(&folder).unwrap();
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::witnessed().await;
    for (screen, width, height, phone) in [("desktop", 1200, 900, false), ("phone", 390, 844, true)] {
        browser.screen(width, height, phone).await;
        for scheme in ["light", "dark"] {
            browser.scheme(scheme).await;
            let take = async |state: &str| {
                let name = format!("{screen}-{scheme}-{state}.png");
                std::fs::write(folder.join(name), browser.picture().await).unwrap();
            };
            browser.visit(&reader.client().base).await;
            take("1-start").await;
            browser.give(&reader.path("call.evidence.zip"), &[&reader.path("call.wav")]).await;
            browser.verdict().await;
            take("2-passed").await;
            browser.choose("#record", &[&reader.tampered()]).await;
            browser.verdict().await;
            browser.run("document.querySelector('.trust').open = true", json!([])).await;
            take("3-failed").await;
            let work = "document.getElementById('progress').hidden = false; document.getElementById('bar').max = 3;
                document.getElementById('bar').value = 1.2;
                document.getElementById('progress-name').textContent = 'call.wav';
                document.getElementById('progress-bytes').textContent = '120.0 of 300.0 MB'";
            browser.run(work, json!([])).await;
            browser.run("document.getElementById('verify').scrollIntoView()", json!([])).await;
            take("4-at-work").await;
        }
    }
}
