//! The keys of the logs and of the vault: read, or made at the first start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::authority::{Authority, ScryptCost, read_key_file, write_key_file};
use crate::backup::unfinished_restore;
use crate::crypto::{SealingKey, Signer, SigningKey, random};
use crate::ledger::WriterLock;
use crate::server::config::Config;
use crate::tlog::VerifierKey;
use crate::vfs::OsFileSystem;

/// The key of the log of statements.
const STATEMENTS_LOG_KEY: &str = "statements-log.key.pem";
/// The key of its receipts.
const RECEIPTS_KEY: &str = "receipts.key.pem";
/// The key of the compatibility log's receipts.
const COMPATIBILITY_KEY: &str = "compatibility.key.pem";

/// Locks the data directory, where there is an authority: before it is looked for what has to be made there.
pub(super) fn lock_data(config: &Config) -> anyhow::Result<WriterLock> {
    let (dir, authority) = (&config.data.dir, config.data.dir.join("authority"));
    if let Some(mark) = unfinished_restore(dir) {
        anyhow::bail!(
            "{} is there: a backup was not restored to its end; restore it into an empty folder",
            mark.display()
        );
    }
    anyhow::ensure!(
        Authority::is_in(&authority),
        "there is no certificate authority in {}; make one with: affiant certs init --data {} …",
        authority.display(),
        dir.display()
    );
    Ok(WriterLock::take(&OsFileSystem, dir)?)
}

/// The verifier keys of the logs, the ledger's first. They are made when they are first asked for: witnesses are told them
/// before the first start.
///
/// # Errors
/// When they cannot be made, because another process has the data directory or for another reason, or cannot be opened, or
/// the origin is no key name.
pub fn log_keys(config: &Config, passphrase: &Zeroizing<String>, cost: ScryptCost) -> anyhow::Result<Vec<VerifierKey>> {
    // What is there may be read beside the server that has the directory.
    let there = log_key_path(config).exists() && has_statements_keys(config);
    let _lock = (!there).then(|| lock_data(config)).transpose()?;
    let (_, ledger) = log_key(config, passphrase, cost)?;
    let statements = statements_keys(config, passphrase, cost)?.map(|keys| keys.log_key);
    Ok(std::iter::once(ledger).chain(statements).collect())
}

/// The ledger's key, to sign a backup with, and its name. It may be read beside the server that has the directory.
///
/// # Errors
/// When it was not made yet, or cannot be opened.
pub fn log_signer(config: &Config, passphrase: &Zeroizing<String>) -> anyhow::Result<(Arc<dyn Signer>, VerifierKey)> {
    let path = log_key_path(config);
    anyhow::ensure!(path.exists(), "{} is missing: the server was never started on this folder", path.display());
    log_key(config, passphrase, ScryptCost::RECOMMENDED)
}

fn log_key_path(config: &Config) -> PathBuf {
    config.data.dir.join("authority").join("log.key.pem")
}

/// The ledger's key and its name, made if it is not there.
pub(super) fn log_key(
    config: &Config,
    passphrase: &Zeroizing<String>,
    cost: ScryptCost,
) -> anyhow::Result<(Arc<dyn Signer>, VerifierKey)> {
    let path = log_key_path(config);
    if !path.exists() {
        let (_, pkcs8) = SigningKey::generate_ed25519();
        write_key_file(&path, &pkcs8, passphrase, cost)?;
    }
    let signer = read_key_file(&path, passphrase)?;
    let key = VerifierKey::ed25519(&config.origin(), signer.verifying_key()).context("the log's origin")?;
    Ok((Arc::new(signer), key))
}

/// The keys of the log of statements.
pub(super) struct StatementsKeys {
    pub(super) log: Arc<dyn Signer>,
    pub(super) log_key: VerifierKey,
    pub(super) receipts: Arc<dyn Signer>,
    pub(super) compatibility: Arc<dyn Signer>,
}

/// Whether there is no key of the log of statements to be made.
fn has_statements_keys(config: &Config) -> bool {
    let there = |name: &&str| config.data.dir.join("authority").join(name).exists();
    !config.statements.enabled || [STATEMENTS_LOG_KEY, RECEIPTS_KEY, COMPATIBILITY_KEY].iter().all(there)
}

/// The keys of the log of statements, made if they are not there; `None` where there is no such log.
///
/// # Errors
/// When they cannot be made or opened, or the origin is no key name.
pub(super) fn statements_keys(
    config: &Config,
    passphrase: &Zeroizing<String>,
    cost: ScryptCost,
) -> anyhow::Result<Option<StatementsKeys>> {
    if !config.statements.enabled {
        return Ok(None);
    }
    let authority = config.data.dir.join("authority");
    let open = |name: &str, made: fn() -> (SigningKey, Zeroizing<Vec<u8>>)| -> anyhow::Result<SigningKey> {
        let path = authority.join(name);
        if !path.exists() {
            // A new key would sign in the place of one that is lost, and nothing of before would verify.
            let begun = config.data.dir.join("statements").exists() && name != COMPATIBILITY_KEY;
            anyhow::ensure!(
                !begun,
                "key {} is missing, and the log of statements has entries under it: restore it",
                path.display()
            );
            write_key_file(&path, &made().1, passphrase, cost)?;
        }
        Ok(read_key_file(&path, passphrase)?)
    };
    let log = open(STATEMENTS_LOG_KEY, SigningKey::generate_ed25519)?;
    let receipts = open(RECEIPTS_KEY, SigningKey::generate_p256)?;
    // Of its own: its receipts prove less.
    let compatibility = open(COMPATIBILITY_KEY, SigningKey::generate_p256)?;
    let log_key = VerifierKey::ed25519(&config.statements_origin(), log.verifying_key())
        .context("the origin of the statements")?;
    let (receipts, compatibility) = (Arc::new(receipts), Arc::new(compatibility));
    Ok(Some(StatementsKeys { log: Arc::new(log), log_key, receipts, compatibility }))
}

/// The key that seals the keys of bodies: from the environment, or a file that is made at the first start.
pub(super) fn vault_key(path: &Path) -> anyhow::Result<SealingKey> {
    let named = ["AFFIANT_VAULT_KEY", "AFFIANT_MASTER_KEY"].into_iter().find_map(|name| std::env::var(name).ok());
    let text = match named {
        Some(text) => Zeroizing::new(text),
        None => {
            if !path.exists() {
                let key = Zeroizing::new(STANDARD.encode(random::<32>()));
                write_secret(path, &key).with_context(|| format!("writing {}", path.display()))?;
                tracing::warn!(path = %path.display(), "vault key made; back it up apart from the data");
            }
            Zeroizing::new(std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?)
        }
    };
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).context("the vault key is not base64")?);
    let key: &[u8; 32] = bytes.as_slice().try_into().context("the vault key is not of 32 bytes")?;
    Ok(SealingKey::new(key))
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}
