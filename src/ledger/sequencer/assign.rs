//! Assigning indices: each submission gets the next one, or that of the submission which it duplicates.
//!
//! The index is asked here, where order is decided; whatever was looked up before was a cheap refusal, not the truth.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::Sequencer;
use crate::crypto::Sha256Digest;
use crate::evidence::format::{Entry, Event, RecordEvent, genesis_prev};
use crate::ledger::core::Found;
use crate::ledger::store::body::EncryptedBody;
use crate::ledger::store::sequencer_state::SequencerState;
use crate::ledger::store::tiles::TileReadError;
use crate::ledger::submission::{AppendError, Durability, Reply, Submission};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{EntryCount, LeafIndex, NodeHash, TreeSize};

/// A submission on its way through a batch.
pub(super) type Queued = (Submission, Durability, Reply);

/// A submission that has its entry.
pub(super) struct Sequenced {
    pub(super) entry: Entry,
    pub(super) bytes: Vec<u8>,
    /// The hashes of the subtrees that it closes, level by level.
    pub(super) closed: Vec<NodeHash>,
    pub(super) body: Option<EncryptedBody>,
    pub(super) durability: Durability,
    pub(super) reply: Reply,
}

/// A submission of what is in the ledger, or in this batch, at this index.
pub(super) type Duplicate = (LeafIndex, Durability, Reply);

/// The records of the batch so far, by the names under which the index will know them.
#[derive(Default)]
struct InBatch {
    submissions: HashMap<(String, Sha256Digest), LeafIndex>,
    uuids: HashMap<(String, String), LeafIndex>,
    records: HashMap<Sha256Digest, LeafIndex>,
    owners: HashMap<LeafIndex, String>,
}

impl InBatch {
    fn note(&mut self, record: &RecordEvent, body: &EncryptedBody, index: LeafIndex) {
        let metadata = body.metadata();
        self.submissions.insert((record.issuer.clone(), metadata.submitted), index);
        self.uuids.insert((record.issuer.clone(), metadata.uuid.clone()), index);
        self.records.insert(record.record, index);
        self.owners.insert(index, record.issuer.clone());
    }
}

/// The ledger's decision on a record before it gets an index.
enum Known {
    New,
    /// The same submission, or the same record of the same issuer, at this index.
    Duplicate(LeafIndex),
    Refused(AppendError),
}

impl Sequencer {
    /// Assigns an index to each submission of a batch, from `next` on.
    pub(super) fn assign(
        &self,
        batch: Vec<Queued>,
        time: DateTime<Utc>,
        next: &mut SequencerState,
    ) -> (Vec<Sequenced>, Vec<Duplicate>) {
        let mut sequenced: Vec<Sequenced> = Vec::with_capacity(batch.len());
        let (mut in_batch, mut duplicates) = (InBatch::default(), Vec::new());
        for (submission, durability, reply) in batch {
            let opens = matches!(submission.draft.event(), Event::LedgerOpened { .. });
            match next.edge.size() {
                // Entry 0 says which log this is, whoever came in before it.
                TreeSize(0) if !opens => {
                    let _ = reply.send(Err(AppendError::ReadOnly("its first entry is not there yet".to_owned())));
                    continue;
                }
                TreeSize(1..) if opens => {
                    duplicates.push((LeafIndex(0), durability, reply));
                    continue;
                }
                _ => {}
            }
            if let (Some(record), Some(body)) = (submission.draft.event().record(), &submission.body) {
                // Nobody is told "new" by an index that cannot be read; and one that cannot be read stops nobody else.
                let known = self.known(&in_batch, record, body).unwrap_or_else(|error| {
                    tracing::error!(%error, "the index cannot be read, submission refused");
                    Known::Refused(AppendError::Index(error.to_string()))
                });
                match known {
                    Known::New => in_batch.note(record, body, next.edge.size().next_leaf()),
                    Known::Duplicate(index) => {
                        duplicates.push((index, durability, reply));
                        continue;
                    }
                    Known::Refused(error) => {
                        let _ = reply.send(Err(error));
                        continue;
                    }
                }
            }
            sequenced.push(self.assign_one(submission, durability, reply, time, next));
        }
        (sequenced, duplicates)
    }

    /// Answers those who come when the log has ended: nothing is taken, and gives who sent what is in it.
    pub(super) fn refuse_behind_end(&self, batch: Vec<Queued>, successor: &str) -> Vec<Duplicate> {
        let (in_batch, mut duplicates) = (InBatch::default(), Vec::new());
        for (submission, durability, reply) in batch {
            let known = match (submission.draft.event(), &submission.body) {
                (Event::LedgerOpened { .. }, _) => Ok(Known::Duplicate(LeafIndex(0))),
                (Event::LedgerClosed { successor: named }, _) if named == successor => {
                    Ok(Known::Duplicate(LeafIndex(self.size().0 - 1)))
                }
                (event, Some(body)) => event.record().map_or(Ok(Known::New), |it| self.known(&in_batch, it, body)),
                _ => Ok(Known::New),
            };
            match known {
                Ok(Known::Duplicate(index)) => duplicates.push((index, durability, reply)),
                Ok(Known::Refused(error)) => drop(reply.send(Err(error))),
                Ok(Known::New) => drop(reply.send(Err(AppendError::Closed { successor: successor.to_owned() }))),
                Err(error) => {
                    tracing::error!(%error, "the index cannot be read, submission refused");
                    let _ = reply.send(Err(AppendError::Index(error.to_string())));
                }
            }
        }
        duplicates
    }

    fn known(&self, in_batch: &InBatch, record: &RecordEvent, body: &EncryptedBody) -> Result<Known, TileReadError> {
        let (inner, metadata) = (&*self.parts.inner, body.metadata());
        let same_submission = match in_batch.submissions.get(&(record.issuer.clone(), metadata.submitted)) {
            Some(index) => Some(Found::There(*index)),
            None => inner.first_found(inner.index.by_submission(&record.issuer, metadata.submitted))?,
        };
        match same_submission {
            Some(Found::There(index)) => return Ok(Known::Duplicate(index)),
            Some(Found::Erased(index)) => return Ok(Known::Refused(AppendError::Erased(index))),
            None => {}
        }
        if let Some(index) = in_batch.records.get(&record.record) {
            let is_own = in_batch.owners.get(index) == Some(&record.issuer);
            return Ok(if is_own { Known::Duplicate(*index) } else { Known::Refused(AppendError::RecordTaken) });
        }
        if let Some(index) = inner.index.by_record(record.record)? {
            // The same record in other bytes (white space, dialect): the same receipt to the same issuer.
            let entry = inner.entry(index)?;
            let issuer = entry.event.issuer_sequence().map(|(issuer, _)| issuer);
            return Ok(if issuer != Some(&*record.issuer) {
                Known::Refused(AppendError::RecordTaken)
            } else if inner.is_erased(record.record)? {
                Known::Refused(AppendError::Erased(index))
            } else {
                Known::Duplicate(index)
            });
        }
        // A record that names the one before it may have its uuid.
        if record.of.is_some() {
            return Ok(Known::New);
        }
        let same_uuid = match in_batch.uuids.get(&(record.issuer.clone(), metadata.uuid.clone())) {
            Some(index) => Some(Found::There(*index)),
            None => inner.first_found(inner.index.by_uuid(&record.issuer, &metadata.uuid))?,
        };
        Ok(match same_uuid {
            Some(Found::There(index)) => Known::Refused(AppendError::UuidTaken(index)),
            Some(Found::Erased(index)) => Known::Refused(AppendError::Erased(index)),
            None => Known::New,
        })
    }

    fn assign_one(
        &self,
        submission: Submission,
        durability: Durability,
        reply: Reply,
        time: DateTime<Utc>,
        next: &mut SequencerState,
    ) -> Sequenced {
        let index = next.edge.size().next_leaf();
        let prev = next.last_leaf.map_or_else(genesis_prev, |leaf| Sha256Digest(*leaf.as_bytes()));
        let seq = submission.draft.issuer().map_or(EntryCount(0), |issuer| {
            let before = || self.parts.state.sequences.get(issuer).copied().unwrap_or_default();
            let count = next.sequences.entry(issuer.to_owned()).or_insert_with(before);
            *count = count.next();
            *count
        });
        let (entry, bytes) = submission.draft.assign(index, prev, time, seq);
        let leaf = leaf_hash(&bytes);
        let closed = next.edge.append(leaf);
        next.last_leaf = Some(leaf);
        next.last_time = Some(entry.time);
        Sequenced { entry, bytes, closed, body: submission.body, durability, reply }
    }
}
