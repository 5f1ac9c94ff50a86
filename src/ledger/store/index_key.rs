//! Keys of the index: keyed digests, so that they are spread evenly and tell nothing of what they name.

use crate::crypto::DigestKey;

/// The key of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ledger) struct IndexKey(pub(in crate::ledger) u128);

/// A value under a key, ordered by key, then value. A key may have many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ledger) struct KeyValue {
    pub(in crate::ledger) key: IndexKey,
    // Invariant: below 2^63.
    pub(in crate::ledger) value: u64,
}

/// The key space of a key. The codes are part of the format of an index on disk.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) enum KeySpace {
    /// Nothing: the key tells only which digest key made it.
    KeyCheck = 0,
    /// A record's digest: the index of its entry.
    Record = 1,
    /// Issuer, and the digest of the bytes submitted: the index of the record's entry.
    Submission = 2,
    /// Issuer and uuid: the indices of the records' entries, descending.
    IssuerUuid = 3,
    /// A uuid of any issuer: the indices of the records' entries, descending.
    Uuid = 4,
    /// Issuer, and the record's count: the index of its entry.
    Sequence = 5,
    /// Placement in `store::local`. An entry's index: where its body is.
    Body = 6,
    /// A record's digest: the later entries about it, `2 * index + is it an operation`.
    History = 7,
    /// Placement in `store::local`. Nothing: the sizes of all witness rounds.
    Rounds = 8,
    /// Placement in `store::local`. Nothing: the sizes of all witness rounds, descending.
    RoundsDescending = 9,
    /// Placement in `store::local`. The size of a witness round: where its attestations are.
    Attestations = 10,
    /// Placement in `store::local`. A record's index: where its attestations are.
    OfRecord = 11,
    /// Placement in `store::local`. Nothing: the indices of records with a token over a signature value, descending.
    StampedDescending = 12,
    /// Placement in `store::local`. Nothing: the sizes of the witness rounds that somebody has answered.
    AnsweredRounds = 13,
    /// Placement in `store::local`. Nothing: the sizes of the witness rounds that were timestamped.
    TimestampedRounds = 14,
    /// Placement in `store::local`. Nothing: the sizes of the witness rounds that were timestamped, descending.
    TimestampedRoundsDescending = 15,
    /// Placement in `store::local`. Name and ID of a witness's key: the sizes of the witness rounds that it has cosigned.
    CosignedRounds = 16,
}

impl KeySpace {
    /// The digest of `space u8`, and of each part but the last `length u64 ‖ part`, so that no two names have one key.
    pub(in crate::ledger) fn key(self, secret: &DigestKey, parts: &[&[u8]]) -> IndexKey {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(self as u8);
        if let Some((last, others)) = parts.split_last() {
            for part in others {
                bytes.extend((part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(last);
        }
        IndexKey(u128::from_be_bytes(secret.digest(&[&bytes])))
    }
}

/// The largest value that can be descending: more entries than there will be.
const DESCENDING_MAX: u64 = (1 << 62) - 1;

/// Reverses the order of values; twice gives back the value.
pub(in crate::ledger) fn descending(value: u64) -> u64 {
    DESCENDING_MAX.saturating_sub(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_parts_and_spaces_apart() {
        let secret = DigestKey::new(b"secret");
        let submission = |parts: [&[u8]; 2]| KeySpace::Submission.key(&secret, &parts);
        assert_ne!(submission([b"ab", b"c"]), submission([b"a", b"bc"]));
        assert_ne!(KeySpace::Uuid.key(&secret, &[b"u"]), KeySpace::Record.key(&secret, &[b"u"]));
        assert_ne!(KeySpace::Uuid.key(&secret, &[b"u"]), KeySpace::Uuid.key(&DigestKey::new(b"other"), &[b"u"]));
    }

    #[test]
    fn descending_reverses_the_order_and_back() {
        assert!(descending(3) > descending(4) && descending(descending(7)) == 7);
    }
}
