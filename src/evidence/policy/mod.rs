//! The trust policy (`docs/TRUST.md`): whom the verifier trusts, for what, and until when.

mod algorithms;
mod trust;
mod trust_file;

pub use algorithms::{AlgorithmConstraint, ConstrainedAlgorithm};
pub(crate) use algorithms::{AlgorithmUse, first_constraint};
pub use trust::{LedgerRequirement, TrustPolicy};
pub use trust_file::TrustPolicyError;
