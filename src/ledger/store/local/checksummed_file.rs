//! A small file that is known to be whole: JSON behind a line with its digest, replaced as one.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic_file;
use crate::crypto::Sha256Digest;
use crate::ledger::store::StoreError;
use crate::vfs::{Access, FileSystem};

/// Puts `content` at `path`: after a crash there is the old file or the new one.
pub(super) fn write(fs: &dyn FileSystem, path: &Path, content: &impl Serialize) -> Result<(), StoreError> {
    let body = serde_json::to_vec(content).expect("what is kept is JSON");
    let mut bytes = format!("{}\n", Sha256Digest::of(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    atomic_file::write_on(fs, path, &bytes, Access::Secret).map_err(StoreError::io(path))
}

/// Reads what [`write()`] wrote. A file that is missing, corrupt, too large or of another layout is `None`.
pub(super) fn read<T: DeserializeOwned>(
    fs: &dyn FileSystem,
    path: &Path,
    bytes_max: u64,
) -> Result<Option<T>, StoreError> {
    match atomic_file::read_on(fs, path, bytes_max) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => Ok(None),
        Err(cause) => Err(StoreError::Io { path: path.to_owned(), cause }),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (digest, body) = text.split_once('\n')?;
    if digest.parse::<Sha256Digest>().ok()? != Sha256Digest::of(body.as_bytes()) {
        return None;
    }
    serde_json::from_str(body).ok()
}
