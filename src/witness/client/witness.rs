//! Asking a witness over HTTP (c2sp.org/tlog-witness).

use crate::client::{ClientError, HttpClient};
use crate::tlog::merkle::NodeHash;
use crate::tlog::{CheckpointError, NoteError, NoteSignature, SignedCheckpoint, TreeSize, VerifierKey};
use crate::witness::add_checkpoint::{AddCheckpoint, origin_hash};

/// Bytes of an answer: a few signature lines, or a checkpoint with a few signatures of 5 kB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no cosignature, or no word of what was seen last.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum WitnessError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The witness cosigned another checkpoint last: a proof from that size is asked for.
    #[error("the witness cosigned a checkpoint of size {size} last")]
    Conflict { size: TreeSize },
    /// 404: the witness does not follow the log.
    #[error("the witness does not follow this log")]
    UnknownLog,
    /// 403: none of the signatures is of a key that the witness trusts for the log, or one is wrong.
    #[error("the witness trusts none of the log's signatures")]
    UntrustedSignature,
    /// 422: the checkpoint does not continue what the witness cosigned. Another history was shown to it, or is shown here.
    #[error("the witness reports that this tree does not continue the one that it cosigned")]
    Inconsistent,
    /// Any other answer: 400 for a malformed request, 5xx for a witness in trouble.
    #[error("the witness answered with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not of the format.
    #[error("the witness's answer is malformed")]
    Malformed,
    /// The witness's answer is not signed correctly.
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
            409 => Err(WitnessError::Malformed),
            403 => Err(WitnessError::UntrustedSignature),
            404 => Err(WitnessError::UnknownLog),
            422 => Err(WitnessError::Inconsistent),
            status => Err(WitnessError::Refused { status }),
        }
    }

    /// The lines of our witness's key, each of them verified over the checkpoint.
    fn cosignatures(&self, lines: &str, checkpoint: &SignedCheckpoint) -> Result<Vec<NoteSignature>, WitnessError> {
        let mut cosignatures = Vec::new();
        for line in lines.split('\n') {
            let signature = NoteSignature::parse(line).map_err(|_| WitnessError::Malformed)?;
            if signature.names_key(&self.key) {
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::tlog::{Checkpoint, RootHash, cosign};

    const LOG: &str = "example.com/log";
    const SIZE: &str = "text/x.tlog.size";

    /// A witness that gives one answer to one request, whatever it is, and gives the request's body.
    fn witness(status: u16, content_type: &str, body: &str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/witness/", listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}", body.len());
        let answer = format!("{head}\r\nconnection: close\r\n\r\n{body}");
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(body).unwrap()
        });
        (url, asked)
    }

    struct World {
        log: SigningKey,
        signer: SigningKey,
        signed: SignedCheckpoint,
    }

    impl World {
        fn new() -> Self {
            let log = SigningKey::generate_ed25519().0;
            let checkpoint = Checkpoint::new(LOG, TreeSize(9), RootHash::new([7; 32])).unwrap();
            let signed = checkpoint.sign(&log).unwrap();
            Self { log, signer: SigningKey::generate_ed25519().0, signed }
        }

        fn key(&self) -> VerifierKey {
            VerifierKey::ed25519_cosignature("example.com/w", self.signer.verifying_key()).unwrap()
        }

        fn cosignature(&self) -> NoteSignature {
            cosign(self.signed.checkpoint(), "example.com/w", 1_700_000_000, &self.signer).unwrap()
        }

        fn client(&self, url: &str) -> WitnessClient {
            WitnessClient::new(HttpClient::new(Duration::from_secs(20)).unwrap(), url, self.key())
        }

        async fn add(&self, status: u16, content_type: &str, body: &str) -> Result<Vec<NoteSignature>, WitnessError> {
            let (url, asked) = witness(status, content_type, body);
            let proof = vec![NodeHash::new([1; 32])];
            let answer = self.client(&url).add_checkpoint(TreeSize(5), proof.clone(), &self.signed).await;
            let request = AddCheckpoint::parse(asked.join().unwrap().as_bytes()).unwrap();
            assert_eq!(request, AddCheckpoint { old: TreeSize(5), proof, checkpoint: self.signed.clone() });
            answer
        }

        async fn latest(&self, status: u16, body: &str) -> Result<Option<SignedCheckpoint>, WitnessError> {
            let log = VerifierKey::ed25519(LOG, self.log.verifying_key()).unwrap();
            self.client(&witness(status, "text/plain", body).0).latest(&log).await
        }
    }

    #[tokio::test]
    async fn every_refusal_is_told_from_every_other() {
        use WitnessError as E;
        let world = World::new();
        assert!(matches!(world.add(400, "text/plain", "no").await, Err(E::Refused { status: 400 })));
        assert!(matches!(world.add(403, "text/plain", "no").await, Err(E::UntrustedSignature)));
        assert!(matches!(world.add(404, "text/plain", "no").await, Err(E::UnknownLog)));
        assert!(matches!(world.add(422, "text/plain", "no").await, Err(E::Inconsistent)));
        assert!(matches!(world.add(302, "text/plain", "").await, Err(E::Refused { status: 302 })));
        assert!(matches!(world.add(429, "text/plain", "").await, Err(E::Refused { status: 429 })));
        assert!(matches!(world.add(503, "text/plain", "").await, Err(E::Refused { status: 503 })));
        assert!(matches!(world.add(409, SIZE, "7\n").await, Err(E::Conflict { size: TreeSize(7) })));
        for (content_type, body) in
            [(SIZE, "7"), (SIZE, "07\n"), (SIZE, ""), (SIZE, "7\n7\n"), (SIZE, "-1\n"), ("text/plain", "7\n")]
        {
            assert!(matches!(world.add(409, content_type, body).await, Err(E::Malformed)), "{content_type} {body}");
        }
    }

    #[tokio::test]
    async fn only_right_lines_of_the_key_that_was_asked_are_taken() {
        let (world, stranger) = (World::new(), World::new());
        let (ours, theirs) = (world.cosignature(), stranger.cosignature());
        let taken = world.add(200, "text/plain", &format!("{theirs}\n{ours}\n{theirs}\n")).await.unwrap();
        assert_eq!(taken, std::slice::from_ref(&ours));
        let nobody = world.add(200, "text/plain", &format!("{theirs}\n")).await;
        assert!(matches!(nobody, Err(WitnessError::Checkpoint(CheckpointError::Note(NoteError::NoKnownSignature)))));
        let elsewhere = Checkpoint::new(LOG, TreeSize(10), RootHash::new([7; 32])).unwrap();
        let wrong = cosign(&elsewhere, "example.com/w", 1_700_000_000, &world.signer).unwrap();
        for body in [format!("{wrong}\n"), format!("{ours}\n{wrong}\n")] {
            let answer = world.add(200, "text/plain", &body).await;
            assert!(matches!(
                answer,
                Err(WitnessError::Checkpoint(CheckpointError::Note(NoteError::WrongSignature { .. })))
            ));
        }
        for body in ["", "\n", "hello\n", &ours.to_string(), &format!("{ours}\n\n"), &format!("{ours}\r\n")] {
            assert!(matches!(world.add(200, "text/plain", body).await, Err(WitnessError::Malformed)), "{body:?}");
        }
    }

    #[tokio::test]
    async fn what_was_seen_last_is_signed_by_both() {
        let (world, stranger) = (World::new(), World::new());
        let mut cosigned = world.signed.clone();
        cosigned.add(world.cosignature()).unwrap();
        assert_eq!(world.latest(200, &cosigned.to_string()).await.unwrap(), Some(cosigned));
        assert_eq!(world.latest(404, "").await.unwrap(), None);
        assert!(matches!(world.latest(500, "").await, Err(WitnessError::Refused { status: 500 })));
        assert!(matches!(world.latest(200, &world.signed.to_string()).await, Err(WitnessError::Checkpoint(_))));
        let mut of_another = stranger.signed.clone();
        of_another.add(world.cosignature()).unwrap();
        assert!(matches!(world.latest(200, &of_another.to_string()).await, Err(WitnessError::Checkpoint(_))));
    }
}
