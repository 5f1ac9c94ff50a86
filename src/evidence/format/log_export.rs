//! Log exports: every entry between two checkpoints, as a proof that no record of an issuer is missing (`docs/FORMATS.md`).
//!
//! It is a file of lines: a head, then every entry between the checkpoints. Behind the right edge of the first
//! checkpoint's tree the entries make the tree of the second, so none was left out; each issuer's count has no gap.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::{format_time, parse_time, serialize_optional_time};
use crate::crypto::Sha256Digest;
use crate::evidence::format::entry::Entry;
use crate::evidence::format::entry_chain::{EntryChain, EntryChainError};
use crate::tlog::merkle::HashError;
use crate::tlog::{
    CheckpointError, EntryCount, LeafIndex, LogPolicy, NodeHash, RightEdge, RootHash, SignedCheckpoint, TreeSize,
    VerifierKey,
};

/// The value of `format` in the head.
const FORMAT: &str = "affiant period 1";
/// Bytes of the head: two checkpoints of many signatures, and 64 hashes.
pub const EXPORT_HEAD_BYTES_MAX: usize = 256 << 10;

/// Why a file is not a complete export.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum LogExportError {
    /// The head cannot be read.
    #[error("the head: {0}")]
    Head(String),
    /// A checkpoint is not one, or not the log's.
    #[error("a checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// The hashes are not those of the first checkpoint's tree.
    #[error("the right edge is not that of the first checkpoint")]
    Edge,
    /// An entry does not follow.
    #[error(transparent)]
    EntryChain(#[from] EntryChainError),
    /// The entries end before the last checkpoint, or after it.
    #[error("the entries reach to {reached}, and the last checkpoint to {size}")]
    Length { reached: TreeSize, size: TreeSize },
    /// The entries make another tree than the last checkpoint's.
    #[error("the entries lead to another root than that of the last checkpoint")]
    Root,
    /// The log policy does not know the log, or a cosignature of a witness that it names is wrong.
    #[error("the last checkpoint, under the log policy: {0}")]
    Policy(String),
    /// Entries before the first may belong to the range.
    #[error("the export begins within the range: the first entry is of {0}")]
    Late(String),
}

impl From<CheckpointError> for LogExportError {
    fn from(cause: CheckpointError) -> Self {
        Self::Checkpoint(cause)
    }
}

impl From<HashError> for LogExportError {
    fn from(error: HashError) -> Self {
        Self::Head(error.to_string())
    }
}

/// The issuer and the range of times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ExportRequest {
    pub issuer: String,
    /// Entries of this time and later; `None` from the log's first.
    pub from: Option<DateTime<Utc>>,
    /// Entries of this time and earlier; `None` to the newest checkpoint.
    pub to: Option<DateTime<Utc>>,
}

/// The first line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    issuer: String,
    from: Option<String>,
    to: Option<String>,
    /// The checkpoint before the first entry; null at the log's beginning.
    begin: Option<String>,
    /// The right edge of its tree, the largest subtree first.
    edge: Vec<String>,
    /// The checkpoint behind the last entry.
    end: String,
}

/// The head of a file, as a line without its end.
///
/// # Panics
/// Never: it is JSON.
#[must_use]
pub fn export_head(
    request: &ExportRequest,
    begin: Option<(&SignedCheckpoint, &RightEdge)>,
    end: &SignedCheckpoint,
) -> String {
    let head = Head {
        format: FORMAT.to_owned(),
        issuer: request.issuer.clone(),
        from: request.from.map(format_time),
        to: request.to.map(format_time),
        begin: begin.map(|(signed, _)| signed.note().to_string()),
        edge: begin.iter().flat_map(|(_, edge)| edge.hashes()).map(|hash| hash.to_base64()).collect(),
        end: end.note().to_string(),
    };
    serde_json::to_string(&head).expect("it is JSON")
}

/// A record of the issuer, in the range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ExportedRecord {
    /// Its count.
    pub seq: EntryCount,
    /// Its entry's place.
    pub index: LeafIndex,
    /// Its entry's time, by the ledger's own word.
    pub time: String,
    /// The kind of its entry.
    pub kind: &'static str,
    pub record: Sha256Digest,
}

/// The result of a complete export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportSummary {
    /// The log.
    pub origin: String,
    /// The issuer of the records.
    pub issuer: String,
    /// From when; null from the log's first entry.
    #[serde(serialize_with = "serialize_optional_time")]
    pub from: Option<DateTime<Utc>>,
    /// To when; null to the last checkpoint.
    #[serde(serialize_with = "serialize_optional_time")]
    pub to: Option<DateTime<Utc>>,
    /// Entries before the first.
    pub begin_size: TreeSize,
    /// Entries to the last.
    pub end_size: TreeSize,
    /// Whether an entry after the range is there, or the log has ended: else more of the range may follow the last checkpoint.
    pub closed: bool,
    /// The number of records of the issuer in the range.
    pub records: u64,
    /// The count of the first and of the last; between them none is missing.
    pub counts: Option<(EntryCount, EntryCount)>,
    /// The witnesses that cosigned the last checkpoint, where a log policy says whose words count.
    pub witnesses: Vec<String>,
    /// Whether they are enough; null where the policy asks for none, or there is no policy.
    pub quorum: Option<bool>,
}

/// A reader of an export, line by line.
#[derive(Debug)]
pub struct LogExportReader {
    request: ExportRequest,
    chain: EntryChain,
    begin_size: TreeSize,
    end: SignedCheckpoint,
    first: Option<DateTime<Utc>>,
    closed: bool,
    records: u64,
    counts: Option<(EntryCount, EntryCount)>,
}

impl LogExportReader {
    /// Begins with the head. `key` is the log's, from where the reader trusts it.
    ///
    /// # Errors
    /// When it is no head, or a checkpoint not the log's.
    pub fn begin(head: &[u8], key: &VerifierKey) -> Result<Self, LogExportError> {
        let wrong = |error: &dyn std::fmt::Display| LogExportError::Head(error.to_string());
        let head: Head = serde_json::from_slice(head).map_err(|error| wrong(&error))?;
        if head.format != FORMAT {
            return Err(wrong(&format_args!("{:?} is not {FORMAT:?}", head.format)));
        }
        let time = |text: Option<&String>| text.map(|text| parse_time(text)).transpose();
        let from = time(head.from.as_ref()).map_err(|error| wrong(&error))?;
        let to = time(head.to.as_ref()).map_err(|error| wrong(&error))?;
        let begin = head.begin.map(|note| SignedCheckpoint::open(note.as_bytes(), key)).transpose()?;
        let (begin_size, root) = begin.as_ref().map_or((TreeSize(0), RootHash::empty()), |signed| {
            (signed.checkpoint().size(), signed.checkpoint().root())
        });
        let edge = head.edge.iter().map(|hash| NodeHash::from_base64(hash)).collect::<Result<_, _>>()?;
        let edge = RightEdge::new(begin_size, edge).map_err(|_| LogExportError::Edge)?;
        if edge.root() != root {
            return Err(LogExportError::Edge);
        }
        let request = ExportRequest { issuer: head.issuer, from, to };
        let end = SignedCheckpoint::open(head.end.as_bytes(), key)?;
        let chain = EntryChain::from_edge(edge);
        Ok(Self { request, chain, begin_size, end, first: None, closed: false, records: 0, counts: None })
    }

    /// Checks the next entry, and returns it where it is a record of the issuer in the range.
    ///
    /// # Errors
    /// When it does not follow, or there is one too many.
    pub fn entry(&mut self, line: &[u8]) -> Result<Option<ExportedRecord>, LogExportError> {
        let size = self.end.checkpoint().size();
        if self.chain.edge().size() >= size {
            return Err(LogExportError::Length { reached: TreeSize(self.chain.edge().size().0 + 1), size });
        }
        let (entry, _) = self.chain.append(line)?;
        self.first = self.first.or(Some(entry.time));
        if self.request.to.is_some_and(|to| entry.time > to) {
            self.closed = true;
            return Ok(None);
        }
        if self.request.from.is_some_and(|from| entry.time < from) {
            return Ok(None);
        }
        Ok(self.count(&entry))
    }

    fn count(&mut self, entry: &Entry) -> Option<ExportedRecord> {
        let record = entry.event.record().filter(|record| record.issuer == self.request.issuer)?;
        self.records += 1;
        self.counts = Some((self.counts.map_or(record.seq, |(first, _)| first), record.seq));
        Some(ExportedRecord {
            seq: record.seq,
            index: entry.index,
            time: format_time(entry.time),
            kind: entry.event.kind(),
            record: record.record,
        })
    }

    /// Checks the end, and returns the result.
    ///
    /// # Errors
    /// When the entries do not make the last checkpoint's tree, or more of the range may be before the first.
    pub fn finish(self, policy: Option<&LogPolicy>) -> Result<ExportSummary, LogExportError> {
        let checkpoint = self.end.checkpoint();
        let (reached, size) = (self.chain.edge().size(), checkpoint.size());
        if reached != size {
            return Err(LogExportError::Length { reached, size });
        }
        if self.chain.edge().root() != checkpoint.root() {
            return Err(LogExportError::Root);
        }
        // Times never go back in a log: an entry before the range has only entries before the range in front of it.
        if self.begin_size.0 > 0 {
            match (self.first, self.request.from) {
                (Some(first), Some(from)) if first < from => {}
                (first, _) => return Err(LogExportError::Late(first.map(format_time).unwrap_or_default())),
            }
        }
        let (mut witnesses, mut quorum) = (Vec::new(), None);
        if let Some(policy) = policy {
            let found = policy.cosigned(&self.end).map_err(|error| LogExportError::Policy(error.to_string()))?;
            witnesses.extend(found.cosignatures().iter().map(|one| one.witness.key().name().to_owned()));
            quorum = policy.asks_for_witnesses().then(|| found.quorum());
        }
        Ok(ExportSummary {
            origin: checkpoint.origin().to_owned(),
            issuer: self.request.issuer,
            from: self.request.from,
            to: self.request.to,
            begin_size: self.begin_size,
            end_size: size,
            // Behind the end of a log there is nothing.
            closed: self.closed || self.chain.successor().is_some(),
            records: self.records,
            counts: self.counts,
            witnesses,
            quorum,
        })
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::evidence::format::{RecordEvent, genesis_prev};
    use crate::evidence::{EntryDraft, Event};
    use crate::tlog::Checkpoint;
    use crate::tlog::merkle::leaf_hash;

    const ORIGIN: &str = "log.example/1";

    struct Log {
        signer: SigningKey,
        entries: Vec<Vec<u8>>,
    }

    impl Log {
        /// Twenty records, a and b in turn, a minute apart.
        fn new() -> Self {
            let (signer, _) = SigningKey::generate_ed25519();
            let mut entries: Vec<Vec<u8>> = Vec::new();
            for index in 0..20_u64 {
                let issuer = if index % 2 == 0 { "a" } else { "b" };
                let record = Sha256Digest::of(&index.to_be_bytes());
                let event = RecordEvent { issuer: issuer.into(), seq: EntryCount(0), record, signer: None, of: None };
                let prev = entries.last().map_or_else(genesis_prev, |last| Sha256Digest(*leaf_hash(last).as_bytes()));
                let draft = EntryDraft::new(Event::VconAnchored(event));
                entries.push(draft.assign(LeafIndex(index), prev, minute(index), EntryCount(index / 2 + 1)).1);
            }
            Self { signer, entries }
        }

        fn edge(&self, size: usize) -> RightEdge {
            self.entries[..size].iter().map(|entry| leaf_hash(entry)).collect()
        }

        fn signed(&self, size: usize) -> SignedCheckpoint {
            let edge = self.edge(size);
            Checkpoint::new(ORIGIN, edge.size(), edge.root()).unwrap().sign(&self.signer).unwrap()
        }

        fn lines(&self, (begin, end): (usize, usize), request: &ExportRequest) -> Vec<Vec<u8>> {
            let (first, edge) = (self.signed(begin.max(1)), self.edge(begin));
            let begun = (begin > 0).then_some((&first, &edge));
            let mut lines = vec![export_head(request, begun, &self.signed(end)).into_bytes()];
            lines.extend(self.entries[begin..end].iter().cloned());
            lines
        }

        fn read(&self, lines: &[Vec<u8>]) -> Result<(Vec<u64>, ExportSummary), LogExportError> {
            let key = VerifierKey::ed25519(ORIGIN, self.signer.verifying_key()).unwrap();
            let mut reader = LogExportReader::begin(&lines[0], &key)?;
            let mut counts = Vec::new();
            for line in &lines[1..] {
                counts.extend(reader.entry(line)?.map(|record| record.seq.0));
            }
            Ok((counts, reader.finish(None)?))
        }
    }

    fn minute(index: u64) -> DateTime<Utc> {
        parse_time(&format!("2026-07-01T12:{index:02}:00Z")).unwrap()
    }

    fn request(from: Option<u64>, to: Option<u64>) -> ExportRequest {
        ExportRequest { issuer: "a".into(), from: from.map(minute), to: to.map(minute) }
    }

    #[test]
    fn every_record_of_the_issuer_in_the_period_is_there() {
        let log = Log::new();
        for ((begin, end), (from, to), counts, closed) in [
            ((0, 20), (None, None), (1..=10).collect::<Vec<_>>(), false),
            ((0, 20), (Some(4), Some(8)), vec![3, 4, 5], true),
            ((3, 10), (Some(4), Some(8)), vec![3, 4, 5], true),
            ((3, 9), (Some(4), Some(8)), vec![3, 4, 5], false),
            ((1, 20), (Some(3), Some(3)), vec![], true),
        ] {
            let (found, summary) = log.read(&log.lines((begin, end), &request(from, to))).unwrap();
            assert_eq!((&found, summary.closed, summary.records), (&counts, closed, counts.len() as u64));
            let count = |count: Option<&u64>| count.copied().map(EntryCount);
            assert_eq!(summary.counts, count(counts.first()).zip(count(counts.last())));
        }
    }

    #[test]
    fn behind_the_end_of_the_log_nothing_of_the_period_follows() {
        let mut log = Log::new();
        let prev = Sha256Digest(*leaf_hash(log.entries.last().unwrap()).as_bytes());
        let draft = EntryDraft::new(Event::LedgerClosed { successor: "log.example/2".into() });
        log.entries.push(draft.assign(LeafIndex(20), prev, minute(20), EntryCount(0)).1);
        for (end, closed) in [(20, false), (21, true)] {
            let (_, summary) = log.read(&log.lines((0, end), &request(Some(4), Some(40)))).unwrap();
            assert_eq!(summary.closed, closed);
        }
        let prev = Sha256Digest(*leaf_hash(log.entries.last().unwrap()).as_bytes());
        let draft = EntryDraft::new(Event::TrustChanged { policy: prev });
        log.entries.push(draft.assign(LeafIndex(21), prev, minute(21), EntryCount(0)).1);
        let behind = log.read(&log.lines((0, 22), &request(Some(4), Some(40))));
        assert!(matches!(behind, Err(LogExportError::EntryChain(EntryChainError::BehindEnd(LeafIndex(21))))));
    }

    #[test]
    fn what_begins_within_the_period_may_lack_its_beginning() {
        let log = Log::new();
        assert!(matches!(log.read(&log.lines((4, 10), &request(Some(4), Some(8)))), Err(LogExportError::Late(_))));
        assert!(matches!(log.read(&log.lines((4, 10), &request(None, Some(8)))), Err(LogExportError::Late(_))));
    }

    #[test]
    fn nothing_can_be_left_out_put_in_or_changed() {
        let log = Log::new();
        let whole = log.lines((3, 12), &request(Some(4), Some(8)));
        assert!(log.read(&whole).is_ok());
        for line in 0..whole.len() {
            let mut without = whole.clone();
            without.remove(line);
            assert!(log.read(&without).is_err(), "without line {line}");
            let mut twice = whole.clone();
            twice.insert(line, whole[line].clone());
            assert!(log.read(&twice).is_err(), "line {line} twice");
            for at in (0..whole[line].len()).step_by(7) {
                let mut flipped = whole.clone();
                flipped[line][at] ^= 1;
                // What was asked for is nobody's word but the reader's own to compare.
                let said = String::from_utf8_lossy(&flipped[line]).into_owned();
                let asked = line == 0 && at < said.find("\"begin\"").unwrap_or(0);
                assert!(asked || log.read(&flipped).is_err(), "byte {at} of line {line}: {said}");
            }
        }
        let other = Log::new();
        assert!(matches!(other.read(&whole), Err(LogExportError::Checkpoint(_))));
    }
}
