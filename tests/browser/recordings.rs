//! Recordings of any size: hashed as they stream by, with a bar, in bounded memory, until the reader has enough.

use affiant::clock::parse_time;
use affiant::vcon::{ContentDigester, ContentHash, NewContent, NewDialog};
use serde_json::json;

use super::reader::{Reader, code};
use crate::fixtures::server::{Place, builder};
use crate::fixtures::webdriver::Browser;

/// Bytes of the recording: more than a page may take, and seconds of hashing.
const RECORDING_BYTES: usize = 400 << 20;
/// Kilobytes that the recording may add at most: slices that are read, and not collected yet.
const MEMORY_KILOBYTES_MAX: u64 = 150 << 10;

/// A reader of a call with a large recording, which is in `long.wav`, and altered by a byte in `other.wav`.
async fn reader() -> Reader {
    let (mut digester, slice) = (ContentDigester::default(), vec![0; 1 << 20]);
    for _ in 0..RECORDING_BYTES / slice.len() {
        digester.update(&slice);
    }
    let hash = ContentHash::from_sha512(digester.finish().sha512);
    let mut call = builder(1);
    let content = NewContent::external("https://recordings.example.com/long.wav", &hash).mediatype("audio/wav");
    let start = parse_time("2026-02-01T12:00:00Z").unwrap();
    call.add_dialog(NewDialog::recording(start, content).parties(&[0, 1]).lasted(3600.0));
    let reader = Reader::of(Place::new(), "included", call.build().to_bytes()).await;
    for name in ["long.wav", "other.wav"] {
        // Nothing but zeros takes no room on the disk.
        std::fs::File::create(reader.path(name)).unwrap().set_len(RECORDING_BYTES as u64).unwrap();
    }
    let mut other = std::fs::File::options().write(true).open(reader.path("other.wav")).unwrap();
    std::io::Seek::seek(&mut other, std::io::SeekFrom::Start(RECORDING_BYTES as u64 - 1)).unwrap();
    std::io::Write::write_all(&mut other, b"x").unwrap();
    reader
}

#[tokio::test]
async fn a_large_recording_streams_with_progress_in_bounded_memory() {
    let Some(browser) = Browser::start().await else { return };
    let reader = reader().await;
    browser.visit(&reader.client().base).await;
    let watch = "window.seen = []; const bar = document.getElementById('bar');
        new MutationObserver(() => seen.push(bar.position)).observe(bar, { attributes: true })";
    browser.run(watch, json!([])).await;
    browser.give(&reader.path("call.evidence.zip"), &[]).await;
    browser.verdict().await;
    let before = largest_page_process(browser.driver_id());
    browser.give(&reader.path("call.evidence.zip"), &[&reader.path("long.wav")]).await;
    let report = browser.verdict().await;
    assert_eq!(code(&report), "TOTAL-PASSED");
    assert!(report.contains("\"file\": \"long.wav\",\n      \"answer\": \"yes\""), "{report}");
    let seen = browser.run("return seen", json!([])).await;
    let seen: Vec<f64> = seen.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
    assert!(seen.len() > 50 && seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
    if let (Some(before), Some(after)) = (before, largest_page_process(browser.driver_id())) {
        assert!(before > 10 << 10, "{before} KB: is it the page's process?");
        assert!(after - before < MEMORY_KILOBYTES_MAX, "{before} KB before it, {after} KB with it");
    }
}

#[tokio::test]
async fn whoever_has_enough_cancels_and_goes_on() {
    let Some(browser) = Browser::start().await else { return };
    let reader = reader().await;
    browser.visit(&reader.client().base).await;
    browser.give(&reader.path("call.evidence.zip"), &[&reader.path("other.wav")]).await;
    browser.click("#send").await;
    browser.wait("document.getElementById('bar').position > 0").await;
    browser.click("#cancel").await;
    browser.wait("!document.getElementById('problem').hidden").await;
    assert_eq!(browser.text("#problem").await, "Cancelled. Nothing was verified.");
    assert_eq!(browser.run("return document.getElementById('report').hidden", json!([])).await, true);
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (HASH_FAILURE)", "under the policy of before");
}

#[tokio::test]
async fn a_verifier_that_stops_is_said_and_started_again() {
    let Some(browser) = Browser::start().await else { return };
    let reader = reader().await;
    let keep_it = "const There = Worker; window.Worker = function (url) { return (window.kept = new There(url)) }";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": keep_it })).await;
    browser.visit(&reader.client().base).await;
    browser.give(&reader.path("call.evidence.zip"), &[&reader.path("other.wav")]).await;
    browser.click("#send").await;
    browser.wait("document.getElementById('bar').position > 0").await;
    browser.run("kept.dispatchEvent(new ErrorEvent('error', { message: 'unreachable' }))", json!([])).await;
    browser.wait("!document.getElementById('problem').hidden").await;
    assert!(browser.text("#problem").await.contains("The verifier stopped (unreachable)"));
    assert_eq!(code(&browser.verdict().await), "TOTAL-FAILED (HASH_FAILURE)");
}

/// The most memory in kilobytes that a page of the browser under `driver` has ever had; `None` where Linux does not say.
pub(super) fn largest_page_process(driver: u32) -> Option<u64> {
    let mut family = vec![driver];
    let mut most = None;
    while let Some(parent) = family.pop() {
        for process in std::fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
            let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(status) = std::fs::read_to_string(process.path().join("status")) else { continue };
            let number = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse::<u64>().ok()
            };
            if number("PPid:") != Some(parent.into()) {
                continue;
            }
            family.push(id);
            let command = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            if command.contains("--type=renderer") {
                most = most.max(number("VmHWM:"));
            }
        }
    }
    most
}
