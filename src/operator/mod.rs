//! The operator of a log: background work that never delays issuing.
//!
//! | file | what it does |
//! |---|---|
//! | [`witness_rounds`] | has checkpoints cosigned and timestamped |
//! | [`publishing`] | writes the newest checkpoint and its tiles to a [`publish_target`] |
//! | `public_directory` | a folder that others may write to as well |
//! | [`rollback_check`] | asks, before a start, whether others have seen more of the log than is here |
//! | [`alerts`] | posts evidence of a fork to an address of the operator |
//! | `fork_evidence` | what others have against the log, put together |
//! | [`confirmation`] | asks on, beside a ledger that could not be confirmed at its start |
//! | [`authority_check`] | holds the authority, before a start, against what the ledger says of certificates |
//! | [`policy_events`] | brings the authority's events, scorecards and the trust policy into the ledger |
//! | [`archive_renewal`] | has evidence timestamped again before it expires |
//! | [`signature_timestamps`] | has the signatures of records timestamped, where the policy asks for it |
//! | [`time_check`] | asks others for the time where the machine's clock is not believed |
//! | [`maintenance`] | rotates certificates, renews revocation lists and evidence when they are due |
//! | [`health`] | whether witnesses, timestamp authorities and publish targets answer |

pub mod alerts;
pub mod archive_renewal;
pub mod authority_check;
pub mod confirmation;
mod fork_evidence;
pub mod health;
pub mod maintenance;
pub mod policy_events;
pub(crate) mod public_directory;
pub mod publish_target;
pub mod publishing;
pub mod rollback_check;
pub mod signature_timestamps;
pub mod time_check;
pub mod witness_rounds;
