//! A Bloom filter over the keys of a table: a key that no table has costs no read.

use crate::ledger::store::index_key::IndexKey;

/// Bytes of a block: a line of the processor's cache.
pub(super) const BLOCK_BYTES: usize = 64;
/// Keys for which a block is made: ten bits each.
const BLOCK_KEYS: usize = 51;
/// Bits that are set for a key, the best number for ten bits each.
const BITS_PER_KEY: u32 = 7;

/// A Bloom filter in blocks: all bits of a key are in one block, so that asking costs one look into memory. Of the keys
/// that are not there it lets some one in a hundred through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    // Invariant: not empty.
    blocks: Vec<[u64; BLOCK_BYTES / 8]>,
}

impl Filter {
    /// An empty filter, sized for at most `most` keys.
    pub(super) fn for_keys(most: usize) -> Self {
        Self { blocks: vec![[0; 8]; most.div_ceil(BLOCK_KEYS).max(1)] }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gives; `None` when it is not a number of blocks.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (blocks, []) = bytes.as_chunks::<BLOCK_BYTES>() else { return None };
        let word = |word: &[u8; 8]| u64::from_be_bytes(*word);
        let blocks: Vec<_> = blocks
            .iter()
            .map(|block| {
                let (words, _) = block.as_chunks::<8>();
                std::array::from_fn(|at| word(&words[at]))
            })
            .collect();
        (!blocks.is_empty()).then_some(Self { blocks })
    }

    /// The blocks, their words big-endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_be_bytes()).collect()
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn insert(&mut self, key: IndexKey) {
        let block = self.block(key);
        for (word, bit) in bits(key) {
            self.blocks[block][word] |= bit;
        }
    }

    /// Whether the key may be there; `false` is certain.
    pub(super) fn may_have(&self, key: IndexKey) -> bool {
        let block = &self.blocks[self.block(key)];
        bits(key).all(|(word, bit)| block[word] & bit != 0)
    }

    /// The upper half of a key says which block, in the order of keys: making a filter walks through it once.
    fn block(&self, key: IndexKey) -> usize {
        let share = (key.0 >> 64) * self.blocks.len() as u128;
        usize::try_from(share >> 64).expect("below the number of blocks")
    }
}

/// The lower half says which bits: nine bits of it for each.
fn bits(key: IndexKey) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS_PER_KEY).map(move |nth| {
        let at = (key.0 >> (9 * nth)) & 511;
        (usize::try_from(at / 64).expect("below eight"), 1 << (at % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::DigestKey;

    #[test]
    fn has_every_key_and_hardly_another() {
        let secret = DigestKey::new(b"names");
        let key = |n: u64| IndexKey(u128::from_be_bytes(secret.digest(&[&n.to_be_bytes()])));
        let mut filter = Filter::for_keys(10_000);
        (0..10_000).for_each(|n| filter.insert(key(n)));
        assert_eq!(Filter::from_bytes(&filter.to_bytes()), Some(filter.clone()));
        assert!((0..10_000).all(|n| filter.may_have(key(n))));
        let through = (10_000..110_000).filter(|n| filter.may_have(key(*n))).count();
        assert!((100..2000).contains(&through), "{through} of 100,000");
    }

    #[test]
    fn is_read_from_whole_blocks_alone() {
        assert!(Filter::from_bytes(&[]).is_none() && Filter::from_bytes(&[0; 63]).is_none());
        assert!(!Filter::from_bytes(&[0; 64]).unwrap().may_have(IndexKey(0)));
    }
}
