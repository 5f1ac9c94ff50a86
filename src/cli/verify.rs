//! `affiant verify`: a record or a bundle, offline.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::progress;
use crate::clock::{Clock as _, SystemClock, parse_time};
use crate::evidence::{Bundle, BundleFiles, Depth, Indication, SuppliedRecording, TrustPolicy, verify};
use crate::server::{read_anchors, read_trust_policy};
use crate::tlog::LogPolicy;
use crate::vcon::VconLimits;

/// Verify a record or an evidence bundle, offline. Exit code 0: passed, 1: failed, 2: indeterminate, 3: could not run.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// The record (JSON), the bundle (zip), or the folder that it unpacks to.
    file: PathBuf,
    /// A recording to hold against the record; may be given again.
    #[arg(long = "recording", value_name = "FILE")]
    recordings: Vec<PathBuf>,
    /// The trust policy (TOML): whom you trust, for what, and since when. The options below add to it.
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,
    /// PEM file of anchors that you trust for signers; may be given again. Without one the answer is indeterminate.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// PEM file of anchors that you trust for timestamps; may be given again.
    #[arg(long, value_name = "PEM")]
    trust_time: Vec<PathBuf>,
    /// The log policy (C2SP tlog-policy) that you trust.
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
    /// Revocation list, PEM or DER; may be given again.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// Pass only with the recordings.
    #[arg(long)]
    require_recordings: bool,
    /// Verify as of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// How much of the report is printed as JSON.
    #[arg(long, value_name = "DEPTH", value_enum, default_value = "detailed", requires = "json")]
    depth: DepthName,
    /// Write the report as a page to this file: whole in itself, one sheet when it is printed.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DepthName {
    /// Verdict, five rows, times.
    Simple,
    /// Everything that was judged.
    Detailed,
    /// And what it was judged from, taken apart.
    Diagnostic,
}

impl VerifyCommand {
    /// Verifies and prints the report.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut bundle = read_bundle(&self.file)?;
        for path in &self.recordings {
            bundle.recordings.push(read_recording(path)?);
        }
        for path in &self.crls {
            bundle.crls.push(read_crl(path)?);
        }
        let now = match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        let policy = self.trust_policy()?;
        let report = verify(&bundle, &policy, now);
        if let Some(path) = &self.html {
            std::fs::write(path, report.to_html()).with_context(|| format!("writing {}", path.display()))?;
        }
        let depth = match self.depth {
            DepthName::Simple => Depth::Simple,
            DepthName::Detailed => Depth::Detailed,
            DepthName::Diagnostic => Depth::Diagnostic,
        };
        let text = match self.json {
            true => format!("{}\n", report.to_json_at(depth, &bundle, &policy)),
            false => report.to_text(),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::from(match report.verdict.indication {
            Indication::Passed => 0,
            Indication::Failed => 1,
            Indication::Indeterminate => 2,
        }))
    }

    /// What the policy file says, and over it what the options say.
    fn trust_policy(&self) -> anyhow::Result<TrustPolicy> {
        let mut policy = match &self.trust_policy {
            Some(path) => read_trust_policy(path)?,
            None => TrustPolicy::nobody(),
        };
        let options = !self.trust.is_empty() || !self.trust_time.is_empty() || self.log_policy.is_some();
        if options || self.require_recordings {
            policy.name = match &self.trust_policy {
                Some(_) => format!("{}, and the command line", policy.name),
                None => "the command line".into(),
            };
        }
        for path in &self.trust {
            policy.anchors.add(read_anchors(path)?);
        }
        for path in &self.trust_time {
            policy.timestamp_anchors.add(read_anchors(path)?);
        }
        if let Some(path) = &self.log_policy {
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let log_policy = LogPolicy::parse(&bytes).with_context(|| format!("log policy {}", path.display()))?;
            anyhow::ensure!(policy.log_policy.is_none(), "the trust policy has a log policy of its own");
            policy.log_policy = Some(log_policy);
        }
        policy.recordings_required |= self.require_recordings;
        Ok(policy)
    }
}

fn read_bundle(path: &Path) -> anyhow::Result<Bundle> {
    if path.is_dir() {
        return read_folder(path);
    }
    let bytes_max = VconLimits::default().json.bytes_max as u64;
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // A bundle is compressed, and its own limits hold when it is unpacked.
    file.take(4 * bytes_max).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    if bytes.starts_with(b"PK") {
        let files = BundleFiles::from_zip(&bytes).with_context(|| format!("bundle {}", path.display()))?;
        return Ok(files.to_bundle()?);
    }
    Ok(Bundle::of_record(bytes))
}

fn read_folder(folder: &Path) -> anyhow::Result<Bundle> {
    let mut files = BundleFiles::default();
    for (dir, prefix) in [(folder.to_owned(), ""), (folder.join("crls"), "crls/")] {
        if !dir.is_dir() {
            continue;
        }
        let mut names: Vec<_> = std::fs::read_dir(&dir)?.collect::<Result<_, _>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && is_bundle_file(&name, prefix) {
                files.add(&format!("{prefix}{name}"), std::fs::read(entry.path())?);
            }
        }
    }
    files.to_bundle().with_context(|| format!("bundle {}", folder.display()))
}

/// Beside the bundle there may be recordings of any size: they are not read into memory.
fn is_bundle_file(name: &str, prefix: &str) -> bool {
    let endings = [".json", ".tlog-proof", ".tlog-policy", ".txt", ".tsr", ".pem"];
    !prefix.is_empty() || endings.iter().any(|ending| name.ends_with(ending))
}

fn read_recording(path: &Path) -> anyhow::Result<SuppliedRecording> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(SuppliedRecording { name, digests: progress::digests_of(path)?.0 })
}

/// Reads a revocation list, PEM or DER.
pub(super) fn read_crl(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not PEM", path.display()))?;
    let crl = crate::pki::Crl::from_pem(text).with_context(|| format!("revocation list {}", path.display()))?;
    Ok(crl.der().to_vec())
}
