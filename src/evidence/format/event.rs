//! Events: the kinds of ledger entries, each with its members (`docs/FORMATS.md`).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::format::entry_members::{EntryError, Members};
use crate::evidence::format::predecessor::Predecessor;
use crate::tlog::EntryCount;

/// A record in the ledger: what `vcon.issued` and its relatives say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordEvent {
    /// Opaque id of the issuer.
    pub issuer: String,
    /// Counts the issuer's records, from 1, without a gap.
    pub seq: EntryCount,
    /// The record digest.
    pub record: Sha256Digest,
    /// Digest of the signing certificate; absent when a record was anchored under a bare key.
    pub signer: Option<Sha256Digest>,
    /// The digest of an earlier record that this one amends or renews.
    pub of: Option<Sha256Digest>,
}

/// The event of an entry: its kind, and the members of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum Event {
    /// Entry 0.
    LedgerOpened {
        /// The log's origin.
        origin: String,
        /// Its verifier keys.
        keys: Vec<String>,
        /// The log that this one goes on from.
        predecessor: Option<Predecessor>,
    },
    /// The last entry.
    LedgerClosed {
        /// Origin of the log that goes on.
        successor: String,
    },
    /// A record that was signed here.
    VconIssued(RecordEvent),
    /// A record that was signed elsewhere.
    VconAnchored(RecordEvent),
    /// A record signed anew; `of` names the one before.
    VconRenewed(RecordEvent),
    /// A signed statement, in the log of statements.
    StatementRegistered(RecordEvent),
    /// The body of a record was erased.
    VconErased {
        /// The record.
        of: Sha256Digest,
    },
    /// A lifecycle operation on a record.
    VconEvent {
        /// The record.
        of: Sha256Digest,
        /// The operation, a word of `a-z` and `-`.
        operation: String,
    },
    /// A certificate was issued.
    CertificateIssued {
        /// The issuer that holds it; absent for an authority's own.
        issuer: Option<String>,
        /// Its digest.
        certificate: Sha256Digest,
    },
    /// A certificate was revoked.
    CertificateRevoked {
        /// Its digest.
        certificate: Sha256Digest,
        /// Reason code of RFC 5280 §5.3.1.
        reason: u8,
        /// When its key was first not to be trusted.
        revoked_at: DateTime<Utc>,
    },
    /// A CRL was published.
    CrlPublished {
        /// Digest of the certificate of the authority that made it.
        authority: Sha256Digest,
        /// Digest of the CRL.
        crl: Sha256Digest,
        number: u64,
        /// Its thisUpdate.
        this_update: DateTime<Utc>,
    },
    /// A scorecard came into force.
    ScorecardActivated {
        /// Digest of its file.
        scorecard: Sha256Digest,
    },
    /// The trust policy of the ledger's own checks changed.
    TrustChanged {
        /// Digest of its file.
        policy: Sha256Digest,
    },
}

/// The record that an event brings in, borrowed as the event is.
macro_rules! record_of {
    ($event:expr) => {
        match $event {
            Event::VconIssued(record)
            | Event::VconAnchored(record)
            | Event::VconRenewed(record)
            | Event::StatementRegistered(record) => Some(record),
            _ => None,
        }
    };
}

impl Event {
    /// The kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LedgerOpened { .. } => "ledger.opened",
            Self::LedgerClosed { .. } => "ledger.closed",
            Self::VconIssued(_) => "vcon.issued",
            Self::VconAnchored(_) => "vcon.anchored",
            Self::VconRenewed(_) => "vcon.renewed",
            Self::StatementRegistered(_) => "statement.registered",
            Self::VconErased { .. } => "vcon.erased",
            Self::VconEvent { .. } => "vcon.event",
            Self::CertificateIssued { .. } => "certificate.issued",
            Self::CertificateRevoked { .. } => "certificate.revoked",
            Self::CrlPublished { .. } => "crl.published",
            Self::ScorecardActivated { .. } => "scorecard.activated",
            Self::TrustChanged { .. } => "trust.changed",
        }
    }

    /// The record that this event brings into the ledger.
    #[must_use]
    pub fn record(&self) -> Option<&RecordEvent> {
        record_of!(self)
    }

    /// The issuer of the record and its sequence number; `None` for an event that brings in no record.
    #[must_use]
    pub fn issuer_sequence(&self) -> Option<(&str, EntryCount)> {
        self.record().map(|record| (&*record.issuer, record.seq))
    }

    /// The earlier record that this event amends, renews, erases or operates on.
    #[must_use]
    pub fn subject(&self) -> Option<Sha256Digest> {
        match self {
            Self::VconErased { of } | Self::VconEvent { of, .. } => Some(*of),
            other => other.record().and_then(|record| record.of),
        }
    }

    /// Whether it is a lifecycle operation on a record.
    #[must_use]
    pub fn is_operation(&self) -> bool {
        matches!(self, Self::VconEvent { .. })
    }

    /// The record, to be given its sequence number.
    pub(super) fn record_mut(&mut self) -> Option<&mut RecordEvent> {
        record_of!(self)
    }

    pub(super) fn members(&self) -> Value {
        match self {
            Self::LedgerOpened { origin, keys, predecessor } => json!({
                "origin": origin, "keys": keys,
                "predecessor": predecessor,
            }),
            Self::LedgerClosed { successor } => json!({ "successor": successor }),
            Self::VconIssued(record)
            | Self::VconAnchored(record)
            | Self::VconRenewed(record)
            | Self::StatementRegistered(record) => {
                let mut members = json!({ "issuer": record.issuer, "seq": record.seq, "record": record.record });
                if let Some(signer) = record.signer {
                    members["signer"] = json!(signer);
                }
                if let Some(of) = record.of {
                    members["of"] = json!(of);
                }
                members
            }
            Self::VconErased { of } => json!({ "of": of }),
            Self::VconEvent { of, operation } => json!({ "of": of, "operation": operation }),
            Self::CertificateIssued { issuer, certificate } => match issuer {
                Some(issuer) => json!({ "issuer": issuer, "certificate": certificate }),
                None => json!({ "certificate": certificate }),
            },
            Self::CertificateRevoked { certificate, reason, revoked_at } => {
                json!({ "certificate": certificate, "reason": reason, "revoked_at": format_time(*revoked_at) })
            }
            Self::CrlPublished { authority, crl, number, this_update } => json!({
                "authority": authority, "crl": crl, "number": number, "this_update": format_time(*this_update),
            }),
            Self::ScorecardActivated { scorecard } => json!({ "scorecard": scorecard }),
            Self::TrustChanged { policy } => json!({ "policy": policy }),
        }
    }

    pub(super) fn parse(members: &Members<'_>) -> Result<Self, EntryError> {
        let record = || {
            Ok(RecordEvent {
                issuer: members.text("issuer")?,
                seq: EntryCount(members.number("seq")?),
                record: members.digest("record")?,
                signer: members.optional("signer", Members::digest)?,
                of: members.optional("of", Members::digest)?,
            })
        };
        Ok(match &*members.text("kind")? {
            "ledger.opened" => Self::LedgerOpened {
                origin: members.text("origin")?,
                keys: members.texts("keys")?,
                predecessor: members.predecessor()?,
            },
            "ledger.closed" => Self::LedgerClosed { successor: members.text("successor")? },
            "vcon.issued" => Self::VconIssued(record()?),
            "vcon.anchored" => Self::VconAnchored(record()?),
            "vcon.renewed" => Self::VconRenewed(record()?),
            "statement.registered" => Self::StatementRegistered(record()?),
            "vcon.erased" => Self::VconErased { of: members.digest("of")? },
            "vcon.event" => Self::VconEvent { of: members.digest("of")?, operation: members.text("operation")? },
            "certificate.issued" => Self::CertificateIssued {
                issuer: members.optional("issuer", Members::text)?,
                certificate: members.digest("certificate")?,
            },
            "certificate.revoked" => Self::CertificateRevoked {
                certificate: members.digest("certificate")?,
                reason: u8::try_from(members.number("reason")?).map_err(|_| EntryError::Member("reason"))?,
                revoked_at: members.time("revoked_at")?,
            },
            "crl.published" => Self::CrlPublished {
                authority: members.digest("authority")?,
                crl: members.digest("crl")?,
                number: members.number("number")?,
                this_update: members.time("this_update")?,
            },
            "scorecard.activated" => Self::ScorecardActivated { scorecard: members.digest("scorecard")? },
            "trust.changed" => Self::TrustChanged { policy: members.digest("policy")? },
            other => return Err(EntryError::Kind(other.chars().take(64).collect())),
        })
    }
}
