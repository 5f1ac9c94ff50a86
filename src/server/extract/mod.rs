//! Extractors: typed input of the routes.

pub(super) mod auth;
pub(super) mod multipart;
pub(super) mod record_body;
