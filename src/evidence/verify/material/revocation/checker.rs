//! Revocation of a certificate by the lists and OCSP responses at hand, and their authorized signers (RFC 5280 §6.3.3,
//! RFC 6960 §4.2.2).

use std::cell::RefCell;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::crypto::sha256;
use crate::evidence::policy::{AlgorithmUse, TrustPolicy};
use crate::evidence::verify::material::cache::Cache;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::revocation::responses::{
    HeldOcspResponse, KnownOcspResponse, OcspAnswer, answer,
};
use crate::evidence::verify::material::revocation::statements::{
    Made, RevocationState, RevocationStatements, StatementTimes,
};
use crate::pki::{
    Budget, Certificate, CertificationPath, Crl, CrlRuleError, KeyUsage, Reasons, RevocationStatus, RevokedEntry,
};

/// A revocation list, and under whom its signature was checked before.
#[derive(Debug)]
pub(crate) struct KnownCrl {
    crl: Crl,
    digest: [u8; 32],
    // By the thumbprint of the issuer's certificate; `None` is not kept.
    signed_by: Cache<[u8; 32], Option<SignedBy>>,
}

/// Whether a key made a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignedBy {
    Key,
    /// The key did, and its certificate does not allow it: only what is listed counts.
    KeyNotForLists,
    Other,
}

impl KnownCrl {
    /// Parses a list; `None` when it is none, so that it says nothing of anybody.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        Some(Self { crl: Crl::from_der(der).ok()?, digest: sha256(der), signed_by: Cache::default() })
    }

    /// `None` when the budget does not pay for the check.
    fn signed_by(&self, issuer: &Certificate, budget: &RefCell<Budget>) -> Option<SignedBy> {
        let check = || {
            budget.borrow_mut().spend_signature().ok()?;
            Some(match self.crl.check_signature(issuer) {
                Ok(()) => SignedBy::Key,
                Err(CrlRuleError::CrlSign) => SignedBy::KeyNotForLists,
                Err(_) => SignedBy::Other,
            })
        };
        *self.signed_by.get_or_insert_if(*issuer.thumbprint(), 0, check, Option::is_some)
    }
}

/// Which certificates were signed with which keys, by the thumbprints of both: what was checked for one record is known for
/// the next. What the budget did not pay for is not kept.
pub(crate) type CheckedIssuers = Cache<[[u8; 32]; 2], Option<bool>>;

/// A list at hand.
#[derive(Debug)]
pub(crate) struct HeldCrl {
    pub(crate) known: Arc<Option<KnownCrl>>,
    /// Whether the relying party brought it.
    pub(crate) own: bool,
}

/// The statements of revocation at hand.
#[derive(Debug, Default)]
pub(crate) struct HeldRevocation {
    pub(crate) crls: Vec<HeldCrl>,
    pub(crate) ocsp_responses: Vec<HeldOcspResponse>,
}

/// The budget was spent: it is not known what a list says, and so not what the others say without it.
struct Spent;

/// The answer of one list about a certificate.
enum CrlAnswer {
    Listed(RevokedEntry),
    NotListed,
    /// Not listed, on a list for some reasons.
    NotListedForReasons(Reasons),
    /// It is for the certificate, and cannot be used.
    NotUnderstood(String),
    /// It does not speak of the certificate.
    Nothing(String),
}

/// The key that made a list.
#[derive(Clone, Copy)]
struct CrlSigner<'a> {
    certificate: &'a Certificate,
    /// Whether its certificate lets it sign lists.
    may_sign: bool,
}

/// The responder of an OCSP response: the authority itself, or one that it certified for this.
struct OcspResponder<'a> {
    certificate: &'a Certificate,
    /// Whether it is not revoked itself, or need not be asked for: else it only takes trust away.
    may_acquit: bool,
}

/// Checks certificates against the revocation lists and OCSP responses at hand.
pub(crate) struct RevocationChecker<'a> {
    pub(crate) held: &'a HeldRevocation,
    pub(crate) policy: &'a TrustPolicy,
    /// The trusted time of the signature, where there is one: a list from then or later does not run out.
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
    /// Which certificates signed which, as the verifier knows them.
    pub(crate) issuers_checked: &'a CheckedIssuers,
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
    /// The state of each certificate of a path but the anchor, the first one's first.
    pub(crate) fn states_along(&self, path: &CertificationPath) -> Vec<RevocationState> {
        let mut found = Vec::new();
        // From the anchor down: the word of an authority after its revocation may be anybody's.
        let mut untrusted_from: Option<DateTime<Utc>> = None;
        for (depth, pair) in path.certificates().windows(2).enumerate().rev() {
            let above = path.certificates().get(depth + 2).map(AsRef::as_ref);
            let state = self.state_of(&pair[0], IssuerInPath { certificate: &pair[1], above, untrusted_from });
            if let RevocationState::Revoked { entry, .. } = &state {
                untrusted_from = untrusted_from.into_iter().chain([entry.effective_at()]).min();
            }
            found.push(state);
        }
        found.reverse();
        found
    }

    /// The state of `certificate`, which `issuer` issued.
    pub(crate) fn state_of(&self, certificate: &Certificate, issuer: IssuerInPath<'_>) -> RevocationState {
        let mut statements = RevocationStatements::default();
        let mut spent = self.add_responses(certificate, issuer, &mut statements).is_err();
        spent |= self.add_lists(certificate, issuer, &mut statements, |known| self.signer(known, issuer)).is_err();
        let state = self.weigh(statements, spent).map(|state| match state {
            // Nobody speaks of it, and nobody has to. A revocation that is there all the same counts.
            RevocationState::Unknown(_) | RevocationState::Good { .. } if certificate.has_no_revocation() => {
                RevocationState::Good { fresh: true, known_not_revoked: true, next_update: None }
            }
            state => state,
        });
        state.unwrap_or_else(|Spent| {
            let reason =
                "finding out who made the revocation lists and OCSP responses took more signature checks than allowed";
            RevocationState::NotUnderstood(reason.into())
        })
    }

    /// The state by all statements. One that was not looked at may be a "no": the silence of the others proves nothing.
    fn weigh(&self, statements: RevocationStatements<'_>, spent: bool) -> Result<RevocationState, Spent> {
        let since = self.trusted.unwrap_or(self.now).min(self.path_ends);
        match statements.state(StatementTimes { now: self.now, since }) {
            RevocationState::Good { .. } | RevocationState::Unknown(_) if spent => Err(Spent),
            state => Ok(state),
        }
    }

    /// The latest time of a statement that was made by now.
    fn latest(&self) -> DateTime<Utc> {
        self.now + self.policy.clock_skew_max.max(TimeDelta::zero())
    }

    /// Adds what the OCSP responses say of `certificate`.
    fn add_responses<'s>(
        &'s self,
        certificate: &Certificate,
        issuer: IssuerInPath<'_>,
        statements: &mut RevocationStatements<'s>,
    ) -> Result<(), Spent> {
        let mut outcome = Ok(());
        for held in &self.held.ocsp_responses {
            let Some(known) = held.known.as_ref().as_ref() else { continue };
            let mut of_certificate = known.statuses_of(certificate, issuer.certificate).peekable();
            if of_certificate.peek().is_none() {
                continue;
            }
            let responder = match self.responder(known, issuer) {
                Ok(Some(responder)) => responder,
                Ok(None) => {
                    statements.add_reason("OCSP response signature is not by the issuer or its delegate".into());
                    continue;
                }
                Err(Spent) => {
                    outcome = Err(Spent);
                    continue;
                }
            };
            let expired = AlgorithmUse::of_ocsp_response(&known.response, responder.certificate).and_then(|used| {
                let expired = self.policy.expired_algorithm(&[used], self.poe.validation_time(&known.digest))?;
                Some(format!("nothing proves that the OCSP response is from before: {expired}"))
            });
            for status in of_certificate {
                let (at, next_update) = (status.this_update, status.next_update);
                let made = Made { at, next_update, crl: None, own: held.own };
                let is_late = at > self.latest();
                match answer(status, certificate, expired.clone(), issuer.untrusted_from) {
                    OcspAnswer::Revoked(entry) if !is_late || entry.effective_at() <= self.latest() => {
                        let is_trusted = issuer.untrusted_from.is_none_or(|from| at < from);
                        let is_usable = !is_late && responder.may_acquit && status.unusable.is_none() && is_trusted;
                        statements.add_listed(made, entry, is_usable);
                        if let Some(unusable) = &status.unusable {
                            statements.add_not_understood(made, unusable.to_string());
                        }
                    }
                    _ if is_late => statements.add_reason("the OCSP response was made after the verification".into()),
                    OcspAnswer::Revoked(_) => {}
                    OcspAnswer::Good if responder.may_acquit => statements.add_not_listed(made),
                    OcspAnswer::Good => {
                        statements.add_reason("whether the OCSP responder was revoked is not known".into());
                    }
                    OcspAnswer::NotUnderstood(why) => statements.add_not_understood(made, why),
                    OcspAnswer::Nothing(why) => statements.add_reason(why),
                }
            }
        }
        outcome
    }

    /// Who made a response: the issuer's key in the path, or one that it certified for OCSP (RFC 6960 §4.2.2.2).
    fn responder<'s>(
        &'s self,
        known: &'s KnownOcspResponse,
        issuer: IssuerInPath<'s>,
    ) -> Result<Option<OcspResponder<'s>>, Spent> {
        if known.is_signed_by(issuer.certificate, self.budget).ok_or(Spent)? {
            return Ok(Some(OcspResponder { certificate: issuer.certificate, may_acquit: true }));
        }
        for delegate in known.response.certificates().iter().chain(self.offered).map(AsRef::as_ref) {
            if !known.may_be_delegate(delegate, issuer.certificate)
                || !self.is_issued_by(delegate, issuer.certificate)?
            {
                continue;
            }
            let of_key = self.policy.expired_algorithm(
                AlgorithmUse::of_certificate(delegate, issuer.certificate).as_slice(),
                self.poe.validation_time(delegate.thumbprint()),
            );
            if of_key.is_some() || !known.is_signed_by(delegate, self.budget).ok_or(Spent)? {
                continue;
            }
            let is_excused = delegate.is_unchecked_responder() || delegate.has_no_revocation();
            let may_acquit = is_excused || self.is_not_revoked(delegate, issuer.certificate, issuer)?;
            return Ok(Some(OcspResponder { certificate: delegate, may_acquit }));
        }
        Ok(None)
    }

    /// Adds what the lists whose signer `signer` finds say of `certificate`.
    fn add_lists<'s>(
        &'s self,
        certificate: &Certificate,
        issuer: IssuerInPath<'_>,
        statements: &mut RevocationStatements<'s>,
        signer: impl Fn(&KnownCrl) -> Result<Option<CrlSigner<'s>>, Spent>,
    ) -> Result<(), Spent> {
        let latest = self.latest();
        let mut outcome = Ok(());
        for held in &self.held.crls {
            let Some(known) = held.known.as_ref().as_ref() else { continue };
            if known.crl.issuer() != certificate.issuer() {
                continue;
            }
            let signer = match signer(known) {
                Ok(Some(signer)) => signer,
                Ok(None) => {
                    statements.add_reason("CRL signature is not by the issuer or its delegate".into());
                    continue;
                }
                Err(Spent) => {
                    outcome = Err(Spent);
                    continue;
                }
            };
            let (at, next_update) = (known.crl.this_update(), known.crl.next_update());
            let made = Made { at, next_update, crl: Some(&known.crl), own: held.own };
            let is_late = known.crl.this_update() > latest;
            match self.answer(known, certificate, issuer, signer) {
                CrlAnswer::Listed(entry) if !is_late || entry.effective_at() <= latest => {
                    let silence = known.crl.silence_about(certificate);
                    let is_trusted = issuer.untrusted_from.is_none_or(|from| at < from);
                    let is_usable = !is_late && signer.may_sign && is_trusted && silence == RevocationStatus::Good;
                    statements.add_listed(made, entry, is_usable);
                    if let RevocationStatus::Unusable(error) = silence {
                        statements.add_not_understood(made, error.to_string());
                    }
                }
                _ if is_late => {
                    statements.add_reason("the revocation list was made after the verification".into());
                }
                CrlAnswer::Listed(_) => {}
                CrlAnswer::NotListed => statements.add_not_listed(made),
                CrlAnswer::NotListedForReasons(reasons) => statements.add_not_listed_for(made, reasons),
                CrlAnswer::NotUnderstood(why) => statements.add_not_understood(made, why),
                CrlAnswer::Nothing(why) => statements.add_reason(why),
            }
        }
        outcome
    }

    /// The key that made a list: the issuer's in the path, or another key of the same authority that speaks for it.
    ///
    /// Another key speaks for the issuer's where it is above it in the path, where the issuer's own key certified it, or
    /// where the one above certified it for lists alone: a key that issues certificates has lists of its own. And a list
    /// made without it has to say that it is not revoked (RFC 5280 §6.3.3 (f)).
    fn signer<'s>(&'s self, known: &KnownCrl, issuer: IssuerInPath<'s>) -> Result<Option<CrlSigner<'s>>, Spent> {
        let above_of_name = issuer.above.filter(|above| above.subject() == issuer.certificate.subject());
        for certificate in std::iter::once(issuer.certificate).chain(above_of_name) {
            match known.signed_by(certificate, self.budget).ok_or(Spent)? {
                SignedBy::Other => {}
                signed => return Ok(Some(CrlSigner { certificate, may_sign: signed == SignedBy::Key })),
            }
        }
        let made = known.crl.this_update();
        let others = self.offered.iter().map(AsRef::as_ref).filter(|other| {
            other.subject() == issuer.certificate.subject()
                && other.key_usage().is_some_and(|usage| usage.contains(KeyUsage::CrlSign))
                && other.unknown_critical_extensions().is_empty()
                && other.check_validity_at(made).is_ok()
        });
        for other in others {
            let signs_certificates = other.key_usage().is_some_and(|usage| usage.contains(KeyUsage::KeyCertSign));
            let mut above = None;
            for certificate in [issuer.above.filter(|_| !signs_certificates), Some(issuer.certificate)] {
                if let Some(certificate) = certificate.filter(|_| above.is_none())
                    && self.is_issued_by(other, certificate)?
                {
                    above = Some(certificate);
                }
            }
            let Some(above) = above else { continue };
            let of_key = self.policy.expired_algorithm(
                AlgorithmUse::of_certificate(other, above).as_slice(),
                self.poe.validation_time(other.thumbprint()),
            );
            // The list last: it may be long, and strangers' certificates are many.
            if of_key.is_none()
                && known.signed_by(other, self.budget).ok_or(Spent)? == SignedBy::Key
                && self.is_not_revoked(other, above, issuer)?
            {
                return Ok(Some(CrlSigner { certificate: other, may_sign: true }));
            }
        }
        Ok(None)
    }

    /// Whether `above` signed the certificate of another key.
    fn is_issued_by(&self, other: &Certificate, above: &Certificate) -> Result<bool, Spent> {
        let Some(key) = above.key().ok().filter(|_| other.issuer() == above.subject()) else { return Ok(false) };
        let pair = [*above.thumbprint(), *other.thumbprint()];
        let check = || {
            self.budget.borrow_mut().spend_signature().ok()?;
            Some(other.check_signature(key).is_ok())
        };
        self.issuers_checked.get_or_insert_if(pair, 0, check, Option::is_some).ok_or(Spent)
    }

    /// Whether a list by the key above, or by its own where the authority vouches for its own next key, says freshly that a
    /// signer of lists or OCSP responses is not revoked, and none that it is.
    fn is_not_revoked(
        &self,
        other: &Certificate,
        above: &Certificate,
        issuer: IssuerInPath<'_>,
    ) -> Result<bool, Spent> {
        let keys = [Some(above), other.is_self_issued().then_some(other)];
        let signer = |known: &KnownCrl| {
            for key in keys.into_iter().flatten().filter(|key| key.subject() == known.crl.issuer()) {
                if known.signed_by(key, self.budget).ok_or(Spent)? == SignedBy::Key {
                    return Ok(Some(CrlSigner { certificate: key, may_sign: true }));
                }
            }
            Ok(None)
        };
        let mut statements = RevocationStatements::default();
        self.add_lists(other, issuer, &mut statements, signer)?;
        let state = self.weigh(statements, false)?;
        Ok(matches!(state, RevocationState::Good { fresh: true, .. }))
    }

    /// The answer of one list that `signer` made.
    fn answer(
        &self,
        known: &KnownCrl,
        certificate: &Certificate,
        issuer: IssuerInPath<'_>,
        signer: CrlSigner<'_>,
    ) -> CrlAnswer {
        let crl = &known.crl;
        let expired = AlgorithmUse::of_crl(crl, signer.certificate).and_then(|used| {
            let expired = self.policy.expired_algorithm(&[used], self.poe.validation_time(&known.digest))?;
            Some(format!("nothing proves that the revocation list is from before: {expired}"))
        });
        let silent = match (crl.revocation_of(certificate), expired) {
            (RevocationStatus::NotCovered(error), _) => return CrlAnswer::Nothing(error.to_string()),
            // Whoever can make such a list can accuse, and could as well say nothing: it only takes trust away.
            (RevocationStatus::Revoked(_), Some(expired)) => return CrlAnswer::NotUnderstood(expired),
            (RevocationStatus::Revoked(entry), None) => return CrlAnswer::Listed(entry),
            (RevocationStatus::Unusable(error), _) => return CrlAnswer::NotUnderstood(error.to_string()),
            (RevocationStatus::Good | RevocationStatus::GoodFor(_), Some(expired)) => {
                return CrlAnswer::Nothing(expired);
            }
            (RevocationStatus::Good, None) => CrlAnswer::NotListed,
            (RevocationStatus::GoodFor(reasons), None) => CrlAnswer::NotListedForReasons(reasons),
        };
        if !signer.may_sign {
            return CrlAnswer::Nothing(CrlRuleError::CrlSign.to_string());
        }
        if issuer.untrusted_from.is_some_and(|from| crl.this_update() >= from) {
            return CrlAnswer::Nothing("the revocation list was made after its authority was revoked".into());
        }
        // A list made after the certificate ended speaks of it only if expired ones stay on it.
        let ended = certificate.not_after();
        if crl.this_update() > ended && crl.expired_certs_since().is_none_or(|since| since > ended) {
            let reason = "the revocation list was made after the certificate ended, and expired ones do not stay on it";
            return CrlAnswer::Nothing(reason.into());
        }
        silent
    }
}
