//! Affiant: an evidence-chain ledger and verification server for vCons.
//!
//! A floor imports only lower floors (`docs/ARCHITECTURE.md` has the reasons, `tests/architecture.rs` keeps it so):
//!
//! ```text
//! 5  main -> cli -> server
//! 4  backup  issuance  operator  monitor  statements  witness  ledger  authority  access  client  cpu_pool  request_body  private_key_file  row_file  path_error  atomic_file  vfs
//! 3  scorecard  browser  trusted_list
//! 2  evidence
//! 1  vcon   jose   cose   pki   tlog
//! 0  clock  crypto  json
//! ```
//!
//! Without the default feature `server` only floors 0 to 3 are there: the verifier, with no disk, no socket and no clock
//! of its own.

pub mod clock;
pub mod crypto;
pub mod json;

pub mod cose;
pub mod jose;
pub mod pki;
pub mod tlog;
pub mod vcon;

pub mod evidence;

pub mod browser;
pub mod scorecard;
#[cfg(feature = "trusted-list")]
pub mod trusted_list;

#[cfg(feature = "server")]
pub mod access;
#[cfg(feature = "server")]
pub mod atomic_file;
#[cfg(feature = "server")]
pub mod authority;
#[cfg(feature = "server")]
pub mod backup;
#[cfg(feature = "server")]
pub mod client;
#[cfg(feature = "server")]
pub mod cpu_pool;
#[cfg(feature = "server")]
pub mod issuance;
#[cfg(feature = "server")]
pub mod ledger;
#[cfg(feature = "server")]
pub mod monitor;
#[cfg(feature = "server")]
pub mod operator;
#[cfg(feature = "server")]
pub mod path_error;
#[cfg(feature = "server")]
pub mod private_key_file;
#[cfg(feature = "server")]
pub mod request_body;
#[cfg(feature = "server")]
pub mod row_file;
#[cfg(feature = "server")]
pub mod statements;
#[cfg(feature = "server")]
pub mod vfs;
#[cfg(feature = "server")]
pub mod witness;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod server;

// Under the name that tests/simulation knows it by, whose disk tests in here have too.
#[cfg(test)]
extern crate self as affiant;

#[cfg(test)]
#[path = "../tests/fixtures/conformance.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod conformance;
