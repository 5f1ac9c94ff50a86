//! The log that a ledger goes on from, as the configuration names it.

use anyhow::{Context as _, ensure};

use crate::atomic_file;
use crate::evidence::{ClosingProof, Predecessor};
use crate::server::config::Config;
use crate::tlog::VerifierKey;
use crate::tlog::proof::TLOG_PROOF_BYTES_MAX;

/// The log that the ledger is to go on from, by the proof of its end; `None` where none is named.
///
/// # Errors
/// When the proof cannot be read, is not of that log, or names another successor.
pub(super) fn predecessor(config: &Config) -> anyhow::Result<Option<Predecessor>> {
    let (path, key) = (&config.ledger.predecessor, &config.ledger.predecessor_key);
    if path.as_os_str().is_empty() {
        ensure!(
            key.is_empty(),
            "[ledger] predecessor_key is the key of a log whose proof of its end predecessor has to name"
        );
        return Ok(None);
    }
    ensure!(!key.is_empty(), "[ledger] predecessor_key has to name the verifier key of the log that has ended");
    let key: VerifierKey = key.parse().context("[ledger] predecessor_key")?;
    let at = || format!("[ledger] predecessor: {}", path.display());
    let bytes = atomic_file::read(path, TLOG_PROOF_BYTES_MAX as u64).with_context(at)?;
    ClosingProof::open(&bytes, &key).and_then(|end| end.predecessor_of(&config.origin())).map(Some).with_context(at)
}
