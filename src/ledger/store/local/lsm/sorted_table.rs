//! A sorted table: an immutable file of records, ordered by key and value.
//!
//! ```text
//! pages   170 records of 24 bytes ‖ 12 zero bytes ‖ crc32 u32 of what is before it; the last is filled up with zeros
//! first   the first record of each page
//! filter  blocks of 64 bytes
//! footer  records u64 ‖ blocks u64 ‖ crc32 u32 of first records, filter and the two numbers
//! ```
//!
//! Numbers are big-endian. First records and filter are held in memory, some two bytes for each record.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::filter::{BLOCK_BYTES, Filter};
use super::record::{Record, RecordIter};
use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::vfs::{Access, FileHandle, FileSystem, OpenMode};

const PAGE_BYTES: usize = 4096;
const PAGE_RECORDS: usize = (PAGE_BYTES - CRC_BYTES) / Record::BYTES;
const CRC_BYTES: usize = 4;
const FOOTER_BYTES: usize = 8 + 8 + CRC_BYTES;
/// Pages that are read or written at a time, at most: a quarter of a megabyte.
const PAGES_AT_A_TIME: usize = 64;

/// A table that is open.
#[derive(Debug)]
pub(super) struct SortedTable {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
    records: u64,
    first_keys: Vec<KeyValue>,
    filter: Filter,
    // Pages that could not be read, or were not whole, when they were read last.
    unread: Mutex<Option<Range<usize>>>,
}

impl SortedTable {
    /// Writes `records`, of which there are at most `most`, into a new file at `path`, and makes it durable; its name is not.
    pub(super) fn write(
        fs: &dyn FileSystem,
        path: &Path,
        most: u64,
        records: impl RecordIter,
    ) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::New(Access::Secret)).map_err(StoreError::io(path))?;
        let mut writer = TableWriter {
            file,
            path,
            written: 0,
            pages: Vec::new(),
            page_records: 0,
            records: 0,
            first_keys: Vec::new(),
            filter: Filter::for_keys(usize::try_from(most).expect("the records of one disk")),
        };
        for record in records {
            writer.push(record?)?;
        }
        let (first_keys, filter, records) = writer.finish()?;
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        Ok(Self { file, path: path.to_owned(), records, first_keys, filter, unread: Mutex::default() })
    }

    /// Opens the table at `path`. That its pages are whole is seen when they are read.
    pub(super) fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { path: path.to_owned(), offset: 0 };
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        let length = file.length().map_err(StoreError::io(path))?;
        let read = |offset: u64, bytes: u64| {
            let mut read = vec![0; usize::try_from(bytes).map_err(|_| corrupt())?];
            file.read_exact_at(&mut read, offset).map_err(StoreError::io(path))?;
            Ok(read)
        };
        let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(corrupt)?;
        let footer = read(footer_at, FOOTER_BYTES as u64)?;
        let number = |at: usize| u64::from_be_bytes(*footer[at..].first_chunk().expect("a footer is that long"));
        let (records, blocks) = (number(0), number(8));
        let pages = records.div_ceil(PAGE_RECORDS as u64);
        let tail = |pages: u64, blocks: u64| {
            let first_keys = pages.checked_mul(Record::BYTES as u64)?;
            Some((
                pages.checked_mul(PAGE_BYTES as u64)?,
                first_keys,
                first_keys.checked_add(blocks.checked_mul(BLOCK_BYTES as u64)?)?,
            ))
        };
        let (tail_at, first_key_bytes, tail_bytes) = tail(pages, blocks).ok_or_else(corrupt)?;
        if tail_at.checked_add(tail_bytes) != Some(footer_at) {
            return Err(corrupt());
        }
        let tail = read(tail_at, tail_bytes)?;
        let (numbers, crc) = footer.split_at(FOOTER_BYTES - CRC_BYTES);
        if checksum(&[&tail, numbers]) != crc {
            return Err(corrupt());
        }
        let (first_keys, filter) = tail.split_at(usize::try_from(first_key_bytes).map_err(|_| corrupt())?);
        let (first_keys, _) = first_keys.as_chunks::<{ Record::BYTES }>();
        let first_keys = first_keys.iter().map(|first_key| Record::from_bytes(first_key).key_value).collect();
        let filter = Filter::from_bytes(filter).ok_or_else(corrupt)?;
        Ok(Self { file, path: path.to_owned(), records, first_keys, filter, unread: Mutex::default() })
    }

    /// Whether every page was whole when it was read last.
    pub(super) fn is_whole(&self) -> bool {
        self.unread().is_none()
    }

    /// Reads once more what could not be read: a bad moment is no damage.
    pub(super) fn recheck(&self) {
        let Some(pages) = self.unread().clone() else { return };
        if self.read_pages(pages.start, &mut Vec::new(), pages.len()).is_ok() {
            *self.unread() = None;
        }
    }

    fn unread(&self) -> MutexGuard<'_, Option<Range<usize>>> {
        self.unread.lock().expect("no holder of this lock panics")
    }

    /// How many records there are.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Whether a record may have this key; `false` is certain.
    pub(super) fn may_have(&self, key: IndexKey) -> bool {
        self.filter.may_have(key)
    }

    /// The records from `first` on.
    pub(super) fn records_from(self: &Arc<Self>, first: KeyValue) -> impl RecordIter + use<> {
        let page = self.first_keys.partition_point(|first_key| *first_key <= first).saturating_sub(1);
        let records = TableRecords { table: self.clone(), page, pages: Vec::new(), at: 0, ahead: 1 };
        records.skip_while(move |record| matches!(record, Ok(record) if record.key_value < first))
    }

    /// Reads so many pages from `page` on, and checks them; remembers when they are not whole.
    fn read(&self, page: usize, pages: &mut Vec<u8>, count: usize) -> Result<(), StoreError> {
        self.read_pages(page, pages, count).inspect_err(|error| {
            if self.unread().replace(page..page + count).is_none() {
                tracing::error!(%error, "a page of the index cannot be read");
            }
        })
    }

    fn read_pages(&self, page: usize, pages: &mut Vec<u8>, count: usize) -> Result<(), StoreError> {
        let offset = page as u64 * PAGE_BYTES as u64;
        pages.resize(count * PAGE_BYTES, 0);
        self.file.read_exact_at(pages, offset).map_err(StoreError::io(&self.path))?;
        let first_keys = &self.first_keys[page..];
        for ((nth, page), first_key) in (0_u64..).zip(pages.as_chunks::<PAGE_BYTES>().0).zip(first_keys) {
            let (records, crc) = page.split_at(PAGE_BYTES - CRC_BYTES);
            // Whole, and not another's: a disk may have put it in the wrong place.
            let first = Record::from_bytes(records.first_chunk().expect("a page has records")).key_value;
            if checksum(&[records]) != crc || first != *first_key {
                let offset = offset + nth * PAGE_BYTES as u64;
                return Err(StoreError::Corrupt { path: self.path.clone(), offset });
            }
        }
        Ok(())
    }
}

/// See [`SortedTable::records_from`].
struct TableRecords {
    table: Arc<SortedTable>,
    // The first page that is in `pages`, and the record behind the last that was given.
    page: usize,
    pages: Vec<u8>,
    at: usize,
    // Pages to read next: one for whoever looks for a key, more and more for whoever reads on.
    ahead: usize,
}

impl Iterator for TableRecords {
    type Item = Result<Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let held = self.pages.len() / PAGE_BYTES;
        if self.at == held * PAGE_RECORDS {
            (self.page, self.at) = (self.page + held, 0);
            let count = self.ahead.min(self.table.first_keys.len() - self.page);
            self.ahead = (2 * self.ahead).min(PAGES_AT_A_TIME);
            if let Err(error) = self.table.read(self.page, &mut self.pages, count) {
                // Nothing comes after what cannot be read.
                (self.page, self.pages) = (self.table.first_keys.len(), Vec::new());
                return Some(Err(error));
            }
        }
        let nth = self.page as u64 * PAGE_RECORDS as u64 + self.at as u64;
        if nth >= self.table.records {
            return None;
        }
        let from = self.at / PAGE_RECORDS * PAGE_BYTES + self.at % PAGE_RECORDS * Record::BYTES;
        self.at += 1;
        Some(Ok(Record::from_bytes(self.pages[from..].first_chunk().expect("a page has room for its records"))))
    }
}

struct TableWriter<'a> {
    file: Arc<dyn FileHandle>,
    path: &'a Path,
    written: u64,
    pages: Vec<u8>,
    page_records: usize,
    records: u64,
    first_keys: Vec<KeyValue>,
    filter: Filter,
}

impl TableWriter<'_> {
    fn push(&mut self, record: Record) -> Result<(), StoreError> {
        if self.page_records == 0 {
            self.first_keys.push(record.key_value);
        }
        self.pages.extend(record.to_bytes());
        self.filter.insert(record.key_value.key);
        self.records += 1;
        self.page_records += 1;
        if self.page_records == PAGE_RECORDS {
            self.end_page();
            if self.pages.len() == PAGES_AT_A_TIME * PAGE_BYTES {
                self.write()?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self) {
        let begin = self.pages.len() - self.page_records * Record::BYTES;
        self.pages.resize(begin + PAGE_BYTES - CRC_BYTES, 0);
        let crc = checksum(&[&self.pages[begin..]]);
        self.pages.extend(crc);
        self.page_records = 0;
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.file.write_all_at(&self.pages, self.written).map_err(StoreError::io(self.path))?;
        self.written += self.pages.len() as u64;
        self.pages.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<KeyValue>, Filter, u64), StoreError> {
        if self.page_records > 0 {
            self.end_page();
        }
        self.write()?;
        let first_key = |key_value: &KeyValue| Record { key_value: *key_value, deleted: false }.to_bytes();
        let mut tail: Vec<u8> = self.first_keys.iter().flat_map(first_key).collect();
        tail.extend(self.filter.to_bytes());
        tail.extend(self.records.to_be_bytes());
        tail.extend((self.filter.blocks() as u64).to_be_bytes());
        tail.extend(checksum(&[&tail]));
        self.pages = tail;
        self.write()?;
        self.file.sync().map_err(StoreError::io(self.path))?;
        Ok((self.first_keys, self.filter, self.records))
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

    /// Every third value of each of some keys.
    fn records(count: u64) -> Vec<Record> {
        let key_value = |n| KeyValue { key: IndexKey(u128::from(n / 50) << 100), value: n % 50 * 3 };
        (0..count).map(|n| Record { key_value: key_value(n), deleted: n % 7 == 0 }).collect()
    }

    fn write(path: &Path, records: &[Record]) -> Arc<SortedTable> {
        let records = records.iter().copied().map(Ok);
        Arc::new(SortedTable::write(&OsFileSystem, path, records.len() as u64, records).unwrap())
    }

    #[test]
    fn gives_its_records_from_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, 169, 170, 171, 170 * 64, 170 * 64 + 1, 50_000] {
            let (path, records) = (dir.path().join(count.to_string()), records(count));
            let written = write(&path, &records);
            let opened = Arc::new(SortedTable::open(&OsFileSystem, &path).unwrap());
            assert_eq!(
                (opened.records(), &opened.first_keys, &opened.filter),
                (count, &written.first_keys, &written.filter)
            );
            let from = |first| opened.records_from(first).map(Result::unwrap);
            let all = from(KeyValue { key: IndexKey(0), value: 0 });
            assert!(all.eq(records.iter().copied()), "{count}");
            for (at, record) in records.iter().enumerate().step_by(97) {
                assert_eq!(from(record.key_value).count(), records.len() - at);
                let behind = KeyValue { value: record.key_value.value + 1, ..record.key_value };
                assert_eq!(from(behind).next(), records.get(at + 1).copied());
                assert!(opened.may_have(record.key_value.key));
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        write(&path, &records(400));
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let read = SortedTable::open(&OsFileSystem, &path).and_then(|table| {
                Arc::new(table).records_from(KeyValue { key: IndexKey(0), value: 0 }).collect::<Result<Vec<_>, _>>()
            });
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "byte {at}");
            bytes[at] ^= 0x10;
        }
        for length in [0, 1, FOOTER_BYTES, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(SortedTable::open(&OsFileSystem, &path), Err(StoreError::Corrupt { .. })), "{length}");
        }
    }

    #[test]
    fn a_page_in_the_place_of_another_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        let records = records(170 * 5);
        write(&path, &records);
        let mut bytes = std::fs::read(&path).unwrap();
        let (one, other) = bytes[PAGE_BYTES..].split_at_mut(PAGE_BYTES);
        one.swap_with_slice(&mut other[..PAGE_BYTES]);
        std::fs::write(&path, &bytes).unwrap();
        let table = Arc::new(SortedTable::open(&OsFileSystem, &path).unwrap());
        let looked: Result<Vec<Record>, _> = table.records_from(records[200].key_value).take(1).collect();
        assert!(matches!(looked, Err(StoreError::Corrupt { .. })), "{:?} for {:?}", looked, records[200]);
    }

    #[test]
    fn what_is_there_already_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        write(&path, &records(4));
        let again = SortedTable::write(&OsFileSystem, &path, 0, std::iter::empty());
        assert!(matches!(again, Err(StoreError::Io { .. })));
    }
}
