//! The options of a start.

use crate::authority::ScryptCost;

/// How a start may go on where it would rather not.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Sign although no witness could say that this is not a restored backup.
    pub accept_rollback_risk: bool,
    /// The cost of opening private keys; lower in tests.
    pub key_cost: Option<ScryptCost>,
}
