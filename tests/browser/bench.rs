//! The speed of a verification in the browser: figures for docs/PERFORMANCE.md, on request.
//!
//! `make web && cargo test --features browser --test browser -- --ignored --nocapture bench`

use std::time::Instant;

use serde_json::json;

use super::reader::{Reader, code};
use super::recordings::largest_page_process;
use crate::fixtures::webdriver::Browser;

/// Verifications of one bundle by one verifier.
const ROUNDS: usize = 200;
/// Bytes of a recording: an hour of uncompressed speech.
const RECORDING_BYTES: u64 = 256 << 20;

#[tokio::test]
#[ignore = "figures, not facts"]
async fn measure_a_verification_in_the_browser() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::witnessed().await;
    browser.visit(&reader.client().base).await;
    browser.choose("#record", &[&reader.path("call.evidence.zip")]).await;
    let measured = async || {
        assert_eq!(code(&browser.verdict().await), "TOTAL-PASSED");
        let took = browser.run("return Number(document.getElementById('made-here').dataset.milliseconds)", json!([]));
        took.await.as_f64().unwrap()
    };
    let first = measured().await;
    let mut cached = Vec::new();
    for _ in 0..ROUNDS {
        cached.push(measured().await);
    }
    // Another trust policy is another verifier, which has seen nothing yet; the code is warm.
    let policy = reader.file("policy.toml", &reader.trust_policy().await.body);
    let mut anew = Vec::new();
    for _ in 0..ROUNDS / 10 {
        browser.choose("#policy", &[&policy]).await;
        browser.wait("document.getElementById('policy-source').textContent.includes('policy.toml')").await;
        anew.push(measured().await);
    }
    println!("a bundle of {} bytes, signed with 2048 bits: full report, as JSON and HTML", reader.bundle.len());
    println!("first ever             {first:6.1} ms");
    for (what, mut all) in [("path cached", cached), ("nothing cached", anew)] {
        all.sort_by(f64::total_cmp);
        println!(
            "{what:20} {:8.1} ms in the median of {}, at most {:.1}",
            all[all.len() / 2],
            all.len(),
            all[all.len() - 1]
        );
    }
    let long = reader.path("long.wav");
    std::fs::File::create(&long).unwrap().set_len(RECORDING_BYTES).unwrap();
    browser.choose("#recording", &[&long]).await;
    let began = Instant::now();
    browser.verdict().await;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let megabytes = RECORDING_BYTES as f64 / 1e6;
    println!("a recording            {:6.0} MB a second", megabytes / began.elapsed().as_secs_f64());
    if let Some(kilobytes) = largest_page_process(browser.driver_id()) {
        println!("the page's process     {:6} MB at most", kilobytes / 1000);
    }
}
