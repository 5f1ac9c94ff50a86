//! Zip archives, read so that no other reader can see something else in them (APPNOTE.TXT 6.3.10 §4.3).
//!
//! A reader may go by the central directory or by the headers beside the data, by the first or the last end record, by the
//! first or the last of two entries of one name; it may stream, or trust a checksum. Here all of them have to say the same.
//! Read are stored and deflated entries; a bundle is too small to need zip64, but its writer may not know that beforehand.

use std::collections::HashSet;
use std::io::Read as _;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use unicode_normalization::UnicodeNormalization as _;

/// Why an archive is not read. Entries are told by their name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ZipError {
    /// No end record, more than one, or one that is not at the end of its only archive.
    #[error("its directory does not end where the archive does")]
    End,
    /// The directory is not one of plain entries.
    #[error("its directory cannot be read")]
    Directory,
    /// More entries or bytes than are read.
    #[error("it has too many files or bytes")]
    TooLarge,
    /// A name that a folder cannot have, that is in no known alphabet, or that an extra field gives a second time.
    #[error("the name of entry {0:?} is ambiguous")]
    Name(String),
    /// A name for the second time, in whatever case and form.
    #[error("entry {0:?} is duplicated")]
    Twice(String),
    /// The header beside the data, or the descriptor behind it, says something else or is not there.
    #[error("entry {0:?} is described in two ways")]
    Header(String),
    /// Entries overlap, are not in the order of the directory, or bytes lie between them.
    #[error("entry {0:?} does not follow the one before it")]
    Gap(String),
    /// Encrypted, or compressed by another method than deflate.
    #[error("entry {0:?} is encrypted, or its compression is not supported")]
    Method(String),
    /// The data does not come to the size or the checksum, or does not end where it should.
    #[error("entry {0:?} is corrupt")]
    Data(String),
}

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// Extra field: sizes of eight bytes (§4.5.3).
const ZIP64: usize = 1;
/// Extra field: a second name (§4.6.9).
const UNICODE_PATH: usize = 0x7075;
/// Flags (§4.4.4): encrypted, strongly encrypted, headers masked.
const ENCRYPTED: usize = 0x2041;
/// Flag: sizes and checksum follow the data.
const HAS_DESCRIPTOR: usize = 8;
/// Flag: the name is UTF-8.
const UTF_8: usize = 0x800;
/// Where four bytes are too few, or the size is not known yet.
const IN_EXTRA: u64 = 0xffff_ffff;

/// Reads the files of an archive, at most so many and of so many bytes together; folders are left out.
///
/// # Errors
/// With the first thing that two readers could read in two ways, or that is too much.
pub(super) fn read_zip(bytes: &[u8], files_max: usize, bytes_max: usize) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let directory = Directory::find(bytes)?;
    if directory.count > files_max {
        return Err(ZipError::TooLarge);
    }
    let entries = directory.entries(bytes)?;
    let (mut files, mut names, mut next) = (Vec::new(), HashSet::new(), 0);
    let mut left = bytes_max;
    for (position, entry) in entries.iter().enumerate() {
        let name = entry.name()?;
        if !names.insert(name.trim_end_matches('/').to_lowercase().nfkc().collect::<String>()) {
            return Err(ZipError::Twice(entry.label()));
        }
        if entry.local != next {
            return Err(ZipError::Gap(entry.label()));
        }
        next = entries.get(position + 1).map_or(directory.start, |next| next.local);
        let data = entry.data(bytes, next)?;
        left = left.checked_sub(entry.size()?).ok_or(ZipError::TooLarge)?;
        let content = entry.content(data)?;
        if !name.ends_with('/') {
            files.push((name.to_owned(), content));
        }
    }
    if next != directory.start { Err(ZipError::End) } else { Ok(files) }
}

/// The central directory (§4.3.16).
struct Directory {
    start: usize,
    end: usize,
    count: usize,
}

impl Directory {
    fn find(bytes: &[u8]) -> Result<Self, ZipError> {
        let end = bytes.windows(END.len()).rposition(|window| window == END).ok_or(ZipError::End)?;
        let record = Fields(&bytes[end..]);
        let read = || {
            let start = record.long(16)?;
            let whole = start.checked_add(record.long(12)?)? == end && 22 + record.short(20)? == bytes.len() - end;
            let count = record.short(10)?;
            let one_disk = (record.short(4)?, record.short(6)?, record.short(8)?) == (0, 0, count);
            (whole && one_disk).then_some(Self { start, end, count })
        };
        let directory = read().ok_or(ZipError::End)?;
        // One that lies in a name or a comment is the end for a reader that looks from the front.
        let ends = bytes[directory.start..].windows(END.len()).filter(|window| *window == END).count();
        if ends == 1 { Ok(directory) } else { Err(ZipError::End) }
    }

    fn entries<'a>(&self, bytes: &'a [u8]) -> Result<Vec<ZipEntry<'a>>, ZipError> {
        let mut entries = Vec::with_capacity(self.count);
        let mut position = self.start;
        for _ in 0..self.count {
            let (entry, length) = ZipEntry::read(&bytes[position..self.end]).ok_or(ZipError::Directory)?;
            entries.push(entry);
            position += length;
        }
        if position == self.end { Ok(entries) } else { Err(ZipError::Directory) }
    }
}

/// Checksum, compressed size and size.
type Sizes = [u64; 3];

/// An entry of the central directory (§4.3.12).
struct ZipEntry<'a> {
    name: &'a [u8],
    flags: usize,
    method: usize,
    sizes: Sizes,
    local: usize,
    has_second_name: bool,
}

impl<'a> ZipEntry<'a> {
    /// The entry that `bytes` begin with, and its length.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let fields = Fields(bytes.strip_prefix(ENTRY).map(|_| bytes)?);
        let (name, extra, comment) = (fields.short(28)?, fields.short(30)?, fields.short(32)?);
        let length = 46 + name + extra + comment;
        bytes.get(..length)?;
        let entry = Self {
            name: &bytes[46..46 + name],
            flags: fields.short(8)?,
            method: fields.short(10)?,
            sizes: fields.sizes(16)?,
            local: fields.long(42)?,
            has_second_name: Extra::of(&bytes[46 + name..46 + name + extra]).is_none_or(|extra| extra.has_second_name),
        };
        let is_on_first_disk = fields.short(34)? == 0;
        (is_on_first_disk && !entry.sizes[1..].contains(&IN_EXTRA)).then_some((entry, length))
    }

    /// The name, for messages.
    fn label(&self) -> String {
        String::from_utf8_lossy(self.name).chars().take(64).collect()
    }

    /// A name that is the same path in every folder.
    fn name(&self) -> Result<&'a str, ZipError> {
        let is_known = self.name.is_ascii() || self.flags & UTF_8 != 0;
        let name = std::str::from_utf8(self.name).ok().filter(|_| is_known && !self.has_second_name);
        let is_plain = |name: &&str| {
            let parts = name.strip_suffix('/').unwrap_or(name);
            !name.contains(['\\', '\0', ':']) && parts.split('/').all(|part| !matches!(part, "" | "." | ".."))
        };
        name.filter(is_plain).ok_or_else(|| ZipError::Name(self.label()))
    }

    fn size(&self) -> Result<usize, ZipError> {
        usize::try_from(self.sizes[2]).map_err(|_| ZipError::TooLarge)
    }

    /// The data of the entry, if the header before it and the descriptor behind it, up to `next`, say the same (§4.3.7).
    fn data(&self, bytes: &'a [u8], next: usize) -> Result<&'a [u8], ZipError> {
        let read = || {
            let whole = bytes.get(self.local..next)?;
            let fields = Fields(whole.strip_prefix(LOCAL).map(|_| whole)?);
            let (name, extra) = (fields.short(26)?, fields.short(28)?);
            let start = 30 + name + extra;
            let end = start.checked_add(usize::try_from(self.sizes[1]).ok()?)?;
            let extra = Extra::of(whole.get(30 + name..start)?)?;
            let sizes = extra.sizes(fields.sizes(14)?)?;
            let has_descriptor = self.flags & HAS_DESCRIPTOR != 0;
            let same_sizes =
                sizes.iter().zip(&self.sizes).all(|(one, other)| one == other || (has_descriptor && *one == 0));
            let same = whole.get(30..30 + name)? == self.name && !extra.has_second_name && same_sizes;
            let same = same && (fields.short(6)?, fields.short(8)?) == (self.flags, self.method);
            let descriptor = whole.get(end..)?;
            let same_after = if has_descriptor { self.is_described_by(descriptor) } else { descriptor.is_empty() };
            (same && same_after).then_some(&whole[start..end])
        };
        read().ok_or_else(|| ZipError::Header(self.label()))
    }

    /// A descriptor has a signature or not, and sizes of four or of eight bytes (§4.3.9).
    fn is_described_by(&self, descriptor: &[u8]) -> bool {
        let [crc, compressed, size] = self.sizes;
        let forms = [4, 8].into_iter().map(|length| {
            let sizes = [compressed, size].into_iter().flat_map(|size| size.to_le_bytes().into_iter().take(length));
            crc.to_le_bytes().into_iter().take(4).chain(sizes).collect::<Vec<u8>>()
        });
        forms.into_iter().any(|form| descriptor == form || descriptor.strip_prefix(DESCRIPTOR) == Some(&form))
    }

    /// The data, inflated and checked.
    fn content(&self, data: &[u8]) -> Result<Vec<u8>, ZipError> {
        if self.flags & ENCRYPTED != 0 || !matches!(self.method, 0 | 8) {
            return Err(ZipError::Method(self.label()));
        }
        let damaged = || ZipError::Data(self.label());
        let size = self.size()?;
        let mut content = Vec::new();
        if self.method == 0 {
            content.extend_from_slice(data);
        } else {
            let mut decoder = DeflateDecoder::new(data).take(size as u64 + 1);
            decoder.read_to_end(&mut content).map_err(|_| damaged())?;
            if !decoder.into_inner().into_inner().is_empty() {
                return Err(damaged());
            }
        }
        let mut crc = Crc::new();
        crc.update(&content);
        let is_right = content.len() == size && u64::from(crc.sum()) == self.sizes[0];
        if is_right { Ok(content) } else { Err(damaged()) }
    }
}

/// Extra fields: each an id, a length, and its data (§4.5).
#[derive(Default)]
struct Extra {
    has_second_name: bool,
    /// Size, then compressed size.
    zip64: Option<[u64; 2]>,
}

impl Extra {
    /// `None` where they are no such list.
    fn of(mut bytes: &[u8]) -> Option<Self> {
        let mut extra = Self::default();
        while !bytes.is_empty() {
            let fields = Fields(bytes);
            let (id, length) = (fields.short(0)?, fields.short(2)?);
            let data = Fields(bytes.get(4..4 + length)?);
            match id {
                ZIP64 if extra.zip64.is_some() => return None,
                ZIP64 => extra.zip64 = data.wide(0).zip(data.wide(8)).map(|(size, compressed)| [size, compressed]),
                UNICODE_PATH => extra.has_second_name = true,
                _ => {}
            }
            bytes = &bytes[4 + length..];
        }
        Some(extra)
    }

    /// The sizes of a header, where they are here in place of there.
    fn sizes(&self, [crc, compressed, size]: Sizes) -> Option<Sizes> {
        if compressed != IN_EXTRA && size != IN_EXTRA {
            return Some([crc, compressed, size]);
        }
        let [real, real_compressed] = self.zip64.filter(|_| compressed == size)?;
        Some([crc, real_compressed, real])
    }
}

/// Little-endian numbers at fixed places.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let digits = self.0.get(at..at + length)?;
        Some(digits.iter().rev().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }

    fn short(&self, at: usize) -> Option<usize> {
        usize::try_from(self.number(at, 2)?).ok()
    }

    fn long(&self, at: usize) -> Option<usize> {
        usize::try_from(self.number(at, 4)?).ok()
    }

    fn wide(&self, at: usize) -> Option<u64> {
        self.number(at, 8)
    }

    fn sizes(&self, at: usize) -> Option<Sizes> {
        Some([self.number(at, 4)?, self.number(at + 4, 4)?, self.number(at + 8, 4)?])
    }
}

#[cfg(test)]
mod tests;
