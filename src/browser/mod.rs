//! The verifier for a web page: files and a trust policy in, a report out, all on the reader's machine.
//!
//! With the feature `wasm` these types are JavaScript classes of the same names (`web/worker.js` uses them). Nothing is
//! decided here: a [`PageVerifier`] holds a [`Verifier`], and what it gives is byte for byte what the command line and the
//! server give for the same bundle, policy and time.

use std::sync::Arc;

use askama::Template;
#[cfg(feature = "wasm")]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::parse_time;
use crate::evidence::{Bundle, BundleFiles, SuppliedRecording, TrustPolicy, ValidationReport, Verifier};
use crate::pki::Certificate;
use crate::vcon::ContentDigester;

/// Bytes of what is read into memory: a record or a packed bundle. More than the verifier takes of either.
const GIVEN_BYTES_MAX: f64 = (128_u32 << 20) as f64;

/// Certificates that a reader trusts: browsers trust some hundred and fifty.
const ANCHORS_MAX: usize = 1000;

/// A report as a part of a page: verdict, five rows, signatures, what is not proved.
#[derive(Template)]
#[template(path = "browser/report.html")]
struct ReportPart<'a> {
    report: &'a ValidationReport,
}

/// A trust policy with what was found out under it before.
#[cfg_attr(feature = "wasm", wasm_bindgen)]
#[derive(Debug)]
pub struct PageVerifier {
    verifier: Verifier,
}

/// The files that a reader gives.
#[cfg_attr(feature = "wasm", wasm_bindgen)]
#[derive(Debug, Default)]
pub struct GivenFiles {
    files: BundleFiles,
    recordings: Vec<SuppliedRecording>,
}

/// The digests of a recording in the making.
#[cfg_attr(feature = "wasm", wasm_bindgen)]
#[derive(Debug, Default)]
pub struct RecordingDigester(ContentDigester);

/// A report, in the forms that a page needs.
#[cfg_attr(feature = "wasm", wasm_bindgen)]
#[derive(Debug)]
pub struct PageReport(ValidationReport);

#[cfg_attr(feature = "wasm", wasm_bindgen)]
impl PageVerifier {
    /// Reads a trust policy in its self-contained form (`docs/TRUST.md`), because a page has no files beside it; or
    /// certificates (PEM) as the anchors of signers, which trusts nobody for anything else.
    ///
    /// # Errors
    /// When it is none, in words for the reader.
    pub fn open(policy: &str) -> Result<PageVerifier, String> {
        let policy = if policy.trim_start().starts_with("-----BEGIN") {
            let anchors = Certificate::from_pem_bundle(policy, ANCHORS_MAX).map_err(|error| error.to_string())?;
            let mut trusted =
                TrustPolicy { name: "certificates of the reader's choice".into(), ..TrustPolicy::nobody() };
            trusted.anchors.add(anchors.into_iter().map(Arc::new).collect());
            trusted
        } else {
            let no_file = |_: &str| Err("is not here; certificates and log policy have to be in the policy".to_owned());
            TrustPolicy::parse(policy, no_file).map_err(|error| error.to_string())?
        };
        Ok(Self { verifier: Verifier::new(policy) })
    }

    /// The name of the trust policy.
    #[must_use]
    pub fn policy_name(&self) -> String {
        self.verifier.policy().name.clone()
    }

    /// The digest of the trust policy.
    #[must_use]
    pub fn policy_digest(&self) -> String {
        self.verifier.policy_digest().to_string()
    }

    /// The trust policy, whole: what its digest is of.
    #[must_use]
    pub fn policy_text(&self) -> String {
        self.verifier.policy().to_toml()
    }

    /// Verifies what was given, as of a time (RFC 3339).
    ///
    /// # Errors
    /// When there is no record or bundle to be verified, or `now` is no time; in words for the reader.
    pub fn verify(&self, given: &GivenFiles, now: &str) -> Result<PageReport, String> {
        let now = parse_time(now).map_err(|_| format!("{now:?} is not an RFC 3339 time"))?;
        let bundle = given.bundle()?;
        Ok(PageReport(self.verifier.verify(&bundle, now)))
    }
}

#[cfg_attr(feature = "wasm", wasm_bindgen)]
impl GivenFiles {
    /// Nothing is given yet.
    #[must_use]
    pub fn empty() -> GivenFiles {
        Self::default()
    }

    /// How large a file may be that is not a recording, in bytes; a recording may be of any size.
    #[must_use]
    pub fn file_bytes_max() -> f64 {
        GIVEN_BYTES_MAX
    }

    /// Takes a record, a bundle, or a file of an unpacked bundle by its path there.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.add(name, bytes);
    }

    /// Takes the digests of a recording.
    pub fn add_recording(&mut self, name: String, digests: RecordingDigester) {
        self.recordings.push(SuppliedRecording { name, digests: digests.0.finish() });
    }
}

impl GivenFiles {
    /// One file is a record or a bundle by its own bytes; several are an unpacked bundle.
    fn bundle(&self) -> Result<Bundle, String> {
        let mut files = self.files.iter();
        let mut bundle = match (files.next(), files.next()) {
            (None, _) => return Err("there is no record or bundle".to_owned()),
            (Some((_, bytes)), None) if bytes.starts_with(b"PK") => {
                let files = BundleFiles::from_zip(bytes).map_err(|error| error.to_string())?;
                files.to_bundle().map_err(|error| error.to_string())?
            }
            (Some((_, bytes)), None) => Bundle::of_record(bytes.to_vec()),
            _ => self.files.to_bundle().map_err(|error| error.to_string())?,
        };
        bundle.recordings.clone_from(&self.recordings);
        Ok(bundle)
    }
}

#[cfg_attr(feature = "wasm", wasm_bindgen)]
impl RecordingDigester {
    /// Nothing was taken in yet.
    #[must_use]
    pub fn empty() -> RecordingDigester {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg_attr(feature = "wasm", wasm_bindgen)]
impl PageReport {
    /// The indication and its sub-indication.
    #[must_use]
    pub fn code(&self) -> String {
        self.0.verdict.code()
    }

    /// The report as JSON, byte for byte as everywhere.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The report as a page of its own.
    #[must_use]
    pub fn to_page(&self) -> String {
        self.0.to_html()
    }

    /// The report as a part of the page that shows it.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn to_part(&self) -> String {
        ReportPart { report: &self.0 }.render().expect("memory takes every byte")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-07-01T12:00:00.123Z";

    fn nobody() -> PageVerifier {
        PageVerifier::open(&TrustPolicy::nobody().to_toml()).expect("a policy that trusts nobody")
    }

    fn given(files: &[(&str, &[u8])]) -> GivenFiles {
        let mut given = GivenFiles::empty();
        files.iter().for_each(|(name, bytes)| given.add_file(name, bytes.to_vec()));
        given
    }

    fn code(files: &[(&str, &[u8])]) -> Result<String, String> {
        nobody().verify(&given(files), NOW).map(|report| report.code())
    }

    #[test]
    fn a_record_a_bundle_and_its_files_are_told_apart() {
        let mut files = BundleFiles::default();
        files.add("record.vcon.json", b"{}".to_vec());
        let unread = Ok("INDETERMINATE (FORMAT_FAILURE)".to_owned());
        assert_eq!(code(&[("any.json", b"{}")]), unread);
        assert_eq!(code(&[("any.zip", &files.to_zip())]), unread);
        assert_eq!(code(&[("record.vcon.json", b"{}"), ("report.html", b"")]), unread);
        assert!(code(&[]).is_err() && code(&[("any.zip", b"PK\x03\x04")]).is_err());
        assert!(code(&[("a.json", b"{}"), ("b.json", b"{}")]).is_err(), "which of them is the record?");
    }

    #[test]
    fn the_report_is_the_verifiers_own() {
        let verifier = nobody();
        let report = verifier.verify(&given(&[("x", b"{}")]), NOW).expect("a report on what is no record");
        let bundle = Bundle::of_record(b"{}".to_vec());
        let own = crate::evidence::verify(&bundle, &TrustPolicy::nobody(), parse_time(NOW).expect("a time"));
        assert_eq!(report.to_json(), own.to_json());
        assert!(own.to_html().contains(&report.code()) && report.to_part().contains(&report.code()));
        assert!(verifier.verify(&given(&[("x", b"{}")]), "yesterday").is_err());
    }

    #[test]
    fn a_policy_is_whole_or_is_none() {
        let nobody = nobody();
        assert_eq!(
            (nobody.policy_name().as_str(), nobody.policy_digest()),
            ("none", TrustPolicy::nobody().digest().to_string())
        );
        let elsewhere = "version = 1\nname = \"x\"\n[[anchor]]\nname = \"y\"\nfile = \"root.pem\"\n";
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, said) in [
            ("", "version"),
            ("version = 2\nname = \"x\"\n", "version 2"),
            (elsewhere, "root.pem"),
            (broken, "certificate"),
        ] {
            let error = PageVerifier::open(text).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
    }
}
