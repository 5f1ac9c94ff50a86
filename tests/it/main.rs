//! The integration tests, one program with a module for each suite: `cargo test --test it NAME::` runs one.
//!
//! Tests that need a process of their own: `tests/simulation`, `tests/syscalls.rs`, and those that measure memory.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../fixtures/mod.rs"]
mod fixtures;

mod archives;
mod attacks;
mod authority;
mod authority_restored;
mod authority_take_over;
mod backup;
mod bad_input;
mod bad_jose;
mod cli_certs;
mod cli_vcon;
mod cli_vcon_content;
mod cli_vcon_jose;
mod cli_vcon_warnings;
mod cli_verify;
mod completeness;
mod contract;
mod contract_answers;
mod crash;
mod decision_table;
mod embedded_evidence;
mod evidence_properties;
mod first_start;
mod fuzz_corpus;
mod jades;
mod ledger;
mod monitor;
mod ocsp;
mod old_data;
mod path_budget;
mod path_choice;
mod path_rules;
mod publishing;
mod readme;
mod renewal;
mod repair;
mod reports;
mod resigning;
mod rollback;
mod rotation;
mod sentences;
mod server;
mod slow_clients;
mod split_view;
mod statements;
mod stores;
mod successor;
mod timestamps;
mod tlog_http;
mod trust_policy;
mod trusted_list;
mod vectors_encryption;
mod vectors_jose;
mod vectors_vcon;
mod vectors_verdicts;
mod vectors_x509;
mod witness;
mod witnessing;
