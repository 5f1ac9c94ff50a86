//! Issuing: a vCon comes in, a record goes into the ledger, evidence comes out.
//!
//! [`Issuance`] scores and signs what is unsigned, verifies what is signed elsewhere, appends both, and collects the
//! evidence of a record into a bundle. [`Witnessing`] has checkpoints witnessed and timestamped in the background,
//! [`Publishing`] puts them where others serve them.

mod batch;
mod collect;
mod outbox;
mod publish_target;
mod publishing;
mod receipt;
mod renewal;
mod submit;
mod witnessing;

use std::sync::Arc;
use std::time::Duration;

pub use batch::{BatchError, BatchLine, BatchResult, LineError, lines, run_batch};
pub use collect::CollectError;
pub use outbox::{OutboxError, announce, publish_events};
pub use publish_target::{PublishError, PublishTarget};
pub use publishing::{PublishPlan, Publishing, PublishingError};
pub use receipt::{Receipt, Wait};
pub use renewal::{RenewalError, Renewed};
pub use submit::{Caller, Prepared, SubmitError};
pub use witnessing::{
    Party, PartyHealth, Standing, WitnessPlan, Witnessing, WitnessingError, ask_target, ask_witnesses,
};

use crate::authority::Authority;
use crate::clock::Clock;
use crate::evidence::Verifier;
use crate::ledger::Ledger;
use crate::scorecard::Scorecard;
use crate::tlog::LogPolicy;
use crate::vcon::VconLimits;
use crate::workers::Workers;

/// Everything that issuing needs.
pub struct Issuance {
    /// The ledger.
    pub ledger: Ledger,
    /// The certificate manager.
    pub authority: Arc<Authority>,
    /// The scorecards, in the order of their files.
    pub scorecards: Vec<Scorecard>,
    /// The verifier under the server's own trust policy.
    pub verifier: Verifier,
    /// The log policy that bundles offer.
    pub log_policy: LogPolicyFile,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The threads that sign and verify.
    pub workers: Workers,
    /// What a vCon may cost.
    pub limits: VconLimits,
    /// How long a caller may wait for witnesses.
    pub witnessed_timeout: Duration,
}

/// A log policy and the bytes that it was read from.
#[derive(Debug, Clone)]
pub struct LogPolicyFile {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub policy: LogPolicy,
}
