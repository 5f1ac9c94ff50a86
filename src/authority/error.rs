//! Errors of the authority.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::issuer::IssuerId;
use super::key_store::KeyStoreError;
use super::profile::ProfileError;
use crate::path_error::PathError;

/// An error of the authority.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] PathError),
    /// There is an authority in the directory already.
    #[error("{0} already has an authority")]
    Exists(PathBuf),
    /// There is no authority in the directory.
    #[error("{0} has no authority")]
    Missing(PathBuf),
    /// Another process has the directory open.
    #[error("another process has the authority in {0} open")]
    Locked(PathBuf),
    /// The root's key would be on the server.
    #[error("the root's key must be kept outside of {0}")]
    RootKeyInside(PathBuf),
    /// The state was written by another version.
    #[error("state file has version {seen}; this program reads version {known}")]
    StateVersion {
        seen: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The rows were not made from the file of an earlier release that is beside them.
    #[error(
        "both {rows} and {json} are there, and the second is not what the first was made from: one is older, or of \
         another authority; move that one away"
    )]
    TwoStates {
        rows: PathBuf,
        /// The file of an earlier release.
        json: PathBuf,
    },
    /// The list would be larger than what is read of one.
    #[error(
        "the revocation list of {authority} would have {bytes} bytes, more than {bytes_max}: make the next authority"
    )]
    CrlTooLarge { authority: String, bytes: usize, bytes_max: u64 },
    /// A key could not be made or opened.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// A profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A name cannot stand in a certificate.
    #[error("a name is 1 to 64 characters, without control characters or outer white space")]
    Name,
    /// The base address of lists and certificates is not one.
    #[error("a base address begins with http:// or https:// and has no white space")]
    BaseUrl,
    /// Nobody has this identifier.
    #[error("unknown issuer {0}")]
    UnknownIssuer(IssuerId),
    /// The issuer was added and never given a certificate.
    #[error("issuer {0} has no certificate yet")]
    NoCertificate(IssuerId),
    /// The certificate's key does not sign any more, or not yet.
    #[error("the certificate of issuer {issuer} signs from {from} until {until}; now is {now}")]
    NotActive { issuer: IssuerId, from: DateTime<Utc>, until: DateTime<Utc>, now: DateTime<Utc> },
    /// The issuer's certificate is revoked.
    #[error("the certificate of issuer {issuer} is revoked since {since}")]
    Revoked { issuer: IssuerId, since: DateTime<Utc> },
    /// No certificate of ours has this serial number or thumbprint.
    #[error("unknown certificate {0}")]
    UnknownCertificate(String),
    /// No list of ours is called so.
    #[error("unknown revocation list {0}")]
    UnknownCrl(String),
    /// A revoked certificate stays as it is.
    #[error("certificate {certificate} is already revoked, since {since}")]
    RevokedAlready { certificate: String, since: DateTime<Utc> },
    /// A revocation that is dated in the future, or before the certificate was.
    #[error("revocation date {date} is not between the certificate's start and now")]
    RevocationDate { date: DateTime<Utc> },
    /// A reason that no full list can say.
    #[error("revocation reason {0} is not for a full revocation list")]
    RevocationReason(&'static str),
    /// Certificates that the root issued are revoked with its key, which is not here.
    #[error("certificate {0} was issued by the root: its revocation needs the root's key")]
    RootKeyNeeded(String),
    /// A key file is not the one of the root.
    #[error("the key is not the root's")]
    NotRootKey,
    /// The issuing authority ends before the new key would have stopped signing.
    #[error(
        "the issuing authority expires at {not_after}, before the new key would at {needed}: make the next authority"
    )]
    AuthorityEnds {
        /// The authority's end.
        not_after: DateTime<Utc>,
        /// The end of the new key's active period.
        needed: DateTime<Utc>,
    },
    /// No authority is there that could issue.
    #[error("no issuing authority is valid")]
    NoAuthority,
    /// A certificate request is refused.
    #[error("the certificate request is refused: {what}")]
    Request { what: String },
    /// The issuer brought its own key, which is not here.
    #[error("the key of issuer {0} is its own and not on this server")]
    KeyElsewhere(IssuerId),
    /// The new certificate does not match its profile; it was discarded.
    #[error("the certificate does not match its profile: {what}")]
    Lint { what: String },
    /// Something could not be encoded or signed.
    #[error("the certificate or list could not be encoded or signed")]
    Encoding,
}
