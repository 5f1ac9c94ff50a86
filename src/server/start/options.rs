//! The options of a start.

use crate::authority::ScryptCost;

/// How a start may go on where it would rather not.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Sign although nobody could say that this is not a restored backup, or that the clock is right.
    pub accept_rollback_risk: bool,
    /// Start although the ledger names certificates of which nothing is left.
    pub accept_lost_certificates: bool,
    /// The cost of opening private keys; lower in tests.
    pub key_cost: Option<ScryptCost>,
}
