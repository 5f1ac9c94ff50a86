//! HTTP: a request is typed in, one domain call made, the answer typed out. Nothing is decided here.
//!
//! | file | contents |
//! |---|---|
//! | [`config`] | the configuration; `config_names.rs` reads names of the release before |
//! | `start` | from the configuration to the services that run |
//! | `state.rs` | what the routes share |
//! | `extract` | what routes take from a request |
//! | `routes` | one file, one resource |
//! | `pages` | HTML |
//! | `problem.rs`, `concise_problem.rs` | the maps from errors to HTTP |
//! | `connections.rs` | how many there may be |
//! | `trace.rs` | the span of a request |
//! | `serve.rs` | the server that runs |

mod concise_problem;
mod conditional;
pub mod config;
mod config_names;
mod connections;
mod cors;
mod extract;
pub mod pages;
mod problem;
mod public_log;
mod routes;
mod serve;
mod start;
mod state;
mod trace;

pub(crate) use connections::connections_max;
#[cfg(feature = "browser")]
pub(crate) use pages::saved::saved_page;
pub use problem::Problem;
pub use serve::{RunningServer, serve};
pub(crate) use start::closing::{Closed, close_ledger};
pub use start::options::StartOptions;
pub(crate) use start::trust::{read_anchors, read_trust_policy};
pub use start::{log_keys, log_signer};
pub use state::AppState;
