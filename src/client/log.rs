//! The read side of a log over HTTP (c2sp.org/tlog-tiles): its newest checkpoint, its tiles, its entry bundles.

use std::time::Duration;

use super::{ClientError, HttpClient};
use crate::ledger::{AuditError, AuditSource};
use crate::tlog::tile::{TILE_WIDTH, append_to_bundle, bundle_entries};
use crate::tlog::{LogPolicy, TileError, TileKind, TilePath, VerifierKey};

/// Between a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a full entry bundle of the largest entries.
const TILE_BYTES_MAX: usize = 256 * (4096 + 2);
/// Bytes of a checkpoint with many signatures.
const CHECKPOINT_BYTES_MAX: usize = 64 << 10;

/// A log behind an address.
#[derive(Clone, Debug)]
pub struct LogClient {
    http: HttpClient,
    url: String,
}

impl LogClient {
    /// The log whose monitoring prefix is `url`.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Ok(Self { http: HttpClient::new(TIMEOUT)?, url: url.trim_end_matches('/').to_owned() })
    }

    /// The key that the log's own policy offers: its own word.
    ///
    /// # Errors
    /// When there is no policy, or it names no log.
    pub async fn offered_key(&self) -> Result<VerifierKey, AuditError> {
        const PATH: &str = "v1/ledger/policy";
        let policy = self.get(PATH, CHECKPOINT_BYTES_MAX).await?.ok_or_else(|| not_there(PATH))?;
        let wrong = |cause: String| AuditError::Unreachable { path: PATH.to_owned(), cause };
        let policy = LogPolicy::parse(&policy).map_err(|error| wrong(error.to_string()))?;
        let log = policy.logs().first().ok_or_else(|| wrong("it names no log".to_owned()))?;
        Ok(log.key().clone())
    }

    /// What is at `path`; `None` when nothing is.
    async fn get(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, AuditError> {
        let url = format!("{}/{path}", self.url);
        let unreachable = |cause: String| AuditError::Unreachable { path: path.to_owned(), cause };
        let answer = self.http.get(&url, bytes_max).await.map_err(|error| unreachable(error.to_string()))?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 | 410 => Ok(None),
            status => Err(unreachable(format!("status {status}"))),
        }
    }
}

impl AuditSource for LogClient {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        self.get("checkpoint", CHECKPOINT_BYTES_MAX).await?.ok_or_else(|| not_there("checkpoint"))
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        let name = path.to_string();
        if let Some(bytes) = self.get(&name, TILE_BYTES_MAX).await? {
            return Ok(bytes);
        }
        // A partial tile may be gone once the full one is there (tlog-tiles).
        let full = TilePath::new(path.kind(), path.index(), TILE_WIDTH).expect("a full tile of a path that is right");
        if path.is_full() {
            return Err(not_there(&name));
        }
        let bytes = self.get(&full.to_string(), TILE_BYTES_MAX).await?.ok_or_else(|| not_there(&name))?;
        beginning(&bytes, path).map_err(|error| AuditError::Tile { path: full.to_string(), error })
    }
}

fn not_there(path: &str) -> AuditError {
    AuditError::Unreachable { path: path.to_owned(), cause: "it is not there".to_owned() }
}

/// The partial tile of `path` out of the bytes of the full one.
fn beginning(full: &[u8], path: TilePath) -> Result<Vec<u8>, TileError> {
    let width = path.width();
    match path.kind() {
        TileKind::Hashes { .. } => {
            full.get(..usize::from(width) * 32).map(<[u8]>::to_vec).ok_or(TileError::Short { bytes: full.len(), width })
        }
        TileKind::Entries => {
            let mut bundle = Vec::new();
            for entry in bundle_entries(full, TILE_WIDTH)?.into_iter().take(width.into()) {
                append_to_bundle(&mut bundle, entry)?;
            }
            Ok(bundle)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_tile_is_the_beginning_of_the_full_one() {
        let path = |text: &str| text.parse::<TilePath>().unwrap();
        let hashes = vec![7; 256 * 32];
        assert_eq!(beginning(&hashes, path("tile/0/000.p/3")).unwrap(), vec![7; 3 * 32]);
        assert!(beginning(&hashes[..64], path("tile/0/000.p/3")).is_err());
        let mut bundle = Vec::new();
        for entry in 0..=255_u8 {
            append_to_bundle(&mut bundle, &[entry]).unwrap();
        }
        assert_eq!(beginning(&bundle, path("tile/entries/000.p/2")).unwrap(), [0, 1, 0, 0, 1, 1]);
        assert!(beginning(&bundle[1..], path("tile/entries/000.p/2")).is_err());
    }
}
