//! The verifier in the reader's own browser: a real one, headless, with what `make web` built.
//!
//! `make web && cargo test --features browser --test browser`
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "browser")]
#[path = "../fixtures"]
#[allow(dead_code, reason = "each program uses its part")]
mod fixtures {
    pub(crate) mod server;
    pub(crate) mod webdriver;
}
#[cfg(feature = "browser")]
mod accessibility;
#[cfg(feature = "browser")]
mod bench;
#[cfg(feature = "browser")]
mod equal;
#[cfg(feature = "browser")]
mod offline;
#[cfg(feature = "browser")]
mod reader;
#[cfg(feature = "browser")]
mod recordings;
#[cfg(feature = "browser")]
mod saved;
#[cfg(feature = "browser")]
mod screenshots;

#[cfg(not(feature = "browser"))]
#[test]
fn the_page_verifies_in_the_browser() {
    println!("skipped: built without the feature browser: make web && cargo test --features browser --test browser");
}
