//! A run: a file of rows in the order of their pairs, written once.
//!
//! ```text
//! pages   170 rows of 24 bytes ‖ 12 zero bytes ‖ crc32 u32 of what is before it; the last is filled up with zeros
//! fences  the first row of each page
//! filter  blocks of 64 bytes
//! footer  rows u64 ‖ blocks u64 ‖ crc32 u32 of fences, filter and the two numbers
//! ```
//!
//! Numbers are big-endian. Fences and filter are held in memory, some two bytes for each row.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::segment::StoreError;
use super::filter::{BLOCK_BYTES, Filter};
use super::pair::{Name, Pair, Row, Rows};
use crate::vfs::{Access, FileHandle, FileSystem, OpenMode};

const PAGE_BYTES: usize = 4096;
const PAGE_ROWS: usize = (PAGE_BYTES - CRC_BYTES) / Row::BYTES;
const CRC_BYTES: usize = 4;
const FOOTER_BYTES: usize = 8 + 8 + CRC_BYTES;
/// Pages that are read or written at a time, at most: a quarter of a megabyte.
const PAGES_AT_A_TIME: usize = 64;

/// A run that is open.
#[derive(Debug)]
pub(super) struct Run {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
    rows: u64,
    fences: Vec<Pair>,
    filter: Filter,
}

impl Run {
    /// Writes `rows`, of which there are at most `most`, into a new file at `path`, and makes it durable; its name is not.
    pub(super) fn write(fs: &dyn FileSystem, path: &Path, most: u64, rows: impl Rows) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::New(Access::Secret)).map_err(StoreError::io(path))?;
        let mut writer = RunWriter {
            file,
            path,
            written: 0,
            pages: Vec::new(),
            page_rows: 0,
            rows: 0,
            fences: Vec::new(),
            filter: Filter::for_names(usize::try_from(most).expect("the rows of one disk")),
        };
        for row in rows {
            writer.push(row?)?;
        }
        let (fences, filter, rows) = writer.finish()?;
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        Ok(Self { file, path: path.to_owned(), rows, fences, filter })
    }

    /// Opens the run at `path`. That its pages are whole is seen when they are read.
    pub(super) fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged { path: path.to_owned(), offset: 0 };
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        let length = file.length().map_err(StoreError::io(path))?;
        let read = |offset: u64, bytes: u64| {
            let mut read = vec![0; usize::try_from(bytes).map_err(|_| damaged())?];
            file.read_exact_at(&mut read, offset).map_err(StoreError::io(path))?;
            Ok(read)
        };
        let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
        let footer = read(footer_at, FOOTER_BYTES as u64)?;
        let number = |at: usize| u64::from_be_bytes(*footer[at..].first_chunk().expect("a footer is that long"));
        let (rows, blocks) = (number(0), number(8));
        let pages = rows.div_ceil(PAGE_ROWS as u64);
        let tail = |pages: u64, blocks: u64| {
            let fences = pages.checked_mul(Row::BYTES as u64)?;
            Some((
                pages.checked_mul(PAGE_BYTES as u64)?,
                fences,
                fences.checked_add(blocks.checked_mul(BLOCK_BYTES as u64)?)?,
            ))
        };
        let (tail_at, fence_bytes, tail_bytes) = tail(pages, blocks).ok_or_else(damaged)?;
        if tail_at.checked_add(tail_bytes) != Some(footer_at) {
            return Err(damaged());
        }
        let tail = read(tail_at, tail_bytes)?;
        let (numbers, crc) = footer.split_at(FOOTER_BYTES - CRC_BYTES);
        if checksum(&[&tail, numbers]) != crc {
            return Err(damaged());
        }
        let (fences, filter) = tail.split_at(usize::try_from(fence_bytes).map_err(|_| damaged())?);
        let (fences, _) = fences.as_chunks::<{ Row::BYTES }>();
        let fences = fences.iter().map(|fence| Row::from_bytes(fence).pair).collect();
        let filter = Filter::from_bytes(filter).ok_or_else(damaged)?;
        Ok(Self { file, path: path.to_owned(), rows, fences, filter })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether a row may have this name; `false` is certain.
    pub(super) fn may_have(&self, name: Name) -> bool {
        self.filter.may_have(name)
    }

    /// The rows from `first` on.
    pub(super) fn rows_from(self: &Arc<Self>, first: Pair) -> impl Rows + use<> {
        let page = self.fences.partition_point(|fence| *fence <= first).saturating_sub(1);
        let rows = RunRows { run: self.clone(), page, pages: Vec::new(), at: 0, ahead: 1 };
        rows.skip_while(move |row| matches!(row, Ok(row) if row.pair < first))
    }

    /// Reads so many pages from `page` on, and checks them.
    fn read(&self, page: usize, pages: &mut Vec<u8>, count: usize) -> Result<(), StoreError> {
        let offset = page as u64 * PAGE_BYTES as u64;
        pages.resize(count * PAGE_BYTES, 0);
        self.file.read_exact_at(pages, offset).map_err(StoreError::io(&self.path))?;
        let fences = &self.fences[page..];
        for ((nth, page), fence) in (0_u64..).zip(pages.as_chunks::<PAGE_BYTES>().0).zip(fences) {
            let (rows, crc) = page.split_at(PAGE_BYTES - CRC_BYTES);
            // Whole, and not another's: a disk may have put it in the wrong place.
            let first = Row::from_bytes(rows.first_chunk().expect("a page has rows")).pair;
            if checksum(&[rows]) != crc || first != *fence {
                let offset = offset + nth * PAGE_BYTES as u64;
                return Err(StoreError::Damaged { path: self.path.clone(), offset });
            }
        }
        Ok(())
    }
}

/// See [`Run::rows_from`].
struct RunRows {
    run: Arc<Run>,
    // The first page that is in `pages`, and the row behind the last that was given.
    page: usize,
    pages: Vec<u8>,
    at: usize,
    // Pages to read next: one for whoever looks for a name, more and more for whoever reads on.
    ahead: usize,
}

impl Iterator for RunRows {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let held = self.pages.len() / PAGE_BYTES;
        if self.at == held * PAGE_ROWS {
            (self.page, self.at) = (self.page + held, 0);
            let count = self.ahead.min(self.run.fences.len() - self.page);
            self.ahead = (2 * self.ahead).min(PAGES_AT_A_TIME);
            if let Err(error) = self.run.read(self.page, &mut self.pages, count) {
                // Nothing comes after what cannot be read.
                (self.page, self.pages) = (self.run.fences.len(), Vec::new());
                return Some(Err(error));
            }
        }
        let nth = self.page as u64 * PAGE_ROWS as u64 + self.at as u64;
        if nth >= self.run.rows {
            return None;
        }
        let from = self.at / PAGE_ROWS * PAGE_BYTES + self.at % PAGE_ROWS * Row::BYTES;
        self.at += 1;
        Some(Ok(Row::from_bytes(self.pages[from..].first_chunk().expect("a page has room for its rows"))))
    }
}

struct RunWriter<'a> {
    file: Arc<dyn FileHandle>,
    path: &'a Path,
    written: u64,
    pages: Vec<u8>,
    page_rows: usize,
    rows: u64,
    fences: Vec<Pair>,
    filter: Filter,
}

impl RunWriter<'_> {
    fn push(&mut self, row: Row) -> Result<(), StoreError> {
        if self.page_rows == 0 {
            self.fences.push(row.pair);
        }
        self.pages.extend(row.to_bytes());
        self.filter.insert(row.pair.name);
        self.rows += 1;
        self.page_rows += 1;
        if self.page_rows == PAGE_ROWS {
            self.end_page();
            if self.pages.len() == PAGES_AT_A_TIME * PAGE_BYTES {
                self.write()?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self) {
        let begin = self.pages.len() - self.page_rows * Row::BYTES;
        self.pages.resize(begin + PAGE_BYTES - CRC_BYTES, 0);
        let crc = checksum(&[&self.pages[begin..]]);
        self.pages.extend(crc);
        self.page_rows = 0;
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.file.write_all_at(&self.pages, self.written).map_err(StoreError::io(self.path))?;
        self.written += self.pages.len() as u64;
        self.pages.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<Pair>, Filter, u64), StoreError> {
        if self.page_rows > 0 {
            self.end_page();
        }
        self.write()?;
        let fence = |pair: &Pair| Row { pair: *pair, is_there: true }.to_bytes();
        let mut tail: Vec<u8> = self.fences.iter().flat_map(fence).collect();
        tail.extend(self.filter.to_bytes());
        tail.extend(self.rows.to_be_bytes());
        tail.extend((self.filter.blocks() as u64).to_be_bytes());
        tail.extend(checksum(&[&tail]));
        self.pages = tail;
        self.write()?;
        self.file.sync().map_err(StoreError::io(self.path))?;
        Ok((self.fences, self.filter, self.rows))
    }
}

fn checksum(parts: &[&[u8]]) -> [u8; CRC_BYTES] {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    /// Every third number of each of some names.
    fn rows(count: u64) -> Vec<Row> {
        let pair = |n| Pair { name: Name(u128::from(n / 50) << 100), number: n % 50 * 3 };
        (0..count).map(|n| Row { pair: pair(n), is_there: n % 7 != 0 }).collect()
    }

    fn write(path: &Path, rows: &[Row]) -> Arc<Run> {
        let rows = rows.iter().copied().map(Ok);
        Arc::new(Run::write(&OsFileSystem, path, rows.len() as u64, rows).unwrap())
    }

    #[test]
    fn gives_its_rows_from_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, 169, 170, 171, 170 * 64, 170 * 64 + 1, 50_000] {
            let (path, rows) = (dir.path().join(count.to_string()), rows(count));
            let written = write(&path, &rows);
            let opened = Arc::new(Run::open(&OsFileSystem, &path).unwrap());
            assert_eq!((opened.rows(), &opened.fences, &opened.filter), (count, &written.fences, &written.filter));
            let from = |first| opened.rows_from(first).map(Result::unwrap);
            let all = from(Pair { name: Name(0), number: 0 });
            assert!(all.eq(rows.iter().copied()), "{count}");
            for (at, row) in rows.iter().enumerate().step_by(97) {
                assert_eq!(from(row.pair).count(), rows.len() - at);
                let behind = Pair { number: row.pair.number + 1, ..row.pair };
                assert_eq!(from(behind).next(), rows.get(at + 1).copied());
                assert!(opened.may_have(row.pair.name));
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        write(&path, &rows(400));
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let read = Run::open(&OsFileSystem, &path).and_then(|run| {
                Arc::new(run).rows_from(Pair { name: Name(0), number: 0 }).collect::<Result<Vec<_>, _>>()
            });
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "byte {at}");
            bytes[at] ^= 0x10;
        }
        for length in [0, 1, FOOTER_BYTES, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(Run::open(&OsFileSystem, &path), Err(StoreError::Damaged { .. })), "{length}");
        }
    }

    #[test]
    fn a_page_in_the_place_of_another_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let rows = rows(170 * 5);
        write(&path, &rows);
        let mut bytes = std::fs::read(&path).unwrap();
        let (one, other) = bytes[PAGE_BYTES..].split_at_mut(PAGE_BYTES);
        one.swap_with_slice(&mut other[..PAGE_BYTES]);
        std::fs::write(&path, &bytes).unwrap();
        let run = Arc::new(Run::open(&OsFileSystem, &path).unwrap());
        let looked: Result<Vec<Row>, _> = run.rows_from(rows[200].pair).take(1).collect();
        assert!(matches!(looked, Err(StoreError::Damaged { .. })), "{:?} for {:?}", looked, rows[200]);
    }

    #[test]
    fn what_is_there_already_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        write(&path, &rows(4));
        let again = Run::write(&OsFileSystem, &path, 0, std::iter::empty());
        assert!(matches!(again, Err(StoreError::Io { .. })));
    }
}
