//! The pieces that the files of a backup are cut into, and the names that files may have.

use std::io::{self, Read};

use crate::crypto::Sha256Digest;

/// Bytes of a piece: of a file that grows at its end, what is whole is not written again. One is in memory at a time.
pub(super) const PIECE_BYTES: u64 = 16 << 20;
/// Files of a backup: certificates of ten thousand issuers over eighty years, or 250 TB of segments.
pub(super) const FILES_MAX: usize = 1 << 20;
/// Bytes of the list of files: 256 for each of them, or 64 TB of segments.
pub(super) const LIST_BYTES_MAX: u64 = 256 << 20;
/// Folders above a file.
const DEPTH_MAX: usize = 8;
/// Bytes of a path in a backup.
const NAME_BYTES_MAX: usize = 512;

/// The path of a file below a data directory, if it can be one: names of letters, digits, `.`, `_` and `-`, none of which
/// leads elsewhere.
pub(super) fn check_name(path: &str) -> Option<&str> {
    let is_plain = |name: &str| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        plain && !matches!(name, "" | "." | "..")
    };
    let fits = path.len() <= NAME_BYTES_MAX && path.split('/').count() <= DEPTH_MAX;
    (fits && path.split('/').all(is_plain)).then_some(path)
}

/// Reads the next piece of what has at most `left` bytes; empty at the end.
pub(super) fn next_piece(from: &mut impl Read, left: u64) -> io::Result<(Sha256Digest, Vec<u8>)> {
    let mut piece = Vec::new();
    from.take(left.min(PIECE_BYTES)).read_to_end(&mut piece)?;
    Ok((Sha256Digest::of(&piece), piece))
}
