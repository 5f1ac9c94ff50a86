//! The document and what it is made of: its form, content, tags, lawful bases, and the references to its items.

pub(super) mod bound_content;
pub(super) mod content;
pub(super) mod form;
pub(super) mod gzip;
pub(super) mod item_ref;
pub(super) mod lawful_basis;
pub(super) mod lifecycle;
pub(super) mod tags;
pub(super) mod uuid8;
pub(super) mod vcon;
