//! The tokens in a file of the embedded store. A value is JSON, and names lead to it.

use std::path::Path;

use ::redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::TokenRows;
use crate::access::token::StoredToken;
use crate::crypto::Sha256Digest;
use crate::path_error::PathError;
use crate::row_file::{RowError, RowFile, corrupt};

/// The version of the layout of these tables.
const LAYOUT: &[u8] = b"1";
/// The names of rows of [`META`].
const LAYOUT_ROW: &str = "layout";
const TAKEN_OVER: &str = "taken-over";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const TOKENS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tokens");
const SECRETS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("secrets");
const NAMES: TableDefinition<'_, &str, u64> = TableDefinition::new("names");

/// The tokens of a server, in one file.
#[derive(Debug)]
pub(in crate::access) struct RedbTokens(RowFile);

impl RedbTokens {
    /// Opens the file that is there.
    ///
    /// # Errors
    /// When it cannot be read, a disk changed it, or another version wrote it.
    pub(in crate::access) fn open(path: &Path) -> Result<Self, PathError> {
        let file = RowFile::open(path)?;
        file.read(|transaction| {
            let layout = transaction.open_table(META)?.get(LAYOUT_ROW)?;
            let is_known = layout.is_some_and(|layout| layout.value() == LAYOUT);
            is_known.then_some(()).ok_or_else(|| corrupt("tokens", "another version of this program wrote them"))
        })?;
        Ok(Self(file))
    }

    /// Makes a file with `tokens` beside its place: nobody finds it before [`place`](Self::place). `taken_over` is the
    /// digest of the file that they were in before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::access) fn create(
        path: &Path,
        taken_over: Option<Sha256Digest>,
        tokens: &[StoredToken],
    ) -> Result<Self, PathError> {
        let file = RowFile::create(path)?;
        file.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert(LAYOUT_ROW, LAYOUT)?;
            if let Some(digest) = taken_over {
                meta.insert(TAKEN_OVER, digest.0.as_slice())?;
            }
            put(transaction, tokens)
        })?;
        Ok(Self(file))
    }

    /// The digest of the file that the tokens were in before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::access) fn taken_over(&self) -> Result<Option<Sha256Digest>, PathError> {
        self.0.read(|transaction| {
            let digest = transaction.open_table(META)?.get(TAKEN_OVER)?;
            let digest = digest.map(|row| row.value().try_into().map(Sha256Digest)).transpose();
            digest.map_err(|error| corrupt("tokens", error))
        })
    }

    /// Puts a new file in its place, durably.
    ///
    /// # Errors
    /// When it cannot be.
    pub(in crate::access) fn place(&self) -> Result<(), PathError> {
        self.0.place()
    }
}

fn put(transaction: &WriteTransaction, stored: &[StoredToken]) -> Result<(), RowError> {
    let (mut tokens, mut names) = (transaction.open_table(TOKENS)?, transaction.open_table(NAMES)?);
    let mut secrets = transaction.open_table(SECRETS)?;
    for one in stored {
        let (name, row) = (one.token.id.to_string(), serde_json::to_vec(one).expect("a token is plain JSON"));
        let known = names.get(name.as_str())?.map(|number| number.value());
        let number = match known {
            Some(number) => number,
            None => tokens.last()?.map_or(0, |(number, _)| number.value() + 1),
        };
        tokens.insert(number, row.as_slice())?;
        names.insert(name.as_str(), number)?;
        secrets.insert(&one.secret.0, number)?;
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<StoredToken, RowError> {
    serde_json::from_slice(bytes).map_err(|error| corrupt("a token", error))
}

fn numbered(transaction: &ReadTransaction, number: u64) -> Result<StoredToken, RowError> {
    let row = transaction.open_table(TOKENS)?.get(number)?;
    decode(row.ok_or_else(|| corrupt("a token", format!("number {number} is missing")))?.value())
}

impl TokenRows for RedbTokens {
    fn put(&self, token: &StoredToken) -> Result<(), PathError> {
        self.0.write(|transaction| put(transaction, std::slice::from_ref(token)))
    }

    fn of_secret(&self, secret: Sha256Digest) -> Result<Option<StoredToken>, PathError> {
        self.0.read(|transaction| {
            let number = transaction.open_table(SECRETS)?.get(&secret.0)?.map(|number| number.value());
            number.map(|number| numbered(transaction, number)).transpose()
        })
    }

    fn of_name(&self, name: &str) -> Result<Option<StoredToken>, PathError> {
        self.0.read(|transaction| {
            let number = transaction.open_table(NAMES)?.get(name)?.map(|number| number.value());
            number.map(|number| numbered(transaction, number)).transpose()
        })
    }

    fn all(&self) -> Result<Vec<StoredToken>, PathError> {
        self.0.read(|transaction| transaction.open_table(TOKENS)?.iter()?.map(|row| decode(row?.1.value())).collect())
    }
}
