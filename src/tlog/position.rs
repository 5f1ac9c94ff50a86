//! Positions and counts in a log: leaf index, tree size and entry count, each a type of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number!(
    /// The position of a leaf, from 0.
    LeafIndex
);
number!(
    /// How many leaves a tree has.
    TreeSize
);
number!(
    /// How many entries of one kind a log has, such as the records of one issuer; the last of them has this number, the
    /// first is 1.
    EntryCount
);

impl LeafIndex {
    /// The size of the smallest tree that has this leaf. Behind the last index there is no size: no tree has it.
    #[must_use]
    pub const fn size_through(self) -> TreeSize {
        TreeSize(self.0.saturating_add(1))
    }
}

impl TreeSize {
    /// Whether the leaf at `index` is in a tree of this size.
    #[must_use]
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }

    /// The index of the leaf that comes next.
    #[must_use]
    pub const fn next_leaf(self) -> LeafIndex {
        LeafIndex(self.0)
    }

    /// The index of the last leaf; `None` in the empty tree.
    #[must_use]
    pub fn last_leaf(self) -> Option<LeafIndex> {
        self.0.checked_sub(1).map(LeafIndex)
    }
}

impl EntryCount {
    /// The number of the one that comes next.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
