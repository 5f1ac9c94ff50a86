//! Verdicts of cases from outside, as `affiant verify` gives them: minted attacks, and what another signer made.
//!
//! A case names a file, arguments and what it should come to: an indication, `not` one, and perhaps a sub-indication.
//! What the command refuses to read at all has no indication: it is `not` any.

use std::mem::take;
use std::path::Path;
use std::process::Command;

use affiant::evidence::BundleFiles;
use affiant::pki::tsp::Timestamp;
use affiant::pki::{Certificate, Crl, RevocationStatus};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::fixtures::vectors::folder;

#[derive(Deserialize)]
struct Case {
    file: String,
    #[serde(default)]
    arguments: Vec<String>,
    indication: String,
    sub_indication: Option<String>,
    why: Option<String>,
}

/// What a case came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Verdict { indication: String, sub_indication: Option<String>, reason: String },
    Refused(String),
}

impl Case {
    /// Runs `affiant verify`; nothing but a verdict or a refusal is an answer.
    fn run(&self, folder: &Path, at: &str) -> Result<Outcome, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.current_dir(folder).arg("verify").arg(&self.file).args(["--at", at, "--json"]).args(&self.arguments);
        let output = command.output().map_err(|error| error.to_string())?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.stdout.is_empty() {
            let refused = output.status.code().is_some_and(|code| code != 0);
            let understood = !error.contains("Usage:") && !error.contains("panicked");
            return if refused && understood { Ok(Outcome::Refused(error)) } else { Err(error) };
        }
        let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let text = |name: &str| report["verdict"][name].as_str().map(str::to_owned);
        let indication = text("indication").ok_or("a report without an indication")?;
        let reason = text("reason").unwrap_or_default();
        Ok(Outcome::Verdict { indication, sub_indication: text("sub_indication"), reason })
    }

    fn expects(&self, outcome: &Outcome) -> bool {
        let (unwanted, wanted) = match self.indication.strip_prefix("not ") {
            Some(unwanted) => (Some(unwanted), None),
            None => (None, Some(self.indication.as_str())),
        };
        match outcome {
            Outcome::Refused(_) => wanted.is_none(),
            Outcome::Verdict { indication, sub_indication, .. } => {
                unwanted.is_none_or(|unwanted| indication != unwanted)
                    && wanted.is_none_or(|wanted| indication == wanted)
                    && (self.sub_indication.is_none() || self.sub_indication == *sub_indication)
            }
        }
    }
}

/// A way in which we are known to differ: by what is in the record, and by what was wanted and came instead.
struct Divergence {
    reason: &'static str,
    applies: fn(&Value, &[Crl]) -> bool,
    wanted: &'static str,
    got: &'static str,
}

const DIVERGENCES: [Divergence; 1] = [Divergence {
    reason: "no list that was handed over revokes the authority of its timestamp: nothing here says that it is bad",
    applies: |signature, lists| {
        let authorities = timestamp_certificates(signature);
        let is_listed = |one| lists.iter().any(|list| matches!(list.revocation_of(one), RevocationStatus::Revoked(_)));
        let is_spoken_of = |one: &Certificate| lists.iter().any(|list| list.issuer() == one.issuer());
        !authorities.is_empty() && !authorities.iter().any(is_listed) && authorities.iter().all(is_spoken_of)
    },
    wanted: "not TOTAL-PASSED",
    got: "TOTAL-PASSED",
}];

/// The certificates in the tokens over a signature.
fn timestamp_certificates(signature: &Value) -> Vec<Certificate> {
    let elements = signature["header"]["etsiU"].as_array().map_or(&[][..], Vec::as_slice);
    let decoded = elements.iter().filter_map(|element| URL_SAFE_NO_PAD.decode(element.as_str()?).ok());
    let properties = decoded.filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let tokens: Vec<_> = properties.filter_map(|mut one| one["sigTst"]["tstTokens"].as_array_mut().map(take)).collect();
    let tokens = tokens.iter().flatten().filter_map(|token| STANDARD.decode(token["val"].as_str()?).ok());
    let over = signature["signature"].as_str().unwrap_or_default().as_bytes();
    let opened = tokens.filter_map(|token| Timestamp::open(&token, over, &[]).ok());
    let ders: Vec<_> = opened.flat_map(|one| one.certificates().to_vec()).collect();
    ders.iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

impl Divergence {
    fn explains(&self, case: &Case, folder: &Path, outcome: &Outcome) -> bool {
        let bytes = std::fs::read(folder.join(&case.file)).unwrap_or_default();
        let files = BundleFiles::from_zip(&bytes).and_then(|files| files.to_bundle());
        let record = files.map_or(bytes, |bundle| bundle.record);
        let record: Value = serde_json::from_slice(&record).unwrap_or_default();
        let signatures = record["signatures"].as_array().map_or(&[][..], Vec::as_slice);
        let handed = case.arguments.iter().filter_map(|argument| std::fs::read(folder.join(argument)).ok());
        let read = |bytes: Vec<u8>| match std::str::from_utf8(&bytes) {
            Ok(text) => Crl::from_pem(text).ok(),
            Err(_) => Crl::from_der(&bytes).ok(),
        };
        let lists: Vec<_> = handed.filter_map(read).collect();
        let came = matches!(outcome, Outcome::Verdict { indication, .. } if indication == self.got);
        case.indication == self.wanted && came && signatures.iter().any(|one| (self.applies)(one, &lists))
    }
}

/// What one case came to.
#[derive(Debug, PartialEq)]
enum Checked {
    Right,
    Skipped,
    /// Wrong, in a way that is known.
    Diverges(&'static str),
    Wrong(String),
}

fn check_case(position: usize, case: &Value, folder: &Path, at: &str) -> Checked {
    let case: Case = match serde_json::from_value(case.clone()) {
        Ok(case) => case,
        Err(error) => return Checked::Wrong(format!("case {position} is none: {error}")),
    };
    let (name, why) = (format!("case {position}, {}", case.file), case.why.as_deref().unwrap_or("no reason given"));
    // Every argument that is a file is named like one.
    let files = case.arguments.iter().filter(|argument| !argument.starts_with("--") && argument.contains('.'));
    if let Some(missing) = std::iter::once(&case.file).chain(files).find(|file| !folder.join(file).exists()) {
        println!("skipped: {name}: no file {missing}");
        return Checked::Skipped;
    }
    match case.run(folder, at) {
        Ok(outcome) if case.expects(&outcome) => Checked::Right,
        Ok(outcome) => match DIVERGENCES.iter().find(|known| known.explains(&case, folder, &outcome)) {
            Some(known) => Checked::Diverges(known.reason),
            None => {
                let sub = case.sub_indication.as_deref().unwrap_or("any");
                Checked::Wrong(format!("{name}: expected {} ({sub}), got {outcome:?}: {why}", case.indication))
            }
        },
        Err(error) => Checked::Wrong(format!("{name} has no answer: {error}")),
    }
}

fn check(suite: &str) {
    let Some(folder) = folder(suite) else { return };
    let text = std::fs::read(folder.join("cases.json")).unwrap();
    let suite: Value = serde_json::from_slice(&text).unwrap();
    let at = suite["at"].as_str().unwrap();
    let cases = suite["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for (position, case) in cases.iter().enumerate() {
        match check_case(position, case, &folder, at) {
            Checked::Right | Checked::Skipped => {}
            Checked::Wrong(fault) => wrong.push(fault),
            // Other folders may have no case that shows it: that it is gone is not told from here.
            Checked::Diverges(reason) => println!("case {position} differs: {reason}"),
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn verdicts_vectors() {
    check("verdicts");
}

#[test]
fn jades_vectors() {
    check("jades");
}

#[test]
fn a_case_that_is_none_is_a_fault_and_a_file_that_is_not_there_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let at = "2026-11-28T22:00:00Z";
    let check = |case: Value| check_case(0, &case, folder.path(), at);
    let fault = |case: Value| match check(case) {
        Checked::Wrong(fault) => fault,
        other => panic!("{other:?}"),
    };
    assert!(fault(serde_json::json!({ "file": 1 })).contains("is none"));
    assert_eq!(check(serde_json::json!({ "file": "missing.zip", "indication": "TOTAL-PASSED" })), Checked::Skipped);
    std::fs::write(folder.path().join("a.zip"), "PK, and nothing of an archive").unwrap();
    let refused = |indication: &str| serde_json::json!({ "file": "a.zip", "indication": indication });
    assert_eq!(check(refused("not TOTAL-PASSED")), Checked::Right);
    assert!(fault(refused("INDETERMINATE")).contains("expected INDETERMINATE"));
    let unknown = serde_json::json!({ "file": "a.zip", "arguments": ["--no-such"], "indication": "not TOTAL-PASSED" });
    assert!(fault(unknown).contains("no answer"));
}
