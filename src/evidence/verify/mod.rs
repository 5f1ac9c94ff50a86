//! The verifier: a bundle, a trust policy and the time in, a report out (EN 319 102-1 §5.3, §5.5, §5.6).
//!
//! No I/O and no clock. It returns a report and never an error: what cannot be decided is a finding. The rows of the
//! decision table in `docs/VERDICTS.md` are tried in their order, and the first that matches is the verdict.

mod acceptance;
mod assembly;
mod completeness;
mod context;
mod embedded;
mod expiry;
mod file_timestamp;
mod format_check;
mod input;
mod material;
mod recordings;
mod rows;
mod signature;
mod statement;
mod time;
mod validity;

use chrono::{DateTime, Utc};

pub use file_timestamp::FileTimestamp;
pub use material::signer_chain::signer_chain;
pub use material::verifier::Verifier;
pub use statement::{ReceiptError, SignedStatement, StatementError, check_receipt};

use crate::evidence::format::{Bundle, Record, RecordError};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::ValidationReport;
use context::{Context, RevocationMemo};
use input::Input;

/// Verifies `bundle` under `policy`, as of `now`.
#[must_use]
pub fn verify(bundle: &Bundle, policy: &TrustPolicy, now: DateTime<Utc>) -> ValidationReport {
    Verifier::new(policy.clone()).verify(bundle, now)
}

impl Verifier {
    /// Verifies `bundle` as of `now`.
    #[must_use]
    pub fn verify(&self, bundle: &Bundle, now: DateTime<Utc>) -> ValidationReport {
        self.verify_parsed(bundle, &Record::parse(&bundle.record, self.limits()), now)
    }

    /// Verifies `bundle`, whose record was parsed before, as of `now`.
    #[must_use]
    pub fn verify_parsed(
        &self,
        bundle: &Bundle,
        record: &Result<Record, RecordError>,
        now: DateTime<Utc>,
    ) -> ValidationReport {
        // Format checking (§5.2.2).
        let record = match record {
            Ok(record) => record,
            Err(error) => return assembly::unreadable(self, format_check::verdict(self, bundle, error), now),
        };
        let input = Input::of(self, bundle, record, now);
        // Proofs of existence, timestamps, the ledger (§5.6.2.3, §5.4).
        let time = time::collect(&input);
        // Each signature: identification, cryptography, constraints, path, validity at the proved time (§5.3, §5.5, §5.6).
        let memo = RevocationMemo::default();
        let contexts = Context::of_layers(&input, &time, &memo);
        let signatures = signature::validate_all(&contexts);
        // What the bundle lacks to verify for ever.
        let completeness = completeness::check(&contexts, &signatures);
        drop(contexts);
        let signatures = signatures.into_iter().map(|signature| signature.report).collect();
        assembly::assemble(&input, time, signatures, completeness)
    }
}
