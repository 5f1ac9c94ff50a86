//! JSON: a strict parser and a canonical writer.
//!
//! [`parse`] is the gate that every foreign document passes before anything else looks at it: it refuses what
//! two parsers could read in two ways. [`rewrite()`] changes a document and leaves the rest of its bytes alone. [`to_canonical`] is RFC 8785 for the documents that we mint ourselves.

mod canonical;
mod rewrite;
mod strict;

pub use canonical::{CanonicalError, to_canonical};
pub use rewrite::rewrite;
pub use strict::{JsonLimits, StrictError, parse};
