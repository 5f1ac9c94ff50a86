//! `affiant vcon verify`: the signatures of a vCon, by a key, by their own certificates, or by a trust anchor.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::keys::read_public_key;
use super::signatures::{JudgedSignature, judge, of_all};
use crate::cli::args::inputs::{read_certificates, read_crl, read_ocsp_response};
use crate::cli::output;
use crate::cli::vcon::io::document::Input;
use crate::clock::{Clock as _, SystemClock};
use crate::evidence::report::RowStatus;
use crate::evidence::{Bundle, Record, RecordError, TrustPolicy, verify};
use crate::pki::TrustAnchors;
use crate::server::read_anchors;
use crate::vcon::VconLimits;

/// The limits of a check of signatures alone.
const NOT_JUDGED: [&str; 4] = [
    "whether the certificates are to be trusted, valid or revoked (--trust judges that)",
    "when it was signed",
    "whether it is in a ledger (affiant verify judges that)",
    "whether recordings are those that were signed (affiant verify --recording judges that)",
];

/// Verify each signature of a vCon.
#[derive(Debug, Args)]
pub(crate) struct VerifyCommand {
    #[command(flatten)]
    input: Input,
    /// A public key that you trust: PEM, a certificate, or a JWK; may be repeated.
    #[arg(long = "key", value_name = "FILE", conflicts_with = "trust")]
    keys: Vec<PathBuf>,
    /// File of anchors that you trust for signers, PEM or DER; may be repeated.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Revocation list, PEM or DER; may be repeated. Without one, --trust leaves revocation undecided.
    #[arg(long = "crl", value_name = "FILE", requires = "trust")]
    crls: Vec<PathBuf>,
    /// OCSP response, DER; may be repeated.
    #[arg(long = "ocsp", value_name = "FILE", requires = "trust")]
    ocsp_responses: Vec<PathBuf>,
    /// File of the certificates that an x5u points to, which is never fetched, PEM or DER; may be repeated.
    #[arg(long, value_name = "PEM")]
    certificates: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    /// Verifies and says what was seen.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bytes = self.input.bytes()?;
        let mut supplied = Vec::new();
        for path in &self.certificates {
            supplied.extend(read_certificates(path)?.iter().map(|one| one.der().to_vec()));
        }
        let (code, text) =
            if self.trust.is_empty() { self.by_keys(&bytes, &supplied) } else { self.by_anchors(bytes, supplied) }?;
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(code)
    }

    fn by_anchors(&self, bytes: Vec<u8>, certificates: Vec<Vec<u8>>) -> anyhow::Result<(ExitCode, String)> {
        let mut anchors = Vec::new();
        for path in &self.trust {
            anchors.extend(read_anchors(path)?);
        }
        let local_crls = self.crls.iter().map(|path| read_crl(path)).collect::<anyhow::Result<_>>()?;
        let policy = TrustPolicy {
            name: "the command line".into(),
            anchors: TrustAnchors::new(anchors),
            ..TrustPolicy::nobody()
        };
        let local_ocsp_responses =
            self.ocsp_responses.iter().map(|path| read_ocsp_response(path)).collect::<anyhow::Result<_>>()?;
        let bundle = Bundle { certificates, local_crls, local_ocsp_responses, ..Bundle::of_record(bytes) };
        let report = verify(&bundle, &policy, SystemClock::default().now());
        let text = if self.json { format!("{}\n", report.to_json()) } else { report.to_text() };
        Ok((output::exit_code(report.verdict.indication), text))
    }

    fn by_keys(&self, bytes: &[u8], supplied: &[Vec<u8>]) -> anyhow::Result<(ExitCode, String)> {
        let keys = self.keys.iter().map(|path| read_public_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let parsed = Record::parse(bytes, &VconLimits::default());
        let signatures = parsed.as_ref().map_or_else(|_| Vec::new(), |record| judge(record, &keys, supplied));
        let answer = of_all(&signatures);
        let text = if self.json {
            let uuid = parsed.as_ref().ok().and_then(|record| record.vcon().uuid());
            let error = parsed.as_ref().err().map(RecordError::to_string);
            let value = json!({
                "answer": answer, "uuid": uuid, "signatures": signatures, "error": error,
                "not_judged": NOT_JUDGED,
            });
            format!("{}\n", serde_json::to_string_pretty(&value).context("writing JSON")?)
        } else {
            in_words(answer, &parsed, &signatures)
        };
        let code = match answer {
            RowStatus::Yes => 0,
            RowStatus::No => 1,
            RowStatus::Unknown | RowStatus::NotChecked => 2,
        };
        Ok((ExitCode::from(code), text))
    }
}

fn in_words(answer: RowStatus, parsed: &Result<Record, RecordError>, signatures: &[JudgedSignature]) -> String {
    let said = match answer {
        RowStatus::Yes => "every signature verifies with a key that was given",
        RowStatus::No => "not signed as it stands",
        RowStatus::Unknown | RowStatus::NotChecked => "whether it is signed as it should be cannot be said",
    };
    let mut text = format!("{said}\n");
    match parsed {
        Err(error) => _ = writeln!(text, "{}", error.to_string().escape_debug()),
        Ok(record) => {
            _ = writeln!(text, "vCon {}", record.vcon().uuid().unwrap_or("without a uuid").escape_debug());
            let beside: Vec<_> =
                record.layers().iter().flat_map(|jws| jws.other_members()).map(String::as_str).collect();
            if !beside.is_empty() {
                _ = writeln!(text, "not signed, and not looked at: {}", beside.join(", ").escape_debug());
            }
        }
    }
    for one in signatures {
        _ = writeln!(text, "{} ({}): {}", one.name(), one.algorithm.escape_debug(), one.reason);
        if let (Some(subject), Some(thumbprint)) = (&one.certificate, &one.thumbprint) {
            _ = writeln!(text, "    certificate: {} ({thumbprint})", subject.escape_debug());
        }
        if let Some(time) = &one.claimed_time {
            _ = writeln!(text, "    claims to be signed at {time}");
        }
    }
    text.push_str("not judged:\n");
    for one in NOT_JUDGED {
        _ = writeln!(text, "    {one}");
    }
    text
}
