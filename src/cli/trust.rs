//! `affiant trust`: trust policies made of what others publish.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::args::inputs::read_certificates;
use super::args::time_args::TimeArgs;
use crate::atomic_file::{self, Access};
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::TrustPolicy;
use crate::pki::{Certificate, Purpose, TrustAnchors};
use crate::trusted_list::{ImportedAnchors, LIST_BYTES_MAX, ServiceType, TrustedList, TrustedListError};

/// Exit code of a list that nobody who was named has signed, or that was changed.
const NOT_RIGHT: u8 = 1;
/// Exit code of a list that is too old.
const EXPIRED: u8 = 2;

/// Make trust policies.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Make a trust policy of a trusted list (ETSI TS 119 612).
    ///
    /// The list is a file: nothing is fetched. Its signature has to be by a certificate of --signer, or by one that the list
    /// of lists names for its territory; then --signer is of the list of lists. Each service becomes an anchor with its
    /// certificates, from when its status was good until it was not. Exit codes: 1 where the signature is not right, 2 where
    /// the next list was due before.
    Import(ImportCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ImportCommand {
    /// The trusted list (XML).
    list: PathBuf,
    /// File of certificates, one of which signed the list, PEM or DER; may be repeated.
    #[arg(long = "signer", value_name = "PEM", required = true)]
    signers: Vec<PathBuf>,
    /// The list of lists (XML), which names those who may sign the list.
    #[arg(long, value_name = "FILE")]
    list_of_lists: Option<PathBuf>,
    /// Type of service to take: CA/QC, CA/PKC, TSA/QTST, TSA, TSA/TSS-QC or TSA/TSS-AdESQCandQES; may be repeated.
    #[arg(long = "service", value_name = "TYPE", default_values = ["CA/QC", "TSA/QTST"])]
    services: Vec<ServiceType>,
    /// Purpose of signers' certificates that the policy accepts; may be repeated.
    #[arg(long = "signer-purpose", value_name = "PURPOSE")]
    signer_purposes: Vec<Purpose>,
    /// Take a list although the next one was due before.
    #[arg(long)]
    accept_expired: bool,
    /// Write the policy to this file instead of the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    time: TimeArgs,
}

impl TrustCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is no trusted list.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Import(command) => command.run(),
        }
    }
}

impl ImportCommand {
    fn run(self) -> anyhow::Result<ExitCode> {
        let bytes = read_list(&self.list)?;
        let lists = match self.open(&bytes) {
            Err(Refused::Signature(path, error)) => {
                eprintln!("affiant: {}: {error}", path.display());
                return Ok(ExitCode::from(NOT_RIGHT));
            }
            Err(Refused::Unusable(error)) => return Err(error),
            Ok(lists) => lists,
        };
        let now = self.time.time()?;
        for (path, list) in &lists {
            let Some(due) = list.next_update.filter(|due| *due < now && !self.accept_expired) else { continue };
            let (path, due) = (path.display(), format_time(due));
            eprintln!("affiant: {path}: the next list was due {due}; get it, or take this one with --accept-expired");
            return Ok(ExitCode::from(EXPIRED));
        }
        let (_, list) = lists.last().context("a list was opened")?;
        let imported = list.anchors(&self.services);
        say_what_was_left_out(&imported);
        if imported.anchors.is_empty() && imported.timestamp_anchors.is_empty() {
            let territories: Vec<_> = list.territories().collect();
            anyhow::ensure!(
                territories.is_empty(),
                "{} has no such services: it is a list of the lists of {}",
                self.list.display(),
                territories.join(", ")
            );
            anyhow::bail!("{} has no such services", self.list.display());
        }
        let text = self.policy_text(list, &bytes, imported)?;
        match &self.output {
            Some(path) => atomic_file::write(path, text.as_bytes(), Access::Public)
                .with_context(|| format!("writing {}", path.display()))?,
            None => std::io::stdout().write_all(text.as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Opens the list of lists, where there is one, and the list, which comes last.
    fn open(&self, bytes: &[u8]) -> Result<Vec<(&Path, TrustedList)>, Refused<'_>> {
        let mut signers: Vec<Arc<Certificate>> = Vec::new();
        for path in &self.signers {
            signers.extend(read_certificates(path).map_err(Refused::Unusable)?.into_iter().map(Arc::new));
        }
        let Some(path) = &self.list_of_lists else {
            let list = TrustedList::open(bytes, &signers).map_err(|error| Refused::of(&self.list, error))?;
            return Ok(vec![(&self.list, list)]);
        };
        let lists = read_list(path).map_err(Refused::Unusable)?;
        let lists = TrustedList::open(&lists, &signers).map_err(|error| Refused::of(path, error))?;
        let list = lists.open_pointed_to(bytes).map_err(|error| Refused::of(&self.list, error))?;
        Ok(vec![(path, lists), (&self.list, list)])
    }

    fn policy_text(&self, list: &TrustedList, bytes: &[u8], imported: ImportedAnchors) -> anyhow::Result<String> {
        let TrustedList { territory, operator, sequence_number, .. } = list;
        let issued = format_time(list.issued_at);
        let mut text =
            format!("# Trusted list number {sequence_number} of {territory}, issued {issued} by {operator}.\n");
        let digest = Sha256Digest::of(bytes);
        writeln!(text, "# SHA-256 of the file: {digest}")?;
        writeln!(
            text,
            "# Signed with the key of the certificate whose SHA-256 is {}",
            list.signed_by.thumbprint_url()
        )?;
        if let Some(due) = list.next_update {
            writeln!(text, "# The next list is due {}: import that one then.", format_time(due))?;
        }
        writeln!(
            text,
            "# A service of this list is supervised; that makes no signature of its certificates qualified.\n"
        )?;
        let mut policy = TrustPolicy {
            name: format!("trusted list {sequence_number} of {territory}"),
            anchors: TrustAnchors::of(imported.anchors),
            timestamp_anchors: TrustAnchors::of(imported.timestamp_anchors),
            ..TrustPolicy::nobody()
        };
        if !self.signer_purposes.is_empty() {
            policy.signer_purposes.clone_from(&self.signer_purposes);
        }
        text.push_str(&policy.to_toml());
        text.push('\n');
        TrustPolicy::parse(&text, |_| Err("it names no file".into())).context("the policy that comes of it")?;
        let (signers, timestamps) = (policy.anchors.entries().len(), policy.timestamp_anchors.entries().len());
        eprintln!("{signers} anchors of signers, {timestamps} of timestamp authorities");
        Ok(text)
    }
}

/// Why a list is not imported.
enum Refused<'a> {
    Signature(&'a Path, TrustedListError),
    Unusable(anyhow::Error),
}

impl<'a> Refused<'a> {
    fn of(path: &'a Path, error: TrustedListError) -> Self {
        match error {
            TrustedListError::Signature(_) => Self::Signature(path, error),
            other => Self::Unusable(anyhow::Error::from(other).context(path.display().to_string())),
        }
    }
}

fn read_list(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    let read = file.take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

fn say_what_was_left_out(imported: &ImportedAnchors) {
    for name in &imported.without_certificate {
        eprintln!("left out, without a certificate that can be read: {name}");
    }
}
