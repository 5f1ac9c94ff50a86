//! A segment taken apart: its whole frames, and what lies between them.

use std::path::Path;

use super::super::segment::{HEADER_BYTES, parse_header};
use crate::ledger::store::StoreError;
use crate::vfs::{FileSystem, OpenMode};

/// Bytes that are read at once; where that fails, so many are read one after the other, and what cannot be is zeros.
const READ_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 512;

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A whole frame.
    Frame {
        /// Where it begins.
        at: u64,
        /// What is in it.
        payload: &'a [u8],
    },
    /// What is no frame.
    Gap {
        /// Where it begins.
        at: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// The pieces of a segment, in order. `may_be` says whether a payload may be one of the store, before its checksum is made.
pub(super) fn pieces<'a>(bytes: &'a [u8], may_be: &'a dyn Fn(&[u8]) -> bool) -> impl Iterator<Item = Piece<'a>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at;
        if begin == bytes.len() {
            return None;
        }
        if let Some(payload) = whole_frame(&bytes[begin..], may_be) {
            at += HEADER_BYTES + payload.len();
            return Some(Piece::Frame { at: begin as u64, payload });
        }
        at += 1;
        while at < bytes.len() && whole_frame(&bytes[at..], may_be).is_none() {
            at += 1;
        }
        Some(Piece::Gap { at: begin as u64, bytes: &bytes[begin..at] })
    })
}

fn whole_frame<'a>(bytes: &'a [u8], may_be: &dyn Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (length, crc) = parse_header(*header);
    let payload = rest.get(..length).filter(|payload| !payload.is_empty() && may_be(payload))?;
    (crc32fast::hash(payload) == crc).then_some(payload)
}

/// Reads a whole file; what a disk does not give is zeros. `None` when there is no such file.
pub(super) fn read_all(fs: &dyn FileSystem, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match fs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(StoreError::io(path))?,
    };
    let length = file.length().map_err(StoreError::io(path))?;
    let mut bytes = vec![0; usize::try_from(length).expect("a segment is small")];
    for (number, part) in bytes.chunks_mut(READ_BYTES).enumerate() {
        let offset = (number * READ_BYTES) as u64;
        if file.read_exact_at(part, offset).is_ok() {
            continue;
        }
        for (number, page) in part.chunks_mut(PAGE_BYTES).enumerate() {
            if let Err(error) = file.read_exact_at(page, offset + (number * PAGE_BYTES) as u64) {
                tracing::warn!(%error, path = %path.display(), "a page cannot be read");
                page.fill(0);
            }
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::super::segment::frame_header;
    use super::*;

    #[test]
    fn what_is_no_frame_ends_where_the_next_begins() {
        let frame = |payload: &[u8]| [&frame_header(&[payload])[..], payload].concat();
        let mut bytes = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
        bytes[12] ^= 1;
        bytes.push(7);
        let found: Vec<_> = pieces(&bytes, &|_| true).collect();
        let expected = [
            Piece::Frame { at: 0, payload: b"one" },
            Piece::Gap { at: 11, bytes: &bytes[11..22] },
            Piece::Frame { at: 22, payload: b"three" },
            Piece::Gap { at: 35, bytes: &[7] },
        ];
        assert_eq!(found, expected);
    }
}
