//! For whom the page is: on a phone, with a keyboard alone, with eyes that need contrast.

use serde_json::{Value, json};

use super::reader::{Reader, code};
use crate::fixtures::webdriver::{Browser, ENTER, SPACE, TAB};

/// CSS pixels that a target has at least in each direction (WCAG 2.2, success criterion 2.5.8).
const TARGET_PIXELS_MIN: f64 = 24.0;

/// What reaches past the screen, and targets that a finger misses.
const LAYOUT: &str = "
    const shown = (one) => one.checkVisibility();
    const wide = [...document.querySelectorAll('body *')].filter((one) => {
        const scrolls = one.closest('pre, .scroll');
        return shown(one) && (!scrolls || scrolls === one) && one.getBoundingClientRect().right > arguments[1] + 0.5;
    });
    const targets = [...document.querySelectorAll('a, button, input, summary, select')].filter(shown);
    const small = targets.filter((one) => {
        const { width, height } = one.getBoundingClientRect();
        return Math.min(width, height) < arguments[0];
    });
    const name = (one) => one.outerHTML.slice(0, 80);
    return { width: document.scrollingElement.scrollWidth - arguments[1], wide: wide.map(name), small: small.map(name), targets: targets.length };";

/// Texts whose contrast is too low, each with its colours (WCAG 2.2, success criterion 1.4.3), and borders of fields and
/// the ring of the focus (1.4.11).
const CONTRAST: &str = "
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, at) => value * a + below[at] * (1 - a));
    const background = (one) => {
        if (!one) return parse(getComputedStyle(document.documentElement).colorScheme.includes('dark')
            && matchMedia('(prefers-color-scheme: dark)').matches ? '18 18 18' : '255 255 255');
        const colour = parse(getComputedStyle(one).backgroundColor);
        return colour[3] === undefined ? colour : over(colour, background(one.parentElement));
    };
    const luminance = (colour) => {
        const [r, g, b] = colour.map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (left, right) => {
        const [low, high] = [luminance(left), luminance(right)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const low = [];
    let texts = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !one.checkVisibility({ visibilityProperty: true })) continue;
        if (one.closest(':disabled, script, style')) continue;
        texts += 1;
        const style = getComputedStyle(one);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const below = background(one);
        const found = ratio(over(parse(style.color), below), below);
        if (found < (large ? 3 : 4.5)) low.push([walker.currentNode.data.trim().slice(0, 60), style.color, found]);
    }
    for (const one of document.querySelectorAll('input, button')) {
        if (!one.checkVisibility()) continue;
        const style = getComputedStyle(one);
        const around = background(one.parentElement);
        const edge = parseFloat(style.borderTopWidth) > 0 ? parse(style.borderTopColor) : background(one);
        if (ratio(over(edge, around), around) < 3) low.push([one.id, 'edge', ratio(over(edge, around), around)]);
    }
    const focused = getComputedStyle(document.activeElement);
    const around = background(document.activeElement.parentElement);
    if (document.activeElement !== document.body && ratio(parse(focused.outlineColor), around) < 3) low.push(['focus']);
    return { low, texts };";

async fn assert_readable(browser: &Browser, what: &str) {
    for scheme in ["light", "dark"] {
        browser.scheme(scheme).await;
        let found = browser.run(CONTRAST, json!([])).await;
        assert_eq!(found["low"], json!([]), "{what}, {scheme}");
        assert!(found["texts"].as_u64().unwrap() > 20, "{found}");
    }
    browser.scheme("light").await;
}

async fn assert_fits(browser: &Browser, width: u32, what: &str) {
    let found = browser.run(LAYOUT, json!([TARGET_PIXELS_MIN, width])).await;
    assert!(found["width"].as_f64().unwrap() <= 0.0, "{what}: {found}");
    assert_eq!((&found["wide"], &found["small"]), (&json!([]), &json!([])), "{what}");
    assert!(found["targets"].as_u64().unwrap() > 5, "{what}: {found}");
}

/// Opens whatever can be opened.
async fn unfold(browser: &Browser) {
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))", json!([])).await;
}

/// Shows the page in every state it can be in, and calls `look` in each.
async fn every_state(browser: &Browser, reader: &Reader, look: impl AsyncFn(&Browser, &str)) {
    browser.visit(&reader.client().base).await;
    unfold(browser).await;
    look(browser, "as it comes").await;
    let other = reader.file("other.wav", b"not the recording");
    let (record, tampered, right) = (reader.path("call.evidence.zip"), reader.tampered(), reader.path("call.wav"));
    for (record, recordings, expected) in [
        (&record, vec![right.as_path()], "TOTAL-PASSED"),
        (&tampered, vec![], "TOTAL-FAILED (SIG_CRYPTO_FAILURE)"),
        (&record, vec![other.as_path()], "TOTAL-FAILED (HASH_FAILURE)"),
    ] {
        browser.run("document.getElementById('recording').value = ''", json!([])).await;
        browser.give(record, &recordings).await;
        assert_eq!(code(&browser.verdict().await), expected);
        unfold(browser).await;
        look(browser, expected).await;
    }
    browser.run("document.getElementById('recording').value = ''", json!([])).await;
    browser.choose("#policy", &[&reader.nobody()]).await;
    browser.wait("!document.getElementById('policy-back').hidden").await;
    assert_eq!(code(&browser.verdict().await), "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)");
    look(browser, "INDETERMINATE").await;
    browser.choose("#policy", &[&tampered]).await;
    browser.wait("!document.getElementById('problem').hidden").await;
    look(browser, "a problem").await;
    let busy = "document.getElementById('progress').hidden = false; document.getElementById('bar').value = 0.4;
        document.getElementById('progress-name').textContent = 'a-recording-with-a-long-name-of-a-long-call.wav';
        document.getElementById('progress-bytes').textContent = '120.0 of 400.0 MB'";
    browser.run(busy, json!([])).await;
    look(browser, "at work").await;
    let page = reader.file("verify.html", &reader.client().get("/verify.html", "").await.body);
    browser.visit(&format!("file://{}", page.display())).await;
    unfold(browser).await;
    look(browser, "saved").await;
}

#[tokio::test]
async fn it_fits_a_phone() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    for (width, height) in [(390, 844), (320, 568)] {
        browser.screen(width, height, true).await;
        every_state(&browser, &reader, async |browser, what| assert_fits(browser, width, what).await).await;
    }
    // This is how a page that does not fit would be noticed.
    let break_it = "document.getElementById('send').style.cssText = 'height: 10px; padding: 0';
        document.querySelector('h1').style.cssText = 'width: 900px'";
    browser.run(break_it, json!([])).await;
    let found = browser.run(LAYOUT, json!([TARGET_PIXELS_MIN, 320])).await;
    assert!(found["width"].as_f64().unwrap() > 0.0 && found["small"].as_array().unwrap().len() == 1, "{found}");
}

#[tokio::test]
async fn its_contrast_is_enough_for_everyone() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    every_state(&browser, &reader, assert_readable).await;
    // This is how too little would be noticed.
    browser.run("document.querySelector('h1').style.color = '#999'", json!([])).await;
    let found = browser.run(CONTRAST, json!([])).await;
    assert_eq!(found["low"].as_array().unwrap().len(), 1, "{found}");
}

/// What has the focus, and whether that is seen.
async fn focused(browser: &Browser) -> (String, bool) {
    let script = "const one = document.activeElement;
        const style = getComputedStyle(one);
        const box = one.getBoundingClientRect();
        const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        return [one.id || one.tagName + ':' + one.textContent.trim().slice(0, 20), ring && box.bottom > 0 && box.top < innerHeight]";
    let found = browser.run(script, json!([])).await;
    (found[0].as_str().unwrap().to_owned(), found[1] == Value::Bool(true))
}

/// Presses Tab until something has the focus, which has to be seen on the way.
async fn tab_to(browser: &Browser, wanted: &str) {
    let mut way = Vec::new();
    for _ in 0..60 {
        browser.press(TAB).await;
        let (name, seen) = focused(browser).await;
        if name.starts_with("BODY") {
            continue;
        }
        assert!(seen, "the focus on {name} is not seen");
        if name.starts_with(wanted) {
            return;
        }
        way.push(name);
    }
    panic!("{wanted} is not reached: {way:?}");
}

#[tokio::test]
async fn everything_can_be_done_with_a_keyboard() {
    let Some(browser) = Browser::start().await else { return };
    let reader = Reader::new().await;
    browser.visit(&reader.client().base).await;
    // What the picker of files does is the system's; that it is reached and takes a file is ours.
    tab_to(&browser, "record").await;
    browser.type_into("#record", reader.path("call.evidence.zip").to_str().unwrap()).await;
    tab_to(&browser, "recording").await;
    browser.type_into("#recording", reader.path("call.wav").to_str().unwrap()).await;
    tab_to(&browser, "SUMMARY:Trust policy").await;
    browser.press(SPACE).await;
    tab_to(&browser, "SUMMARY:Its text").await;
    browser.press(ENTER).await;
    tab_to(&browser, "policy-text").await;
    tab_to(&browser, "policy").await;
    browser.type_into("#policy", reader.nobody().to_str().unwrap()).await;
    browser.wait("!document.getElementById('policy-back').hidden").await;
    tab_to(&browser, "policy-back").await;
    browser.press(ENTER).await;
    browser.wait("document.getElementById('policy-back').hidden").await;
    assert_eq!(focused(&browser).await, ("policy".to_owned(), true));
    tab_to(&browser, "at").await;
    tab_to(&browser, "send").await;
    browser.press(ENTER).await;
    assert_eq!(code(&browser.report().await), "TOTAL-PASSED");
    let (name, seen) = focused(&browser).await;
    assert!(name.starts_with("H1:") && seen, "the verdict has the focus: {name}");
    tab_to(&browser, "save-json").await;
    tab_to(&browser, "save-page").await;
    tab_to(&browser, "SUMMARY:The report as JSON").await;
    browser.press(SPACE).await;
    tab_to(&browser, "json").await;
    tab_to(&browser, "send-away").await;
    browser.press(SPACE).await;
    browser.wait("location.pathname === '/v1/verify'").await;
    assert!(browser.text("#report").await.contains("TOTAL-PASSED"));
}
