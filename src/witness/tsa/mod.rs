//! Being a timestamp authority (RFC 3161).

pub(super) mod revocation_lists;
pub(super) mod timestamp_authority;
