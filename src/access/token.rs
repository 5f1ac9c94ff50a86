//! API tokens: shown once, kept as hashes, compared in constant time.
//!
//! A token is `aff_` and 32 random bytes in base64url. Its hash needs no salt and no slow function: nobody can guess 256
//! random bits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::atomic_file::{self, Access};
use crate::authority::IssuerId;
use crate::crypto::{equal_in_constant_time, random, sha256};
use crate::path_error::PathError;
use crate::vfs::FileLock;

/// Largest token file that is read: some 40,000 tokens.
const TOKENS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest text that is hashed as a token: a token has 47 characters.
const SECRET_BYTES_MAX: usize = 128;

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

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    token: ApiToken,
    /// SHA-256 of the secret, in base64url.
    secret_sha256: String,
}

/// The tokens of one server, in one file.
pub struct TokenStore {
    path: PathBuf,
    // Invariant: what is in memory is on the disk.
    tokens: Mutex<Vec<Stored>>,
    _lock: FileLock,
}

impl TokenStore {
    /// Opens the tokens in `directory`; where there is no file, there are none.
    ///
    /// # Errors
    /// When the file cannot be read, or another process has it open.
    pub fn open(directory: &Path) -> Result<Self, ApiTokenError> {
        let lock_path = directory.join("tokens.lock");
        let lock = FileLock::take(&lock_path).map_err(PathError::at(&lock_path))?;
        let lock = lock.ok_or_else(|| ApiTokenError::Locked(directory.to_owned()))?;
        let path = directory.join("tokens.json");
        let tokens = match atomic_file::read(&path, TOKENS_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| PathError::at(&path)(error.into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(ApiTokenError::File(PathError { path, cause })),
        };
        Ok(Self { path, tokens: Mutex::new(tokens), _lock: lock })
    }

    /// Makes a token and gives its secret, which is kept nowhere.
    ///
    /// # Errors
    /// When role and issuer do not fit, or the file cannot be written.
    pub fn create(&self, request: TokenRequest, now: DateTime<Utc>) -> Result<NewToken, ApiTokenError> {
        if (request.role == Role::Issuer) != request.issuer.is_some() {
            return Err(ApiTokenError::Binding);
        }
        let secret = Zeroizing::new(format!("aff_{}", URL_SAFE_NO_PAD.encode(random::<32>())));
        let digits: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let token = ApiToken {
            id: TokenId(format!("tok_{digits}")),
            role: request.role,
            issuer: request.issuer,
            may_anchor_foreign: request.may_anchor_foreign,
            created_at: now,
            expires_at: request.expires_at,
            revoked_at: None,
        };
        let stored = Stored { token: token.clone(), secret_sha256: hash(&secret) };
        self.change(|tokens| {
            tokens.push(stored);
            Ok(())
        })?;
        Ok(NewToken { token, secret })
    }

    /// Finds the token of a secret. All are compared, whichever it is.
    ///
    /// # Errors
    /// When nobody has it, or it is expired or revoked.
    pub fn authenticate(&self, secret: &str, now: DateTime<Utc>) -> Result<ApiToken, ApiTokenError> {
        if secret.len() > SECRET_BYTES_MAX {
            return Err(ApiTokenError::Unknown);
        }
        let wanted = hash(secret);
        let tokens = self.tokens.lock().expect("no holder of this lock panics");
        let mut found = None;
        for stored in tokens.iter() {
            if equal_in_constant_time(stored.secret_sha256.as_bytes(), wanted.as_bytes()) {
                found = Some(&stored.token);
            }
        }
        let token = found.ok_or(ApiTokenError::Unknown)?;
        match (token.revoked_at, token.expires_at) {
            (Some(since), _) => Err(ApiTokenError::Revoked(since)),
            (None, Some(until)) if now >= until => Err(ApiTokenError::Expired(until)),
            _ => Ok(token.clone()),
        }
    }

    /// Revokes a token, for good; one that is revoked already keeps its date.
    ///
    /// # Errors
    /// When no token has this name, or the file cannot be written.
    pub fn revoke(&self, id: &str, now: DateTime<Utc>) -> Result<(), ApiTokenError> {
        self.change(|tokens| {
            let stored = tokens.iter_mut().find(|stored| stored.token.id.0 == id).ok_or(ApiTokenError::Unknown)?;
            stored.token.revoked_at.get_or_insert(now);
            Ok(())
        })
    }

    /// Every token, without its secret.
    #[must_use]
    pub fn list(&self) -> Vec<ApiToken> {
        self.tokens.lock().expect("no holder of this lock panics").iter().map(|stored| stored.token.clone()).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Stored>) -> Result<(), ApiTokenError>) -> Result<(), ApiTokenError> {
        let mut tokens = self.tokens.lock().expect("no holder of this lock panics");
        let mut next = tokens.clone();
        change(&mut next)?;
        let bytes = serde_json::to_vec_pretty(&next).expect("tokens are plain JSON");
        atomic_file::write(&self.path, &bytes, Access::Secret).map_err(PathError::at(&self.path))?;
        *tokens = next;
        Ok(())
    }
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;

    fn request(role: Role, issuer: Option<IssuerId>) -> TokenRequest {
        let expires_at = Some(parse_time("2027-01-01T00:00:00Z").unwrap());
        TokenRequest { role, issuer, may_anchor_foreign: false, expires_at }
    }

    #[test]
    fn a_token_counts_until_it_expires_or_is_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let now = parse_time("2026-07-01T00:00:00Z").unwrap();
        let made = TokenStore::open(directory.path()).unwrap().create(request(Role::Auditor, None), now).unwrap();
        assert!(made.secret.starts_with("aff_") && made.secret.len() == 47);

        let store = TokenStore::open(directory.path()).unwrap();
        assert_eq!(store.authenticate(&made.secret, now).unwrap(), made.token);
        assert!(matches!(TokenStore::open(directory.path()), Err(ApiTokenError::Locked(_))));
        let mut flipped = made.secret.to_string();
        flipped.replace_range(10..11, if &flipped[10..11] == "A" { "B" } else { "A" });
        assert!(matches!(store.authenticate(&flipped, now), Err(ApiTokenError::Unknown)));
        let late = parse_time("2027-01-01T00:00:00Z").unwrap();
        assert!(matches!(store.authenticate(&made.secret, late), Err(ApiTokenError::Expired(_))));
        store.revoke(&made.token.id.to_string(), now).unwrap();
        assert!(matches!(store.authenticate(&made.secret, now), Err(ApiTokenError::Revoked(_))));
        let file = std::fs::read_to_string(directory.path().join("tokens.json")).unwrap();
        assert!(!file.contains(made.secret.as_str()));
    }

    #[test]
    fn only_a_token_for_an_issuer_names_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = TokenStore::open(directory.path()).unwrap();
        let now = parse_time("2026-07-01T00:00:00Z").unwrap();
        assert!(matches!(store.create(request(Role::Issuer, None), now), Err(ApiTokenError::Binding)));
        assert!(matches!(
            store.create(request(Role::Admin, Some(IssuerId::random())), now),
            Err(ApiTokenError::Binding)
        ));
        assert!(store.create(request(Role::Issuer, Some(IssuerId::random())), now).is_ok());
    }
}
