//! Commands about a log: audit it, follow it, export a range of it, print its keys.

pub(super) mod audit;
pub(super) mod export;
pub(super) mod log_key;
pub(super) mod monitor;
