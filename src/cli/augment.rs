//! `affiant augment`: adds late evidence to a provisional bundle, such as the next revocation lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use zeroize::Zeroizing;

use crate::atomic_file::{self, Access};
use crate::cli::args::inputs::{read_crl, read_files, read_ocsp_response};
use crate::cli::args::trust::TrustArgs;
use crate::cli::output;
use crate::client::HttpClient;
use crate::clock::{Clock as _, SystemClock};
use crate::evidence::{
    Bundle, BundleFiles, Indication, LayerEvidence, Record, TrustPolicy, ValidationReport, instructions, verify,
};
use crate::pki::ocsp::{CertificateId, IdHash, OcspRequest, OcspResponse};
use crate::pki::{Certificate, Crl};
use crate::vcon::VconLimits;

/// Between a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a bundle as it travels.
const BUNDLE_BYTES_MAX: usize = 128 << 20;
/// Bytes of a revocation list: a million entries.
const LIST_BYTES_MAX: usize = 64 << 20;
/// Bytes of an OCSP response.
const STATUS_BYTES_MAX: usize = 256 << 10;

/// Add late evidence to a bundle, such as revocation lists issued since.
///
/// A bundle is complete when it holds, for each certificate of the path, a list or status from at or after the trusted
/// time; it then verifies offline for as long as its algorithms hold. The record itself never changes. Files that are no
/// part of a bundle are left out. Exit code 2: the bundle is not complete yet.
#[derive(Debug, Args)]
pub(crate) struct AugmentCommand {
    /// The bundle (zip), or the folder that it unpacks to.
    bundle: PathBuf,
    /// Where to write the bundle; it may be the input.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// A revocation list, PEM or DER; may be repeated.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// An OCSP response, DER; may be repeated.
    #[arg(long = "ocsp", value_name = "FILE")]
    ocsp_responses: Vec<PathBuf>,
    /// Ask this server for revocation lists and statuses; with a token in AFFIANT_TOKEN that may read the record, for all evidence.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

impl AugmentCommand {
    /// Completes the bundle, and says what is still missing.
    ///
    /// # Errors
    /// When a file cannot be read or written, the server does not answer, or has another record.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let files = read_files(&self.bundle)?;
        let mut bundle = files.to_bundle().with_context(|| format!("bundle {}", self.bundle.display()))?;
        let foreign: Vec<&str> = files.iter().map(|(name, _)| name).filter(|name| !BundleFiles::is_own(name)).collect();
        ensure!(
            foreign.is_empty() || !same_file(&self.bundle, &self.output),
            "{:?} is no part of a bundle and would be lost: write to another file",
            foreign[0]
        );
        let policy = self.trust.policy()?;
        let now = SystemClock::default().now();
        let before = verify(&bundle, &policy, now);
        if let Some(server) = &self.server {
            ask(&mut bundle, server.trim_end_matches('/'), &policy).await?;
        }
        for path in &self.crls {
            add_list(&mut bundle, read_crl(path)?).with_context(|| path.display().to_string())?;
        }
        for path in &self.ocsp_responses {
            union(&mut bundle.ocsp_responses, vec![read_ocsp_response(path)?]);
        }
        let report = verify(&bundle, &policy, now);
        let passed = |report: &ValidationReport| report.verdict.indication == Indication::Passed;
        ensure!(
            passed(&report) || !passed(&before),
            "with what was added it is {}, and was {}: nothing is written",
            report.verdict.code(),
            before.verdict.code()
        );
        let mut completed = BundleFiles::of(&bundle);
        completed.add("report.json", report.to_json().into_bytes());
        completed.add("report.html", report.to_html().into_bytes());
        completed.add("VERIFY.txt", instructions(&bundle, &report).into_bytes());
        let packed = completed.to_zip();
        BundleFiles::from_zip(&packed).context("with what was added, it would be a bundle that nobody reads")?;
        atomic_file::write(&self.output, &packed, Access::Secret)
            .with_context(|| format!("writing {}", self.output.display()))?;
        println!("{}", report.verdict.code());
        foreign.iter().for_each(|name| println!("left out, as no part of a bundle: {}", output::printable(name)));
        report.completeness.missing.iter().for_each(|missing| println!("missing: {}", missing.to_line()));
        let is_complete = report.completeness.complete && passed(&report);
        Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Asks the server for all that it has of the record, or else for the lists and statuses that its certificates name.
async fn ask(bundle: &mut Bundle, server: &str, policy: &TrustPolicy) -> anyhow::Result<()> {
    let http = HttpClient::new(TIMEOUT)?;
    let record = Record::parse(&bundle.record, &VconLimits::default()).context("the record in the bundle")?;
    if let Ok(token) = std::env::var("AFFIANT_TOKEN") {
        let url = format!("{server}/v1/records/{}/bundle", record.digest());
        let answer = http.call("GET", &url, &Zeroizing::new(token), None, BUNDLE_BYTES_MAX).await?;
        ensure!(answer.status == 200, "{url} answered with status {}", answer.status);
        let theirs = BundleFiles::from_zip(&answer.body)?.to_bundle()?;
        ensure!(theirs.record == bundle.record, "the server has other bytes for this record");
        merge(bundle, theirs);
        return Ok(());
    }
    let signatures = record.layers().iter().flat_map(|layer| layer.signatures());
    let ders = signatures.flat_map(|signature| &signature.header().certificates).chain(&bundle.certificates);
    let certificates: Vec<Certificate> = ders.filter_map(|der| Certificate::from_der(der).ok()).collect();
    let points = certificates.iter().flat_map(Certificate::crl_distribution_points).flat_map(|point| &point.uris);
    // Certificates say where their lists are; only the server that was named is asked.
    let prefix = format!("{server}/");
    let lists: BTreeSet<&String> = points.filter(|url| url.starts_with(&prefix)).collect();
    let anchors = policy.anchors.iter().chain(policy.timestamp_anchors.iter()).map(AsRef::as_ref);
    let issuers: Vec<&Certificate> = certificates.iter().chain(anchors).collect();
    let statuses = status_requests(&certificates, &issuers, &prefix);
    ensure!(!(lists.is_empty() && statuses.is_empty()), "no certificate says that its revocation list is at {server}");
    for url in lists {
        let answer = http.get(url, LIST_BYTES_MAX).await?;
        ensure!(answer.status == 200, "{url} answered with status {}", answer.status);
        add_list(bundle, answer.body).with_context(|| url.clone())?;
    }
    for url in statuses {
        let answer = http.get(&url, STATUS_BYTES_MAX).await?;
        ensure!(answer.status == 200, "{url} answered with status {}", answer.status);
        // An error is no evidence: the lists may do.
        if OcspResponse::from_der(&answer.body).is_ok() {
            union(&mut bundle.ocsp_responses, vec![answer.body]);
        }
    }
    Ok(())
}

/// The addresses that ask for the status of each certificate, where it names one that begins with `prefix`
/// (RFC 6960 appendix A.1).
fn status_requests(certificates: &[Certificate], issuers: &[&Certificate], prefix: &str) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    for certificate in certificates {
        for uri in certificate.ocsp_uris().iter().filter(|uri| uri.starts_with(prefix)) {
            let issued = issuers.iter().filter(|issuer| {
                issuer.subject() == certificate.issuer()
                    && issuer.key().is_ok_and(|key| certificate.check_signature(key).is_ok())
            });
            let ids = issued.filter_map(|issuer| CertificateId::of(IdHash::Sha1, issuer, certificate.serial()));
            addresses.extend(ids.map(|id| {
                let request = STANDARD.encode(OcspRequest::encode(&id));
                let request = request.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
                format!("{uri}/{request}")
            }));
        }
    }
    addresses
}

/// Takes over what the server has, and loses nothing that was there: only what belongs together is replaced together.
fn merge(bundle: &mut Bundle, theirs: Bundle) {
    merge_form(&mut bundle.evidence, theirs.evidence);
    for (position, form) in theirs.inner_layers.into_iter().enumerate() {
        match bundle.inner_layers.get_mut(position) {
            Some(ours) => merge_form(ours, form),
            None => bundle.inner_layers.push(form),
        }
    }
    if theirs.archives.len() >= bundle.archives.len() {
        bundle.archives = theirs.archives;
    }
    bundle.jades = theirs.jades.or(bundle.jades.take());
    union(&mut bundle.consistency, theirs.consistency);
    union(&mut bundle.certificates, theirs.certificates);
    union(&mut bundle.crls, theirs.crls);
    union(&mut bundle.ocsp_responses, theirs.ocsp_responses);
    union(&mut bundle.offered_anchors, theirs.offered_anchors);
    bundle.offered_log_policy = theirs.offered_log_policy.or(bundle.offered_log_policy.take());
}

/// The same for one form of the record.
fn merge_form(ours: &mut LayerEvidence, theirs: LayerEvidence) {
    // Tokens are over the checkpoint of the proof.
    if theirs.proof.is_some() && theirs.proof != ours.proof {
        (ours.entry, ours.proof) = (theirs.entry, theirs.proof);
        ours.checkpoint_tokens = theirs.checkpoint_tokens;
    } else {
        union(&mut ours.checkpoint_tokens, theirs.checkpoint_tokens);
    }
    if theirs.second_proof.is_some() && theirs.second_proof != ours.second_proof {
        ours.second_proof = theirs.second_proof;
        ours.second_tokens = theirs.second_tokens;
    } else {
        union(&mut ours.second_tokens, theirs.second_tokens);
    }
    union(&mut ours.record_tokens, theirs.record_tokens);
}

fn union(ours: &mut Vec<Vec<u8>>, theirs: Vec<Vec<u8>>) {
    let new: Vec<_> = theirs.into_iter().filter(|one| !ours.contains(one)).collect();
    ours.extend(new);
}

fn add_list(bundle: &mut Bundle, list: Vec<u8>) -> anyhow::Result<()> {
    Crl::from_der(&list).context("not a revocation list")?;
    if !bundle.crls.contains(&list) {
        bundle.crls.push(list);
    }
    Ok(())
}
