//! `affiant timestamp`: timestamps of any file, offline.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::inputs::{read_certificates, read_crl, read_ocsp_response};
use crate::cli::args::time_args::TimeArgs;
use crate::cli::args::trust::TimeTrustArgs;
use crate::cli::{output, progress};
use crate::clock::format_time;
use crate::crypto::Hash;
use crate::evidence::{Bundle, FileTimestamp, Indication, TrustPolicy, Verifier};
use crate::pki::tsp::{TOKEN_BYTES_MAX, TimestampToken, TstInfo};

/// Verify timestamps (RFC 3161) of any file, offline.
#[derive(Debug, Subcommand)]
pub(crate) enum TimestampCommand {
    /// Verify the timestamp token of a file.
    Verify(VerifyCommand),
}

/// Exit codes as of `affiant verify`: 1 where the token is of another file, or its signature is wrong.
#[derive(Debug, Args)]
pub(crate) struct VerifyCommand {
    /// The file, of any kind and size.
    file: PathBuf,
    /// The token, or the whole response of the authority (DER).
    token: PathBuf,
    #[command(flatten)]
    trust: TimeTrustArgs,
    /// File of certificates, where the token has none of its own, PEM or DER; may be repeated.
    #[arg(long = "certificate", value_name = "PEM")]
    certificates: Vec<PathBuf>,
    /// Revocation list, PEM or DER; may be repeated.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// OCSP response, DER; may be repeated.
    #[arg(long = "ocsp", value_name = "FILE")]
    ocsp_responses: Vec<PathBuf>,
    #[command(flatten)]
    time: TimeArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl TimestampCommand {
    /// Verifies, and prints what came of it.
    ///
    /// # Errors
    /// When a file cannot be read, or the token is none.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verify(command) => command.run(),
        }
    }
}

impl VerifyCommand {
    fn run(self) -> anyhow::Result<ExitCode> {
        let (bytes, token) = read_token(&self.token)?;
        let mut evidence = Bundle::default();
        for path in &self.certificates {
            evidence.certificates.extend(read_certificates(path)?.iter().map(|one| one.der().to_vec()));
        }
        for path in &self.ocsp_responses {
            evidence.local_ocsp_responses.push(read_ocsp_response(path)?);
        }
        for path in &self.crls {
            evidence.local_crls.push(read_crl(path)?);
        }
        let now = self.time.time()?;
        let digests = progress::digests_of(&self.file)?.0;
        let digest = |hash| match hash {
            Hash::Sha256 => digests.sha256.to_vec(),
            Hash::Sha384 => digests.sha384.to_vec(),
            Hash::Sha512 => digests.sha512.to_vec(),
        };
        let policy = self.trust.policy()?;
        let found = Verifier::new(policy.clone()).check_file_timestamp(&bytes, digest, &evidence, now);
        let text = if self.json { in_json(&found, token.info(), &policy)? } else { in_words(&found, &policy) };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(output::exit_code(found.indication))
    }
}

/// The token's bytes, and what it says.
fn read_token(path: &Path) -> anyhow::Result<(Vec<u8>, TimestampToken)> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let most = TOKEN_BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    let token = TimestampToken::parse(&bytes);
    let token = token.with_context(|| format!("{} is no timestamp token, nor a response with one", path.display()))?;
    Ok((bytes, token))
}

fn in_words(found: &FileTimestamp, policy: &TrustPolicy) -> String {
    let one = &found.timestamp;
    let authority = one.authority.escape_debug();
    let said = match (found.indication, found.existed_by) {
        (Indication::Passed, Some(by)) => {
            format!("The file existed by {}, by the word of {authority}.", format_time(by))
        }
        (Indication::Failed, _) => "This does not hold.".to_owned(),
        _ => "This cannot be decided here.".to_owned(),
    };
    let stated = one.time.map(|time| format!("stated {} by {authority}\n", format_time(time)));
    let digest = policy.digest();
    format!(
        "{said}\n{}\n\n{}\n{}{digest}  the trust policy {:?}\n",
        found.indication.name(),
        one.reason.escape_debug(),
        stated.unwrap_or_default(),
        policy.name
    )
}

fn in_json(found: &FileTimestamp, info: &TstInfo, policy: &TrustPolicy) -> anyhow::Result<String> {
    let one = &found.timestamp;
    let value = json!({
        "version": 1,
        "indication": found.indication.name(),
        "reason": one.reason,
        "existed_by": found.existed_by.map(format_time),
        "time": one.time.map(format_time),
        "authority": one.authority,
        "token": {
            "policy": info.policy,
            "serial": info.serial_hex(),
            "hash": match info.imprint.hash() {
                Hash::Sha256 => "SHA-256",
                Hash::Sha384 => "SHA-384",
                Hash::Sha512 => "SHA-512",
            },
            "accuracy_microseconds": info.accuracy.map(|accuracy| accuracy.as_micros()),
        },
        "trust_policy": policy.name,
        "trust_policy_digest": policy.digest(),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value).context("writing JSON")?))
}
