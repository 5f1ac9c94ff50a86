//! Being a witness (c2sp.org/tlog-witness).

pub(super) mod cosigning_key;
pub(super) mod witness;
