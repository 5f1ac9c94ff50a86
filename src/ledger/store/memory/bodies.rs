//! Bodies in memory.

use std::sync::{Arc, Mutex, MutexGuard};

use super::content::{Opened, StoredBody};
use crate::crypto::{SealingKey, Sha256Digest};
use crate::ledger::store::batch::Batch;
use crate::ledger::store::body::{BodyError, BodyMetadata, EncryptedBody, open_body};
use crate::ledger::store::body_names::{BodyNames, index_secret};
use crate::ledger::store::{BodyReplay, BodyStore, StoreError};
use crate::tlog::{LeafIndex, TreeSize};

#[derive(Debug)]
pub(super) struct MemoryBodies {
    pub(super) opened: Opened,
    pub(super) vault_key: Arc<SealingKey>,
    /// The bodies put last, until they are settled or withdrawn.
    pub(super) last_put: Mutex<Vec<LeafIndex>>,
}

impl MemoryBodies {
    fn last_put(&self) -> MutexGuard<'_, Vec<LeafIndex>> {
        self.last_put.lock().expect("no holder of this lock panics")
    }
}

impl StoredBody {
    fn open(&self, vault_key: &SealingKey) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
        let wrapped = self.wrapped_key.as_ref().ok_or(BodyError::Erased)?;
        open_body(vault_key, self.record, wrapped, &self.ciphertext)
    }
}

impl BodyStore for MemoryBodies {
    fn replay(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError> {
        Ok(Box::new(Replay { bodies: self, last: None }))
    }

    fn resume(
        &self,
        _newest: Option<LeafIndex>,
        _says_erased: &dyn Fn(Sha256Digest) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.opened.write("bodies.resume", |content| {
            let size = content.batches.last().map_or(TreeSize(0), Batch::end);
            content.bodies.split_off(&size.next_leaf());
            Ok(())
        })
    }

    fn put(&self, bodies: &[(LeafIndex, EncryptedBody)]) -> Result<(), StoreError> {
        let mut last_put = self.last_put();
        last_put.clear();
        self.opened.write("bodies.put", |content| {
            for (index, body) in bodies {
                let wrapped_key = Some(body.wrapped_key(&self.vault_key));
                let (record, ciphertext) = (body.record(), body.ciphertext().to_vec());
                let names = BodyNames::of(&index_secret(&self.vault_key), body.metadata());
                let stored = StoredBody { record, names, wrapped_key, ciphertext };
                content.bodies.insert(*index, stored);
                last_put.push(*index);
            }
            Ok(())
        })
    }

    fn settle(&self) {
        // Nobody is told of a process that ends here.
        let _ = self.opened.write("bodies.settle", |_| {
            self.last_put().clear();
            Ok(())
        });
    }

    fn withdraw(&self) -> Result<(), StoreError> {
        let mut last_put = self.last_put();
        self.opened.write("bodies.withdraw", |content| {
            last_put.drain(..).for_each(|index| drop(content.bodies.remove(&index)));
            Ok(())
        })
    }

    fn get(&self, index: LeafIndex) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
        if self.last_put().contains(&index) {
            return Err(BodyError::Missing);
        }
        let stored = self.opened.read("bodies.get", |content| Ok(content.bodies.get(&index).cloned()))?;
        stored.ok_or(BodyError::Missing)?.open(&self.vault_key)
    }

    fn shred(&self, index: LeafIndex, record: Sha256Digest) -> Result<(), BodyError> {
        let found = self.opened.write("bodies.shred", |content| match content.bodies.get_mut(&index) {
            None => Ok(false),
            Some(body) if body.record == record => {
                body.wrapped_key = None;
                Ok(true)
            }
            Some(_) => Err(StoreError::Corrupt { path: "bodies".into(), offset: index.0 }),
        })?;
        if found { Ok(()) } else { Err(BodyError::Missing) }
    }

    fn mend(&self, _cancelled: &dyn Fn() -> bool) -> u64 {
        0
    }
}

/// See [`BodyStore::replay`].
struct Replay<'a> {
    bodies: &'a MemoryBodies,
    last: Option<StoredBody>,
}

impl BodyReplay for Replay<'_> {
    fn body(&mut self, index: LeafIndex, record: Sha256Digest) -> Result<Option<BodyNames>, BodyError> {
        let stored = self.bodies.opened.read("bodies.replay", |content| Ok(content.bodies.get(&index).cloned()))?;
        self.last = stored.filter(|stored| stored.record == record);
        Ok(Some(self.last.as_ref().ok_or(BodyError::Missing)?.names))
    }

    fn vault_key_fits(&self) -> Result<Option<bool>, StoreError> {
        let wrapped = self.last.as_ref().and_then(|last| Some((last.record, last.wrapped_key.as_ref()?)));
        Ok(wrapped.map(|(record, wrapped)| self.bodies.vault_key.open(&record.0, wrapped).is_ok()))
    }
}
