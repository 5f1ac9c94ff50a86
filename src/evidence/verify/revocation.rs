//! Whether a certificate was revoked, and how well that is known.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::sha256;
use crate::evidence::policy::AlgorithmUse;
use crate::evidence::policy::TrustPolicy;
use crate::evidence::verify::cache::Memo;
use crate::evidence::verify::poe::Existence;
use crate::evidence::verify::signature::{ended, strength};
use crate::pki::{
    Budget, Certificate, CertificateSignature, Crl, KeyUsage, Reasons, RevocationReason, RevocationStatus, RevokedEntry,
};

/// What the revocation lists at hand say of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// On the newest list.
    Revoked(RevokedEntry),
    /// Not on the newest list.
    Good {
        /// Whether the list is recent enough to say so (EN 319 102-1 §5.2.5).
        fresh: bool,
        /// Whether the list was made at or after the trusted time and still speaks of this certificate.
        known_not_revoked: bool,
        /// Until when a newer list was promised.
        next_update: Option<DateTime<Utc>>,
    },
    /// No list speaks of it.
    Unknown(String),
}

impl Standing {
    pub(super) fn is_hold(&self) -> bool {
        matches!(self, Self::Revoked(entry) if entry.reason == RevocationReason::CertificateHold)
    }
}

/// A revocation list, and under whom its signature was checked before.
#[derive(Debug)]
pub(super) struct KnownCrl {
    crl: Crl,
    digest: [u8; 32],
    // By the thumbprint of the issuer's certificate; `None` is not kept.
    signed_by: Memo<[u8; 32], Option<bool>>,
}

impl KnownCrl {
    /// Parses a list; `None` when it is none, so that it says nothing of anybody.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        Some(Self { crl: Crl::from_der(der).ok()?, digest: sha256(der), signed_by: Memo::default() })
    }

    /// `None` when the budget does not pay for the check.
    fn is_signed_by(&self, issuer: &Certificate, budget: &RefCell<Budget>) -> Option<bool> {
        let check = || {
            budget.borrow_mut().spend_signature().ok()?;
            Some(self.crl.check_signature(issuer).is_ok())
        };
        *self.signed_by.get_if(*issuer.thumbprint(), 0, check, Option::is_some)
    }
}

/// Which certificates were signed with which keys, by the thumbprints of both: what was checked of one signature of a
/// record is known of the next.
pub(super) type Vouched = HashMap<([u8; 32], [u8; 32]), bool>;

/// Why a list says nothing.
enum Nothing {
    Because(String),
    /// It is not known what it says, and so not what the others say without it.
    BudgetSpent,
}

impl From<String> for Nothing {
    fn from(reason: String) -> Self {
        Self::Because(reason)
    }
}

impl From<&str> for Nothing {
    fn from(reason: &str) -> Self {
        Self::Because(reason.to_owned())
    }
}

/// What one list says of a certificate.
enum Said {
    Listed(RevokedEntry),
    NotListed,
    /// Of a list for some reasons.
    NotListedFor(Reasons),
}

/// The revocation lists at hand, and the time that they are held against.
pub(super) struct Lists<'a> {
    pub(super) crls: &'a [Arc<Option<KnownCrl>>],
    pub(super) policy: &'a TrustPolicy,
    /// The trusted time of the signature, where there is one: then a list is fresh that was made no earlier than one
    /// period before it, so that a verdict does not decay when lists run out.
    pub(super) trusted: Option<DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
    /// By when the lists were there.
    pub(super) existence: &'a Existence,
    /// When the first certificate of the path ends: what comes after is no matter for a signature within.
    pub(super) path_ends: DateTime<Utc>,
    /// Certificates beside those of the path: of other keys of an authority, with which it signs its lists.
    pub(super) offered: &'a [Arc<Certificate>],
    /// What all of one verification may cost.
    pub(super) budget: &'a RefCell<Budget>,
    pub(super) vouched: &'a RefCell<Vouched>,
}

/// The authority that issued a certificate: its certificate in the path, and the one above.
#[derive(Clone, Copy)]
pub(super) struct Issuer<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) above: Option<&'a Certificate>,
    /// When it, or one above it, was revoked, where one was: the silence of a list made later proves nothing.
    pub(super) untrusted_from: Option<DateTime<Utc>>,
}

impl Lists<'_> {
    /// Tells the standing of `certificate`, which `issuer` issued.
    pub(super) fn standing(&self, certificate: &Certificate, issuer: Issuer<'_>) -> Standing {
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
                Ok(Said::Listed(entry)) => {
                    if revoked.as_ref().is_none_or(|(other, old)| rank(crl, &entry) > rank(other, old)) {
                        revoked = Some((crl, entry));
                    }
                }
                Ok(Said::NotListedFor(reasons)) => partly.push((crl, reasons)),
                Ok(Said::NotListed) => silent = Some(silent.filter(|other| order(other) >= order(crl)).unwrap_or(crl)),
                Err(Nothing::Because(why)) => reason = why,
                Err(Nothing::BudgetSpent) => spent = true,
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
            (Some((_, entry)), _) => Standing::Revoked(entry),
            (None, Some(silent)) => self.good(silent),
            (None, None) => Standing::Unknown(reason),
        }
    }

    /// The certificate of the key that made a list: the issuer's, or that of another key of the same authority.
    ///
    /// Another key is the authority's where the one above says so, or the authority's key in the path does, and where a
    /// list made without yet another key says that it is not revoked (RFC 5280 §6.3.3 (f)).
    fn signer<'s>(&'s self, known: &KnownCrl, issuer: Issuer<'s>) -> Result<&'s Certificate, Nothing> {
        known.crl.check_rules().map_err(|error| error.to_string())?;
        if self.made(known, issuer.certificate)? {
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
                if above.is_none() && self.vouches(certificate, other)? {
                    above = Some(certificate);
                }
            }
            let Some(above) = above else { continue };
            let of_key =
                ended(self.policy, strength(other, above).as_slice(), self.existence.as_of(other.thumbprint()));
            let of_list = self.strength(&known.crl, other);
            let of_list = ended(self.policy, of_list.as_slice(), self.existence.as_of(&known.digest));
            // The list last: it may be long, and strangers' certificates are many.
            let trusted = of_key.is_none() && of_list.is_none();
            if trusted && self.made(known, other)? && self.is_cleared(other, above, issuer)? {
                return Ok(other);
            }
        }
        Err("a revocation list is not rightly signed by the issuer".into())
    }

    fn made(&self, known: &KnownCrl, signer: &Certificate) -> Result<bool, Nothing> {
        known.is_signed_by(signer, self.budget).ok_or(Nothing::BudgetSpent)
    }

    /// Whether `above` signed the certificate of another key.
    fn vouches(&self, above: &Certificate, other: &Certificate) -> Result<bool, Nothing> {
        let Some(key) = above.key().ok().filter(|_| other.issuer() == above.subject()) else { return Ok(false) };
        let pair = (*above.thumbprint(), *other.thumbprint());
        if let Some(known) = self.vouched.borrow().get(&pair) {
            return Ok(*known);
        }
        self.budget.borrow_mut().spend_signature().map_err(|_| Nothing::BudgetSpent)?;
        let right = other.check_signature(key).is_ok();
        self.vouched.borrow_mut().insert(pair, right);
        Ok(right)
    }

    /// Whether a list by the key above, or by its own where the authority vouches for its own next key, says that a signer
    /// of lists is not revoked, and none that it is.
    fn is_cleared(&self, other: &Certificate, above: &Certificate, issuer: Issuer<'_>) -> Result<bool, Nothing> {
        let keys = [Some(above), other.is_self_issued().then_some(other)];
        let mut cleared = false;
        for known in self.crls.iter().filter_map(|known| known.as_ref().as_ref()) {
            if known.crl.check_rules().is_err() || known.crl.this_update() > self.now {
                continue;
            }
            let mut signer = None;
            for key in keys.into_iter().flatten().filter(|key| key.subject() == known.crl.issuer()) {
                if signer.is_none() && self.made(known, key)? {
                    signer = Some(key);
                }
            }
            let Some(signer) = signer else { continue };
            match self.status(known, other, issuer, signer) {
                Ok(Said::Listed(_)) => return Ok(false),
                Ok(Said::NotListed) => cleared = true,
                Ok(Said::NotListedFor(_)) | Err(_) => {}
            }
        }
        Ok(cleared)
    }

    fn strength(&self, crl: &Crl, signer: &Certificate) -> Option<AlgorithmUse> {
        match (crl.signature_algorithm(), signer.key()) {
            (CertificateSignature::Supported(algorithm), Ok(key)) => {
                Some(AlgorithmUse { algorithm: *algorithm, key: key.kind() })
            }
            _ => None,
        }
    }

    /// What one list says, which `signer` made: an entry, that there is none, or why it says nothing.
    fn status(
        &self,
        known: &KnownCrl,
        certificate: &Certificate,
        issuer: Issuer<'_>,
        signer: &Certificate,
    ) -> Result<Said, Nothing> {
        let crl = &known.crl;
        if let Some(strength) = self.strength(crl, signer)
            && let Some(ended) = ended(self.policy, &[strength], self.existence.as_of(&known.digest))
        {
            return Err(format!("nothing proves that the revocation list is from before: {ended}").into());
        }
        match crl.revocation_of(certificate) {
            RevocationStatus::NotCovered(error) => Err(error.to_string().into()),
            RevocationStatus::Revoked(entry) => Ok(Said::Listed(entry)),
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
            RevocationStatus::Good => Ok(Said::NotListed),
            RevocationStatus::GoodFor(reasons) => Ok(Said::NotListedFor(reasons)),
        }
    }

    fn good(&self, crl: &Crl) -> Standing {
        let fresh = match (self.trusted, crl.next_update()) {
            (_, None) => false,
            (Some(trusted), Some(next)) => crl.this_update() >= trusted - (next - crl.this_update()),
            (None, Some(next)) => self.now <= next,
        };
        let since = self.trusted.unwrap_or(self.now).min(self.path_ends);
        Standing::Good { fresh, known_not_revoked: crl.this_update() >= since, next_update: crl.next_update() }
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
