//! A slot of the vault's keys: the wrapped key of one body, or the statement that it was destroyed.
//!
//! ```text
//! sealed   60 bytes, under the vault key: the body's key, or the statement
//! crc32    of the kind u8 (1 a key, 2 a statement) and of what is sealed, big-endian
//! ```
//!
//! A key is sealed with the record digest as associated data, a statement with `affiant/erased/1` before the digest: only
//! who has the vault key can say that a body is erased, and of that record alone. Whatever opens as neither is damaged. The
//! checksum is for whoever has no vault key: it tells what is whole, and proves nothing.
//!
//! A statement is the keyed digests under which the index knew the submission, and the uuid with the issuer ([`BodyNames`]),
//! so that an index that is made again knows them too; zeros where nobody could say.

use crate::crypto::{SealingKey, Sha256Digest};
use crate::ledger::store::body_names::BodyNames;
use crate::ledger::store::index_key::IndexKey;

/// Bytes of a slot: it never crosses a sector.
pub(super) const SLOT_BYTES: usize = 64;
/// Bytes of what is sealed in a slot.
pub(super) const SEALED_BYTES: usize = 32 + SealingKey::OVERHEAD;
const ERASED: &[u8] = b"affiant/erased/1";

/// The bytes of a slot.
pub(super) type SlotBytes = [u8; SLOT_BYTES];

/// What a slot that is whole has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotKind {
    Key = 1,
    Erased = 2,
}

/// What a slot says of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The key of its body, wrapped under the vault key.
    Key([u8; SEALED_BYTES]),
    /// Its body's key was destroyed.
    Erased(Option<BodyNames>),
}

/// The slot of a wrapped key.
pub(super) fn of_key(wrapped: &[u8]) -> SlotBytes {
    slot(SlotKind::Key, wrapped)
}

/// The slot that says that the body of `record` is erased.
pub(super) fn of_erasure(vault_key: &SealingKey, record: Sha256Digest, names: Option<BodyNames>) -> SlotBytes {
    let (submission, uuid) = names.map_or((0, 0), |names| (names.submission.0, names.issuer_uuid.0));
    let message = [submission.to_be_bytes(), uuid.to_be_bytes()].concat();
    slot(SlotKind::Erased, &vault_key.seal(&statement_context(record), &message))
}

/// A slot whose bytes are kept, and known not to be whole.
pub(super) fn of_damaged(sealed: &[u8]) -> SlotBytes {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..SEALED_BYTES].copy_from_slice(sealed);
    bytes
}

/// What is in the slot, as far as a checksum tells; `None` when it is not whole.
pub(super) fn kind(bytes: &SlotBytes) -> Option<SlotKind> {
    let (sealed, crc) = bytes.split_at(SEALED_BYTES);
    [SlotKind::Key, SlotKind::Erased].into_iter().find(|kind| checksum(*kind, sealed) == crc)
}

/// What the slot says of `record`; `None` when it says nothing of it.
pub(super) fn open(bytes: &SlotBytes, vault_key: &SealingKey, record: Sha256Digest) -> Option<Slot> {
    let sealed = &bytes[..SEALED_BYTES];
    if vault_key.open(&record.0, sealed).is_ok() {
        return Some(Slot::Key(sealed.try_into().expect("so many bytes")));
    }
    let message = vault_key.open(&statement_context(record), sealed).ok()?;
    let (submission, rest) = message.split_first_chunk()?;
    let issuer_uuid = rest.first_chunk()?;
    let [submission, issuer_uuid] = [submission, issuer_uuid].map(|name| IndexKey(u128::from_be_bytes(*name)));
    let is_known = submission.0 != 0 || issuer_uuid.0 != 0;
    Some(Slot::Erased(is_known.then_some(BodyNames { submission, issuer_uuid, uuid: None })))
}

fn statement_context(record: Sha256Digest) -> Vec<u8> {
    [ERASED, &record.0].concat()
}

fn slot(kind: SlotKind, sealed: &[u8]) -> SlotBytes {
    let mut bytes = of_damaged(sealed);
    bytes[SEALED_BYTES..].copy_from_slice(&checksum(kind, sealed));
    bytes
}

fn checksum(kind: SlotKind, sealed: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind as u8]);
    crc.update(sealed);
    crc.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::local::tests::vault_key;

    fn names() -> BodyNames {
        BodyNames { submission: IndexKey(7), issuer_uuid: IndexKey(8), uuid: None }
    }

    #[test]
    fn a_slot_says_what_it_was_made_of_and_of_its_record_alone() {
        let [one, other] = [b"1", b"2"].map(|name| Sha256Digest::of(name));
        let wrapped = vault_key().seal(&one.0, &[3; 32]);
        let key = of_key(&wrapped);
        assert_eq!(open(&key, &vault_key(), one), Some(Slot::Key(wrapped.try_into().unwrap())));
        for names in [None, Some(names())] {
            let erased = of_erasure(&vault_key(), one, names);
            assert_eq!(open(&erased, &vault_key(), one), Some(Slot::Erased(names)));
            assert_eq!((kind(&erased), kind(&key)), (Some(SlotKind::Erased), Some(SlotKind::Key)));
            for bytes in [key, erased] {
                assert_eq!(open(&bytes, &vault_key(), other), None, "it is bound to its record");
                assert_eq!(open(&bytes, &SealingKey::new(&[9; 32]), one), None, "and to the vault key");
            }
        }
    }

    #[test]
    fn whatever_is_changed_is_neither_a_key_nor_erased() {
        let one = Sha256Digest::of(b"1");
        for whole in [of_key(&vault_key().seal(&one.0, &[3; 32])), of_erasure(&vault_key(), one, None)] {
            for at in 0..SEALED_BYTES {
                let mut changed = whole;
                changed[at] ^= 1;
                assert_eq!((open(&changed, &vault_key(), one), kind(&changed)), (None, None), "byte {at}");
            }
        }
        // As a sector that was zeroed, or an older release's word for erased.
        assert_eq!((open(&[0; SLOT_BYTES], &vault_key(), one), kind(&[0; SLOT_BYTES])), (None, None));
    }
}
