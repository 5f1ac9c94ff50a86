//! The seam between the tokens and what holds them: a row a token, found by the digest of its secret and by its name.
//!
//! What [`put`](TokenRows::put) returns `Ok` for is durable. What cannot be read is an error, never an absence. No look-up
//! takes longer for the tokens that there are beside it.

#[cfg(test)]
mod memory;
pub(super) mod redb;

use super::token::StoredToken;
use crate::crypto::Sha256Digest;
use crate::path_error::PathError;

/// The rows of tokens.
pub(super) trait TokenRows: Send + Sync {
    /// Puts a token; one of the same name is replaced, and keeps its secret.
    fn put(&self, token: &StoredToken) -> Result<(), PathError>;

    /// The token whose secret has this digest.
    fn of_secret(&self, secret: Sha256Digest) -> Result<Option<StoredToken>, PathError>;

    /// The token of this name.
    fn of_name(&self, name: &str) -> Result<Option<StoredToken>, PathError>;

    /// Every token, in the order in which they were made.
    fn all(&self) -> Result<Vec<StoredToken>, PathError>;
}

#[cfg(test)]
mod tests {
    use super::memory::MemoryTokens;
    use super::redb::RedbTokens;
    use super::*;
    use crate::clock::parse_time;

    fn token(number: u8, revoked: bool) -> StoredToken {
        let value = serde_json::json!({
            "id": format!("tok_{number}"), "role": "admin", "issuer": null, "may_anchor_foreign": false,
            "created_at": "2026-07-01T00:00:00Z", "expires_at": null,
            "revoked_at": revoked.then_some("2026-07-02T00:00:00Z"), "secret": Sha256Digest::of(&[number]),
        });
        serde_json::from_value(value).unwrap()
    }

    fn conforms(rows: &dyn TokenRows) {
        assert_eq!(rows.all().unwrap(), []);
        for number in [3, 1, 2] {
            rows.put(&token(number, false)).unwrap();
        }
        assert_eq!(rows.all().unwrap(), [3, 1, 2].map(|number| token(number, false)));
        rows.put(&token(1, true)).unwrap();
        assert_eq!(rows.all().unwrap(), [token(3, false), token(1, true), token(2, false)]);
        assert_eq!(rows.of_name("tok_1").unwrap(), Some(token(1, true)));
        assert_eq!(rows.of_name("tok_4").unwrap(), None);
        assert_eq!(rows.of_secret(Sha256Digest::of(&[1])).unwrap(), Some(token(1, true)));
        assert_eq!(rows.of_secret(Sha256Digest::of(&[4])).unwrap(), None);
        assert_eq!(rows.of_name("tok_1").unwrap().unwrap().token.revoked_at, parse_time("2026-07-02T00:00:00Z").ok());
    }

    #[test]
    fn every_store_keeps_the_contract() {
        conforms(&MemoryTokens::default());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.redb");
        let rows = RedbTokens::create(&path, None, &[]).unwrap();
        conforms(&rows);
        rows.place().unwrap();
        drop(rows);
        let rows = RedbTokens::open(&path).unwrap();
        assert_eq!(rows.all().unwrap(), [token(3, false), token(1, true), token(2, false)]);
    }
}
