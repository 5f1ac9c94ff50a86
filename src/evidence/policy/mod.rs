//! The trust policy (`docs/TRUST.md`): whom the verifier trusts, for what, and until when.

mod algorithms;
mod trust;
mod trust_file;

pub(crate) use algorithms::AlgorithmUse;
pub use algorithms::{AlgorithmConstraint, ConstrainedAlgorithm};
pub use trust::{LedgerRequirement, TrustPolicy};
pub use trust_file::TrustPolicyError;
