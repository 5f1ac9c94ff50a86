//! HTTP: routes, typed in, one domain call, typed out. Nothing is decided here.

mod admin;
mod auth;
mod batches;
mod body;
mod certificates;
pub mod config;
mod events;
mod index;
mod openapi;
mod operations;
pub mod page;
mod problem;
mod records;
mod run;
mod state;
mod tlog_routes;
mod verify;

pub use problem::Problem;
pub use run::{Running, run};
pub(crate) use state::read_anchors;
pub use state::{AppState, StartOptions, log_key};
