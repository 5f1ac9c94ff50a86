//! HTTP: routes, typed in, one domain call, typed out. Nothing is decided here.

mod admin;
mod auth;
mod batches;
mod body;
mod certificates;
mod compatibility;
pub mod config;
mod cors;
mod events;
mod index;
#[cfg(feature = "browser")]
mod local;
mod openapi;
mod operations;
pub mod page;
mod periods;
mod problem;
mod publish_folder;
mod records;
mod representation;
mod run;
mod scrapi;
mod state;
mod statements;
mod tlog_routes;
mod trust;
mod verdicts;
mod verify;

#[cfg(feature = "browser")]
pub(crate) use local::saved_page;
pub use problem::Problem;
pub use run::{Running, run};
pub use state::{AppState, StartOptions, log_keys};
pub(crate) use trust::{read_anchors, read_trust_policy};
