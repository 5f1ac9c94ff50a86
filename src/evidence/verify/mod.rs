//! The verifier: a bundle, a trust policy and the time in, a report out (EN 319 102-1 §5.3, §5.5, §5.6).
//!
//! No I/O and no clock. It returns a report and never an error: what cannot be decided is a finding. The rows of the
//! decision table in `docs/VERDICTS.md` are tried in their order, and the first that matches is the verdict.

mod cache;
mod completeness;
mod confusables;
mod expiry;
mod poe;
mod recordings;
mod revocation;
mod rows;
mod same_tree;
mod signature;
mod signer_chain;
mod statement;
mod time;
mod validity;

pub use signer_chain::signer_chain;
pub use statement::{ReceiptError, SignedStatement, StatementError, check_receipt};

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::crypto::{Sha256, Sha256Digest, SignatureError, sha256};
use crate::evidence::format::{Bundle, Record, RecordError};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::{
    CertificateSummary, Completeness, LedgerReport, NAME_MAX, NOT_PROVED, RecordingReport, RevocationSummary,
    RowStatus, SignatureReport, SubIndication, Times, ValidationReport, Verdict, truncate,
};
use crate::evidence::verify::cache::Memo;
use crate::evidence::verify::confusables::name_warnings;
use crate::evidence::verify::recordings::recordings;
use crate::evidence::verify::revocation::{Issuer, KnownCrl, Lists, Standing, Vouched};
use crate::evidence::verify::rows::{
    existed_by_row, ledger_row, recording_row, row, sentence, signed_by_row, unaltered_row,
};
use crate::evidence::verify::time::{JudgedToken, LayerTime, TimeEvidence};
use crate::evidence::verify::validity::window;
use crate::jose::{Jws, JwsSignature};
use crate::pki::{
    Budget, Certificate, CertificateError, CertificationPath, NoPath, PathOutcome, TrustAnchors, find_path,
};
use crate::tlog::Witnessing;
use crate::vcon::{VconLimits, validate};

/// The version of the report's shape.
const REPORT_VERSION: u32 = 1;
/// Revocation lists of a bundle that are looked at: a leaf's and each authority's, and some archived ones.
const CRLS_MAX: usize = 32;
/// Certificates beside those of the record that are looked at: a chain or two.
const CERTIFICATES_MAX: usize = 32;
/// Certificates of which a path is made, as many as a search looks at.
const OFFERED_MAX: usize = 10;

/// A trust policy with what was found out under it before.
#[derive(Debug)]
pub struct Verifier {
    policy: TrustPolicy,
    policy_digest: Sha256Digest,
    limits: VconLimits,
    signers: Memo<[u8; 32], Signer>,
    crls: Memo<[u8; 32], Option<KnownCrl>>,
    tokens: Memo<([u8; 32], [u8; 32]), JudgedToken>,
    witnessings: Memo<[u8; 32], Result<Witnessing, String>>,
}

/// The signer's certificate and the path from it.
#[derive(Debug)]
struct Signer {
    leaf: Result<Arc<Certificate>, CertificateError>,
    outcome: Option<PathOutcome>,
    /// Where there is no path, but would be one at another time: which anchor is not trusted now.
    outside_window: Option<String>,
    /// The certificates that came with the signer's.
    offered: Vec<Arc<Certificate>>,
    /// What is to be said of the names in the path, or of the signer's where there is none.
    name_warnings: Vec<String>,
}

/// Verifies `bundle` under `policy`, as of `now`.
#[must_use]
pub fn verify(bundle: &Bundle, policy: &TrustPolicy, now: DateTime<Utc>) -> ValidationReport {
    Verifier::new(policy.clone()).verify(bundle, now)
}

impl Verifier {
    /// A verifier that has seen nothing yet.
    #[must_use]
    pub fn new(policy: TrustPolicy) -> Self {
        Self {
            policy_digest: policy.digest(),
            policy,
            limits: VconLimits::default(),
            signers: Memo::default(),
            crls: Memo::default(),
            tokens: Memo::default(),
            witnessings: Memo::default(),
        }
    }

    /// The trust policy.
    #[must_use]
    pub fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// What a vCon may be.
    fn limits(&self) -> &VconLimits {
        &self.limits
    }

    /// The trust policy's digest, as reports have it.
    #[must_use]
    pub fn policy_digest(&self) -> Sha256Digest {
        self.policy_digest
    }

    /// Verifies `bundle` as of `now`.
    #[must_use]
    pub fn verify(&self, bundle: &Bundle, now: DateTime<Utc>) -> ValidationReport {
        self.verify_parsed(bundle, &Record::parse(&bundle.record, &self.limits), now)
    }

    /// Verifies `bundle`, whose record was parsed before, as of `now`.
    #[must_use]
    pub fn verify_parsed(
        &self,
        bundle: &Bundle,
        record: &Result<Record, RecordError>,
        now: DateTime<Utc>,
    ) -> ValidationReport {
        match record {
            Ok(record) => self.verify_record(bundle, record, now),
            Err(error) => self.unreadable(&self.unreadable_verdict(bundle, error), now),
        }
    }

    /// Row 1, unless row 3 explains it: what no signature covers is altered before it is malformed.
    fn unreadable_verdict(&self, bundle: &Bundle, error: &RecordError) -> Verdict {
        let altered = Jws::parse(&bundle.record, &self.limits.json).is_ok_and(|jws| {
            jws.signatures().iter().any(|signature| {
                let chain = signer_chain(&jws, signature, supplied(bundle));
                let leaf = chain.first().and_then(|der| Certificate::from_der(der).ok());
                let key = leaf.as_ref().and_then(|leaf| leaf.key().ok());
                key.is_some_and(|key| jws.check_signature(signature, key) == Err(SignatureError::Wrong))
            })
        });
        if altered {
            return Verdict::failed(SubIndication::SigCryptoFailure, SignatureError::Wrong.to_string());
        }
        Verdict::failed(SubIndication::FormatFailure, error.to_string())
    }

    fn verify_record(&self, bundle: &Bundle, record: &Record, now: DateTime<Utc>) -> ValidationReport {
        let budget = RefCell::new(Budget::default());
        let time = self.time_evidence(bundle, record, now, &budget);
        let crls = self.parsed_crls(bundle);
        let recordings = recordings(bundle, record);
        let (supplied_digest, supplied_parsed) = (digest_of(supplied(bundle)), OnceCell::new());
        let context = |form| Context {
            bundle,
            supplied: supplied(bundle),
            supplied_digest,
            supplied_parsed: &supplied_parsed,
            record,
            time: &time,
            form,
            crls: &crls,
            recordings: &recordings,
            now,
            budget: &budget,
            standings: RefCell::default(),
            vouched: RefCell::default(),
        };
        let contexts: Vec<_> = time.forms.iter().map(context).collect();
        let (signatures, signers): (Vec<SignatureReport>, Vec<Option<Arc<Signer>>>) = record
            .layers()
            .iter()
            .enumerate()
            .flat_map(|(layer, jws)| jws.signatures().iter().enumerate().map(move |at| (layer, jws, at)))
            .map(|(layer, jws, (position, signature))| {
                self.signature(&contexts[layer], layer, position, jws, signature)
            })
            .unzip();
        let signers: Vec<_> = signers.iter().map(Option::as_deref).collect();
        let completeness = Completeness::of(self, &contexts, &signatures, &signers);
        // Every signature counts: the worst verdict is the record's.
        let verdict = signatures.iter().map(|signature| &signature.verdict).max_by_key(|verdict| verdict.indication);
        let verdict = verdict.expect("a record has a signature").clone();
        let claimed = signatures.iter().find_map(|signature| signature.claimed_time);
        let times = Times { existed_by: time.forms[0].existed_by, signed_after: time.signed_after, claimed };
        let rows = vec![
            unaltered_row(&signatures),
            signed_by_row(&verdict, &signatures),
            existed_by_row(&time),
            recording_row(record, &recordings),
            ledger_row(&time.ledger),
        ];
        ValidationReport {
            version: REPORT_VERSION,
            sentence: sentence(&verdict, &signatures, &times, &time.earlier),
            verdict,
            rows,
            record: Some(record.digest()),
            uuid: record.vcon().uuid().map(str::to_owned),
            signatures,
            recordings,
            timestamps: time.timestamps,
            times,
            ledger: time.ledger,
            inner_layers: time.earlier,
            completeness,
            findings: validate(record.vcon()),
            trust_policy: self.policy.name.clone(),
            trust_policy_digest: self.policy_digest,
            verified_at: now,
            not_proved: NOT_PROVED,
        }
    }

    /// A report on what is no record that can be judged.
    fn unreadable(&self, verdict: &Verdict, now: DateTime<Utc>) -> ValidationReport {
        let verdict = verdict.clone();
        let sub = verdict.sub_indication.expect("a failed verdict says why");
        let unknown = |title| row(title, RowStatus::Unknown, sub.name(), "there is no record that could be read", None);
        ValidationReport {
            version: REPORT_VERSION,
            sentence: sentence(&verdict, &[], &Times::default(), &[]),
            rows: vec![
                row("Unaltered", RowStatus::No, sub.name(), &verdict.reason, Some(sub.next_step())),
                unknown("Signed by"),
                unknown("Existed by"),
                unknown("Recording matches"),
                unknown("In the ledger"),
            ],
            verdict,
            record: None,
            uuid: None,
            signatures: Vec::new(),
            recordings: Vec::new(),
            timestamps: Vec::new(),
            times: Times::default(),
            ledger: LedgerReport::unavailable("there is no record"),
            inner_layers: Vec::new(),
            completeness: Completeness::default(),
            findings: Vec::new(),
            trust_policy: self.policy.name.clone(),
            trust_policy_digest: self.policy_digest,
            verified_at: now,
            not_proved: NOT_PROVED,
        }
    }

    fn signature(
        &self,
        context: &Context<'_>,
        layer: usize,
        position: usize,
        jws: &Jws,
        signature: &JwsSignature,
    ) -> (SignatureReport, Option<Arc<Signer>>) {
        let header = signature.header();
        // What an x5u points to, nobody here fetches: a caller puts it among the bundle's certificates.
        let chain = signer_chain(jws, signature, context.supplied);
        let time = context.form.existed_by.unwrap_or(context.now);
        let signer = (!chain.is_empty()).then(|| self.signer(context, &chain, time));
        let mut warnings = Vec::new();
        let verdict = self.judge(context, jws, signature, signer.as_deref(), &mut warnings);
        if header.certificates.first().is_some_and(|first| chain.first() != Some(first)) {
            warnings.push("x5c, which is not signed, begins with another certificate than x5t#S256 names".into());
        }
        if !jws.other_members().is_empty() {
            warnings.push(format!("not signed, and not looked at: {}", jws.other_members().join(", ")));
        }
        let leaf = signer.as_ref().and_then(|signer| signer.leaf.as_ref().ok());
        warnings.extend(signer.iter().flat_map(|signer| signer.name_warnings.iter().cloned()));
        let outcome = signer.as_ref().and_then(|signer| signer.outcome.as_ref());
        let path = outcome.and_then(PathOutcome::path);
        let shown_path = path.map_or_else(Vec::new, |path| {
            let standings = self.standings(context, path, &signer.as_ref().expect("a path has a signer").offered);
            let standings = standings.iter().map(Some).chain([None]);
            path.certificates().iter().zip(standings).map(|(one, standing)| shown_with(one, standing)).collect()
        });
        let report = SignatureReport {
            layer,
            position,
            algorithm: header.algorithm.clone(),
            verdict,
            claimed_time: header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            signer: shown_path.first().cloned().or_else(|| leaf.map(|leaf| shown(leaf))),
            path: shown_path,
            offered_anchor: if path.is_none() { offered_anchor(context.bundle, signer.as_deref()) } else { None },
            warnings,
        };
        (report, signer)
    }

    /// What is known of revocations along a path.
    fn lists<'a>(
        &'a self,
        context: &'a Context<'a>,
        path: &CertificationPath,
        offered: &'a [Arc<Certificate>],
    ) -> Lists<'a> {
        Lists {
            crls: context.crls,
            policy: &self.policy,
            trusted: context.form.existed_by,
            now: context.now,
            existence: &context.time.existence,
            path_ends: window(path).1,
            offered,
            budget: context.budget,
            vouched: &context.vouched,
        }
    }

    /// The standing of each certificate of a path but the anchor, the signer's first.
    fn standings(
        &self,
        context: &Context<'_>,
        path: &CertificationPath,
        offered: &[Arc<Certificate>],
    ) -> Rc<[Standing]> {
        let thumbprints =
            |certificates: &[Arc<Certificate>]| certificates.iter().map(|one| *one.thumbprint()).collect();
        let key: OfPath = (thumbprints(path.certificates()), thumbprints(offered));
        if let Some(known) = context.standings.borrow().get(&key) {
            return known.clone();
        }
        let lists = self.lists(context, path, offered);
        let mut found = Vec::new();
        // From the anchor down: what an authority says after it was revoked, anybody may have said.
        let mut untrusted_from: Option<DateTime<Utc>> = None;
        for (depth, pair) in path.certificates().windows(2).enumerate().rev() {
            let above = path.certificates().get(depth + 2).map(AsRef::as_ref);
            let standing = lists.standing(&pair[0], Issuer { certificate: &pair[1], above, untrusted_from });
            if let Standing::Revoked(entry) = &standing {
                untrusted_from = untrusted_from.into_iter().chain([entry.effective_at()]).min();
            }
            found.push(standing);
        }
        found.reverse();
        let found: Rc<[Standing]> = found.into();
        context.standings.borrow_mut().insert(key, found.clone());
        found
    }

    fn signer(&self, context: &Context<'_>, chain: &[Vec<u8>], time: DateTime<Utc>) -> Arc<Signer> {
        let mut key = Sha256::default();
        for anchor in self.policy.anchors.entries() {
            key.update(&[u8::from(anchor.is_trusted_at(time))]);
        }
        key.update(&context.supplied_digest);
        key.update(&digest_of(chain));
        let bytes = chain.iter().chain(context.supplied).map(Vec::len).sum();
        let find = || self.find_signer(context, chain, time);
        let keep = |found: &Signer| !matches!(found.outcome, Some(PathOutcome::NoPath(NoPath::BudgetSpent)));
        self.signers.get_if(key.finish(), bytes, find, keep)
    }

    fn find_signer(&self, context: &Context<'_>, chain: &[Vec<u8>], time: DateTime<Utc>) -> Signer {
        let budget = &mut context.budget.borrow_mut();
        let leaf = Certificate::from_der(&chain[0]).map(Arc::new);
        let more = context.supplied_parsed.get_or_init(|| parsed(context.supplied));
        let mut offered: Vec<Arc<Certificate>> = Vec::new();
        for certificate in parsed(&chain[1..]).iter().chain(more) {
            let new = offered.iter().all(|other| other.thumbprint() != certificate.thumbprint());
            if new && offered.len() < OFFERED_MAX {
                offered.push(certificate.clone());
            }
        }
        let profile = self.policy.signer_profile();
        let mut path_to = |anchors: &TrustAnchors| {
            leaf.as_ref().ok().map(|leaf| find_path(leaf, &offered, anchors, &profile, budget))
        };
        let outcome = path_to(&self.policy.anchors.at(time));
        let outside_window = match outcome {
            Some(PathOutcome::NoPath(_)) => outside_window(path_to(&self.policy.anchors), &self.policy.anchors),
            _ => None,
        };
        let named = match outcome.as_ref().and_then(PathOutcome::path) {
            Some(path) => path.certificates(),
            None => leaf.as_ref().map_or(&[][..], std::slice::from_ref),
        };
        let name_warnings = name_warnings(named);
        Signer { leaf, outcome, outside_window, offered, name_warnings }
    }

    /// The lists at hand, each once: the verifier's own, then as many of the bundle's as are lists at all.
    fn parsed_crls(&self, bundle: &Bundle) -> Vec<Arc<Option<KnownCrl>>> {
        let mut seen = HashSet::new();
        let mut parsed = |ders: &[Vec<u8>], most: usize| -> Vec<Arc<Option<KnownCrl>>> {
            let ders = ders.iter().map(|der| (sha256(der), der)).filter(|(digest, _)| seen.insert(*digest));
            let lists = ders.map(|(digest, der)| self.crls.get_of(digest, der.len(), || KnownCrl::parse(der)));
            lists.filter(|list| list.is_some()).take(most).collect()
        };
        let mut lists = parsed(&bundle.local_crls, usize::MAX);
        lists.extend(parsed(&bundle.crls, CRLS_MAX));
        lists
    }
}

/// The bundle's certificates that are looked at.
fn supplied(bundle: &Bundle) -> &[Vec<u8>] {
    &bundle.certificates[..bundle.certificates.len().min(CERTIFICATES_MAX)]
}

/// What does not parse is as good as not offered.
fn parsed(certificates: &[Vec<u8>]) -> Vec<Arc<Certificate>> {
    certificates.iter().filter_map(|der| Certificate::from_der(der).ok()).map(Arc::new).collect()
}

fn digest_of(certificates: &[Vec<u8>]) -> [u8; 32] {
    let mut digest = Sha256::default();
    for der in certificates {
        digest.update(&(der.len() as u64).to_be_bytes());
        digest.update(der);
    }
    digest.finish()
}

/// Says which anchor the path would lead to if that were trusted at the time.
fn outside_window(outcome: Option<PathOutcome>, anchors: &TrustAnchors) -> Option<String> {
    let path = outcome.as_ref().and_then(PathOutcome::path)?;
    let anchor = anchors.entries().iter().find(|one| one.certificate.thumbprint() == path.anchor().thumbprint())?;
    let end = |time: Option<DateTime<Utc>>| time.map_or_else(|| "ever".to_owned(), format_time);
    let name = if anchor.name.is_empty() { path.anchor().subject().to_string() } else { anchor.name.clone() };
    let (from, until) = (end(anchor.not_before), end(anchor.not_after));
    Some(format!("the trust policy trusts {name} from {from} to {until}, and it is not of that time"))
}

/// Who would have to be trusted: the anchor that the bundle offers, else the topmost certificate of the chain.
fn offered_anchor(bundle: &Bundle, signer: Option<&Signer>) -> Option<CertificateSummary> {
    let offered = bundle.offered_anchors.first().and_then(|der| Certificate::from_der(der).ok());
    let topmost = |signer: &Signer| {
        let offered = &signer.offered;
        offered.iter().find(|one| one.is_self_issued()).or(offered.last()).map(|one| shown(one))
    };
    offered.map(|anchor| shown(&anchor)).or_else(|| signer.and_then(topmost))
}

/// Certificates, in their order.
type Thumbprints = Vec<[u8; 32]>;
/// A path, and the certificates that came with it.
type OfPath = (Thumbprints, Thumbprints);

/// What every signature of one layer of a record is judged with.
struct Context<'a> {
    bundle: &'a Bundle,
    /// The bundle's certificates, hashed once and parsed once at most, however many signatures there are.
    supplied: &'a [Vec<u8>],
    supplied_digest: [u8; 32],
    supplied_parsed: &'a OnceCell<Vec<Arc<Certificate>>>,
    record: &'a Record,
    time: &'a TimeEvidence,
    /// When this layer was there.
    form: &'a LayerTime,
    crls: &'a [Arc<Option<KnownCrl>>],
    recordings: &'a [RecordingReport],
    now: DateTime<Utc>,
    /// What the searches for paths and list signers of all signatures and timestamps may cost together.
    budget: &'a RefCell<Budget>,
    /// Many signatures may have the same. Lists and times are the same for all.
    standings: RefCell<HashMap<OfPath, Rc<[Standing]>>>,
    vouched: RefCell<Vouched>,
}

fn shown(certificate: &Certificate) -> CertificateSummary {
    CertificateSummary {
        subject: truncate(certificate.subject().to_string(), NAME_MAX),
        thumbprint: certificate.thumbprint_url(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        revocation: None,
    }
}

/// A certificate of a path, and that its issuer has revoked it, where it has.
fn shown_with(certificate: &Certificate, standing: Option<&Standing>) -> CertificateSummary {
    let revocation = match standing {
        Some(Standing::Revoked(entry)) => {
            Some(RevocationSummary { effective_at: entry.effective_at(), reason: entry.reason.name() })
        }
        _ => None,
    };
    CertificateSummary { revocation, ..shown(certificate) }
}
