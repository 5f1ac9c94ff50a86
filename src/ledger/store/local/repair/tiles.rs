//! Tiles and bundles held against the entries, and written again from them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::segment::create_directory;
use super::super::tiles::LocalTiles;
use super::pieces::read_all;
use super::walk::Step;
use crate::atomic_file::{self, Access};
use crate::ledger::store::StoreError;
use crate::tlog::tile::{TILE_WIDTH, append_to_bundle};
use crate::tlog::{GrowingTiles, TileKind, TilePath, TreeSize};
use crate::vfs::FileSystem;

/// The tiles of one ledger, as its entries make them.
pub(super) struct TileCheck<'a> {
    fs: &'a Arc<dyn FileSystem>,
    tiles: LocalTiles,
    growing: GrowingTiles,
    bundle: Vec<u8>,
    size: TreeSize,
    is_mending: bool,
    /// Files that are not what the entries make.
    pub(super) damaged: BTreeSet<PathBuf>,
}

impl<'a> TileCheck<'a> {
    /// What is damaged is written again where `is_mending`.
    pub(super) fn new(fs: &'a Arc<dyn FileSystem>, tiles: LocalTiles, is_mending: bool) -> Self {
        let (growing, bundle, damaged) = (GrowingTiles::default(), Vec::new(), BTreeSet::new());
        Self { fs, tiles, growing, bundle, size: TreeSize(0), is_mending, damaged }
    }

    pub(super) fn step(&mut self, step: &Step<'_>) -> Result<(), StoreError> {
        let Step::Entry { bytes, closed, .. } = step else { return Ok(()) };
        append_to_bundle(&mut self.bundle, bytes).expect("an entry is at most 4 KiB");
        self.size.0 += 1;
        for (path, bytes) in self.growing.push(closed) {
            self.check(path, &bytes)?;
        }
        if self.size.0.is_multiple_of(u64::from(TILE_WIDTH)) {
            let bundle = std::mem::take(&mut self.bundle);
            self.check(bundle_path(self.size.0 / u64::from(TILE_WIDTH) - 1, TILE_WIDTH), &bundle)?;
        }
        Ok(())
    }

    /// Holds those against the entries that are not full.
    pub(super) fn finish(mut self) -> Result<BTreeSet<PathBuf>, StoreError> {
        let width = u16::try_from(self.size.0 % u64::from(TILE_WIDTH)).expect("below 256");
        let mut partial: Vec<_> = self.growing.partial().map(|(path, bytes)| (path, bytes.to_vec())).collect();
        if width > 0 {
            let bundle = std::mem::take(&mut self.bundle);
            partial.push((bundle_path(self.size.0 / u64::from(TILE_WIDTH), width), bundle));
        }
        for (path, bytes) in partial {
            self.check(path, &bytes)?;
        }
        Ok(self.damaged)
    }

    fn check(&mut self, path: TilePath, expected: &[u8]) -> Result<(), StoreError> {
        let file = self.tiles.path(path.kind(), path.index());
        let found = read_all(&**self.fs, &file)?.unwrap_or_default();
        // Behind the end of one that is not full there may be what was never committed.
        if found == expected || !path.is_full() && found.starts_with(expected) {
            return Ok(());
        }
        if self.is_mending {
            create_directory(self.fs, file.parent().expect("a tile is in a folder"))?;
            atomic_file::write_on(&**self.fs, &file, expected, Access::Public).map_err(StoreError::io(&file))?;
        }
        self.damaged.insert(file);
        Ok(())
    }
}

fn bundle_path(index: u64, width: u16) -> TilePath {
    TilePath::new(TileKind::Entries, index, width).expect("a width within its limits")
}
