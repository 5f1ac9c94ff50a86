//! The trust policy (`docs/TRUST.md`): whom the verifier trusts, for what, and until when.

mod algorithms;
mod trust;
mod trust_file;

pub(crate) use algorithms::{Strength, first_sunset};
pub use algorithms::{Sunset, SunsetAlgorithm};
pub use trust::{LedgerRequirement, TrustPolicy};
pub use trust_file::TrustPolicyError;
