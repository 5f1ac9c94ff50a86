//! The verifier in the reader's own browser: a real one, headless, with what `make web` built.
//!
//! `make web && cargo test --features browser --test browser`
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "browser")]
mod harness;
#[cfg(feature = "browser")]
mod webdriver;

#[cfg(feature = "browser")]
mod in_browser {
    mod equal;
    mod here;
    mod measure;
    mod people;
    mod pictures;
    mod reader;
    mod recordings;
    mod saved;
}

#[cfg(not(feature = "browser"))]
#[test]
fn the_page_verifies_in_the_browser() {
    println!("skipped: built without the feature browser: make web && cargo test --features browser --test browser");
}
