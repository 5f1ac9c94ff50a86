//! Step one: what is known of the time, and what the ledger says.

use std::cell::RefCell;
use std::iter::repeat;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::crypto::{KeyKind, Sha256Digest, SignatureAlgorithm, sha256};
use crate::evidence::format::record_digest;
use crate::evidence::format::{Bundle, Entry, Event, LayerEvidence, LedgerLookup, Record};
use crate::evidence::policy::{AlgorithmUse, first_constraint};
use crate::evidence::report::{
    LayerReport, LedgerReport, LedgerStatus, NAME_MAX, REASON_MAX, TimestampReport, truncate,
};
use crate::evidence::verify::poe::Existence;
use crate::evidence::verify::signature::{ended, strength};
use crate::evidence::verify::{Verifier, outside_window};
use crate::pki::timestamp::Timestamp;
use crate::pki::{Budget, Certificate, NoPath, PathOutcome, PathProfile, TrustAnchors, find_path};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{KeyType, LogPolicy, PolicyError, SignedCheckpoint, TlogProof, VerifierKey, WitnessedAt, Witnessing};
use crate::vcon::Vcon;

/// Tokens of each kind that are looked at: a few authorities and renewals; each costs signatures.
const TOKENS_MAX: usize = 8;
/// Checkpoints inside a payload that are looked at: an issuer puts one there, and each may carry a hundred signatures.
const CHECKPOINTS_MAX: usize = 8;

/// What a form has of which nothing is known.
static NOTHING: LayerEvidence =
    LayerEvidence { entry: None, proof: None, checkpoint_tokens: Vec::new(), record_tokens: Vec::new() };

/// What the timestamps and the ledger say together.
pub(super) struct TimeEvidence {
    pub(super) timestamps: Vec<TimestampReport>,
    /// Of the outermost form.
    pub(super) ledger: LedgerReport,
    pub(super) signed_after: Option<DateTime<Utc>>,
    /// By when pieces of evidence were there.
    pub(super) existence: Existence,
    /// Of each layer of the record, the outermost first.
    pub(super) forms: Vec<LayerTime>,
    /// What is to be said of the layers inside the outermost.
    pub(super) earlier: Vec<LayerReport>,
    /// Sizes of checkpoints at hand that no proof shows to be of the same tree as the record's.
    pub(super) not_shown: Vec<u64>,
}

/// When a form of the record was there.
pub(super) struct LayerTime {
    /// The earliest time that counts, its accuracy added. What is around it is evidence of it too.
    pub(super) existed_by: Option<DateTime<Utc>>,
    /// The earliest that counts for every byte of this form, its unprotected header too: a token over the record covers
    /// them, and whoever signs it again.
    pub(super) bytes_existed_by: Option<DateTime<Utc>>,
    /// How the times contradict each other, where they do.
    pub(super) disorder: Option<String>,
}

/// A form of the record: as it is (layer 0), or as it was before it was signed again.
struct Form<'a> {
    digest: Sha256Digest,
    /// The form inside, where there is one.
    inside: Option<Sha256Digest>,
    evidence: &'a LayerEvidence,
    /// What the ledger says of it, where it was asked.
    answer: LedgerLookup,
}

/// A timestamp, and the time by which what it is over was there for certain.
pub(super) struct Stamp {
    pub(super) report: TimestampReport,
    bound: Option<DateTime<Utc>>,
}

impl Stamp {
    pub(super) fn bound(&self) -> Option<DateTime<Utc>> {
        self.bound.filter(|_| self.report.counts)
    }
}

/// A token, judged.
#[derive(Debug, Clone)]
pub(super) struct JudgedToken {
    time: Option<DateTime<Utc>>,
    /// The time plus its accuracy: when the data was there for certain.
    bound: Option<DateTime<Utc>>,
    authority: String,
    counts: bool,
    reason: String,
    /// How the token and its authority's path were signed.
    strengths: Vec<AlgorithmUse>,
    /// When the first certificate of the authority's path ends.
    ends: Option<DateTime<Utc>>,
    /// Whether it was given up as too expensive beside everything else.
    budget_spent: bool,
}

impl Verifier {
    /// When a token over `data` has to be renewed by: the first of its certificates ends, or the trust in its keys and
    /// algorithms. `None` when it does not count, or never runs out.
    #[must_use]
    pub fn token_expiry(&self, token: &[u8], data: &[u8]) -> Option<DateTime<Utc>> {
        let judged = self.judged_token(token, data, &RefCell::default());
        let sunsets =
            judged.strengths.iter().filter_map(|strength| first_constraint(&self.policy().sunsets, *strength));
        sunsets.filter_map(|sunset| sunset.until).chain(judged.ends).min()
    }

    pub(super) fn time_evidence(
        &self,
        bundle: &Bundle,
        record: &Record,
        now: DateTime<Utc>,
        budget: &RefCell<Budget>,
    ) -> TimeEvidence {
        let (existence, archives) = self.existence(bundle, now, budget);
        let signed_after = self.lower_bound(record.vcon(), now);
        let outer = record.digest();
        let inner = record.layers()[1..].iter().map(record_digest);
        let digests: Vec<_> = std::iter::once(outer).chain(inner).collect();
        let (mut forms, mut timestamps, mut ledgers) = (Vec::<LayerTime>::new(), Vec::new(), Vec::new());
        for ((layer, digest), evidence) in digests.iter().enumerate().zip(bundle.layers().chain(repeat(&NOTHING))) {
            let inside = digests.get(layer + 1).copied();
            let form = Form {
                digest: *digest,
                inside,
                evidence,
                answer: if layer == 0 { bundle.ledger_lookup } else { LedgerLookup::NotAsked },
            };
            let (mut ledger, proof, witnessing) = self.ledger(&form, now);
            let inflated = (!evidence.record_tokens.is_empty()).then(|| record.bytes_of_layer(layer, self.limits()));
            let bytes = inflated.flatten();
            let bytes = bytes.as_deref().unwrap_or(&bundle.record);
            let mut stamps = self.tokens_over("record", &evidence.record_tokens, bytes, None, &existence, budget);
            let own_bytes = stamps.iter().filter_map(Stamp::bound).min();
            if let Some(proof) = &proof {
                let text = proof.checkpoint().note().text().as_bytes();
                // A token over the text needs no log key: the entry hashes to its root.
                let inconsistent = ledger.status == LedgerStatus::Inconsistent;
                let wrong = inconsistent.then(|| "the record is not proved to be under this checkpoint".to_owned());
                let tokens = &evidence.checkpoint_tokens;
                stamps.extend(self.tokens_over("checkpoint", tokens, text, wrong, &existence, budget));
            }
            if let Some(witnessing) = &witnessing {
                let included = ledger.status == LedgerStatus::Included;
                stamps.extend(witnessing.cosignatures().iter().map(|one| self.cosignature(one, included, now)));
            }
            let own = stamps.iter().filter_map(Stamp::bound).min();
            let checkpoint_by = stamps.iter().filter(|one| one.report.over != "record").filter_map(Stamp::bound).min();
            self.hold_ledger_to_its_time(&mut ledger, signed_after, checkpoint_by);
            // Whoever signs again signs every byte of what is inside, so that was there no later.
            let around = forms.last().and_then(|form| form.existed_by);
            let existed_by = own.into_iter().chain(around).min();
            forms.push(LayerTime {
                existed_by,
                bytes_existed_by: own_bytes.into_iter().chain(around).min(),
                disorder: self.disorder(signed_after, existed_by.unwrap_or(now)),
            });
            timestamps.extend(stamps.into_iter().map(|stamp| TimestampReport { layer, ..stamp.report }));
            ledgers.push(LayerReport { layer, record: *digest, existed_by, ledger });
        }
        let earlier = ledgers.split_off(1);
        let mut time = TimeEvidence {
            timestamps: timestamps.into_iter().chain(archives.into_iter().map(|stamp| stamp.report)).collect(),
            ledger: ledgers.remove(0).ledger,
            signed_after,
            existence,
            forms,
            earlier,
            not_shown: Vec::new(),
        };
        self.hold_to_one_tree(bundle, record, &mut time);
        time
    }

    /// Row T2: what a record holds was there before the record was.
    fn disorder(&self, signed_after: Option<DateTime<Utc>>, existed_by: DateTime<Utc>) -> Option<String> {
        let after = signed_after.filter(|after| *after > existed_by + self.policy().clock_skew_max)?;
        let (after, by) = (format_time(after), format_time(existed_by));
        Some(format!("it was there by {by}, but holds a checkpoint that was not witnessed before {after}"))
    }

    /// The time of an entry is the ledger's own word: where trusted times contradict it, the ledger did not keep time.
    fn hold_ledger_to_its_time(
        &self,
        ledger: &mut LedgerReport,
        signed_after: Option<DateTime<Utc>>,
        checkpoint_by: Option<DateTime<Utc>>,
    ) {
        let skew = self.policy().clock_skew_max;
        let Some(entry) = ledger.entry_time.filter(|_| ledger.status == LedgerStatus::Included) else { return };
        let early = signed_after.filter(|after| *after > entry + skew);
        let late = checkpoint_by.filter(|by| entry > *by + skew);
        let (word, other) = match (early, late) {
            (Some(after), _) => ("what is inside the record was not witnessed before", after),
            (None, Some(by)) => ("a checkpoint over it was there by", by),
            (None, None) => return,
        };
        ledger.status = LedgerStatus::Inconsistent;
        ledger.reason = format!("the entry says {}, but {word} {}", format_time(entry), format_time(other));
    }

    /// What is stated of later than the verification proves nothing of what was before it.
    fn is_to_come(&self, time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        time > now + self.policy().clock_skew_max
    }

    /// The tokens of one kind; `wrong` says why what they are over proves nothing of the record, where it does not.
    pub(super) fn tokens_over(
        &self,
        over: &'static str,
        tokens: &[Vec<u8>],
        data: &[u8],
        wrong: Option<String>,
        existence: &Existence,
        budget: &RefCell<Budget>,
    ) -> Vec<Stamp> {
        let judge = |token: &Vec<u8>| {
            let mut judged = (*self.judged_token(token, data, budget)).clone();
            if let Some(wrong) = wrong.as_ref().filter(|_| judged.counts) {
                judged.counts = false;
                judged.reason = format!("right, but {wrong}");
            }
            if judged.counts && judged.time.is_some_and(|time| self.is_to_come(time, existence.now())) {
                judged.counts = false;
                "right, but of later than this verification".clone_into(&mut judged.reason);
            }
            let as_of = existence.as_of(&sha256(token));
            if let Some(ended) = ended(self.policy(), &judged.strengths, as_of).filter(|_| judged.counts) {
                judged.counts = false;
                judged.reason = format!("nothing proves that the token itself is from before: {ended}");
            }
            let JudgedToken { time, bound, authority, counts, reason, .. } = judged;
            Stamp { bound, report: TimestampReport { over, layer: 0, time, authority, counts, reason } }
        };
        tokens.iter().take(TOKENS_MAX).map(judge).collect()
    }

    fn cosignature(&self, cosignature: &WitnessedAt, included: bool, now: DateTime<Utc>) -> Stamp {
        let authority = cosignature.witness.key().name().to_owned();
        let own = self.policy().operator_witnesses.contains(&authority);
        let time = i64::try_from(cosignature.time).ok().and_then(|time| DateTime::from_timestamp(time, 0));
        let to_come = time.is_none_or(|time| self.is_to_come(time, now));
        let ended = self.cosignature_ended(cosignature.witness.key(), now);
        let counts = included && self.policy().time_from_cosignatures && !own && !to_come && ended.is_none();
        let reason = if own {
            "a witness of the log's own operator: shown, not counted".to_owned()
        } else if let Some(ended) = ended {
            format!("nothing proves that the cosignature is from before: {ended}")
        } else if counts {
            "a cosignature of a trusted witness".to_owned()
        } else if to_come {
            "right, but of later than this verification".to_owned()
        } else {
            "the trust policy takes no time from cosignatures".to_owned()
        };
        let reason = truncate(reason, REASON_MAX);
        Stamp {
            bound: time,
            report: TimestampReport { over: "cosignature", layer: 0, time, authority, counts, reason },
        }
    }

    /// The sunset of a witness's algorithm, where it is past: no archive covers a cosignature, so it is judged as of now. No
    /// sunset names ML-DSA-44.
    fn cosignature_ended(&self, key: &VerifierKey, now: DateTime<Utc>) -> Option<String> {
        if key.key_type() == KeyType::MlDsa44Cosignature {
            return None;
        }
        let strength = AlgorithmUse { algorithm: SignatureAlgorithm::Ed25519, key: KeyKind::Ed25519 };
        ended(self.policy(), &[strength], now)
    }

    fn judged_token(&self, token: &[u8], data: &[u8], budget: &RefCell<Budget>) -> Arc<JudgedToken> {
        let judge = || {
            let judged = self.judge_token(token, data, &mut budget.borrow_mut());
            // Both are kept, and are strangers' words.
            let (authority, reason) = (truncate(judged.authority, NAME_MAX), truncate(judged.reason, REASON_MAX));
            JudgedToken { authority, reason, ..judged }
        };
        // What is kept is made of the token, and never more than it.
        self.tokens.get_if((sha256(token), sha256(data)), token.len(), judge, |judged| !judged.budget_spent)
    }

    fn judge_token(&self, token: &[u8], data: &[u8], budget: &mut Budget) -> JudgedToken {
        let dropped = |reason: String| JudgedToken {
            time: None,
            bound: None,
            authority: "unknown".into(),
            counts: false,
            reason,
            strengths: Vec::new(),
            ends: None,
            budget_spent: false,
        };
        let anchors = &self.policy().timestamp_anchors;
        let offered: Vec<Vec<u8>> = anchors.iter().map(|anchor| anchor.der().to_vec()).collect();
        let timestamp = match Timestamp::open(token, data, &offered) {
            Ok(timestamp) => timestamp,
            Err(error) => return dropped(error.to_string()),
        };
        let time = timestamp.info().gen_time;
        let signer = match Certificate::from_der(timestamp.signer()) {
            Ok(signer) => Arc::new(signer),
            Err(error) => return dropped(error.to_string()),
        };
        let shown = JudgedToken {
            time: Some(time),
            bound: Some(time + timestamp.info().accuracy.unwrap_or_default()),
            authority: signer.subject().to_string(),
            counts: false,
            reason: String::new(),
            strengths: Vec::new(),
            ends: None,
            budget_spent: false,
        };
        let offered = timestamp.certificates().iter().filter_map(|der| Certificate::from_der(der).ok());
        let offered: Vec<_> = offered.take(10).map(Arc::new).collect();
        let profile = PathProfile { preferred_time: Some(time), ..self.policy().timestamp_profile() };
        let mut path_to = |anchors: &TrustAnchors| find_path(&signer, &offered, anchors, &profile, budget);
        match path_to(&anchors.at(time)) {
            PathOutcome::NoPath(NoPath::BudgetSpent) => {
                JudgedToken { reason: NoPath::BudgetSpent.to_string(), budget_spent: true, ..shown }
            }
            PathOutcome::NoPath(reason) => {
                let reason = outside_window(Some(path_to(anchors)), anchors).unwrap_or_else(|| reason.to_string());
                JudgedToken { reason, ..shown }
            }
            PathOutcome::Broken { violations, .. } => {
                let reason = violations.first().map(ToString::to_string).unwrap_or_default();
                JudgedToken { reason, ..shown }
            }
            PathOutcome::Valid(path) => {
                if let Err((_, why)) = path.check_validity_at(time) {
                    return JudgedToken { reason: format!("a certificate of the authority is {why}"), ..shown };
                }
                if self.policy().operator_timestamp_anchors.contains(path.anchor().thumbprint()) {
                    let reason = "an authority of the log's own operator: shown, not counted".into();
                    return JudgedToken { reason, ..shown };
                }
                let own =
                    signer.key().ok().map(|key| AlgorithmUse { algorithm: timestamp.algorithm(), key: key.kind() });
                let above = path.certificates().windows(2).filter_map(|pair| strength(&pair[0], &pair[1]));
                JudgedToken {
                    counts: true,
                    reason: "a token of a trusted timestamp authority".into(),
                    strengths: own.into_iter().chain(above).collect(),
                    ends: path.certificates().iter().map(|one| one.not_after()).min(),
                    ..shown
                }
            }
        }
    }

    /// The ledger row, the proof where it leads to its checkpoint, and who witnessed that.
    fn ledger(&self, form: &Form<'_>, now: DateTime<Utc>) -> (LedgerReport, Option<TlogProof>, Option<Witnessing>) {
        let mut report = LedgerReport::unavailable("no proof was given");
        if form.answer == LedgerLookup::NotFound {
            report.status = LedgerStatus::NotIncluded;
            "the ledger that was asked does not have this record".clone_into(&mut report.reason);
            return (report, None, None);
        }
        let (Some(entry), Some(proof)) = (&form.evidence.entry, &form.evidence.proof) else {
            return (report, None, None);
        };
        let inconsistent = |mut report: LedgerReport, reason: String| {
            report.status = LedgerStatus::Inconsistent;
            report.reason = truncate(reason, REASON_MAX);
            (report, None, None)
        };
        let proof = match TlogProof::parse(proof) {
            Ok(proof) => proof,
            Err(error) => return inconsistent(report, error.to_string()),
        };
        let parsed = match Entry::parse(entry) {
            Ok(parsed) => parsed,
            Err(error) => return inconsistent(report, error.to_string()),
        };
        let checkpoint = proof.checkpoint().checkpoint();
        report.origin = Some(checkpoint.origin().to_owned());
        report.index = Some(parsed.index);
        report.size = Some(checkpoint.size().0);
        report.entry_time = Some(parsed.time);
        if parsed.index != proof.index().0 {
            return inconsistent(report, "entry and proof are of different places".into());
        }
        if parsed.event.record().is_none_or(|event| event.record != form.digest) {
            return inconsistent(report, "the entry is of another record".into());
        }
        if matches!(&parsed.event, Event::VconRenewed(event) if event.of != form.inside) {
            return inconsistent(report, "the entry says that another record was signed again".into());
        }
        let leaf = leaf_hash(entry);
        if let Err(error) = proof.check_inclusion(leaf) {
            return inconsistent(report, error.to_string());
        }
        let Some(policy) = &self.policy().log_policy else {
            "the proof is right, but the trust policy knows no log".clone_into(&mut report.reason);
            return (report, Some(proof), None);
        };
        match &*self.witnessing(policy, proof.checkpoint()) {
            Err(error) => {
                report.reason = format!("the proof leads to a checkpoint that does not count: {error}");
                (report, Some(proof), None)
            }
            Ok(witnessing) => {
                report.status = LedgerStatus::Included;
                report.witnesses =
                    witnessing.cosignatures().iter().map(|one| one.witness.key().name().to_owned()).collect();
                let is_ended = |key: &VerifierKey| self.cosignature_ended(key, now);
                let ended = witnessing.cosignatures().iter().find_map(|one| is_ended(one.witness.key()));
                let quorum = match ended {
                    None => witnessing.quorum(),
                    Some(_) => lasting_quorum(policy, proof.checkpoint(), |key| is_ended(key).is_none()),
                };
                report.quorum = policy.asks_for_witnesses().then_some(quorum);
                report.reason = match (report.quorum, ended) {
                    (Some(false), Some(ended)) => {
                        truncate(format!("in the log, but its cosignatures count no more: {ended}"), REASON_MAX)
                    }
                    (Some(false), None) => "in the log, but not yet cosigned by enough witnesses".into(),
                    _ => format!("entry {} of the log, under its checkpoint of {}", parsed.index, checkpoint.size()),
                };
                (report, Some(proof), Some(witnessing.clone()))
            }
        }
    }

    /// Who signed and cosigned a checkpoint: the same for every record under it.
    pub(super) fn witnessing(
        &self,
        policy: &LogPolicy,
        checkpoint: &SignedCheckpoint,
    ) -> Arc<Result<Witnessing, String>> {
        let key = sha256(checkpoint.note().to_string().as_bytes());
        let wrong = |error: PolicyError| truncate(error.to_string(), REASON_MAX);
        self.witnessings.get(key, || policy.witnessing(checkpoint).map_err(wrong))
    }

    /// The checkpoints inside the signed payload.
    pub fn checkpoints_inside(&self, vcon: &Vcon) -> impl Iterator<Item = SignedCheckpoint> {
        let attached = vcon.attachments().filter(|attachment| attachment.purpose() == Some("ledger-checkpoint"));
        attached.take(CHECKPOINTS_MAX).filter_map(|attachment| {
            let note = attachment.content().bytes().ok()??.into_owned();
            SignedCheckpoint::parse(&note).ok()
        })
    }

    /// The newest witnessed checkpoint inside the signed payload: the record was signed after it.
    fn lower_bound(&self, vcon: &Vcon, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let policy = self.policy().log_policy.as_ref()?;
        self.checkpoints_inside(vcon)
            .filter_map(|checkpoint| {
                let witnessing = self.witnessing(policy, &checkpoint);
                let cosignatures = witnessing.as_ref().as_ref().ok()?.cosignatures();
                let own = &self.policy().operator_witnesses;
                let lasts = |key: &VerifierKey| self.cosignature_ended(key, now).is_none();
                let foreign = cosignatures.iter().filter(|one| !own.contains(one.witness.key().name()));
                let foreign = foreign.filter(|one| lasts(one.witness.key()));
                let newest = foreign.map(|one| one.time).max()?;
                DateTime::from_timestamp(i64::try_from(newest).ok()?, 0)
            })
            .max()
    }
}

/// Whether the cosignatures of those keys that are still trusted are enough.
fn lasting_quorum(policy: &LogPolicy, signed: &SignedCheckpoint, lasts: impl Fn(&VerifierKey) -> bool) -> bool {
    let witnesses = policy.witnesses();
    let kept =
        signed.with_signatures(|one| !witnesses.iter().any(|key| one.is_said_of(key.key()) && !lasts(key.key())));
    kept.is_some_and(|kept| policy.witnessing(&kept).is_ok_and(|found| found.quorum()))
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::evidence::TrustPolicy;
    use crate::tlog::{Checkpoint, RootHash, TreeSize, VerifierKey};
    use crate::vcon::VconLimits;

    #[test]
    fn tokens_are_not_kept_for_ever() {
        let verifier = Verifier::new(TrustPolicy::nobody());
        let keep = |byte: u8| verifier.judged_token(&vec![byte; 1 << 20], b"", &RefCell::default());
        for byte in 0..32 {
            keep(byte);
        }
        assert_eq!(verifier.tokens.len(), 32);
        keep(32);
        assert_eq!(verifier.tokens.len(), 1);
    }

    #[test]
    fn no_more_checkpoints_are_looked_at_than_an_issuer_has_reason_for() {
        let (signer, _) = SigningKey::generate_ed25519();
        let key = VerifierKey::ed25519("log.example/1", signer.verifying_key()).unwrap();
        let log_policy = LogPolicy::parse(format!("log {key}\nquorum none\n").as_bytes()).unwrap();
        let verifier = Verifier::new(TrustPolicy { log_policy: Some(log_policy), ..TrustPolicy::nobody() });
        let attachments = (1..=20).map(|size| {
            let checkpoint = Checkpoint::new("log.example/1", TreeSize(size), RootHash::empty()).unwrap();
            let body = checkpoint.sign(&signer).unwrap().note().to_string();
            serde_json::json!({ "purpose": "ledger-checkpoint", "encoding": "none", "body": body })
        });
        let vcon = serde_json::json!({ "attachments": attachments.collect::<Vec<_>>() }).to_string();
        let vcon = Vcon::parse(vcon.as_bytes(), &VconLimits::default()).unwrap();
        assert_eq!(verifier.lower_bound(&vcon, DateTime::UNIX_EPOCH), None);
        assert_eq!(verifier.witnessings.len(), CHECKPOINTS_MAX);
    }
}
