//! Rows 2 to 9 of the decision table: what a signature, its header and its path say whatever the time.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::crypto::SignatureError;
use crate::evidence::policy::LedgerRequirement;
use crate::evidence::policy::TrustPolicy;
use crate::evidence::policy::{AlgorithmUse, first_constraint};
use crate::evidence::report::{LedgerStatus, RowStatus, SubIndication, Verdict};
use crate::evidence::verify::{Context, Signer, Verifier};
use crate::jose::{Jws, JwsSignature, algorithm};
use crate::pki::{Certificate, CertificateSignature, CertificationPath, PathOutcome};

impl Verifier {
    /// Rows 2 to 20 of the decision table, in their order.
    pub(super) fn judge(
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
        // 4
        if let Some(wrong) = context.recordings.iter().find(|recording| recording.answer == RowStatus::No) {
            return Verdict::failed(S::HashFailure, wrong.reason.clone());
        }
        // T2, after what is altered whenever it was, and before all that asks when.
        if let Some(disorder) = &context.form.disorder {
            return Verdict::indeterminate(S::TimestampOrderFailure, disorder.clone());
        }
        // 5
        if self.policy().recordings_required
            && let Some(missing) = context.recordings.iter().find(|recording| recording.answer != RowStatus::Yes)
        {
            return Verdict::indeterminate(S::SignedDataNotFound, missing.reason.clone());
        }
        // 6
        if let Some(reason) = self.broken_constraint(context, signature, leaf) {
            return Verdict::indeterminate(S::SigConstraintsFailure, reason);
        }
        if let Some(reason) = self.missing_requirement(context) {
            return Verdict::indeterminate(S::SigConstraintsFailure, reason);
        }
        if !header.certificate_protected {
            warnings.push("the signature does not bind the certificate: neither x5c nor x5t#S256 is protected".into());
        }
        // 7, 8, 9
        let path = match signer.outcome.as_ref().expect("a path was looked for when the certificate could be read") {
            PathOutcome::NoPath(reason) => {
                let reason = signer.outside_window.clone().unwrap_or_else(|| reason.to_string());
                return Verdict::indeterminate(S::NoCertificateChainFound, reason);
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
        if let Some(verdict) = self.outlived(context, signature, path, warnings) {
            return verdict;
        }
        self.judge_time(context, path, &signer.offered, warnings)
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
        let latest = context.form.existed_by.unwrap_or(context.now) + self.policy().clock_skew_max;
        claimed
            .filter(|claimed| *claimed > latest)
            .map(|claimed| format!("claims to be signed at {}, after it is known to exist", format_time(claimed)))
    }

    /// What the trust policy requires and the record does not have.
    fn missing_requirement(&self, context: &Context<'_>) -> Option<String> {
        let policy = self.policy();
        if policy.timestamp_required && context.form.existed_by.is_none() {
            let first = context.time.timestamps.first();
            let reason = first.map_or("none was given", |first| &first.reason);
            return Some(format!("the trust policy requires a timestamp: {reason}"));
        }
        let ledger = &context.time.ledger;
        let missing = match policy.ledger_required {
            LedgerRequirement::Nothing => return None,
            LedgerRequirement::Included => ledger.status != LedgerStatus::Included,
            LedgerRequirement::Witnessed => ledger.status != LedgerStatus::Included || ledger.quorum != Some(true),
        };
        missing.then(|| format!("the trust policy requires the ledger: {}", ledger.reason))
    }

    /// Row 9, where a key or algorithm of the signature or its path is past its sunset.
    ///
    /// A signature is saved by a proof that the very bytes which carry it were there before. The trusted time is one for
    /// the record's own signature, and for the certificate that this binds; for the other certificates only where they
    /// are inside what was stamped.
    fn outlived(
        &self,
        context: &Context<'_>,
        signature: &JwsSignature,
        path: &CertificationPath,
        warnings: &mut Vec<String>,
    ) -> Option<Verdict> {
        use SubIndication as S;
        let header = signature.header();
        let form = context.form;
        let certificates = path.certificates();
        let own = algorithm(&header.algorithm).zip(certificates[0].key().ok());
        let own = own.map(|(algorithm, key)| (AlgorithmUse { algorithm, key: key.kind() }, form.existed_by));
        let above = certificates.windows(2).enumerate().filter_map(|(depth, pair)| {
            let proved = if depth == 0 && header.certificate_protected {
                form.existed_by
            } else {
                form.bytes_existed_by.filter(|_| header.certificates.iter().any(|der| **der == *pair[0].der()))
            };
            let archived = context.time.existence.by(pair[0].thumbprint());
            let proved = proved.into_iter().chain(archived).min();
            Some((strength(&pair[0], &pair[1])?, proved))
        });
        let mut saved = Vec::new();
        for (strength, proved) in own.into_iter().chain(above) {
            let Some(sunset) = first_constraint(&self.policy().sunsets, strength) else { continue };
            let Some(until) = sunset.until else {
                return Some(Verdict::indeterminate(S::CryptoConstraintsFailure, sunset.describe()));
            };
            if context.now <= until {
                continue;
            }
            if proved.is_some_and(|proved| proved <= until) {
                saved.push(format!("{}; the signature is proved to be from before", sunset.describe()));
                continue;
            }
            // Whoever signs after the end of an algorithm is not saved by any proof.
            let late = context.time.signed_after.is_some_and(|after| after > until);
            let sub = if late { S::CryptoConstraintsFailure } else { S::CryptoConstraintsFailureNoPoe };
            return Some(Verdict::indeterminate(sub, sunset.describe()));
        }
        saved.dedup();
        warnings.append(&mut saved);
        None
    }
}

/// How `certificate` was signed by `issuer`.
pub(super) fn strength(certificate: &Certificate, issuer: &Certificate) -> Option<AlgorithmUse> {
    match (certificate.signature_algorithm(), issuer.key()) {
        (CertificateSignature::Supported(algorithm), Ok(key)) => {
            Some(AlgorithmUse { algorithm: *algorithm, key: key.kind() })
        }
        _ => None,
    }
}

/// The sunset that ends one of the signatures at `now`, for evidence of which nothing proves that it is older.
pub(super) fn ended(policy: &TrustPolicy, strengths: &[AlgorithmUse], now: DateTime<Utc>) -> Option<String> {
    let sunsets = strengths.iter().filter_map(|strength| first_constraint(&policy.sunsets, *strength));
    let ended = sunsets.filter(|sunset| sunset.until.is_none_or(|until| until < now)).min_by_key(|one| one.until);
    ended.map(|sunset| sunset.describe())
}
