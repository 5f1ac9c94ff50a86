//! Lifecycle operations of a vCon (draft-howe-vcon-lifecycle, vCon Lifecycle Events).
//!
//! The draft keeps these operations out of the vCon, in a ledger; there they are what a `vcon.event` entry names.

/// An operation on a vCon.
///
/// ```
/// use affiant::vcon::LifecycleOperation;
///
/// let operation = LifecycleOperation::of_name("vcon_consent_revoked").unwrap();
/// assert_eq!(operation.word(), "consent-revoked");
/// assert_eq!(LifecycleOperation::of_word("consent-revoked"), Some(operation));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifecycleOperation {
    /// Recorded for the first time.
    Created,
    /// Amended.
    Enhanced,
    /// Sent to somebody else.
    Sent,
    /// Received from somebody else.
    Received,
    /// A party consents.
    ConsentAccepted,
    /// A party takes consent back.
    ConsentRevoked,
    /// A party was redacted.
    PartyRedacted,
    /// Deleted.
    Deleted,
    /// Its term is over.
    Expired,
    /// A recipient deleted it.
    ReceiverPurged,
}

impl LifecycleOperation {
    /// All of them, in the draft's order.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Enhanced,
        Self::Sent,
        Self::Received,
        Self::ConsentAccepted,
        Self::ConsentRevoked,
        Self::PartyRedacted,
        Self::Deleted,
        Self::Expired,
        Self::ReceiverPurged,
    ];

    /// As the draft writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "vcon_created",
            Self::Enhanced => "vcon_enhanced",
            Self::Sent => "vcon_sent",
            Self::Received => "vcon_received",
            Self::ConsentAccepted => "vcon_consent_accepted",
            Self::ConsentRevoked => "vcon_consent_revoked",
            Self::PartyRedacted => "vcon_party_redacted",
            Self::Deleted => "vcon_deleted",
            Self::Expired => "vcon_expired",
            Self::ReceiverPurged => "vcon_rcvr_purged",
        }
    }

    /// As an entry of the ledger names it, in a word of `a-z` and `-`: without `vcon_`.
    #[must_use]
    pub fn word(self) -> String {
        self.name().trim_start_matches("vcon_").replace('_', "-")
    }

    /// Reads the draft's name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Reads the word of an entry.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_read_by_its_name_and_by_its_word() {
        for operation in LifecycleOperation::ALL {
            assert_eq!(LifecycleOperation::of_name(operation.name()), Some(operation));
            assert_eq!(LifecycleOperation::of_word(&operation.word()), Some(operation));
            assert!(operation.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
        assert_eq!(LifecycleOperation::ReceiverPurged.word(), "rcvr-purged");
        assert_eq!(LifecycleOperation::of_name("vcon_lost"), None);
        assert_eq!(LifecycleOperation::of_word("vcon_sent"), None);
    }
}
