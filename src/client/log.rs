//! The read side of a log (c2sp.org/tlog-tiles): its newest checkpoint, its tiles, its entry bundles.

use std::path::PathBuf;
use std::time::Duration;

use super::{ClientError, HttpClient};
use crate::atomic_file;
use crate::ledger::{AuditError, AuditSource};
use crate::tlog::{LogPolicy, TilePath, VerifierKey};

/// Between a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a full entry bundle of the largest entries.
const TILE_BYTES_MAX: usize = 256 * (4096 + 2);
/// Bytes of a checkpoint with many signatures.
const CHECKPOINT_BYTES_MAX: usize = 64 << 10;

/// The public bytes of a log: behind an address, or in the folder that it is published in.
#[derive(Clone, Debug)]
pub struct LogClient(LogLocation);

#[derive(Clone, Debug)]
enum LogLocation {
    Address { http: HttpClient, url: String },
    Folder(PathBuf),
}

impl LogClient {
    /// The log whose monitoring prefix is `url`.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self(LogLocation::Address { http: HttpClient::new(TIMEOUT)?, url }))
    }

    /// The log at an address (http…) or in a folder; `None` when nothing is published in that folder.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn of(place: &str) -> Result<Option<Self>, ClientError> {
        if place.starts_with("http://") || place.starts_with("https://") {
            return Self::new(place).map(Some);
        }
        let folder = PathBuf::from(place);
        Ok(folder.join("checkpoint").is_file().then_some(Self(LogLocation::Folder(folder))))
    }

    /// The key that the log's own policy offers: its own word.
    ///
    /// # Errors
    /// When there is no policy, or it names no log.
    pub async fn offered_key(&self) -> Result<VerifierKey, AuditError> {
        const PATH: &str = "v1/ledger/policy";
        let policy = self.get(PATH, CHECKPOINT_BYTES_MAX).await?;
        let wrong = |cause: String| AuditError::Unreachable { path: PATH.to_owned(), cause };
        let policy = LogPolicy::parse(&policy).map_err(|error| wrong(error.to_string()))?;
        let log = policy.logs().first().ok_or_else(|| wrong("it names no log".to_owned()))?;
        Ok(log.key().clone())
    }

    /// The bytes at `path`; `None` when there are none.
    async fn find(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, AuditError> {
        let unreachable = |cause: String| AuditError::Unreachable { path: path.to_owned(), cause };
        match &self.0 {
            LogLocation::Address { http, url } => {
                let answer = http.get(&format!("{url}/{path}"), bytes_max).await;
                let answer = answer.map_err(|error| unreachable(error.to_string()))?;
                match answer.status {
                    200 => Ok(Some(answer.body)),
                    404 | 410 => Ok(None),
                    status => Err(unreachable(format!("status {status}"))),
                }
            }
            LogLocation::Folder(folder) => match atomic_file::read(&folder.join(path), bytes_max as u64) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unreachable(error.to_string())),
            },
        }
    }

    async fn get(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, AuditError> {
        let found = self.find(path, bytes_max).await?;
        found.ok_or_else(|| AuditError::Unreachable { path: path.to_owned(), cause: "it is not there".to_owned() })
    }
}

impl AuditSource for LogClient {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        self.get("checkpoint", CHECKPOINT_BYTES_MAX).await
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        if let Some(bytes) = self.find(&path.to_string(), TILE_BYTES_MAX).await? {
            return Ok(bytes);
        }
        // A partial tile may be gone when the full one is there (tlog-tiles).
        let full = self.get(&path.full().to_string(), TILE_BYTES_MAX).await?;
        let beginning = path.beginning(&full).map(<[u8]>::to_vec);
        beginning.map_err(|error| AuditError::Tile { path: path.to_string(), error })
    }
}
