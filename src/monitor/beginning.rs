//! The check that one tree is the beginning of another, by the tiles of the log.

use std::collections::HashMap;

use crate::ledger::{AuditError, AuditSource};
use crate::tlog::merkle::{check_consistency, consistency_proof, root_hash};
use crate::tlog::{RootHash, SignedCheckpoint, TileError, TileHashes, TileKind, TilePath, TileReader, TreeSize};

/// Checks that the tree of `size` entries with `root` is the beginning of that of `signed`, by the log's own tiles.
pub(super) async fn check_beginning(
    source: &impl AuditSource,
    size: TreeSize,
    root: RootHash,
    signed: &SignedCheckpoint,
) -> Result<(), BeginningError> {
    let (new, new_root) = (signed.checkpoint().size(), signed.checkpoint().root());
    if size == new {
        return if root == new_root { Ok(()) } else { Err(BeginningError::OtherTree) };
    }
    if size.0 == 0 {
        return Ok(());
    }
    let mut fetched = Fetched::default();
    // A proof needs two tiles of each level at most, so this ends.
    let (found, proof) = loop {
        let hashes = TileHashes::new(&fetched, new);
        match root_hash(size, &hashes).and_then(|found| Ok((found, consistency_proof(size, new, &hashes)?))) {
            Ok(proved) => break proved,
            Err(Missing::Tile(path)) => {
                let bytes = source.tile(path).await.map_err(BeginningError::Source)?;
                fetched.0.insert(path, bytes);
            }
            Err(Missing::Wrong(error)) => {
                return Err(BeginningError::Source(AuditError::Tile { path: "a hash tile".into(), error }));
            }
        }
    };
    // Whether the tiles are those of the signed tree comes first: damaged ones show nothing.
    if check_consistency(size, new, &proof, found, new_root).is_err() {
        return Err(BeginningError::Source(AuditError::Hashes("a hash tile on the way to the root".into())));
    }
    if found == root { Ok(()) } else { Err(BeginningError::OtherTree) }
}

/// Why a tree is not shown to be the beginning of another.
pub(super) enum BeginningError {
    /// The tiles could not be read, or are not those of the signed tree.
    Source(AuditError),
    OtherTree,
}

/// Tiles that were fetched for one proof.
#[derive(Default)]
struct Fetched(HashMap<TilePath, Vec<u8>>);

enum Missing {
    Tile(TilePath),
    Wrong(TileError),
}

impl From<TileError> for Missing {
    fn from(error: TileError) -> Self {
        Self::Wrong(error)
    }
}

impl TileReader for Fetched {
    type Error = Missing;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, Missing> {
        let path = TilePath::new(TileKind::Hashes { level }, index, width)?;
        self.0.get(&path).cloned().ok_or(Missing::Tile(path))
    }
}
