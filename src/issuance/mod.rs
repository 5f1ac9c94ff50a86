//! Issuing: a vCon comes in, a record goes into the ledger, evidence comes out.
//!
//! | file | what it adds to [`Issuance`] |
//! |---|---|
//! | `submit.rs` | a submission all the way: prepared, appended, waited for |
//! | `issue.rs` | an unsigned vCon: scored and signed |
//! | `admit.rs` | a record that was signed elsewhere: verified |
//! | `resign.rs`, `erase.rs` | a record signed again, or erased |
//! | `receipt.rs` | what a submitter gets back |
//! | `evidence_for.rs` | the evidence that our own stores have |
//! | `assemble_bundle.rs` | all evidence of a record, as a bundle |
//! | `jades.rs` | a record in the form of JAdES |
//! | `kept_properties.rs` | unsigned properties beside a record, as they are kept |
//! | `richer_form.rs` | a record that comes again, with more beside its signatures |
//! | `verify_with_ledger.rs` | a record that somebody sent, verified with what the ledger knows of it |
//! | `batch.rs` | many submissions, a line each |

mod admit;
mod assemble_bundle;
mod batch;
mod erase;
mod evidence_for;
mod issue;
mod jades;
mod kept_properties;
mod receipt;
mod resign;
mod richer_form;
mod submit;
#[cfg(test)]
mod tests;
mod verify_with_ledger;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use assemble_bundle::{AssembleError, AssembledBundle};
pub use batch::{BatchError, BatchLine, BatchResult, LineError, lines, lines_in_flight, run_batch};
pub use erase::ErasureScope;
pub use evidence_for::EvidenceError;
pub use jades::{ArchivedForm, JadesError, JadesForm, UnarchivedForm};
pub use receipt::SubmissionReceipt;
pub use submit::{NewRecord, PreparedSubmission, SubmitError, Submitter};
pub use verify_with_ledger::VerifyError;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::cpu_pool::CpuPool;
use crate::evidence::Verifier;
use crate::ledger::Ledger;
use crate::scorecard::Scorecard;
use crate::tlog::LogPolicy;
use crate::vcon::VconLimits;

/// Everything that issuing needs.
pub struct Issuance {
    pub(crate) ledger: Ledger,
    pub(crate) authority: Arc<Authority>,
    /// The scorecards, in the order of their files.
    pub(crate) scorecards: Vec<Scorecard>,
    /// The verifier under the server's own trust policy.
    pub(crate) verifier: Verifier,
    /// The log policy that bundles offer.
    pub(crate) log_policy: LogPolicyFile,
    pub(crate) clock: Arc<dyn Clock>,
    /// The threads that sign and verify.
    pub(crate) cpu_pool: CpuPool,
    pub(crate) limits: VconLimits,
    /// Kibibytes of lines of batches that may be worked on now.
    pub(crate) batch_budget: Arc<Semaphore>,
    /// How long a submitter may wait for witnesses.
    pub(crate) witnessed_timeout: Duration,
    /// The newest revocation lists of timestamp authorities, DER.
    pub(crate) timestamp_lists: RwLock<Vec<Vec<u8>>>,
}

impl Issuance {
    /// The ledger that records go into.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The certificate authority whose issuers sign.
    #[must_use]
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The newest revocation lists of timestamp authorities that were fetched, DER.
    pub(crate) fn timestamp_lists(&self) -> Vec<Vec<u8>> {
        self.timestamp_lists.read().expect("no holder of this lock panics").clone()
    }

    /// Puts newer ones in their place.
    pub(crate) fn keep_timestamp_lists(&self, lists: Vec<Vec<u8>>) {
        *self.timestamp_lists.write().expect("no holder of this lock panics") = lists;
    }

    /// The verifier under the server's own trust policy.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// A log policy and the bytes that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct LogPolicyFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) policy: LogPolicy,
}
