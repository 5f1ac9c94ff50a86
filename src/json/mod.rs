//! JSON as evidence needs it: read strictly, written canonically.
//!
//! [`parse`] is the gate that every foreign document passes before anything else looks at it: it refuses what
//! two parsers could read in two ways. [`to_canonical`] is RFC 8785 for the documents that we mint ourselves.

mod canonical;
mod strict;

pub use canonical::{CanonicalError, to_canonical};
pub use strict::{JsonLimits, StrictError, parse};
