//! Asking witnesses and timestamp authorities.

pub(super) mod timestamp;
pub(super) mod witness;
