//! The answer of a revocation list about a certificate, and why it may give none.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use x509_cert::ext::pkix::crl::CrlReason;

/// Why a list says nothing of a certificate, or may not be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlRuleError {
    /// Another issuer's list.
    #[error("the list is by {list}, the certificate's issuer is {certificate}")]
    IssuerDiffers {
        /// The issuer of the list.
        list: String,
        /// The issuer of the certificate.
        certificate: String,
    },
    /// The issuer's key usage lacks cRLSign (RFC 5280 §6.3.3 (f)).
    #[error("the issuer's key usage does not allow signing revocation lists")]
    CrlSign,
    /// The issuer's key cannot be used.
    #[error("the issuer's key cannot be used: {0}")]
    UnusableKey(String),
    /// The signature does not verify, or is of an untrusted algorithm.
    #[error("the list's signature: {0}")]
    Signature(String),
    /// A critical extension, of the list or of an entry, is not understood (RFC 5280 §5.2).
    #[error("critical extension {0} of the list is unknown")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// An extension, of the list or of an entry, is malformed or there twice: the list was not read whole.
    #[error("extension {0} of the list cannot be read")]
    UnreadableExtension(ObjectIdentifier),
    /// Entries or extensions are not of their structure, or more than are read.
    #[error("entries or extensions of the list cannot be read")]
    Unreadable,
    /// The list has no number (RFC 5280 §5.2.3).
    #[error("the list has no number")]
    NumberMissing,
    /// The list's number is marked critical (RFC 5280 §5.2.3).
    #[error("the list's number is marked critical")]
    NumberCritical,
    /// Only changes since another list.
    #[error("the list is a delta list")]
    Delta,
    /// Lists certificates of other issuers.
    #[error("the list is an indirect list")]
    Indirect,
    /// Covers certificates of another kind, or of another distribution point.
    #[error("the certificate is outside of the list's scope")]
    OutOfScope,
}

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// No reason given.
    Unspecified,
    /// The subject's key is in other hands.
    KeyCompromise,
    /// The authority's key is in other hands.
    CaCompromise,
    /// The subject's name or affiliation changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// It is suspended.
    CertificateHold,
    /// It is not suspended any more; only in delta lists.
    RemoveFromCrl,
    /// A privilege in it was withdrawn.
    PrivilegeWithdrawn,
    /// The attribute authority's key is in other hands.
    AaCompromise,
}

impl RevocationReason {
    /// The reason's name in RFC 5280.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// The reason's number in RFC 5280.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::RemoveFromCrl => 8,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// Gives the reason of this name in RFC 5280.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::RemoveFromCrl,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    pub(in crate::pki) fn new(raw: CrlReason) -> Self {
        match raw {
            CrlReason::Unspecified => Self::Unspecified,
            CrlReason::KeyCompromise => Self::KeyCompromise,
            CrlReason::CaCompromise => Self::CaCompromise,
            CrlReason::AffiliationChanged => Self::AffiliationChanged,
            CrlReason::Superseded => Self::Superseded,
            CrlReason::CessationOfOperation => Self::CessationOfOperation,
            CrlReason::CertificateHold => Self::CertificateHold,
            CrlReason::RemoveFromCRL => Self::RemoveFromCrl,
            CrlReason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            CrlReason::AaCompromise => Self::AaCompromise,
        }
    }
}

/// Reasons that a list covers (RFC 5280 §4.2.1.13, ReasonFlags).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reasons(u16);

impl Reasons {
    /// keyCompromise (1) to aACompromise (8).
    const ALL: u16 = 0x1fe;

    pub(super) fn new(bits: u16) -> Self {
        Self(bits & Self::ALL)
    }

    /// The reasons of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is no reason that is not among them.
    #[must_use]
    pub fn are_all(self) -> bool {
        self.0 == Self::ALL
    }
}

/// One revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedEntry {
    /// When the authority revoked it.
    pub revoked_at: DateTime<Utc>,
    /// When its key was first not to be trusted, where the authority says so.
    pub invalidity_date: Option<DateTime<Utc>>,
    /// Why; unspecified where it is left out.
    pub reason: RevocationReason,
}

impl RevokedEntry {
    /// Whether the key is in other hands.
    #[must_use]
    pub fn is_compromise(&self) -> bool {
        matches!(
            self.reason,
            RevocationReason::KeyCompromise | RevocationReason::CaCompromise | RevocationReason::AaCompromise
        )
    }

    /// Whether the reason says that the key stayed where it was: what it made before holds (RFC 3161 §4 (1)).
    #[must_use]
    pub fn key_was_kept(&self) -> bool {
        matches!(
            self.reason,
            RevocationReason::AffiliationChanged
                | RevocationReason::Superseded
                | RevocationReason::CessationOfOperation
        )
    }

    /// From when on the certificate is not to be trusted: the earlier of the two dates (RFC 5280 §5.3.2).
    #[must_use]
    pub fn effective_at(&self) -> DateTime<Utc> {
        self.invalidity_date.map_or(self.revoked_at, |date| date.min(self.revoked_at))
    }

    /// Both entries in one that is no better than either: a suspension beside a revocation is a revocation, the earlier
    /// date counts, and a compromise is one whatever the other says.
    #[must_use]
    pub fn worse_of(self, other: Self) -> Self {
        let is_hold = |entry: &Self| entry.reason == RevocationReason::CertificateHold;
        let at = self.effective_at().min(other.effective_at());
        match (is_hold(&self), is_hold(&other)) {
            (true, false) => return Self { revoked_at: at, invalidity_date: None, reason: other.reason },
            (false, true) => return Self { revoked_at: at, invalidity_date: None, reason: self.reason },
            _ => {}
        }
        let rank = |entry: &Self| (entry.is_compromise(), !entry.key_was_kept(), entry.reason.name());
        let reason = if rank(&self) >= rank(&other) { self.reason } else { other.reason };
        Self { revoked_at: at, invalidity_date: None, reason }
    }
}

/// The answer of a list about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// In the list's scope, and not on it.
    Good,
    /// The same of a list that is for some reasons only.
    GoodFor(Reasons),
    /// On the list.
    Revoked(RevokedEntry),
    /// The list does not speak of the certificate.
    NotCovered(CrlRuleError),
    /// The list is for the certificate and was not understood whole: what it does not seem to say proves nothing, and
    /// neither does an older list.
    Unusable(CrlRuleError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;

    #[test]
    fn the_earlier_date_counts_whatever_the_reason() {
        let (early, late) = (parse_time("2026-01-01T00:00:00Z").unwrap(), parse_time("2026-02-01T00:00:00Z").unwrap());
        let entry = |reason, invalidity_date| RevokedEntry { revoked_at: late, invalidity_date, reason };
        assert_eq!(entry(RevocationReason::KeyCompromise, Some(early)).effective_at(), early);
        assert_eq!(entry(RevocationReason::KeyCompromise, None).effective_at(), late);
        assert_eq!(entry(RevocationReason::Superseded, Some(early)).effective_at(), early);
        assert_eq!(entry(RevocationReason::Superseded, None).effective_at(), late);
    }

    #[test]
    fn two_entries_are_no_better_than_either() {
        let (early, late) = (parse_time("2026-01-01T00:00:00Z").unwrap(), parse_time("2026-02-01T00:00:00Z").unwrap());
        let entry = |reason, revoked_at| RevokedEntry { revoked_at, invalidity_date: None, reason };
        let (hold, gone) = (RevocationReason::CertificateHold, RevocationReason::Superseded);
        let both = |one: RevokedEntry, other: RevokedEntry| {
            assert_eq!(one.clone().worse_of(other.clone()), other.clone().worse_of(one.clone()));
            one.worse_of(other)
        };
        assert_eq!(both(entry(hold, early), entry(gone, late)), entry(gone, early));
        assert_eq!(both(entry(gone, early), entry(gone, late)), entry(gone, early));
        // No reason is worse than one with which the key stayed where it was.
        let none = RevocationReason::Unspecified;
        assert_eq!(both(entry(gone, early), entry(none, late)), entry(none, early));
        let lost = RevocationReason::KeyCompromise;
        assert_eq!(both(entry(gone, early), entry(lost, late)), entry(lost, early));
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(RevocationReason::from_name("keycompromise"), None);
    }
}
