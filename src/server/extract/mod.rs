//! Extractors: typed input of the routes.

pub(super) mod auth;
pub(super) mod body;
pub(super) mod multipart;
