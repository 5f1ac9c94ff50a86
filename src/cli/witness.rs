//! `affiant witness`: makes a witness and a timestamp authority, and runs them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use futures_util::poll;

use super::certs::reason;
use crate::clock::{Clock, SystemClock};
use crate::pki::RevocationReason;
use crate::request_body::close_unread;
use crate::server::config::LogFormat;
use crate::server::connections_max;
use crate::tlog::VerifierKey;
use crate::witness::http::{WitnessService, routes};
use crate::witness::{CosigningAlgorithm, OpenedWitness, Passphrase, Witness, WitnessDir, WitnessSettings};

/// Seconds that requests under way get at a stop: more than any takes.
const STOP_SECONDS: u64 = 10;
/// Threads that read requests; disk and signatures have threads of their own.
const WORKERS: usize = 2;
/// An object identifier set aside for examples (RFC 5612): it promises nothing.
const EXAMPLE_POLICY: &str = "1.3.6.1.4.1.32473.1";

/// Run a witness and timestamp authority.
#[derive(Debug, Args)]
pub(crate) struct WitnessCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the keys and certificates of a new witness.
    Init {
        #[command(flatten)]
        place: DirectoryArgs,
        /// Key name of the cosignatures, such as example.com/witness1.
        #[arg(long)]
        name: String,
        /// Verifier key of a log to follow; may be repeated.
        #[arg(long = "log", value_name = "VKEY")]
        logs: Vec<VerifierKey>,
        /// Signature algorithm of a key to make: ed25519 or ml-dsa-44; may be repeated.
        #[arg(long = "key", value_name = "ALGORITHM", default_values_t = [CosigningAlgorithm::Ed25519])]
        keys: Vec<CosigningAlgorithm>,
        /// Policy of the timestamps, an object identifier.
        #[arg(long, value_name = "OID", default_value = EXAMPLE_POLICY)]
        policy: String,
    },
    /// Cosign checkpoints and timestamp data over HTTP.
    Serve {
        #[command(flatten)]
        place: DirectoryArgs,
        /// Address to listen on; with port 0 the system chooses one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Path prefix of all addresses.
        #[arg(long, value_name = "PATH", default_value = "")]
        prefix: String,
    },
    /// Revoke the certificate that signs timestamps, from the next start.
    RevokeAuthority {
        /// Directory of the witness.
        #[arg(long)]
        dir: PathBuf,
        /// The reason, as RFC 5280 names it: keyCompromise, superseded, cessationOfOperation, ….
        #[arg(long, value_parser = reason)]
        reason: RevocationReason,
    },
    /// Follow one more log, from the next start.
    AddLog {
        /// Directory of the witness.
        #[arg(long)]
        dir: PathBuf,
        /// Verifier key of the log.
        #[arg(value_name = "VKEY")]
        log: VerifierKey,
    },
}

#[derive(Debug, Args)]
struct DirectoryArgs {
    /// Directory of the witness.
    #[arg(long)]
    dir: PathBuf,
    /// File with the pass phrase of the private keys; default: AFFIANT_WITNESS_PASSPHRASE, else keys are not encrypted.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl DirectoryArgs {
    fn passphrase(&self) -> anyhow::Result<Option<Passphrase>> {
        let text = match &self.passphrase_file {
            Some(path) => Some(std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?),
            None => std::env::var("AFFIANT_WITNESS_PASSPHRASE").ok(),
        };
        let passphrase = text.as_deref().map(Passphrase::new).filter(|passphrase| !passphrase.is_empty());
        anyhow::ensure!(text.is_none() || passphrase.is_some(), "the pass phrase is empty");
        Ok(passphrase)
    }
}

impl WitnessCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// When the directory cannot be made or opened, or the address is taken.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Init { place, name, logs, keys, policy } => {
                let settings = WitnessSettings { name, keys, timestamp_policy: policy };
                init(&place, settings, &logs)
            }
            Action::Serve { place, listen, prefix } => {
                super::logging::start(LogFormat::Json);
                serve(&place, listen, &prefix).await
            }
            Action::RevokeAuthority { dir, reason } => revoke_authority(&dir, reason),
            Action::AddLog { dir, log } => add_log(&dir, &log),
        }
    }
}

fn init(place: &DirectoryArgs, settings: WitnessSettings, logs: &[VerifierKey]) -> anyhow::Result<()> {
    let passphrase = place.passphrase()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let directory = WitnessDir::init(&place.dir, settings, passphrase.as_ref(), clock.now())?;
    for log in logs {
        directory.add_log(log)?;
    }
    let opened = directory.open(passphrase.as_ref(), &clock)?;
    say(&format!("made {}, which cosigns as {}", place.dir.display(), keys_of(&opened.witness)))
}

fn revoke_authority(directory: &Path, reason: RevocationReason) -> anyhow::Result<()> {
    let is_new = WitnessDir::at(directory)?.revoke_authority(reason, SystemClock::default().now())?;
    say(if is_new { "revoked: from the next start on it is listed and makes no tokens" } else { "was revoked before" })
}

fn add_log(directory: &Path, log: &VerifierKey) -> anyhow::Result<()> {
    let added = WitnessDir::at(directory)?.add_log(log)?;
    let name = log.name();
    say(&if added { format!("follows {name} from the next start on") } else { format!("follows {name} already") })
}

async fn serve(place: &DirectoryArgs, listen: SocketAddr, prefix: &str) -> anyhow::Result<()> {
    let directory = WitnessDir::at(&place.dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let OpenedWitness { witness, authority, lock } = directory.open(place.passphrase()?.as_ref(), &clock)?;
    let keys = keys_of(&witness);
    let service = Data::new(WitnessService::new(witness, authority));
    let prefix = prefix.trim_end_matches('/').to_owned();
    anyhow::ensure!(prefix.is_empty() || prefix.starts_with('/'), "a prefix starts with a slash");

    let scope = prefix.clone();
    let server = HttpServer::new(move || {
        let app = App::new().app_data(service.clone()).wrap(from_fn(close_unread));
        app.service(web::scope(&scope).configure(routes))
    })
    .workers(WORKERS)
    .max_connections((connections_max() / WORKERS).max(1))
    .shutdown_timeout(STOP_SECONDS)
    .bind(listen)
    .with_context(|| format!("listening on {listen}"))?;
    let address = *server.addrs().first().context("no address is bound")?;
    let root = directory.root_certificate();
    // The first poll listens for signals: whoever reads the line may already send one.
    let mut running = pin!(server.run());
    if let Poll::Ready(stopped) = poll!(running.as_mut()) {
        return Ok(stopped?);
    }
    say(&format!("listening on http://{address}{prefix} as {keys}, with tokens under {}", root.display()))?;
    running.await?;
    drop(lock);
    Ok(())
}

fn keys_of(witness: &Witness) -> String {
    witness.keys().iter().map(VerifierKey::to_string).collect::<Vec<_>>().join(", ")
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
