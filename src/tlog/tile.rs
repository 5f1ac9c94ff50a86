//! Tiles: a log's hashes and entries as immutable files (c2sp.org/tlog-tiles).
//!
//! A hash tile at level L holds up to 256 hashes of complete subtrees of 256^L leaves; an entry bundle holds the
//! entries under one tile of level 0. Both are addressed by a path, for example `tile/1/x001/x234/067.p/112`
//! (c2sp.org/tlog-tiles).

use std::fmt;
use std::str::FromStr;

use super::parse_decimal;
use super::position::TreeSize;

/// Hashes, or entries, of a full tile (tlog-tiles).
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Largest level of a tile (tlog-tiles); a tree of 2^64 leaves needs no more than 7.
pub(super) const LEVEL_MAX: u8 = 63;
/// Bytes of a path: `tile/entries/`, seven groups for a 64-bit index, `.p/255`; rounded up.
const PATH_BYTES_MAX: usize = 64;
/// Bytes of an entry: its length is a `u16`.
pub const ENTRY_BYTES_MAX: usize = 0xffff;

/// The kind of content of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of complete subtrees of 256^level leaves.
    Hashes {
        /// The level, at most 63.
        level: u8,
    },
    /// Entries.
    Entries,
}

/// Why a path or a tile is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TileError {
    /// The path is not one of a tile, or not spelled the one way it may be.
    #[error("not the path of a tile")]
    Path,
    /// The tile is shorter than its width asks for.
    #[error("a tile of {bytes} bytes is too short for {width} hashes")]
    Short {
        /// Bytes read.
        bytes: usize,
        /// The hashes that were asked for.
        width: u16,
    },
    /// An entry ends after the bundle does.
    #[error("entry {position} of the bundle is cut off")]
    EntryCutOff {
        /// Which one, from 0.
        position: usize,
    },
    /// The bundle holds another number of entries than its width says.
    #[error("a bundle of {entries} entries has bytes for another number than {width}")]
    BundleWidth {
        /// Entries read.
        entries: usize,
        /// Entries expected.
        width: u16,
    },
    /// An entry that no bundle can hold.
    #[error("an entry of {bytes} bytes is longer than {ENTRY_BYTES_MAX}")]
    EntryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The hash asked for is not in the tree.
    #[error("no hash at level {level}, index {index} in a tree of {size} leaves")]
    OutsideTree {
        /// The level of the hash, not of a tile.
        level: u32,
        /// Its index there.
        index: u64,
        /// The tree's size.
        size: TreeSize,
    },
}

/// The address of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    // Invariant: a level is at most 63, the width from 1 to 256.
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TilePath {
    /// Addresses the tile at `index` with `width` hashes or entries.
    ///
    /// # Errors
    /// When the level is above 63, or the width not from 1 to 256.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        let level_fits = !matches!(kind, TileKind::Hashes { level } if level > LEVEL_MAX);
        if !level_fits || !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Path);
        }
        Ok(Self { kind, index, width })
    }

    /// The kind of content.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Which tile of its level it is, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds: 256 when it is full.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The full tile that this one is the beginning of. A partial tile may be gone once that is there.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: TILE_WIDTH, ..*self }
    }

    /// The bytes of this tile, from those of a tile at least as wide.
    ///
    /// # Errors
    /// When they are too short.
    pub fn beginning<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], TileError> {
        let length = match self.kind {
            TileKind::Hashes { .. } => usize::from(self.width) * 32,
            TileKind::Entries => bundle_length(bytes, self.width)?,
        };
        bytes.get(..length).ok_or(TileError::Short { bytes: bytes.len(), width: self.width })
    }

    /// Whether the tile is full, and so never changes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(formatter, "tile/{level}")?,
            TileKind::Entries => formatter.write_str("tile/entries")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (left, group) in groups.iter().enumerate().rev() {
            write!(formatter, "/{}{group:03}", if left > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    /// Parses a path without a leading slash.
    fn from_str(text: &str) -> Result<Self, TileError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(TileError::Path);
        }
        let rest = text.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (kind, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                let level = parse_decimal(level).and_then(|level| u8::try_from(level).ok());
                TileKind::Hashes { level: level.ok_or(TileError::Path)? }
            }
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => {
                (groups, parse_decimal(width).and_then(|width| u16::try_from(width).ok()).ok_or(TileError::Path)?)
            }
            None => (rest, TILE_WIDTH),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let value = Some(digits)
                .filter(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse::<u64>().ok())
                .ok_or(TileError::Path)?;
            index = index.checked_mul(1000).and_then(|index| index.checked_add(value)).ok_or(TileError::Path)?;
        }
        let path = Self::new(kind, index, width)?;
        // Writing it again decides where an x belongs, that no group is needless, and that no partial tile is full.
        if path.to_string() == text { Ok(path) } else { Err(TileError::Path) }
    }
}

/// How many hashes a tree of `size` leaves has at the tiles of `level`.
#[must_use]
pub fn hashes_at(size: TreeSize, level: u8) -> u64 {
    size.0.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0)
}

/// The width of the tile at `level` and `index` in a tree of `size` leaves: `None` when the tree has no such tile.
#[must_use]
pub fn width_in(size: TreeSize, level: u8, index: u64) -> Option<u16> {
    let left = hashes_at(size, level).checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
    let width = left.min(u64::from(TILE_WIDTH));
    (width > 0).then(|| u16::try_from(width).expect("at most 256"))
}

/// The tiles and entry bundles of a tree of `new` leaves that a tree of `old` leaves does not have, the partial ones
/// among them; the entry bundles first, then level by level.
pub fn new_tiles(old: TreeSize, new: TreeSize) -> impl Iterator<Item = TilePath> {
    let levels = (0..=LEVEL_MAX).take_while(move |level| hashes_at(new, *level) > 0);
    let kinds = std::iter::once((TileKind::Entries, 0)).chain(levels.map(|level| (TileKind::Hashes { level }, level)));
    kinds.flat_map(move |(kind, level)| {
        let (before, after) = (hashes_at(old, level), hashes_at(new, level));
        let first = before / u64::from(TILE_WIDTH);
        let end = if after > before { after.div_ceil(u64::from(TILE_WIDTH)) } else { first };
        (first..end).map(move |index| {
            let width = width_in(new, level, index).expect("below the end");
            TilePath { kind, index, width }
        })
    })
}

/// Appends one entry to a bundle: its length as a big-endian `u16`, then its bytes.
///
/// # Errors
/// When it is longer than [`ENTRY_BYTES_MAX`].
pub fn append_to_bundle(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Bytes of the first `width` entries of a bundle.
fn bundle_length(bundle: &[u8], width: u16) -> Result<usize, TileError> {
    let mut at = 0;
    for position in 0..usize::from(width) {
        let length = bundle.get(at..at + 2).ok_or(TileError::EntryCutOff { position })?;
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if at > bundle.len() {
            return Err(TileError::EntryCutOff { position });
        }
    }
    Ok(at)
}

/// Takes a bundle of exactly `width` entries apart.
///
/// # Errors
/// When an entry is cut off, or there are fewer or more bytes than `width` entries take.
pub fn bundle_entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    while entries.len() < usize::from(width) && !rest.is_empty() {
        let cut_off = TileError::EntryCutOff { position: entries.len() };
        let Some((length, after)) = rest.split_first_chunk::<2>() else { return Err(cut_off) };
        let Some((entry, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            return Err(cut_off);
        };
        entries.push(entry);
        rest = after;
    }
    if entries.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::BundleWidth { entries: entries.len(), width });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for text in [
            "tile/0/000",
            "tile/0/x001/x234/067",
            "tile/63/x001/x234/067.p/112",
            "tile/entries/999.p/1",
            "tile/entries/x001/000.p/255",
            "tile/7/x018/x446/x744/x073/x709/x551/615",
        ] {
            assert_eq!(text.parse::<TilePath>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/x000/067",
            "tile/0/001/067",
            "tile/0/x001/x067",
            "tile/00/067",
            "tile/64/067",
            "tile/0/067.p/0",
            "tile/0/067.p/256",
            "tile/0/067.p/01",
            "tile/0/067.p/1/",
            "/tile/0/067",
            "tile/0/+67",
            "tile/0/../067",
            "tile/7/x018/x446/x744/x073/x709/x551/616",
            "tile/hashes/067",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TileError::Path), "{text}");
        }
    }

    #[test]
    fn a_tree_of_70000_leaves_has_the_tiles_of_the_specification() {
        let size = TreeSize(70_000);
        assert_eq!(width_in(size, 0, 272), Some(256));
        assert_eq!(width_in(size, 0, 273), Some(112));
        assert_eq!(width_in(size, 0, 274), None);
        assert_eq!((width_in(size, 1, 0), width_in(size, 1, 1), width_in(size, 2, 0)), (Some(256), Some(17), Some(1)));
        assert_eq!(width_in(size, 3, 0), None);
        assert_eq!(width_in(TreeSize(256), 0, 1), None);
        assert_eq!(width_in(TreeSize(256), 1, 0), Some(1));
        let paths = |old, new| new_tiles(TreeSize(old), TreeSize(new)).map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(paths(255, 256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(paths(256, 257), ["tile/entries/001.p/1", "tile/0/001.p/1"]);
        assert_eq!(paths(7, 7), [""; 0]);
        assert_eq!(new_tiles(TreeSize(0), size).count(), 274 + 274 + 2 + 1);
    }

    #[test]
    fn a_bundle_gives_back_its_entries_and_nothing_else() {
        let mut bundle = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            append_to_bundle(&mut bundle, entry).unwrap();
        }
        assert_eq!(bundle_entries(&bundle, 3).unwrap(), [&b"one"[..], b"", b"three"]);
        assert_eq!(bundle_entries(&bundle, 2), Err(TileError::BundleWidth { entries: 2, width: 2 }));
        assert_eq!(bundle_entries(&bundle, 4), Err(TileError::BundleWidth { entries: 3, width: 4 }));
        let beginning = |width| {
            let path = TilePath::new(TileKind::Entries, 0, width).unwrap();
            path.beginning(&bundle).map(<[u8]>::len)
        };
        assert_eq!((beginning(1), beginning(2), beginning(3)), (Ok(5), Ok(7), Ok(14)));
        assert_eq!(beginning(4), Err(TileError::EntryCutOff { position: 3 }));
        let hashes = TilePath::new(TileKind::Hashes { level: 0 }, 7, 2).unwrap();
        assert_eq!(
            (hashes.full().to_string(), hashes.beginning(&[7; 96])),
            ("tile/0/007".to_owned(), Ok(&[7; 64][..]))
        );
        assert_eq!(hashes.beginning(&[7; 63]), Err(TileError::Short { bytes: 63, width: 2 }));
        bundle.pop();
        assert_eq!(bundle_entries(&bundle, 3), Err(TileError::EntryCutOff { position: 2 }));
        let long = vec![0; ENTRY_BYTES_MAX + 1];
        assert_eq!(append_to_bundle(&mut bundle, &long), Err(TileError::EntryTooLong { bytes: 65_536 }));
    }
}
