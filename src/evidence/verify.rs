//! The verifier: a bundle, a trust policy and the time in, a report out (EN 319 102-1 §5.3, §5.5, §5.6).
//!
//! No I/O and no clock. It returns a report and never an error: what cannot be decided is a finding. The rows of the
//! decision table in `docs/VERDICTS.md` are tried in their order, and the first that matches is the verdict.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::memo::Memo;
use super::recordings::recordings;
use super::report::{
    Answer, CertificateShown, LedgerReport, NOT_PROVED, RecordingReport, SignatureReport, SubIndication, Times,
    ValidationReport, Verdict,
};
use super::revocation::{KnownCrl, Standing, standing};
use super::rows::{existed_by_row, ledger_row, recording_row, row, sentence, signed_by_row, unaltered_row};
use super::signer::signer_chain;
use super::time::{JudgedToken, TimeEvidence};
use super::{Bundle, Record, RecordError, TrustPolicy};
use crate::clock::format_time;
use crate::crypto::{Sha256, SignatureError, sha256};
use crate::jose::{Jws, JwsSignature};
use crate::pki::{Budget, Certificate, CertificateError, CertificationPath, PathOutcome, find_path};
use crate::tlog::Witnessing;
use crate::vcon::{VconLimits, validate};

/// The version of the report's shape.
const REPORT_VERSION: u32 = 1;
/// Revocation lists that are looked at: a leaf's and each authority's, and some archived ones.
const CRLS_MAX: usize = 32;

/// A trust policy with what was found out under it before.
#[derive(Debug)]
pub struct Verifier {
    policy: TrustPolicy,
    limits: VconLimits,
    signers: Memo<[u8; 32], Signer>,
    crls: Memo<[u8; 32], Option<KnownCrl>>,
    pub(super) tokens: Memo<([u8; 32], [u8; 32]), JudgedToken>,
    pub(super) witnessings: Memo<[u8; 32], Result<Witnessing, String>>,
}

/// The signer's certificate and the path from it.
#[derive(Debug)]
struct Signer {
    leaf: Result<Arc<Certificate>, CertificateError>,
    outcome: Option<PathOutcome>,
    topmost_offered: Option<CertificateShown>,
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
                let chain = signer_chain(&jws, signature, &bundle.certificates);
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
        let time = self.time_evidence(bundle, record);
        let crls = self.parsed_crls(bundle);
        let recordings = recordings(bundle, record);
        let context = Context { bundle, record, time: &time, crls: &crls, recordings: &recordings, now };
        let signatures: Vec<SignatureReport> = record
            .layers()
            .iter()
            .enumerate()
            .flat_map(|(layer, jws)| jws.signatures().iter().enumerate().map(move |at| (layer, jws, at)))
            .map(|(layer, jws, (position, signature))| self.signature(&context, layer, position, jws, signature))
            .collect();
        // Every signature counts: the worst verdict is the record's.
        let verdict = signatures.iter().map(|signature| &signature.verdict).max_by_key(|verdict| verdict.indication);
        let verdict = verdict.expect("a record has a signature").clone();
        let claimed = signatures.iter().find_map(|signature| signature.claimed_time);
        let times = Times { existed_by: time.existed_by, signed_after: time.signed_after, claimed };
        let rows = vec![
            unaltered_row(&signatures),
            signed_by_row(&verdict, &signatures),
            existed_by_row(&time),
            recording_row(record, &recordings),
            ledger_row(&time.ledger),
        ];
        ValidationReport {
            version: REPORT_VERSION,
            sentence: sentence(&verdict, &signatures, &times),
            verdict,
            rows,
            record: Some(record.digest()),
            uuid: record.vcon().uuid().map(str::to_owned),
            signatures,
            recordings,
            timestamps: time.timestamps,
            times,
            ledger: time.ledger,
            findings: validate(record.vcon()),
            trust_policy: self.policy.name.clone(),
            trust_policy_digest: self.policy.digest,
            verified_at: now,
            not_proved: NOT_PROVED,
        }
    }

    /// A report on what is no record that can be judged.
    fn unreadable(&self, verdict: &Verdict, now: DateTime<Utc>) -> ValidationReport {
        let verdict = verdict.clone();
        let sub = verdict.sub_indication.expect("a failed verdict says why");
        let unknown = |title| row(title, Answer::Unknown, sub.name(), "there is no record that could be read", None);
        ValidationReport {
            version: REPORT_VERSION,
            sentence: sentence(&verdict, &[], &Times::default()),
            rows: vec![
                row("Unaltered", Answer::No, sub.name(), &verdict.reason, Some(sub.next_step())),
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
            findings: Vec::new(),
            trust_policy: self.policy.name.clone(),
            trust_policy_digest: self.policy.digest,
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
    ) -> SignatureReport {
        let header = signature.header();
        // What an x5u points to, nobody here fetches: a caller puts it among the bundle's certificates.
        let chain = signer_chain(jws, signature, &context.bundle.certificates);
        let signer = (!chain.is_empty()).then(|| self.signer(context.bundle, &chain));
        let mut warnings = Vec::new();
        let verdict = self.judge(context, jws, signature, signer.as_deref(), &mut warnings);
        if header.certificates.first().is_some_and(|first| chain.first() != Some(first)) {
            warnings.push("x5c, which is not signed, begins with another certificate than x5t#S256 names".into());
        }
        if !jws.other_members().is_empty() {
            warnings.push(format!("not signed, and not looked at: {}", jws.other_members().join(", ")));
        }
        let leaf = signer.as_ref().and_then(|signer| signer.leaf.as_ref().ok());
        let outcome = signer.as_ref().and_then(|signer| signer.outcome.as_ref());
        let path = outcome.and_then(PathOutcome::path);
        SignatureReport {
            layer,
            position,
            algorithm: header.algorithm.clone(),
            verdict,
            claimed_time: header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            signer: leaf.map(|leaf| shown(leaf)),
            path: path.map(|path| path.certificates().iter().map(|one| shown(one)).collect()).unwrap_or_default(),
            offered_anchor: if path.is_none() { offered_anchor(context.bundle, signer.as_deref()) } else { None },
            warnings,
        }
    }

    /// Rows 2 to 20 of the decision table, in their order.
    fn judge(
        &self,
        context: &Context<'_>,
        jws: &Jws,
        signature: &JwsSignature,
        signer: Option<&Signer>,
        warnings: &mut Vec<String>,
    ) -> Verdict {
        use SubIndication as S;
        let header = signature.header();
        // 2
        let Some(signer) = signer else {
            let reason = match header.certificates_url {
                Some(_) => "the certificates are at an x5u, which is not fetched, and were not supplied",
                None => "the record carries no certificate",
            };
            return Verdict::indeterminate(S::NoSigningCertificateFound, reason);
        };
        let leaf = match &signer.leaf {
            Ok(leaf) => leaf,
            Err(error) => {
                let reason = format!("the signer's certificate cannot be read: {error}");
                return Verdict::indeterminate(S::NoSigningCertificateFound, reason);
            }
        };
        let key = match leaf.key() {
            Ok(key) => key,
            Err(error) => {
                return Verdict::indeterminate(S::NoSigningCertificateFound, format!("the signer's key: {error}"));
            }
        };
        // 3
        match jws.check_signature(signature, key) {
            Ok(()) => {}
            Err(SignatureError::Unsupported) => {
                let reason = format!("algorithm {:?} is not one that is verified here", header.algorithm);
                return Verdict::indeterminate(S::CryptoConstraintsFailure, reason);
            }
            // Whoever replaced the certificate did not alter what was signed: it cannot be said whether that is right.
            Err(_) if header.thumbprint.is_some_and(|thumbprint| thumbprint != *leaf.thumbprint()) => {
                let reason = "the certificate that x5t#S256 names is not among those that are here";
                return Verdict::indeterminate(S::NoSigningCertificateFound, reason);
            }
            Err(error) => return Verdict::failed(S::SigCryptoFailure, error.to_string()),
        }
        // 4, 5
        if let Some(wrong) = context.recordings.iter().find(|recording| recording.answer == Answer::No) {
            return Verdict::failed(S::HashFailure, wrong.reason.clone());
        }
        if self.policy.recordings_required
            && let Some(missing) = context.recordings.iter().find(|recording| recording.answer != Answer::Yes)
        {
            return Verdict::indeterminate(S::SignedDataNotFound, missing.reason.clone());
        }
        // 6
        if let Some(reason) = self.broken_constraint(context, signature, leaf) {
            return Verdict::indeterminate(S::SigConstraintsFailure, reason);
        }
        if !header.certificate_protected {
            warnings.push("the signature does not bind the certificate: neither x5c nor x5t#S256 is protected".into());
        }
        // 7, 8, 9
        let path = match signer.outcome.as_ref().expect("a path was looked for when the certificate could be read") {
            PathOutcome::NoPath(reason) => {
                return Verdict::indeterminate(S::NoCertificateChainFound, reason.to_string());
            }
            PathOutcome::Broken { violations, .. } => {
                let chain = violations.iter().find(|violation| !violation.rule.is_cryptographic());
                let (sub, violation) = match chain {
                    Some(violation) => (S::ChainConstraintsFailure, violation),
                    None => (S::CryptoConstraintsFailure, violations.first().expect("a broken path breaks a rule")),
                };
                return Verdict::indeterminate(sub, violation.to_string());
            }
            PathOutcome::Valid(path) => path,
        };
        self.judge_time(context, path, warnings)
    }

    /// Rows 10 to 20: validity and revocation at the trusted time.
    fn judge_time(&self, context: &Context<'_>, path: &CertificationPath, warnings: &mut Vec<String>) -> Verdict {
        use SubIndication as S;
        let (trusted, lower, now) = (context.time.existed_by, context.time.signed_after, context.now);
        let time = trusted.unwrap_or(now);
        let (not_before, not_after) = window(path);
        // From the anchor down: what an authority says after it was revoked, anybody may have said. An anchor that signs
        // for itself is revoked by taking it out of the trust policy.
        let mut authorities: Vec<Standing> = Vec::new();
        let mut untrusted_from: Option<DateTime<Utc>> = None;
        let mut leaf = Standing::Good { fresh: true, known_not_revoked: true, next_update: None };
        for (depth, pair) in path.certificates().windows(2).enumerate().rev() {
            let found = standing(&pair[0], &pair[1], context.crls, trusted, now, untrusted_from);
            if depth == 0 {
                leaf = found;
                break;
            }
            if let Standing::Revoked(entry) = &found {
                untrusted_from = untrusted_from.into_iter().chain([entry.effective_at()]).min();
            }
            authorities.push(found);
        }
        // 10
        if time < not_before {
            let reason =
                format!("existed at {}, before validity began at {}", format_time(time), format_time(not_before));
            return Verdict::failed(S::NotYetValid, reason);
        }
        // 11
        if let Some(lower) = lower {
            if let Standing::Revoked(entry) = &leaf
                && lower >= entry.effective_at()
            {
                let reason = format!("revoked at {} and signed after", format_time(entry.effective_at()));
                return Verdict::failed(S::Revoked, reason);
            }
            if lower > not_after {
                return Verdict::failed(S::Expired, format!("ended at {} and signed after", format_time(not_after)));
            }
        }
        // 12, 14, 13
        if let Standing::Revoked(entry) = &leaf {
            let revoked_at = entry.effective_at();
            match trusted {
                Some(trusted) if revoked_at > trusted && trusted <= not_after => {
                    warnings.push(format!(
                        "the certificate was revoked later, at {} ({})",
                        format_time(revoked_at),
                        entry.reason.name()
                    ));
                }
                _ if leaf.is_hold() => {
                    return Verdict::indeterminate(S::TryLater, "the certificate is suspended (certificateHold)");
                }
                _ => {
                    let reason = format!("revoked at {} ({})", format_time(revoked_at), entry.reason.name());
                    return Verdict::indeterminate(S::RevokedNoPoe, reason);
                }
            }
        }
        // 15
        for authority in &authorities {
            if let Standing::Revoked(entry) = authority
                && trusted.is_none_or(|trusted| entry.effective_at() <= trusted)
            {
                let reason = format!("an authority was revoked at {}", format_time(entry.effective_at()));
                return Verdict::indeterminate(S::RevokedCaNoPoe, reason);
            }
        }
        let all = || std::iter::once(&leaf).chain(&authorities);
        let unproved = |one: &Standing| matches!(one, Standing::Unknown(_) | Standing::Good { fresh: false, .. });
        if let Some(revoked_at) = untrusted_from.filter(|_| all().any(unproved)) {
            let reason =
                format!("an authority was revoked at {}, and no list from before is at hand", format_time(revoked_at));
            return Verdict::indeterminate(S::RevokedCaNoPoe, reason);
        }
        if now <= not_after {
            // 16
            for one in all() {
                match one {
                    Standing::Unknown(reason) => {
                        return Verdict::indeterminate(S::TryLater, format!("revocation is not known: {reason}"));
                    }
                    Standing::Good { fresh: false, next_update, .. } => {
                        let until = next_update.map_or_else(|| "never".to_owned(), format_time);
                        let reason = format!("the revocation list at hand is too old (its next was due {until})");
                        return Verdict::indeterminate(S::TryLater, reason);
                    }
                    Standing::Good { .. } | Standing::Revoked(_) => {}
                }
            }
            // 20 (and 12)
            return Verdict::passed("signature, path, revocation and constraints are right");
        }
        let known = all().all(|one| match one {
            Standing::Good { known_not_revoked, .. } => *known_not_revoked,
            Standing::Revoked(_) => true,
            Standing::Unknown(_) => false,
        });
        let ended = format!("validity ended at {}", format_time(not_after));
        match trusted {
            // 17
            Some(trusted) if trusted <= not_after && known => {
                warnings.push(format!("{ended}, after the record was proved to exist"));
                Verdict::passed("existed while the certificate was valid, and it was not revoked by then")
            }
            // 18
            _ if known => Verdict::indeterminate(S::OutOfBoundsNotRevoked, ended),
            // 19
            _ => Verdict::indeterminate(S::OutOfBoundsNoPoe, format!("{ended}, and revocation is not known")),
        }
    }

    /// Row 6: header, certificate and payload contradict each other.
    fn broken_constraint(&self, context: &Context<'_>, signature: &JwsSignature, leaf: &Certificate) -> Option<String> {
        let header = signature.header();
        if header.thumbprint.is_some_and(|thumbprint| thumbprint != *leaf.thumbprint()) {
            return Some("x5t#S256 names another certificate".into());
        }
        if !header.algorithm_protected {
            return Some("alg is not in the protected header".into());
        }
        if header.uuid.is_some() && header.uuid.as_deref() != context.record.vcon().uuid() {
            return Some("the uuid in the header is not the one in the payload".into());
        }
        let claimed = header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let latest = context.time.existed_by.unwrap_or(context.now) + self.policy.clock_skew_max;
        claimed
            .filter(|claimed| *claimed > latest)
            .map(|claimed| format!("claims to be signed at {}, after it is known to exist", format_time(claimed)))
    }

    fn signer(&self, bundle: &Bundle, chain: &[Vec<u8>]) -> Arc<Signer> {
        let mut key = Sha256::default();
        let mut bytes = 0;
        for der in chain.iter().chain(&bundle.certificates) {
            key.update(&(der.len() as u64).to_be_bytes());
            key.update(der);
            bytes += der.len();
        }
        self.signers.get_of(key.finish(), bytes, || self.find_signer(chain, &bundle.certificates))
    }

    fn find_signer(&self, chain: &[Vec<u8>], more: &[Vec<u8>]) -> Signer {
        let leaf = Certificate::from_der(&chain[0]).map(Arc::new);
        let mut offered: Vec<Arc<Certificate>> = Vec::new();
        for certificate in chain[1..].iter().chain(more).filter_map(|der| Certificate::from_der(der).ok()) {
            if offered.iter().all(|other| other.thumbprint() != certificate.thumbprint()) {
                offered.push(Arc::new(certificate));
            }
        }
        offered.truncate(10);
        let topmost_offered = offered.iter().find(|one| one.is_self_issued()).or(offered.last());
        let topmost_offered = topmost_offered.map(|one| shown(one));
        let outcome = leaf.as_ref().ok().map(|leaf| {
            find_path(leaf, &offered, &self.policy.anchors, &self.policy.signer_profile, &mut Budget::default())
        });
        Signer { leaf, outcome, topmost_offered }
    }

    fn parsed_crls(&self, bundle: &Bundle) -> Vec<Arc<Option<KnownCrl>>> {
        bundle
            .crls
            .iter()
            .take(CRLS_MAX)
            .map(|der| self.crls.get_of(sha256(der), der.len(), || KnownCrl::parse(der)))
            .collect()
    }
}

/// Who would have to be trusted: the anchor that the bundle offers, else the topmost certificate of the chain.
fn offered_anchor(bundle: &Bundle, signer: Option<&Signer>) -> Option<CertificateShown> {
    let offered = bundle.offered_anchors.first().and_then(|der| Certificate::from_der(der).ok());
    offered.map(|anchor| shown(&anchor)).or_else(|| signer?.topmost_offered.clone())
}

struct Context<'a> {
    bundle: &'a Bundle,
    record: &'a Record,
    time: &'a TimeEvidence,
    crls: &'a [Arc<Option<KnownCrl>>],
    recordings: &'a [RecordingReport],
    now: DateTime<Utc>,
}

/// When every certificate of the path is in its validity.
fn window(path: &CertificationPath) -> (DateTime<Utc>, DateTime<Utc>) {
    let certificates = path.certificates();
    let not_before = certificates.iter().map(|one| one.not_before()).max().expect("a path is not empty");
    let not_after = certificates.iter().map(|one| one.not_after()).min().expect("a path is not empty");
    (not_before, not_after)
}

fn shown(certificate: &Certificate) -> CertificateShown {
    CertificateShown {
        subject: certificate.subject().to_string(),
        thumbprint: certificate.thumbprint_url(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
    }
}
