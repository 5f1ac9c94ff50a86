//! What the index is made of: pairs of a name and a number.

use std::iter::Peekable;

use super::super::segment::StoreError;

/// What a number is filed under: a keyed digest, so that names are spread evenly and tell nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) u128);

/// A number under a name. Pairs are ordered by name, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) name: Name,
    // Invariant: below 2^63.
    pub(super) number: u64,
}

/// A pair that was put in, or taken out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) pair: Pair,
    pub(super) is_there: bool,
}

impl Row {
    pub(super) const BYTES: usize = 24;

    /// `name u128 ‖ (2 * number + is it gone) u64`, big-endian, so that bytes sort as pairs do.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.pair.name.0.to_be_bytes());
        bytes[16..].copy_from_slice(&(self.pair.number << 1 | u64::from(!self.is_there)).to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (name, number) = bytes.split_first_chunk().expect("a row is longer than a name");
        let number = u64::from_be_bytes(number.try_into().expect("the rest of a row is a number"));
        let pair = Pair { name: Name(u128::from_be_bytes(*name)), number: number >> 1 };
        Self { pair, is_there: number & 1 == 0 }
    }
}

/// Rows in the order of their pairs, as one source has them.
pub(super) trait Rows: Iterator<Item = Result<Row, StoreError>> {}

impl<T: Iterator<Item = Result<Row, StoreError>>> Rows for T {}

/// The rows of several sources as one, each pair once: as the newest source that has it says.
pub(super) struct Merged<I: Rows> {
    // The newest first.
    sources: Vec<Peekable<I>>,
}

impl<I: Rows> Merged<I> {
    /// Merges `sources`, the newest first.
    pub(super) fn new(sources: impl IntoIterator<Item = I>) -> Self {
        Self { sources: sources.into_iter().map(Iterator::peekable).collect() }
    }
}

impl<I: Rows> Iterator for Merged<I> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(usize, Pair)> = None;
        for (at, source) in self.sources.iter_mut().enumerate() {
            match source.peek() {
                // A source that cannot be read could have come first.
                Some(Err(_)) => return source.next(),
                Some(Ok(row)) if first.is_none_or(|(_, pair)| row.pair < pair) => first = Some((at, row.pair)),
                Some(Ok(_)) | None => {}
            }
        }
        let (newest, pair) = first?;
        let row = self.sources[newest].next();
        for older in &mut self.sources[newest + 1..] {
            older.next_if(|row| matches!(row, Ok(row) if row.pair == pair));
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: u128, number: u64, is_there: bool) -> Row {
        Row { pair: Pair { name: Name(name), number }, is_there }
    }

    #[test]
    fn bytes_sort_as_pairs_do() {
        let rows = [row(1, 9, false), row(1, 10, true), row(2, 0, true), row(u128::MAX, (1 << 63) - 1, false)];
        assert!(rows.is_sorted_by_key(|row| row.to_bytes()) && rows.is_sorted_by_key(|row| row.pair));
        assert_eq!(rows.map(|row| Row::from_bytes(&row.to_bytes())), rows);
    }

    #[test]
    fn the_newest_source_has_the_say() {
        let newest = [row(1, 1, false), row(3, 1, true)];
        let older = [row(1, 1, true), row(2, 1, true), row(3, 1, false), row(3, 2, true)];
        let merged = Merged::new([newest.to_vec(), older.to_vec()].map(|rows| rows.into_iter().map(Ok)));
        let merged: Vec<Row> = merged.map(Result::unwrap).collect();
        assert_eq!(merged, [row(1, 1, false), row(2, 1, true), row(3, 1, true), row(3, 2, true)]);
    }

    #[test]
    fn a_source_that_cannot_be_read_ends_it() {
        let unread = || Err(StoreError::Poisoned);
        let mut merged = Merged::new([vec![Ok(row(1, 1, true))], vec![unread()]].map(Vec::into_iter));
        assert!(matches!(merged.next(), Some(Err(StoreError::Poisoned))));
    }
}
