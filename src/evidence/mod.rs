//! Evidence: the formats bound together, and the verifier.
//!
//! Pure: no I/O, no clock. [`entry`] is what a ledger entry says.

pub mod entry;

pub use entry::{Entry, EntryDraft, EntryError, Event};
