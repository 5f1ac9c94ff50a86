//! Documents and their content, in and out.

pub(super) mod content;
pub(super) mod document;
pub(super) mod file_name;
pub(super) mod spool;
