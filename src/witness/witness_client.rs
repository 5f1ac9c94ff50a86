//! Asking a witness over HTTP (c2sp.org/tlog-witness).

use super::add_checkpoint::{AddCheckpoint, origin_hash};
use crate::client::{ClientError, HttpClient};
use crate::tlog::merkle::NodeHash;
use crate::tlog::{CheckpointError, NoteError, NoteSignature, SignedCheckpoint, TreeSize, VerifierKey};

/// Bytes of an answer: a few signature lines, or a checkpoint with a few signatures of 5 kB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no cosignature, or no word of what was seen last.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The witness cosigned another checkpoint last: a proof from that size is asked for.
    #[error("the witness cosigned a checkpoint of size {size} last")]
    Conflict {
        /// Its size.
        size: TreeSize,
    },
    /// The witness refused: 403 and 404 when it does not know the log or its key, 422 when the tree does not continue.
    #[error("the witness refused with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not of the format.
    #[error("the witness's answer is malformed")]
    Malformed,
    /// What the witness sent is not signed as it should be.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A witness that can be asked.
#[derive(Clone, Debug)]
pub struct WitnessClient {
    http: HttpClient,
    url: String,
    key: VerifierKey,
}

impl WitnessClient {
    /// The witness of `key` whose submission and monitoring prefix is `url`.
    #[must_use]
    pub fn new(http: HttpClient, url: &str, key: VerifierKey) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned(), key }
    }

    /// The witness's key.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Its prefix.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has a checkpoint cosigned that continues the tree of `old` leaves, and gives the witness's cosignatures, which
    /// are right. Each can be [added](SignedCheckpoint::add) to the checkpoint.
    ///
    /// # Errors
    /// When nobody answers, the witness refuses or saw another checkpoint last, or its cosignature is missing or wrong.
    pub async fn add_checkpoint(
        &self,
        old: TreeSize,
        proof: Vec<NodeHash>,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<NoteSignature>, WitnessError> {
        let body = AddCheckpoint { old, proof, checkpoint: checkpoint.clone() }.to_string();
        let url = format!("{}/add-checkpoint", self.url);
        let answer = self.http.post(&url, "text/plain; charset=utf-8", body.into_bytes(), ANSWER_BYTES_MAX).await?;
        let text = || std::str::from_utf8(&answer.body).ok()?.strip_suffix('\n');
        match answer.status {
            200 => self.cosignatures(text().ok_or(WitnessError::Malformed)?, checkpoint),
            409 if answer.content_type.as_deref() == Some("text/x.tlog.size") => {
                let size = text().and_then(crate::tlog::parse_decimal).ok_or(WitnessError::Malformed)?;
                Err(WitnessError::Conflict { size: TreeSize(size) })
            }
            status => Err(WitnessError::Refused { status }),
        }
    }

    /// The lines of our witness's key, each of them verified over the checkpoint.
    fn cosignatures(&self, lines: &str, checkpoint: &SignedCheckpoint) -> Result<Vec<NoteSignature>, WitnessError> {
        let mut cosignatures = Vec::new();
        for line in lines.split('\n') {
            let signature = NoteSignature::parse(line).map_err(|_| WitnessError::Malformed)?;
            if signature.is_said_of(&self.key) {
                checkpoint.note().check(&signature, &self.key).map_err(CheckpointError::from)?;
                cosignatures.push(signature);
            }
        }
        if cosignatures.is_empty() {
            return Err(CheckpointError::Note(NoteError::NoKnownSignature).into());
        }
        Ok(cosignatures)
    }

    /// The checkpoint of `log` that the witness cosigned last, signed by both: `None` when it cosigned none.
    ///
    /// # Errors
    /// When nobody answers, or what is answered is not such a checkpoint.
    pub async fn latest(&self, log: &VerifierKey) -> Result<Option<SignedCheckpoint>, WitnessError> {
        let url = format!("{}/{}/checkpoint", self.url, origin_hash(log.name()));
        let answer = self.http.get(&url, ANSWER_BYTES_MAX).await?;
        match answer.status {
            200 => {
                let signed = SignedCheckpoint::open(&answer.body, log)?;
                if signed.cosignatures(&[&self.key])?.is_empty() {
                    return Err(CheckpointError::Note(NoteError::NoKnownSignature).into());
                }
                Ok(Some(signed))
            }
            404 => Ok(None),
            status => Err(WitnessError::Refused { status }),
        }
    }
}
