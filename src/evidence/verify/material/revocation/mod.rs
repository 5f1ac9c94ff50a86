//! Revocation: the state of each certificate of a path, from the evidence at hand (RFC 5280 §6.3, EN 319 102-1 §5.2.5).
//!
//! [`statements`](self) of one certificate are collected by the checker and weighed in one place: a "no" counts whatever
//! is wrong with what carries it, and silence counts only where it is understood whole and nothing later is not.

pub(crate) mod checker;
pub(crate) mod responses;
mod statements;

pub(crate) use statements::RevocationState;
