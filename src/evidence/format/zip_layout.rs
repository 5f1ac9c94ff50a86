//! The layout of a zip archive: refused where two readers could read two things (APPNOTE.TXT §4.3).
//!
//! A reader may go by the central directory, by the headers beside the data, by the first or the last end record, by the
//! first or the last of two entries of one name. Here all of them say the same.

use std::collections::HashSet;

/// Why an archive could be read in two ways; the name is the entry's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ZipLayoutError {
    /// No end record, more than one, or one that is not at the end of its only archive.
    #[error("its directory does not end where the archive does")]
    End,
    /// The directory is not one of plain entries, or it needs zip64, which a bundle is too small for.
    #[error("its directory cannot be read")]
    Directory,
    /// A name that a folder cannot have, or that an extra field gives a second time.
    #[error("the name of entry {0:?} is not one that everybody reads alike")]
    Name(String),
    /// A name for the second time, whatever its case.
    #[error("entry {0:?} is there twice")]
    Twice(String),
    /// The header beside the data says something else, or is not there.
    #[error("entry {0:?} is described in two ways")]
    Header(String),
    /// Entries overlap, or bytes lie between them.
    #[error("entry {0:?} does not follow the one before it")]
    Gap(String),
}

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// Info-ZIP's Unicode Path: a second name.
const UNICODE_PATH: usize = 0x7075;
/// Sizes and checksum follow the data.
const HAS_DESCRIPTOR: usize = 8;

/// Checks that every reader sees the same entries in `bytes`.
///
/// # Errors
/// With the first thing that two readers could read in two ways.
pub(super) fn check_layout(bytes: &[u8]) -> Result<(), ZipLayoutError> {
    let end = bytes.windows(END.len()).rposition(|window| window == END).ok_or(ZipLayoutError::End)?;
    let at = |offset| number(bytes, end + offset, 2).ok_or(ZipLayoutError::End);
    let wide = |offset| number(bytes, end + offset, 4).ok_or(ZipLayoutError::End);
    let (count, size, start) = (at(10)?, wide(12)?, wide(16)?);
    let is_whole = (at(4)?, at(6)?, at(8)?) == (0, 0, count) && end + 22 + at(20)? == bytes.len();
    if !is_whole || start.checked_add(size) != Some(end) {
        return Err(ZipLayoutError::End);
    }
    let (mut names, mut next) = (HashSet::new(), 0);
    let mut position = start;
    for _ in 0..count {
        let entry = Entry::read(bytes, position).ok_or(ZipLayoutError::Directory)?;
        let name = || String::from_utf8_lossy(entry.name).chars().take(64).collect::<String>();
        let readable = std::str::from_utf8(entry.name).ok().filter(|text| is_plain(text));
        let readable = readable.filter(|_| !entry.has_second_name).ok_or_else(|| ZipLayoutError::Name(name()))?;
        if !names.insert(readable.trim_end_matches('/').to_lowercase()) {
            return Err(ZipLayoutError::Twice(name()));
        }
        let data_end = entry.check_local(bytes).ok_or_else(|| ZipLayoutError::Header(name()))?;
        if entry.local != next {
            return Err(ZipLayoutError::Gap(name()));
        }
        let is_signed = bytes.get(data_end..).is_some_and(|rest| rest.starts_with(DESCRIPTOR));
        let descriptor = if is_signed { 16 } else { 12 };
        next = data_end + if entry.flags & HAS_DESCRIPTOR == 0 { 0 } else { descriptor };
        position += entry.length;
    }
    if position != end || next != start {
        return Err(ZipLayoutError::Directory);
    }
    Ok(())
}

/// A name that is the same path in every folder.
fn is_plain(name: &str) -> bool {
    let parts = name.strip_suffix('/').unwrap_or(name);
    !name.contains(['\\', '\0', ':']) && parts.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// An entry of the central directory (§4.3.12).
struct Entry<'a> {
    name: &'a [u8],
    flags: usize,
    method: usize,
    /// Checksum, compressed and whole size.
    sizes: [usize; 3],
    local: usize,
    length: usize,
    has_second_name: bool,
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        bytes.get(at..)?.starts_with(ENTRY).then_some(())?;
        let short = |offset| number(bytes, at + offset, 2);
        let long = |offset| number(bytes, at + offset, 4);
        let (name, extra, comment) = (short(28)?, short(30)?, short(32)?);
        Some(Self {
            name: bytes.get(at + 46..at + 46 + name)?,
            flags: short(8)?,
            method: short(10)?,
            sizes: [long(16)?, long(20)?, long(24)?],
            local: long(42)?,
            length: 46 + name + extra + comment,
            has_second_name: has_second_name(bytes.get(at + 46 + name..at + 46 + name + extra)?),
        })
    }

    /// Where the data of the entry ends, if the header beside it says the same (§4.3.7).
    fn check_local(&self, bytes: &[u8]) -> Option<usize> {
        let at = self.local;
        bytes.get(at..)?.starts_with(LOCAL).then_some(())?;
        let short = |offset| number(bytes, at + offset, 2);
        let long = |offset| number(bytes, at + offset, 4);
        let (name, extra) = (short(26)?, short(28)?);
        let same_name = bytes.get(at + 30..at + 30 + name)? == self.name;
        let sizes = [long(14)?, long(18)?, long(22)?];
        let same_sizes = sizes == self.sizes || (self.flags & HAS_DESCRIPTOR != 0 && sizes == [0; 3]);
        let second = has_second_name(bytes.get(at + 30 + name..at + 30 + name + extra)?);
        let same = same_name && same_sizes && !second && short(6)? == self.flags && short(8)? == self.method;
        let data = at + 30 + name + extra;
        same.then_some(data.checked_add(self.sizes[1])?)
    }
}

/// Whether extra fields, each of an id, a length and its data, give the name again; what is no such list may.
fn has_second_name(mut fields: &[u8]) -> bool {
    while fields.len() >= 4 {
        let (Some(id), Some(length)) = (number(fields, 0, 2), number(fields, 2, 2)) else { return true };
        let Some(rest) = fields.get(4 + length..) else { return true };
        if id == UNICODE_PATH {
            return true;
        }
        fields = rest;
    }
    false
}

/// The little-endian number of `length` bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let digits = bytes.get(at..at.checked_add(length)?)?;
    Some(digits.iter().rev().fold(0, |number, digit| number << 8 | usize::from(*digit)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(name.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn replaced(bytes: &[u8], from: &str, to: &str, which: &[usize]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let found = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes());
        let found: Vec<_> = found.map(|(at, _)| at).collect();
        for which in which {
            bytes[found[*which]..found[*which] + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        let whole = zip(&["aa.json", "bb.json"]);
        assert_eq!(check_layout(&whole), Ok(()));
        // Its name is beside the data, in the data (stored names are short), and in the directory.
        let at = |name: &str| {
            whole
                .windows(name.len())
                .enumerate()
                .filter(|(_, w)| *w == name.as_bytes())
                .map(|(at, _)| at)
                .collect::<Vec<_>>()
        };
        let last = at("bb.json").len() - 1;
        let twice = replaced(&whole, "bb.json", "aa.json", &[0, last]);
        assert_eq!(check_layout(&twice), Err(ZipLayoutError::Twice("aa.json".into())));
        let cases = replaced(&whole, "bb.json", "AA.json", &[0, last]);
        assert_eq!(check_layout(&cases), Err(ZipLayoutError::Twice("AA.json".into())));
        let local = replaced(&whole, "bb.json", "cc.json", &[0]);
        assert_eq!(check_layout(&local), Err(ZipLayoutError::Header("bb.json".into())));
        for odd in ["../json", "b\\.json", "/b.json", "b//json"] {
            let odd = replaced(&whole, "bb.json", odd, &[0, last]);
            assert!(matches!(check_layout(&odd), Err(ZipLayoutError::Name(_))));
        }
        let (before, behind) = ([&b"x"[..], &whole].concat(), [&whole[..], b"x"].concat());
        for not_alone in [before, behind, [whole.clone(), whole.clone()].concat(), Vec::new(), whole[..40].to_vec()] {
            assert_eq!(check_layout(&not_alone), Err(ZipLayoutError::End));
        }
    }
}
