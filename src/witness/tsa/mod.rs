//! Being a timestamp authority (RFC 3161).

pub(super) mod certificates;
pub(super) mod revocation_lists;
pub(super) mod revoked_certificate;
pub(super) mod timestamp_authority;
