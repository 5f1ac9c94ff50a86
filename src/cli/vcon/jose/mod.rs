//! Signing, encrypting, and the keys for both.

pub(super) mod decrypt;
pub(super) mod encrypt;
mod keys;
pub(super) mod sign;
mod signatures;
pub(super) mod verify;
