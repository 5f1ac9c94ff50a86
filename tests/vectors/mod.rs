//! Where the cases from outside are: `AFFIANT_VECTORS`, else beside the checkout.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::PathBuf;

/// The folder of a suite; `None`, and a line that says so, where it is not there.
pub(crate) fn folder(suite: &str) -> Option<PathBuf> {
    let data = std::env::var_os("AFFIANT_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let folder = data.join(suite);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no vectors at {}", folder.display());
    None
}
