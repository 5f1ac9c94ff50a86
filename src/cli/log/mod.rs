//! Commands about a log: audit it, follow it, export a range of it, show what is kept against it, repair it, close it, print its
//! keys.

pub(super) mod audit;
pub(super) mod close;
pub(super) mod export;
pub(super) mod forks;
pub(super) mod log_key;
pub(super) mod monitor;
pub(super) mod repair;
