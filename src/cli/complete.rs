//! `affiant complete`: a provisional bundle made complete, once the next revocation lists are out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use zeroize::Zeroizing;

use super::given::{read_crl, read_files};
use super::trust::TrustArgs;
use crate::client::HttpClient;
use crate::clock::{Clock as _, SystemClock};
use crate::durable::{self, Access};
use crate::evidence::{Bundle, BundleFiles, Record, verify};
use crate::pki::Certificate;
use crate::vcon::VconLimits;

/// Between a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a bundle as it travels.
const BUNDLE_BYTES_MAX: usize = 128 << 20;
/// Bytes of a revocation list: a million entries.
const LIST_BYTES_MAX: usize = 64 << 20;

/// Complete a bundle: add the revocation lists that were not out when it was made. Exit code 0: it is complete, 2: not yet.
///
/// A bundle is complete when it holds, for each certificate of the path, a list that was made at or after the trusted
/// time; it then verifies offline for as long as its algorithms hold. The record itself never changes.
#[derive(Debug, Args)]
pub struct CompleteCommand {
    /// The bundle (zip), or the folder that it unpacks to.
    bundle: PathBuf,
    /// Where to write the bundle. It may be the one that is read.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// A revocation list, PEM or DER; may be given again.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// The issuer's server: asked for the lists that the certificates say are there; with a token of whoever may read the
    /// record in AFFIANT_TOKEN, for everything that it has.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

impl CompleteCommand {
    /// Completes the bundle, and says what is still missing.
    ///
    /// # Errors
    /// When a file cannot be read or written, the server does not answer, or has another record.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let files = read_files(&self.bundle)?;
        let mut bundle = files.to_bundle().with_context(|| format!("bundle {}", self.bundle.display()))?;
        let policy = self.trust.policy()?;
        if let Some(server) = &self.server {
            ask(&mut bundle, server.trim_end_matches('/')).await?;
        }
        for path in &self.crls {
            add_list(&mut bundle, read_crl(path)?);
        }
        let report = verify(&bundle, &policy, SystemClock::default().now());
        let mut completed = BundleFiles::of(&bundle);
        completed.add("report.json", report.to_json().into_bytes());
        completed.add("report.html", report.to_html().into_bytes());
        for (name, bytes) in files.iter().filter(|(name, _)| *name == "VERIFY.txt") {
            completed.add(name, bytes.to_vec());
        }
        durable::write(&self.output, &completed.to_zip(), Access::Secret)
            .with_context(|| format!("writing {}", self.output.display()))?;
        println!("{}", report.verdict.code());
        report.completeness.missing.iter().for_each(|missing| println!("missing: {}", missing.to_line()));
        Ok(if report.completeness.complete { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

/// Asks the server for all that it has of the record, or else for the lists that its certificates name.
async fn ask(bundle: &mut Bundle, server: &str) -> anyhow::Result<()> {
    let http = HttpClient::new(TIMEOUT)?;
    let record = Record::parse(&bundle.record, &VconLimits::default()).context("the record in the bundle")?;
    if let Ok(token) = std::env::var("AFFIANT_TOKEN") {
        let url = format!("{server}/v1/records/{}/bundle", record.digest());
        let answer = http.call("GET", &url, &Zeroizing::new(token), None, BUNDLE_BYTES_MAX).await?;
        ensure!(answer.status == 200, "{url} answered with status {}", answer.status);
        let theirs = BundleFiles::from_zip(&answer.body)?.to_bundle()?;
        ensure!(theirs.record == bundle.record, "the server has other bytes for this record");
        let old_lists = std::mem::replace(bundle, theirs).crls;
        old_lists.into_iter().for_each(|list| add_list(bundle, list));
        return Ok(());
    }
    let signatures = record.layers().iter().flat_map(|layer| layer.signatures());
    let ders = signatures.flat_map(|signature| &signature.header().certificates).chain(&bundle.certificates);
    let certificates: Vec<Certificate> = ders.filter_map(|der| Certificate::from_der(der).ok()).collect();
    let points = certificates.iter().flat_map(Certificate::crl_distribution_points).flat_map(|point| &point.uris);
    // Certificates say where their lists are; only the server that was named is asked.
    let urls: BTreeSet<&String> = points.filter(|url| url.starts_with(&format!("{server}/"))).collect();
    ensure!(!urls.is_empty(), "no certificate says that its revocation list is at {server}");
    for url in urls {
        let answer = http.get(url, LIST_BYTES_MAX).await?;
        ensure!(answer.status == 200, "{url} answered with status {}", answer.status);
        add_list(bundle, answer.body);
    }
    Ok(())
}

fn add_list(bundle: &mut Bundle, list: Vec<u8>) {
    if !bundle.crls.contains(&list) {
        bundle.crls.push(list);
    }
}
