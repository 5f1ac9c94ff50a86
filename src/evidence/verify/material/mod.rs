//! Validation material: what a verification looks up by bytes and trust policy alone, whatever the bundle around it.
//!
//! Paths, revocation lists and tokens are validated by pure functions; the caches of [`Verifier`] stand around them.
//!
//! [`Verifier`]: verifier::Verifier

pub(super) mod anchor_window;
pub(super) mod cache;
pub(super) mod confusables;
pub(super) mod poe;
pub(super) mod revocation;
pub(super) mod signer_chain;
pub(super) mod signing_certificate;
pub(super) mod token;
pub(super) mod verifier;
