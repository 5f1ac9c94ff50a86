//! The tokens of a server: shown once, kept as digests, found by them.
//!
//! A token is `aff_` and 32 random bytes in base64url. Its digest needs no salt and no slow function: nobody can guess 256
//! random bits. For the same reason the row is looked up by the digest: how long that takes may tell something of a
//! digest, from which nobody comes back to a secret.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::store::TokenRows;
use super::store::redb::RedbTokens;
use super::token::{ApiToken, ApiTokenError, NewToken, Role, StoredToken, TokenId, TokenRequest};
use crate::atomic_file;
use crate::crypto::{Sha256Digest, equal_in_constant_time, random};
use crate::path_error::PathError;
use crate::vfs::{FileLock, FileSystem as _, OsFileSystem};

/// The file of rows.
const ROWS: &str = "tokens.redb";
/// The file of earlier releases.
const JSON: &str = "tokens.json";
/// What it is called when it was taken over: digests of secrets that nobody can guess, and read by nobody.
const SET_ASIDE: &str = "tokens.json.taken-over";
/// Largest file that is taken over: earlier releases wrote more than the 16 MiB that they read.
const JSON_BYTES_MAX: u64 = 1 << 30;
/// Longest text that is hashed as a token: a token has 47 characters.
const SECRET_BYTES_MAX: usize = 128;

/// The tokens of one server.
pub struct TokenStore {
    rows: Box<dyn TokenRows>,
    // Held from reading to the end of the commit by whoever changes a token, and by nobody else.
    changing: Mutex<()>,
    _lock: FileLock,
}

impl TokenStore {
    /// Opens the tokens in `directory`; where there is no file, there are none.
    ///
    /// # Errors
    /// When the file cannot be read or made, or another process has it open.
    pub fn open(directory: &Path) -> Result<Self, ApiTokenError> {
        let lock_path = directory.join("tokens.lock");
        let lock = FileLock::take(&lock_path).map_err(PathError::at(&lock_path))?;
        let lock = lock.ok_or_else(|| ApiTokenError::Locked(directory.to_owned()))?;
        let rows = open_rows(directory)?;
        Ok(Self { rows: Box::new(rows), changing: Mutex::default(), _lock: lock })
    }

    /// Makes a token and gives its secret, which is kept nowhere.
    ///
    /// # Errors
    /// When role and issuer do not fit, or the rows cannot be written.
    pub fn create(&self, request: TokenRequest, now: DateTime<Utc>) -> Result<NewToken, ApiTokenError> {
        if (request.role == Role::Issuer) != request.issuer.is_some() {
            return Err(ApiTokenError::Binding);
        }
        let secret = Zeroizing::new(format!("aff_{}", URL_SAFE_NO_PAD.encode(random::<32>())));
        let token = ApiToken {
            id: TokenId::random(),
            role: request.role,
            issuer: request.issuer,
            may_anchor_foreign: request.may_anchor_foreign,
            created_at: now,
            expires_at: request.expires_at,
            revoked_at: None,
        };
        let _changing = self.changing.lock().expect(NO_PANIC);
        self.rows.put(&StoredToken { token: token.clone(), secret: Sha256Digest::of(secret.as_bytes()) })?;
        Ok(NewToken { token, secret })
    }

    /// Finds the token of a secret, in the same time however many there are.
    ///
    /// # Errors
    /// When nobody has it, it is expired or revoked, or the rows cannot be read.
    pub fn authenticate(&self, secret: &str, now: DateTime<Utc>) -> Result<ApiToken, ApiTokenError> {
        if secret.len() > SECRET_BYTES_MAX {
            return Err(ApiTokenError::Unknown);
        }
        let wanted = Sha256Digest::of(secret.as_bytes());
        let found = self.rows.of_secret(wanted)?;
        let found = found.filter(|stored| equal_in_constant_time(&stored.secret.0, &wanted.0));
        let token = found.ok_or(ApiTokenError::Unknown)?.token;
        match (token.revoked_at, token.expires_at) {
            (Some(since), _) => Err(ApiTokenError::Revoked(since)),
            (None, Some(until)) if now >= until => Err(ApiTokenError::Expired(until)),
            _ => Ok(token),
        }
    }

    /// Revokes a token, for good; one that is revoked already keeps its date.
    ///
    /// # Errors
    /// When no token has this name, or the rows cannot be read or written.
    pub fn revoke(&self, id: &str, now: DateTime<Utc>) -> Result<(), ApiTokenError> {
        let _changing = self.changing.lock().expect(NO_PANIC);
        let mut stored = self.rows.of_name(id)?.ok_or(ApiTokenError::Unknown)?;
        stored.token.revoked_at.get_or_insert(now);
        Ok(self.rows.put(&stored)?)
    }

    /// Every token, without its secret.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn list(&self) -> Result<Vec<ApiToken>, ApiTokenError> {
        Ok(self.rows.all()?.into_iter().map(|stored| stored.token).collect())
    }
}

/// Why the lock here is never poisoned.
const NO_PANIC: &str = "no holder of this lock panics";

/// A token in the file of earlier releases.
#[derive(Deserialize)]
struct JsonToken {
    #[serde(flatten)]
    token: ApiToken,
    /// The digest of its secret, in base64url.
    secret_sha256: String,
}

/// Opens the rows. Where there are none they are made, of the file of an earlier release where one is there.
///
/// The rows are whole before they are in their place, and only then is the other file set aside: whoever is killed in
/// between is followed by a start that begins again, or finishes.
fn open_rows(directory: &Path) -> Result<RedbTokens, ApiTokenError> {
    let (rows, json) = (directory.join(ROWS), directory.join(JSON));
    let earlier = match atomic_file::read(&json, JSON_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(PathError::at(&json)(error).into()),
    };
    let digest = earlier.as_deref().map(Sha256Digest::of);
    let store = if rows.exists() {
        let store = RedbTokens::open(&rows)?;
        if digest.is_some() && store.taken_over()? != digest {
            return Err(ApiTokenError::TwoStores { rows, json });
        }
        store
    } else {
        let tokens = earlier.as_deref().map(|bytes| read_json(&json, bytes)).transpose()?;
        let store = RedbTokens::create(&rows, digest, &tokens.unwrap_or_default())?;
        store.place()?;
        store
    };
    if digest.is_some() {
        let moved = fs::rename(&json, directory.join(SET_ASIDE)).and_then(|()| OsFileSystem.sync_directory(directory));
        moved.map_err(PathError::at(&json))?;
    }
    Ok(store)
}

fn read_json(path: &Path, bytes: &[u8]) -> Result<Vec<StoredToken>, PathError> {
    let file = PathError::at(path);
    let tokens: Vec<JsonToken> = serde_json::from_slice(bytes).map_err(|error| file(error.into()))?;
    let stored = tokens.into_iter().map(|JsonToken { token, secret_sha256 }| {
        let secret = format!("sha256-{secret_sha256}").parse().map_err(std::io::Error::other)?;
        Ok(StoredToken { token, secret })
    });
    stored.collect::<Result<_, std::io::Error>>().map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::IssuerId;
    use crate::clock::parse_time;

    fn request(role: Role, issuer: Option<IssuerId>) -> TokenRequest {
        let expires_at = Some(parse_time("2027-01-01T00:00:00Z").unwrap());
        TokenRequest { role, issuer, may_anchor_foreign: false, expires_at }
    }

    fn now() -> DateTime<Utc> {
        parse_time("2026-07-01T00:00:00Z").unwrap()
    }

    #[test]
    fn a_token_counts_until_it_expires_or_is_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let now = now();
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
        drop(store);
        let file = fs::read(directory.path().join(ROWS)).unwrap();
        assert!(!file.windows(47).any(|bytes| bytes == made.secret.as_bytes()));
        let store = TokenStore::open(directory.path()).unwrap();
        assert!(matches!(store.authenticate(&made.secret, now), Err(ApiTokenError::Revoked(_))));
        assert!(matches!(store.revoke("tok_0", now), Err(ApiTokenError::Unknown)));
    }

    #[test]
    fn only_a_token_for_an_issuer_names_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = TokenStore::open(directory.path()).unwrap();
        assert!(matches!(store.create(request(Role::Issuer, None), now()), Err(ApiTokenError::Binding)));
        assert!(matches!(
            store.create(request(Role::Admin, Some(IssuerId::random())), now()),
            Err(ApiTokenError::Binding)
        ));
        assert!(store.create(request(Role::Issuer, Some(IssuerId::random())), now()).is_ok());
    }

    /// What a release before this one wrote, with a token of each state.
    const EARLIER: &str = r#"[
      {"id": "tok_0000000000000001", "role": "admin", "issuer": null, "may_anchor_foreign": false,
       "created_at": "2026-06-01T00:00:00Z", "expires_at": null, "revoked_at": null,
       "secret_sha256": "SECRET"},
      {"id": "tok_0000000000000002", "role": "issuer", "issuer": "iss_000000000000000000000001",
       "may_anchor_foreign": true, "created_at": "2026-06-01T00:00:00Z", "expires_at": null,
       "revoked_at": "2026-06-02T00:00:00Z", "secret_sha256": "OTHER"}]"#;

    fn write_earlier(directory: &Path) {
        let digest = |secret: &str| URL_SAFE_NO_PAD.encode(Sha256Digest::of(secret.as_bytes()).0);
        let text = EARLIER.replace("SECRET", &digest("aff_one")).replace("OTHER", &digest("aff_two"));
        fs::write(directory.join(JSON), text).unwrap();
    }

    fn is_taken_over(directory: &Path) {
        let store = TokenStore::open(directory).unwrap();
        assert_eq!(store.authenticate("aff_one", now()).unwrap().id.to_string(), "tok_0000000000000001");
        assert!(matches!(store.authenticate("aff_two", now()), Err(ApiTokenError::Revoked(_))));
        assert_eq!(store.list().unwrap().len(), 2);
        assert!(!directory.join(JSON).exists() && directory.join(SET_ASIDE).exists());
    }

    #[test]
    fn tokens_of_an_earlier_release_are_taken_over_wherever_it_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        write_earlier(directory.path());
        is_taken_over(directory.path());
        is_taken_over(directory.path());
        // Killed before the other file was set aside.
        write_earlier(directory.path());
        is_taken_over(directory.path());
        // Killed before the rows were in their place.
        write_earlier(directory.path());
        let rows = directory.path().join(ROWS);
        fs::rename(&rows, directory.path().join("tokens.redb.new")).unwrap();
        is_taken_over(directory.path());
    }

    #[test]
    fn tokens_of_an_earlier_release_that_are_others_are_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        write_earlier(directory.path());
        is_taken_over(directory.path());
        fs::write(directory.path().join(JSON), "[]").unwrap();
        assert!(matches!(TokenStore::open(directory.path()), Err(ApiTokenError::TwoStores { .. })));
        assert!(directory.path().join(JSON).exists());
        fs::remove_file(directory.path().join(JSON)).unwrap();
        is_taken_over(directory.path());
    }
}
