//! Validation material: what a verification looks up by bytes and trust policy alone, whatever the bundle around it.
//!
//! Paths, revocation lists and tokens are validated by pure functions; the caches of [`Verifier`] stand around them.
//!
//! [`Verifier`]: verifier::Verifier

pub(in crate::evidence::verify) mod anchor_window;
pub(in crate::evidence::verify) mod cache;
pub(in crate::evidence::verify) mod confusables;
pub(in crate::evidence::verify) mod poe;
pub(in crate::evidence::verify) mod revocation;
pub(in crate::evidence::verify) mod signer_chain;
pub(in crate::evidence::verify) mod signing_certificate;
pub(in crate::evidence::verify) mod token;
pub(in crate::evidence::verify) mod verifier;
