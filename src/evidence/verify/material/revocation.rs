//! Revocation checking with lists (RFC 5280 §6.3, EN 319 102-1 §5.2.5).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::sha256;
use crate::evidence::policy::{AlgorithmUse, TrustPolicy};
use crate::evidence::verify::material::cache::Cache;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::pki::{Budget, Certificate, Crl, KeyUsage, Reasons, RevocationReason, RevocationStatus, RevokedEntry};

/// The revocation state of a certificate, from the lists at hand (RFC 6960 §2.2 has the same three).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RevocationState {
    /// The newest list has an entry.
    Revoked(RevokedEntry),
    /// The newest list has no entry.
    Good {
        /// Whether the list is recent enough to say so (EN 319 102-1 §5.2.5).
        fresh: bool,
        /// Whether the list was made at or after the trusted time and still speaks of this certificate.
        known_not_revoked: bool,
        /// Until when a newer list was promised.
        next_update: Option<DateTime<Utc>>,
    },
    /// No list is applicable.
    Unknown(String),
}

impl RevocationState {
    pub(crate) fn is_hold(&self) -> bool {
        matches!(self, Self::Revoked(entry) if entry.reason == RevocationReason::CertificateHold)
    }
}

/// A revocation list, and under whom its signature was checked before.
#[derive(Debug)]
pub(crate) struct KnownCrl {
    crl: Crl,
    digest: [u8; 32],
    // By the thumbprint of the issuer's certificate; `None` is not kept.
    signed_by: Cache<[u8; 32], Option<bool>>,
}

impl KnownCrl {
    /// Parses a list; `None` when it is none, so that it says nothing of anybody.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        Some(Self { crl: Crl::from_der(der).ok()?, digest: sha256(der), signed_by: Cache::default() })
    }

    /// `None` when the budget does not pay for the check.
    fn is_signed_by(&self, issuer: &Certificate, budget: &RefCell<Budget>) -> Option<bool> {
        let check = || {
            budget.borrow_mut().spend_signature().ok()?;
            Some(self.crl.check_signature(issuer).is_ok())
        };
        *self.signed_by.get_or_insert_if(*issuer.thumbprint(), 0, check, Option::is_some)
    }
}

/// Which certificates were signed with which keys, by the thumbprints of both: what was checked of one signature of a
/// record is known of the next.
pub(crate) type CheckedIssuers = HashMap<([u8; 32], [u8; 32]), bool>;

/// Why a list is not applicable.
enum Inapplicable {
    Because(String),
    /// It is not known what it says, and so not what the others say without it.
    BudgetSpent,
}

impl From<String> for Inapplicable {
    fn from(reason: String) -> Self {
        Self::Because(reason)
    }
}

impl From<&str> for Inapplicable {
    fn from(reason: &str) -> Self {
        Self::Because(reason.to_owned())
    }
}

/// The answer of one list about a certificate.
enum CrlAnswer {
    Listed(RevokedEntry),
    NotListed,
    /// Not listed, on a list for some reasons.
    NotListedForReasons(Reasons),
}

/// Checks certificates against the revocation lists at hand.
pub(crate) struct RevocationChecker<'a> {
    pub(crate) crls: &'a [Arc<Option<KnownCrl>>],
    pub(crate) policy: &'a TrustPolicy,
    /// The trusted time of the signature, where there is one: then a list is fresh that was made no earlier than one
    /// period before it, so that a verdict does not decay when lists run out.
    pub(crate) trusted: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
    /// By when the lists existed.
    pub(crate) poe: &'a ProofsOfExistence,
    /// When the first certificate of the path ends: what comes after is no matter for a signature within.
    pub(crate) path_ends: DateTime<Utc>,
    /// Certificates beside those of the path: of other keys of an authority, with which it signs its lists.
    pub(crate) offered: &'a [Arc<Certificate>],
    /// The budget of the whole verification.
    pub(crate) budget: &'a RefCell<Budget>,
    pub(crate) crl_issuers_checked: &'a RefCell<CheckedIssuers>,
}

/// The issuer of a certificate of a path: its certificate, and the one above.
#[derive(Clone, Copy)]
pub(crate) struct IssuerInPath<'a> {
    pub(crate) certificate: &'a Certificate,
    pub(crate) above: Option<&'a Certificate>,
    /// When it, or one above it, was revoked, where one was: the silence of a list made later proves nothing.
    pub(crate) untrusted_from: Option<DateTime<Utc>>,
}

impl RevocationChecker<'_> {
    /// The state of `certificate`, which `issuer` issued.
    pub(crate) fn state_of(&self, certificate: &Certificate, issuer: IssuerInPath<'_>) -> RevocationState {
        let mut revoked: Option<(&Crl, RevokedEntry)> = None;
        let mut silent: Option<&Crl> = None;
        let mut partly: Vec<(&Crl, Reasons)> = Vec::new();
        let mut reason = "no revocation list of the issuer is at hand".to_owned();
        let mut spent = false;
        for known in self.crls.iter().filter_map(|known| known.as_ref().as_ref()) {
            let crl = &known.crl;
            if crl.issuer() != certificate.issuer() || crl.this_update() > self.now {
                continue;
            }
            let status = self.signer(known, issuer).and_then(|signer| self.status(known, certificate, issuer, signer));
            match status {
                Ok(CrlAnswer::Listed(entry)) => {
                    if revoked.as_ref().is_none_or(|(other, old)| rank(crl, &entry) > rank(other, old)) {
                        revoked = Some((crl, entry));
                    }
                }
                Ok(CrlAnswer::NotListedForReasons(reasons)) => partly.push((crl, reasons)),
                Ok(CrlAnswer::NotListed) => {
                    silent = Some(silent.filter(|other| order(other) >= order(crl)).unwrap_or(crl))
                }
                Err(Inapplicable::Because(why)) => reason = why,
                Err(Inapplicable::BudgetSpent) => spent = true,
            }
        }
        // A list that was not looked at may hold an entry: the silence of the others proves nothing.
        let silent = silent.or_else(|| whole(partly)).filter(|_| !spent);
        if spent {
            "finding out who made the revocation lists took more signature checks than allowed".clone_into(&mut reason);
        }
        match (revoked, silent) {
            (Some((list, entry)), Some(silent))
                if entry.reason == RevocationReason::CertificateHold && order(silent) > order(list) =>
            {
                self.good(silent)
            }
            (Some((_, entry)), _) => RevocationState::Revoked(entry),
            (None, Some(silent)) => self.good(silent),
            (None, None) => RevocationState::Unknown(reason),
        }
    }

    /// The certificate of the key that made a list: the issuer's, or that of another key of the same authority.
    ///
    /// Another key is the authority's where the one above says so, or the authority's key in the path does, and where a
    /// list made without yet another key says that it is not revoked (RFC 5280 §6.3.3 (f)).
    fn signer<'s>(&'s self, known: &KnownCrl, issuer: IssuerInPath<'s>) -> Result<&'s Certificate, Inapplicable> {
        known.crl.check_rules().map_err(|error| error.to_string())?;
        if self.is_signed_by(known, issuer.certificate)? {
            return Ok(issuer.certificate);
        }
        let made = known.crl.this_update();
        let others = self.offered.iter().map(AsRef::as_ref).filter(|other| {
            other.subject() == issuer.certificate.subject()
                && other.key_usage().is_some_and(|usage| usage.contains(KeyUsage::CrlSign))
                && other.unknown_critical_extensions().is_empty()
                && other.check_validity_at(made).is_ok()
        });
        for other in others {
            let mut above = None;
            for certificate in [issuer.above, Some(issuer.certificate)].into_iter().flatten() {
                if above.is_none() && self.is_issued_by(other, certificate)? {
                    above = Some(certificate);
                }
            }
            let Some(above) = above else { continue };
            let of_key = self.policy.expired_algorithm(
                AlgorithmUse::of_certificate(other, above).as_slice(),
                self.poe.validation_time(other.thumbprint()),
            );
            let of_list = AlgorithmUse::of_crl(&known.crl, other);
            let of_list = self.policy.expired_algorithm(of_list.as_slice(), self.poe.validation_time(&known.digest));
            // The list last: it may be long, and strangers' certificates are many.
            let trusted = of_key.is_none() && of_list.is_none();
            if trusted && self.is_signed_by(known, other)? && self.crl_signer_not_revoked(other, above, issuer)? {
                return Ok(other);
            }
        }
        Err("a revocation list is not rightly signed by the issuer".into())
    }

    fn is_signed_by(&self, known: &KnownCrl, signer: &Certificate) -> Result<bool, Inapplicable> {
        known.is_signed_by(signer, self.budget).ok_or(Inapplicable::BudgetSpent)
    }

    /// Whether `above` signed the certificate of another key.
    fn is_issued_by(&self, other: &Certificate, above: &Certificate) -> Result<bool, Inapplicable> {
        let Some(key) = above.key().ok().filter(|_| other.issuer() == above.subject()) else { return Ok(false) };
        let pair = (*above.thumbprint(), *other.thumbprint());
        if let Some(known) = self.crl_issuers_checked.borrow().get(&pair) {
            return Ok(*known);
        }
        self.budget.borrow_mut().spend_signature().map_err(|_| Inapplicable::BudgetSpent)?;
        let right = other.check_signature(key).is_ok();
        self.crl_issuers_checked.borrow_mut().insert(pair, right);
        Ok(right)
    }

    /// Whether a list by the key above, or by its own where the authority vouches for its own next key, says that a signer
    /// of lists is not revoked, and none that it is.
    fn crl_signer_not_revoked(
        &self,
        other: &Certificate,
        above: &Certificate,
        issuer: IssuerInPath<'_>,
    ) -> Result<bool, Inapplicable> {
        let keys = [Some(above), other.is_self_issued().then_some(other)];
        let mut cleared = false;
        for known in self.crls.iter().filter_map(|known| known.as_ref().as_ref()) {
            if known.crl.check_rules().is_err() || known.crl.this_update() > self.now {
                continue;
            }
            let mut signer = None;
            for key in keys.into_iter().flatten().filter(|key| key.subject() == known.crl.issuer()) {
                if signer.is_none() && self.is_signed_by(known, key)? {
                    signer = Some(key);
                }
            }
            let Some(signer) = signer else { continue };
            match self.status(known, other, issuer, signer) {
                Ok(CrlAnswer::Listed(_)) => return Ok(false),
                Ok(CrlAnswer::NotListed) => cleared = true,
                Ok(CrlAnswer::NotListedForReasons(_)) | Err(_) => {}
            }
        }
        Ok(cleared)
    }

    /// The answer of one list that `signer` made, or why it is not applicable.
    fn status(
        &self,
        known: &KnownCrl,
        certificate: &Certificate,
        issuer: IssuerInPath<'_>,
        signer: &Certificate,
    ) -> Result<CrlAnswer, Inapplicable> {
        let crl = &known.crl;
        if let Some(used) = AlgorithmUse::of_crl(crl, signer)
            && let Some(expired) = self.policy.expired_algorithm(&[used], self.poe.validation_time(&known.digest))
        {
            return Err(format!("nothing proves that the revocation list is from before: {expired}").into());
        }
        match crl.revocation_of(certificate) {
            RevocationStatus::NotCovered(error) => Err(error.to_string().into()),
            RevocationStatus::Revoked(entry) => Ok(CrlAnswer::Listed(entry)),
            RevocationStatus::Good | RevocationStatus::GoodFor(_)
                if issuer.untrusted_from.is_some_and(|from| crl.this_update() >= from) =>
            {
                Err("the revocation list was made after its authority was revoked".into())
            }
            // A list made after the certificate ended speaks of it only if expired ones stay on it.
            RevocationStatus::Good | RevocationStatus::GoodFor(_)
                if crl.this_update() > certificate.not_after()
                    && crl.expired_certs_since().is_none_or(|since| since > certificate.not_after()) =>
            {
                Err("the revocation list was made after the certificate ended, and expired ones do not stay on it"
                    .into())
            }
            RevocationStatus::Good => Ok(CrlAnswer::NotListed),
            RevocationStatus::GoodFor(reasons) => Ok(CrlAnswer::NotListedForReasons(reasons)),
        }
    }

    fn good(&self, crl: &Crl) -> RevocationState {
        let fresh = match (self.trusted, crl.next_update()) {
            (_, None) => false,
            (Some(trusted), Some(next)) => crl.this_update() >= trusted - (next - crl.this_update()),
            (None, Some(next)) => self.now <= next,
        };
        let since = self.trusted.unwrap_or(self.now).min(self.path_ends);
        RevocationState::Good { fresh, known_not_revoked: crl.this_update() >= since, next_update: crl.next_update() }
    }
}

/// Of lists for some reasons, the newest for each, where they add up to all reasons: then the oldest of these says from
/// when that is known.
fn whole(mut partly: Vec<(&Crl, Reasons)>) -> Option<&Crl> {
    partly.sort_by(|(left, _), (right, _)| order(right).cmp(&order(left)));
    let mut covered = Reasons::default();
    let mut used: Option<&Crl> = None;
    for (crl, reasons) in partly {
        if covered.and(reasons) != covered {
            covered = covered.and(reasons);
            used = Some(used.filter(|other| other.this_update() <= crl.this_update()).unwrap_or(crl));
        }
    }
    used.filter(|_| covered.are_all())
}

/// Which entry counts: a suspension may end, any other revocation stays, whatever a list without it says.
fn rank<'a>(crl: &'a Crl, entry: &RevokedEntry) -> (bool, (usize, &'a [u8], DateTime<Utc>)) {
    (entry.reason != RevocationReason::CertificateHold, order(crl))
}

/// Numbers only go up (RFC 5280 §5.2.3); of two lists with one number the later made counts.
fn order(crl: &Crl) -> (usize, &[u8], DateTime<Utc>) {
    let number = crl.number().unwrap_or_default();
    (number.len(), number, crl.this_update())
}
