//! The log before a log, as the first entry of that one names it.

use serde::Serialize;

use crate::crypto::Sha256Digest;
use crate::tlog::TreeSize;

/// The log that another one goes on from, as it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Predecessor {
    /// Its origin.
    pub origin: String,
    /// Its entries, of which the last one names the log that goes on.
    pub size: TreeSize,
    /// The root of their tree.
    pub root: Sha256Digest,
}
