//! API tokens, and what they may do.

use std::fmt;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::authority::IssuerId;
use crate::crypto::{Sha256Digest, random};
use crate::path_error::PathError;

/// The role of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Issue and read one issuer's records.
    Issuer,
    /// Read everything, change nothing.
    Auditor,
    /// Everything.
    Admin,
}

impl std::str::FromStr for Role {
    type Err = ApiTokenError;

    fn from_str(text: &str) -> Result<Self, ApiTokenError> {
        match text {
            "issuer" => Ok(Self::Issuer),
            "auditor" => Ok(Self::Auditor),
            "admin" => Ok(Self::Admin),
            _ => Err(ApiTokenError::UnknownRole),
        }
    }
}

/// The public name of a token: `tok_` and 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^tok_[0-9a-f]{16}$")]
pub struct TokenId(String);

impl TokenId {
    pub(super) fn random() -> Self {
        let digits: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("tok_{digits}"))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A token as it is listed, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Its public name.
    pub id: TokenId,
    /// Its role.
    pub role: Role,
    /// The issuer that it is bound to, when its role is `issuer`.
    #[schema(required)]
    pub issuer: Option<IssuerId>,
    /// Whether records may be anchored that others signed.
    pub may_anchor_foreign: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it does not count any more.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it is revoked.
    #[schema(required)]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A request for a new token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Its role.
    pub role: Role,
    /// The issuer that it is bound to; needed by [`Role::Issuer`] and by no other.
    pub issuer: Option<IssuerId>,
    /// Whether records may be anchored that others signed.
    pub may_anchor_foreign: bool,
    /// From when on it does not count any more.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token that was just made: the only moment when its secret is known.
pub struct NewToken {
    /// The token as it is listed.
    pub token: ApiToken,
    /// The secret, which its holder sends.
    pub secret: Zeroizing<String>,
}

/// Why a token does not count, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ApiTokenError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PathError),
    /// Another process has the tokens open, and would not see a change.
    #[error("another process has the tokens in {0} open")]
    Locked(PathBuf),
    /// The rows were not made from the file of an earlier release that is beside them.
    #[error("both {rows} and {json} are there, and the second is not what the first was made from: move it away")]
    TwoStores {
        /// The file of rows.
        rows: PathBuf,
        /// The file of an earlier release.
        json: PathBuf,
    },
    /// Nobody has this token.
    #[error("unknown token")]
    Unknown,
    /// The token's time is over.
    #[error("the token expired at {0}")]
    Expired(DateTime<Utc>),
    /// The token is revoked.
    #[error("the token is revoked since {0}")]
    Revoked(DateTime<Utc>),
    /// A token for an issuer names one, and no other does.
    #[error("a token of role issuer names its issuer, and no other role does")]
    Binding,
    /// No role is called so.
    #[error("a role is issuer, auditor or admin")]
    UnknownRole,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredToken {
    #[serde(flatten)]
    pub(super) token: ApiToken,
    /// The digest of its secret.
    pub(super) secret: Sha256Digest,
}
