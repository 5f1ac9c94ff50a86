//! Typed in: what routes take from a request.

pub(super) mod auth;
pub(super) mod multipart;
pub(super) mod record_body;
