//! Why an index is not brought up to the log.

use std::io;

use crate::ledger::store::StoreError;
use crate::ledger::store::tiles::TileReadError;
use crate::tlog::LeafIndex;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// A store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The tiles cannot be read.
    #[error(transparent)]
    Tiles(TileReadError),
    /// What is in the place of an entry is none.
    #[error("entry {0} is none")]
    NoEntry(LeafIndex),
    /// A record was committed, and its body is not there.
    #[error("the body of the record in entry {0} is missing from the vault")]
    BodyGone(LeafIndex),
    /// A thread could not be started.
    #[error("{0}")]
    Thread(io::Error),
    /// The bodies do not open.
    #[error("the vault key does not decrypt the bodies in the vault")]
    VaultKey,
}

impl From<StoreError> for CatchUpError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<TileReadError> for CatchUpError {
    fn from(cause: TileReadError) -> Self {
        match cause {
            TileReadError::Store(error) => Self::Store(error),
            other => Self::Tiles(other),
        }
    }
}
