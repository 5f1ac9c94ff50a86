//! The operator of a log: background work that never delays issuing.
//!
//! | file | what it does |
//! |---|---|
//! | [`witness_rounds`] | has checkpoints cosigned and timestamped |
//! | [`publishing`] | writes the newest checkpoint and its tiles to a [`publish_target`] |
//! | [`rollback_check`] | asks, before a start, whether others have seen more of the log than is here |
//! | [`policy_events`] | brings the authority's events, scorecards and the trust policy into the ledger |
//! | [`archive_renewal`] | has evidence timestamped again before it expires |
//! | [`signature_timestamps`] | has the signatures of records timestamped, where the policy asks for it |
//! | [`maintenance`] | rotates certificates, renews revocation lists and evidence when they are due |
//! | [`health`] | whether witnesses, timestamp authorities and publish targets answer |

pub mod archive_renewal;
pub mod health;
pub mod maintenance;
pub mod policy_events;
pub mod publish_target;
pub mod publishing;
pub mod rollback_check;
pub mod signature_timestamps;
pub mod witness_rounds;
