//! The model: every answer that the ledger gave, and so must keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use affiant::crypto::{Sha256Digest, SignatureAlgorithm, Signer, SigningError, SigningKey, VerifyingKey};
use affiant::evidence::format::RecordEvent;
use affiant::evidence::{Entry, EntryDraft, Event};
use affiant::ledger::{
    AppendReceipt, BodyMetadata, EncryptedBody, KeptArchiveTimestamp, Ledger, Submission, WitnessRound,
};
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::{Checkpoint, LeafIndex, NoteSignature, RightEdge, RootHash, TreeSize};

use crate::chance::Chance;
use crate::witness::QUORUM;
use affiant::tlog::EntryCount;

const ISSUERS: [&str; 3] = ["iss_a", "iss_b", "iss_c"];

/// What stands for the token of an authority, one for each number.
pub(crate) fn token(number: u64) -> Vec<u8> {
    format!("token {number}").into_bytes()
}

fn is_token(piece: &[u8]) -> bool {
    piece.starts_with(b"token ")
}

/// Something to submit, as often as one likes.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) issuer: &'static str,
    pub(crate) uuid: String,
    pub(crate) body: Vec<u8>,
    pub(crate) submitted: Sha256Digest,
    pub(crate) of: Option<Sha256Digest>,
}

impl Wish {
    pub(crate) fn record(&self) -> Sha256Digest {
        Sha256Digest::of(&self.body)
    }

    pub(crate) fn metadata(&self) -> BodyMetadata {
        BodyMetadata {
            issuer: self.issuer.into(),
            uuid: self.uuid.clone(),
            submitted: self.submitted,
            verdict: "TOTAL-PASSED".into(),
        }
    }

    pub(crate) fn submission(&self) -> Submission {
        let (issuer, record, metadata) = (self.issuer.to_owned(), self.record(), self.metadata());
        let event = RecordEvent { issuer, seq: EntryCount(0), record, signer: None, of: self.of };
        Submission {
            draft: EntryDraft::new(Event::VconIssued(event)),
            body: Some(EncryptedBody::seal(record, metadata, &self.body)),
        }
    }
}

/// A key that remembers every checkpoint that it signed.
pub(crate) struct Pen {
    key: Arc<SigningKey>,
    pub(crate) signed: Mutex<Vec<(u64, RootHash)>>,
}

impl Pen {
    pub(crate) fn new(key: Arc<SigningKey>) -> Self {
        Self { key, signed: Mutex::default() }
    }
}

impl Signer for Pen {
    fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let checkpoint = Checkpoint::parse(std::str::from_utf8(message).unwrap()).unwrap();
        self.signed.lock().unwrap().push((checkpoint.size().0, checkpoint.root()));
        self.key.sign(algorithm, message)
    }
}

/// What was answered for a record.
#[derive(Clone, Debug)]
struct Acknowledged {
    wish: Wish,
    entry: Entry,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    wishes: Vec<Wish>,
    acknowledged: BTreeMap<Sha256Digest, Acknowledged>,
    // Records of which somebody was told that they were not there before.
    firsts: BTreeSet<Sha256Digest>,
    // Entries without a body.
    events: Vec<Entry>,
    erased: BTreeSet<Sha256Digest>,
    // Erasures that were asked for, and of which nobody knows what became.
    erasing: BTreeSet<Sha256Digest>,
    // Size of the largest checkpoint that was handed out.
    included: u64,
    // Pieces of rounds that were kept: cosignatures and tokens.
    pieces: BTreeSet<(u64, Vec<u8>)>,
    // Whether the log policy asks for a quorum of witnesses.
    pub(crate) asks_for_quorum: bool,
    // Tokens over signatures of a record that were kept.
    signature_tokens: BTreeSet<(LeafIndex, Vec<u8>)>,
    archives: Vec<KeptArchiveTimestamp>,
    // Bytes of the entries that a checkpoint covered.
    covered: Vec<Vec<u8>>,
}

impl Model {
    /// Something new, or something that was there before, as it was or nearly.
    pub(crate) fn wish(&mut self, chance: &mut Chance) -> Wish {
        let number = self.wishes.len() as u64;
        let issuer = ISSUERS[chance.index(ISSUERS.len())];
        let new = |body: String| Wish {
            issuer,
            uuid: format!("uuid-{number}"),
            submitted: Sha256Digest::of(format!("{body}!").as_bytes()),
            body: body.into_bytes(),
            of: None,
        };
        let length = [10, 300, 2000][chance.index(3)];
        let body = format!("body {number} {}", "x".repeat(chance.index(length)));
        let wish = if self.wishes.is_empty() || chance.one_in(2) {
            new(body)
        } else {
            let old = self.wishes[chance.index(self.wishes.len())].clone();
            match chance.below(6) {
                // In other bytes: white space, say.
                0 => Wish { submitted: Sha256Digest::of(body.as_bytes()), ..old },
                1 => Wish { issuer, ..old },
                2 => Wish { uuid: old.uuid.clone(), issuer: old.issuer, ..new(body) },
                3 => Wish { uuid: old.uuid.clone(), issuer: old.issuer, of: Some(old.record()), ..new(body) },
                _ => old,
            }
        };
        self.wishes.push(wish.clone());
        wish
    }

    /// A record that was acknowledged, and that nobody asked to erase.
    pub(crate) fn any_record(&self, chance: &mut Chance) -> Option<(LeafIndex, Sha256Digest)> {
        let left = self.acknowledged.iter().filter(|(record, _)| !self.is_erasable(record));
        let left: Vec<_> = left.map(|(record, known)| (known.entry.index, *record)).collect();
        if left.is_empty() { None } else { Some(left[chance.index(left.len())]) }
    }

    fn is_erasable(&self, record: &Sha256Digest) -> bool {
        self.erased.contains(record) || self.erasing.contains(record)
    }

    pub(crate) fn note(&mut self, wish: Wish, receipt: &AppendReceipt) {
        let record = wish.record();
        let said = receipt.entry.event.record().expect("a record's receipt");
        assert_eq!((said.record, &*said.issuer), (record, wish.issuer), "a receipt is of what was submitted");
        // Whoever waited for a checkpoint may be answered after the erasure of what came in before it.
        let is_known = self.acknowledged.get(&record).is_some_and(|known| known.entry == receipt.entry);
        if !receipt.is_duplicate && !is_known {
            let back = self.tombstones().find(|gone| {
                gone.issuer == wish.issuer
                    && wish.of.is_none()
                    && (gone.submitted, &gone.uuid) == (wish.submitted, &wish.uuid)
            });
            assert!(back.is_none(), "what was erased does not come back: {back:?}");
        }
        match self.acknowledged.get(&record) {
            Some(known) => {
                assert_eq!(known.entry, receipt.entry, "twice is once");
            }
            None => {
                self.acknowledged.insert(record, Acknowledged { wish, entry: receipt.entry.clone() });
            }
        }
        if !receipt.is_duplicate {
            assert!(self.firsts.insert(record), "a repeated submission is said to be one");
        }
        if let Some(checkpoint) = &receipt.checkpoint {
            assert!(checkpoint.checkpoint().size().0 > receipt.entry.index.0);
            self.note_checkpoint(checkpoint.checkpoint());
        }
    }

    /// A checkpoint that anybody could have seen.
    pub(crate) fn note_checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.included = self.included.max(checkpoint.size().0);
    }

    pub(crate) fn note_event(&mut self, entry: Entry) {
        self.events.push(entry);
    }

    pub(crate) fn begin_erasing(&mut self, record: Sha256Digest) {
        self.erasing.insert(record);
    }

    pub(crate) fn note_erased(&mut self, record: Sha256Digest) {
        self.erased.insert(record);
    }

    pub(crate) fn note_piece(&mut self, size: u64, bytes: Vec<u8>) {
        self.pieces.insert((size, bytes));
    }

    pub(crate) fn note_signature_token(&mut self, index: LeafIndex, bytes: Vec<u8>) {
        self.signature_tokens.insert((index, bytes));
    }

    pub(crate) fn note_archive(&mut self, archive: KeptArchiveTimestamp) {
        self.archives.push(archive);
    }

    /// The rule of proofs: under the smallest round above the entry that has the quorum, or else was answered, however many were
    /// not before; and a second one under the smallest that was timestamped.
    fn check_rule_of_proofs(&self, ledger: &Ledger) {
        let size_of = |round: &WitnessRound| round.checkpoint.checkpoint().size().0;
        for index in (0..ledger.size().0).map(LeafIndex) {
            let mut above = self.pieces.iter().filter(|(size, _)| TreeSize(*size).contains(index));
            let Some((answered, _)) = above.clone().next() else { continue };
            let round = ledger.round_above(index).unwrap().expect("a round that was answered");
            let witnesses = round.checkpoint.note().signatures().iter().skip(1).map(NoteSignature::key_label);
            let witnesses = witnesses.collect::<BTreeSet<_>>().len();
            assert!(witnesses > 0 || !round.tokens.is_empty(), "a proof is under a round that was answered");
            match self.quorum_above(index) {
                Some(quorum) => {
                    assert!(witnesses >= QUORUM, "a round with a quorum above {index}");
                    assert!(size_of(&round) <= quorum, "the smallest round with a quorum above {index}");
                }
                // Others may have the quorum, of which nobody was told.
                None if self.asks_for_quorum && witnesses >= QUORUM => {}
                None => assert!(size_of(&round) <= *answered, "the smallest answered round above {index}"),
            }
            let Some((timestamped, _)) = above.find(|(_, bytes)| is_token(bytes)) else { continue };
            let second = ledger.second_proof(index, &round).unwrap();
            let second = second.map(|(proof, round)| {
                assert_eq!(proof.checkpoint().checkpoint().size().0, size_of(&round));
                round
            });
            let with_token = second.iter().chain([&round]).filter(|round| !round.tokens.is_empty());
            let earliest = with_token.map(size_of).min().expect("one of two proofs is under a token");
            assert!(earliest <= *timestamped, "the smallest timestamped round above {index}");
            let newest = ledger.last_timestamped_round().unwrap().expect("a round that was timestamped");
            assert!(size_of(&newest) >= *timestamped, "the newest timestamped round");
        }
    }

    /// Of a log whose policy asks for a quorum, or not.
    pub(crate) fn asking(asks_for_quorum: bool) -> Self {
        Self { asks_for_quorum, ..Self::default() }
    }

    /// The size of the smallest round above the entry that has the quorum which the log policy asks for.
    fn quorum_above(&self, index: LeafIndex) -> Option<u64> {
        let mut rounds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for (size, piece) in self.pieces.iter().filter(|(size, _)| TreeSize(*size).contains(index)) {
            let line = std::str::from_utf8(piece).unwrap();
            let witness = NoteSignature::parse(line).ok().map(|signature| signature.key_label());
            rounds.entry(*size).or_default().extend(witness);
        }
        let mut enough = rounds.into_iter().filter(|(_, witnesses)| witnesses.len() >= QUORUM);
        enough.next().map(|(size, _)| size).filter(|_| self.asks_for_quorum)
    }

    /// Holds what the ledger says now against all that it ever said.
    pub(crate) fn check(&mut self, ledger: &Ledger, pen: &Pen) {
        let entries: Vec<(Entry, Vec<u8>)> =
            (0..ledger.size().0).map(|index| ledger.entry(LeafIndex(index)).unwrap()).collect();
        self.check_checkpoints(ledger, pen, &entries);
        let is_there = |entry: &Entry| entries.get(usize::try_from(entry.index.0).unwrap()).map(|(there, _)| there);
        for (record, known) in &self.acknowledged {
            assert_eq!(is_there(&known.entry), Some(&known.entry), "an acknowledged record is in its place");
            self.check_body(ledger, record, known);
        }
        for entry in &self.events {
            assert_eq!(is_there(entry), Some(entry), "an acknowledged event is in its place");
        }
        let mut records = BTreeSet::new();
        for (entry, _) in &entries {
            if let Some(record) = entry.event.record() {
                assert!(records.insert(record.record), "no record is there twice");
                assert_eq!(
                    ledger.index_of_record(record.record).unwrap(),
                    Some(entry.index),
                    "the index knows every record"
                );
                assert_eq!(ledger.record(entry.index).unwrap().entry, *entry);
            }
        }
        for (entry, _) in &entries {
            if let Event::VconErased { of } = entry.event {
                let index = ledger.index_of_record(of).unwrap().expect("the index knows what was erased");
                assert_eq!(ledger.record(index).unwrap().body, None, "what an entry says is erased is erased");
                self.check_forgotten(ledger, of, index);
            }
        }
        for (size, bytes) in &self.pieces {
            let round = ledger.round_at_least(TreeSize(*size)).unwrap().expect("a round that was answered");
            assert_eq!(round.checkpoint.checkpoint().size().0, *size);
            let signatures = round.checkpoint.note().signatures().iter().map(|line| line.to_string().into_bytes());
            assert!(signatures.chain(round.tokens).any(|piece| piece == *bytes), "an answer that was kept is there");
        }
        self.check_rule_of_proofs(ledger);
        for (index, token) in &self.signature_tokens {
            let kept = ledger.signature_evidence(*index).unwrap().tokens;
            assert!(kept.contains(token), "a token over a signature that was kept is there");
        }
        let newest = self.signature_tokens.last().map(|(index, _)| *index);
        assert!(ledger.last_stamped().unwrap() >= newest, "nothing that was kept is forgotten");
        // Others may be between them, of which nobody was told.
        let mut archives = ledger.archives().into_iter();
        let is_there = self.archives.iter().all(|kept| archives.any(|archive| archive == *kept));
        assert!(is_there, "an archive that was kept is there");
    }

    /// Whether everything that was acknowledged is there, after a bit fell over: nothing that is read is wrong.
    pub(crate) fn is_right(&self, ledger: &Ledger) -> bool {
        self.acknowledged.iter().all(|(record, known)| {
            if let Ok(stored) = ledger.record(known.entry.index) {
                match stored.body {
                    Some((_, bytes)) => {
                        assert_eq!(bytes, known.wish.body, "a body that opens is the one that was sealed")
                    }
                    None => assert!(self.is_erasable(record)),
                }
            }
            ledger.entry(known.entry.index).is_ok_and(|(entry, _)| entry == known.entry)
        })
    }

    /// Whether the index answers all that it may be asked; what it answers is right.
    pub(crate) fn is_found(&self, ledger: &Ledger) -> bool {
        let records = self.acknowledged.iter().all(|(record, known)| {
            let (index, wish) = (known.entry.index, &known.wish);
            let found = ledger.index_of_record(*record);
            assert!(found.as_ref().map_or(true, |found| *found == Some(index)), "{record} is at {index}: {found:?}");
            let (body, history) = (ledger.record(index), ledger.history(*record, LeafIndex(0), usize::MAX));
            let metadata = body.as_ref().ok().and_then(|stored| Some(stored.body.as_ref()?.0.clone()));
            let submitted = metadata.as_ref().map_or(wish.submitted, |metadata| metadata.submitted);
            let submission = ledger.index_of_submission(wish.issuer, submitted);
            let is_gone = metadata.is_some() && submission.as_ref().is_ok_and(|found| *found != Some(index));
            assert!(!is_gone, "what cannot be read is not absent: {submission:?}");
            let uuid = ledger.index_of_uuid(Some(wish.issuer), &wish.uuid);
            found.is_ok() && submission.is_ok() && body.is_ok() && history.is_ok() && uuid.is_ok()
        });
        let others = (0..ledger.size().0).map(LeafIndex).all(|index| {
            let (entry, _) = ledger.entry(index).unwrap();
            let record = entry.event.record().map_or(Ok(Some(index)), |record| ledger.index_of_record(record.record));
            assert!(record.as_ref().map_or(true, |found| *found == Some(index)), "{record:?}, not {index}");
            let stamped = ledger.signature_evidence(index);
            let is_read = entry.event.record().is_none() || ledger.record(index).is_ok();
            let rounds = (ledger.round_at_least(TreeSize(index.0)), ledger.round_above(index));
            is_read && record.is_ok() && stamped.is_ok() && rounds.0.is_ok() && rounds.1.is_ok()
        });
        records && others && ledger.last_stamped().is_ok()
    }

    fn check_body(&self, ledger: &Ledger, record: &Sha256Digest, known: &Acknowledged) {
        let (index, wish) = (known.entry.index, &known.wish);
        let body = ledger.record(index).unwrap().body;
        match body {
            Some((metadata, bytes)) => {
                assert!(!self.erased.contains(record), "what was erased stays erased");
                assert_eq!((&bytes, &*metadata.issuer), (&wish.body, wish.issuer));
                let found = ledger.index_of_submission(wish.issuer, metadata.submitted).unwrap();
                assert_eq!(found, Some(index), "the index knows every submission");
                let newest = ledger.index_of_uuid(Some(wish.issuer), &metadata.uuid).unwrap();
                assert!(newest.is_some_and(|newest| newest >= index), "the index knows every uuid");
            }
            None => assert!(self.is_erasable(record), "nobody asked to erase this body"),
        }
    }

    /// What was submitted of records that are erased, by those who had the receipt, and may not come back.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = &Wish> {
        let gone = self.acknowledged.iter().filter(|(record, _)| self.erased.contains(record));
        gone.map(|(_, known)| &known.wish).filter(|wish| wish.of.is_none())
    }

    /// Whichever of them it was that brought the record in.
    fn check_forgotten(&self, ledger: &Ledger, record: Sha256Digest, index: LeafIndex) {
        for wish in self.wishes.iter().filter(|wish| wish.record() == record) {
            let submission = ledger.index_of_submission(wish.issuer, wish.submitted).unwrap();
            assert_ne!(submission, Some(index), "the index has forgotten what was submitted");
            for issuer in [Some(wish.issuer), None] {
                let uuid = ledger.index_of_uuid(issuer, &wish.uuid).unwrap();
                assert_ne!(uuid, Some(index), "the index has forgotten the uuid");
            }
        }
    }

    fn check_checkpoints(&mut self, ledger: &Ledger, pen: &Pen, entries: &[(Entry, Vec<u8>)]) {
        let mut edge = RightEdge::default();
        let mut roots = vec![edge.root()];
        for (_, bytes) in entries {
            edge.append(leaf_hash(bytes));
            roots.push(edge.root());
        }
        let signed = std::mem::take(&mut *pen.signed.lock().unwrap());
        let latest = ledger.latest_checkpoint().map_or(0, |latest| latest.checkpoint().size().0);
        for (size, root) in &signed {
            let here = roots.get(usize::try_from(*size).unwrap());
            assert_eq!(here, Some(root), "no two signed checkpoints disagree: that of size {size}");
        }
        assert!(latest >= self.included, "a checkpoint that was handed out is not taken back");
        for (index, bytes) in self.covered.iter().enumerate() {
            assert_eq!(entries.get(index).map(|(_, there)| there), Some(bytes), "entry {index} was signed");
        }
        let signed_size = signed.iter().map(|(size, _)| *size).max().unwrap_or(0).max(latest);
        for (_, bytes) in &entries[self.covered.len()..usize::try_from(signed_size).unwrap().max(self.covered.len())] {
            self.covered.push(bytes.clone());
        }
        for window in entries.windows(2) {
            assert!(window[0].0.time <= window[1].0.time, "time does not go back");
        }
    }
}
