//! One record with everything that a verdict rests on, each part of which a test may change.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use affiant::clock::{Clock as _, ManualClock, parse_time};
use affiant::crypto::{Hash, KeySize, SignatureAlgorithm, Signer as _, SigningKey, sha256};
use affiant::evidence::{
    Bundle, EntryDraft, Event, LayerEvidence, Record, SuppliedRecording, TrustPolicy, ValidationReport, format,
    record_digest, verify,
};
use affiant::pki::TrustAnchors;
use affiant::pki::timestamp::{MessageImprint, TstInfo};
use affiant::pki::timestamp_signing::sign_token;
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::{
    Checkpoint, LeafIndex, LogPolicy, RightEdge, RootHash, SignedCheckpoint, TlogProof, TreeSize, VerifierKey, cosign,
};
use affiant::vcon::{ContentDigests, ContentHash, VconLimits};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::minted::{DOCUMENT_SIGNING, Key, List, Mint, Revoked, TIME_STAMPING, parsed};

pub(crate) const UUID: &str = "0190a000-0000-8000-8000-000000000001";
pub(crate) const ORIGIN: &str = "log.example/1";
pub(crate) const RECORDING: &[u8] = b"RIFF a recording that is not one";

/// The signer's certificate is valid through this second.
pub(crate) const ENDS: &str = "2027-01-01T00:00:00Z";
/// And from this one.
pub(crate) const BEGINS: &str = "2026-01-01T00:00:00Z";
/// When the record says that it was signed.
pub(crate) const SIGNED: &str = "2026-06-01T12:00:00Z";
/// When the revocation lists were made.
pub(crate) const LISTED: &str = "2026-06-01T18:00:00Z";
/// When it is verified.
pub(crate) const NOW: &str = "2026-06-02T00:00:00Z";

pub(crate) struct Keys {
    pub(crate) root: Key,
    pub(crate) authority: Key,
    pub(crate) leaf: Key,
    pub(crate) time_root: Key,
    pub(crate) time: Key,
    pub(crate) log: SigningKey,
    pub(crate) witness: SigningKey,
    pub(crate) other: Key,
}

/// Made once in a test program.
pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    root: Key::p384(),
    authority: Key::p384(),
    leaf: Key::p256(),
    time_root: Key::rsa(KeySize::Rsa2048),
    time: Key::rsa(KeySize::Rsa2048),
    log: SigningKey::generate_ed25519().0,
    witness: SigningKey::generate_ed25519().0,
    other: Key::p256(),
});

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    parse_time(text).unwrap()
}

/// So many seconds after a time.
pub(crate) fn plus(text: &str, seconds: i64) -> DateTime<Utc> {
    at(text) + TimeDelta::seconds(seconds)
}

pub(crate) const DAY: i64 = 24 * 60 * 60;

/// Whose key makes a list.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum By {
    Root,
    Authority,
    Other,
}

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) root: Mint,
    pub(crate) authority: Mint,
    pub(crate) leaf: Mint,
    pub(crate) time_root: Mint,
    pub(crate) time: Mint,
    pub(crate) lists: Vec<(By, List)>,
    pub(crate) now: DateTime<Utc>,
    /// `iat`.
    pub(crate) claimed: DateTime<Utc>,
    /// A lower bound: what a witnessed checkpoint inside the record says.
    pub(crate) after: Option<DateTime<Utc>>,
    /// Tokens over the record.
    pub(crate) stamped: Vec<DateTime<Utc>>,
    /// Tokens over the checkpoint that the record is under.
    pub(crate) checkpoint_stamped: Vec<DateTime<Utc>>,
    /// A witness's cosignature on that checkpoint.
    pub(crate) cosigned: Option<DateTime<Utc>>,
    /// When the ledger says that it took the record in.
    pub(crate) entered: Option<DateTime<Utc>>,
    pub(crate) accuracy: Option<Duration>,
    /// What the tokens over the record are about, where it is not the record.
    pub(crate) stamped_data: Option<&'static [u8]>,
    pub(crate) recording: Option<&'static [u8]>,
    /// What is signed in place of a vCon: a record, signed again.
    pub(crate) around: Option<Vec<u8>>,
    /// Changes the protected and the unprotected header before they are signed.
    pub(crate) header: fn(&mut Value, &mut Value),
    pub(crate) policy: TrustPolicy,
    /// Changes everything after it was made.
    pub(crate) bundle: fn(&mut Bundle),
}

impl Case {
    /// A record that passes: signed, known to be not revoked, verified on the next day. Without timestamp and ledger.
    pub(crate) fn new() -> Self {
        let keys = &*KEYS;
        let long = (at("2020-01-01T00:00:00Z"), at("2045-01-01T00:00:00Z"));
        let (root, authority) = (("Root", &keys.root), ("Authority", &keys.authority));
        let time_root = ("Time Root", &keys.time_root);
        Self {
            root: Mint::authority(root, root, long),
            authority: Mint::authority(authority, root, long),
            leaf: Mint::leaf(("Signer", &keys.leaf), authority, (at(BEGINS), at(ENDS)), DOCUMENT_SIGNING),
            time_root: Mint::authority(time_root, time_root, long),
            time: Mint::leaf(("Time", &keys.time), time_root, long, TIME_STAMPING),
            lists: vec![(By::Authority, leaf_list(LISTED)), (By::Root, root_list(LISTED))],
            now: at(NOW),
            claimed: at(SIGNED),
            after: None,
            stamped: Vec::new(),
            checkpoint_stamped: Vec::new(),
            cosigned: None,
            entered: None,
            accuracy: None,
            stamped_data: None,
            recording: None,
            around: None,
            header: |_, _| (),
            policy: TrustPolicy::nobody(),
            bundle: |_| (),
        }
    }

    pub(crate) fn now(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn claimed(self, claimed: DateTime<Utc>) -> Self {
        Self { claimed, ..self }
    }

    pub(crate) fn after(self, after: DateTime<Utc>) -> Self {
        Self { after: Some(after), ..self }
    }

    pub(crate) fn stamped(mut self, at: DateTime<Utc>) -> Self {
        self.stamped.push(at);
        self
    }

    pub(crate) fn cosigned(self, at: DateTime<Utc>) -> Self {
        Self { cosigned: Some(at), ..self }
    }

    pub(crate) fn entered(self, at: DateTime<Utc>) -> Self {
        Self { entered: Some(at), ..self }
    }

    pub(crate) fn header(self, header: fn(&mut Value, &mut Value)) -> Self {
        Self { header, ..self }
    }

    pub(crate) fn policy(mut self, change: impl FnOnce(&mut TrustPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub(crate) fn bundle(self, bundle: fn(&mut Bundle)) -> Self {
        Self { bundle, ..self }
    }

    pub(crate) fn leaf(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.leaf = change(self.leaf);
        self
    }

    pub(crate) fn authority(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.authority = change(self.authority);
        self
    }

    /// These lists and no others.
    pub(crate) fn lists(self, lists: Vec<(By, List)>) -> Self {
        Self { lists, ..self }
    }

    /// Another list beside those that are there.
    pub(crate) fn list(mut self, by: By, list: List) -> Self {
        self.lists.push((by, list));
        self
    }

    /// Puts the signer's certificate on the authority's list.
    pub(crate) fn revoked(mut self, entry: impl FnOnce(Revoked) -> Revoked, at: DateTime<Utc>) -> Self {
        let entry = entry(Revoked::of(&self.leaf, at));
        self.change_list(By::Authority, |list| list.revokes(entry));
        self
    }

    /// Puts the authority's certificate on the root's list.
    pub(crate) fn authority_revoked(mut self, entry: impl FnOnce(Revoked) -> Revoked, at: DateTime<Utc>) -> Self {
        let entry = entry(Revoked::of(&self.authority, at));
        self.change_list(By::Root, |list| list.revokes(entry));
        self
    }

    pub(crate) fn change_list(&mut self, of: By, change: impl FnOnce(List) -> List) {
        let (_, list) = self.lists.iter_mut().find(|(by, _)| *by == of).unwrap();
        *list = change(list.clone());
    }

    pub(crate) fn token(&self, data: &[u8], gen_time: DateTime<Utc>) -> Vec<u8> {
        let info = TstInfo {
            policy: "1.3.6.1.4.1.32473.1".into(),
            imprint: MessageImprint::of(Hash::Sha256, data),
            serial: vec![1],
            gen_time,
            accuracy: self.accuracy,
            ordering: false,
            nonce: None,
        };
        let chain = [self.time.signed_by(&KEYS.time_root)];
        sign_token(&info, &chain, 1, KEYS.time.signer()).unwrap()
    }

    fn payload(&self) -> Value {
        let mut payload = json!({ "vcon": "0.4.0", "uuid": UUID, "created_at": SIGNED, "parties": [], "dialog": [] });
        if self.recording.is_some() || self.policy.recordings_required {
            payload["dialog"] = json!([{
                "type": "recording", "start": SIGNED, "parties": [], "mediatype": "audio/wav",
                "url": "https://recordings.example.com/1.wav", "content_hash": ContentHash::of(RECORDING).to_string(),
            }]);
        }
        if let Some(after) = self.after {
            let body = checkpoint(TreeSize(7), RootHash::new([7; 32]), Some(after)).note().to_string();
            payload["attachments"] =
                json!([{ "purpose": "ledger-checkpoint", "encoding": "none", "body": body, "start": SIGNED }]);
        }
        payload
    }

    /// The record, signed.
    pub(crate) fn record(&self) -> Vec<u8> {
        let chain = [self.leaf.signed_by(&KEYS.authority), self.authority.signed_by(&KEYS.root)];
        let mut protected = json!({
            "alg": "ES256", "iat": self.claimed.timestamp(), "x5t#S256": URL_SAFE_NO_PAD.encode(sha256(&chain[0])),
        });
        let mut unprotected = json!({ "x5c": chain.map(|der| STANDARD.encode(der)), "uuid": UUID });
        (self.header)(&mut protected, &mut unprotected);
        let payload = self.around.clone().unwrap_or_else(|| self.payload().to_string().into_bytes());
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let protected = URL_SAFE_NO_PAD.encode(protected.to_string());
        let signature = sign_leaf(format!("{protected}.{payload}").as_bytes());
        let signatures = json!([{ "protected": protected, "header": unprotected, "signature": signature }]);
        json!({ "payload": payload, "signatures": signatures }).to_string().into_bytes()
    }

    /// All that the verifier is given.
    pub(crate) fn bundled(&self) -> Bundle {
        let record = self.record();
        let data = self.stamped_data.unwrap_or(&record);
        let mut bundle = Bundle {
            evidence: LayerEvidence {
                record_tokens: self.stamped.iter().map(|at| self.token(data, *at)).collect(),
                ..LayerEvidence::default()
            },
            crls: self.lists.iter().map(|(by, list)| list.signed_by(by.key())).collect(),
            ..Bundle::default()
        };
        if let Some(recording) = self.recording {
            bundle.recordings =
                vec![SuppliedRecording { name: "1.wav".into(), digests: ContentDigests::of(recording) }];
        }
        if self.cosigned.is_some() || self.entered.is_some() || !self.checkpoint_stamped.is_empty() {
            self.add_ledger(&mut bundle, &record);
        }
        bundle.record = record;
        (self.bundle)(&mut bundle);
        bundle
    }

    /// A log of one entry, which is the record's.
    fn add_ledger(&self, bundle: &mut Bundle, record: &[u8]) {
        let record = Record::parse(record, &VconLimits::default()).unwrap();
        let of = record.layers().get(1).map(record_digest);
        let event = format::RecordEvent { issuer: "i1".into(), seq: 1, record: record.digest(), signer: None, of };
        let event = if of.is_some() { Event::VconRenewed(event) } else { Event::VconAnchored(event) };
        let entered = self.entered.unwrap_or(at(SIGNED));
        let (_, bytes) = EntryDraft::new(event).place(0, format::genesis_prev(), entered, 1);
        let mut tree = RightEdge::new(TreeSize(0), Vec::new()).unwrap();
        tree.append(leaf_hash(&bytes));
        let checkpoint = checkpoint(TreeSize(1), tree.root(), self.cosigned);
        let text = checkpoint.note().text().as_bytes();
        bundle.evidence.checkpoint_tokens = self.checkpoint_stamped.iter().map(|at| self.token(text, *at)).collect();
        bundle.evidence.proof = Some(TlogProof::new(LeafIndex(0), Vec::new(), checkpoint).to_string().into_bytes());
        bundle.evidence.entry = Some(bytes);
    }

    /// The policy, with the anchors and the log that the case is made of.
    pub(crate) fn trust(&self) -> TrustPolicy {
        let mut policy = self.policy.clone();
        if policy.anchors.is_empty() {
            policy.anchors = TrustAnchors::new(vec![parsed(&self.root.signed_by(&KEYS.root))]);
        }
        if policy.timestamp_anchors.is_empty() {
            policy.timestamp_anchors = TrustAnchors::new(vec![parsed(&self.time_root.signed_by(&KEYS.time_root))]);
        }
        policy.log_policy.get_or_insert_with(log_policy);
        policy
    }

    pub(crate) fn report(&self) -> ValidationReport {
        verify(&self.bundled(), &self.trust(), ManualClock::new(self.now).now())
    }

    /// The verdict in the standard's words.
    pub(crate) fn code(&self) -> String {
        self.report().verdict.code()
    }
}

impl By {
    fn key(self) -> &'static Key {
        match self {
            Self::Root => &KEYS.root,
            Self::Authority => &KEYS.authority,
            Self::Other => &KEYS.other,
        }
    }
}

/// The base64url of the signer's ES256 signature.
pub(crate) fn sign_leaf(input: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(KEYS.leaf.signer().sign(SignatureAlgorithm::EcdsaFixed(Hash::Sha256), input).unwrap())
}

/// A list of the signer's authority, good for seven days, on which the expired stay.
pub(crate) fn leaf_list(made: &str) -> List {
    leaf_list_at(at(made))
}

pub(crate) fn leaf_list_at(made: DateTime<Utc>) -> List {
    let number = u64::try_from(made.timestamp()).unwrap();
    List::new(("Authority", &KEYS.authority), number, made, made + TimeDelta::days(7)).keeps_expired_since(at(BEGINS))
}

/// A list of the root, good for a year.
pub(crate) fn root_list(made: &str) -> List {
    root_list_at(at(made))
}

pub(crate) fn root_list_at(made: DateTime<Utc>) -> List {
    let number = u64::try_from(made.timestamp()).unwrap();
    List::new(("Root", &KEYS.root), number, made, made + TimeDelta::days(365))
}

pub(crate) fn log_key() -> VerifierKey {
    VerifierKey::ed25519(ORIGIN, KEYS.log.verifying_key()).unwrap()
}

pub(crate) const WITNESS: &str = "witness.example/1";

pub(crate) fn witness_key() -> VerifierKey {
    VerifierKey::ed25519_cosignature(WITNESS, KEYS.witness.verifying_key()).unwrap()
}

pub(crate) fn log_policy() -> LogPolicy {
    let text = format!("log {}\nwitness w {}\nquorum w\n", log_key(), witness_key());
    LogPolicy::parse(text.as_bytes()).unwrap()
}

pub(crate) fn checkpoint(size: TreeSize, root: RootHash, cosigned: Option<DateTime<Utc>>) -> SignedCheckpoint {
    let mut signed = Checkpoint::new(ORIGIN, size, root).unwrap().sign(&KEYS.log).unwrap();
    if let Some(at) = cosigned {
        let seconds = u64::try_from(at.timestamp()).unwrap();
        signed.add(cosign(signed.checkpoint(), WITNESS, seconds, &KEYS.witness).unwrap()).unwrap();
    }
    signed
}

/// One of the certificates of the case, as an anchor.
pub(crate) fn anchor(mint: &Mint, key: &Key) -> Arc<affiant::pki::Certificate> {
    parsed(&mint.signed_by(key))
}
