//! The document and what it is made of: its form, content, tags, lawful bases, and the references to its items.

pub(in crate::vcon) mod content;
pub(in crate::vcon) mod form;
pub(in crate::vcon) mod gzip;
pub(in crate::vcon) mod item_ref;
pub(in crate::vcon) mod lawful_basis;
pub(in crate::vcon) mod lifecycle;
pub(in crate::vcon) mod tags;
pub(in crate::vcon) mod uuid8;
pub(in crate::vcon) mod vcon;
