//! Verdicts of cases from outside, as `affiant verify` gives them: minted attacks, and what another signer made.
//!
//! A case names a file, arguments and what it should come to: an indication, `not` one, and perhaps a sub-indication.
//! What the command refuses to read at all has no indication: it is `not` any.

use std::path::Path;
use std::process::Command;

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

/// What is wrong with one case, in words; `None` where nothing is, or a file of it is not here.
fn fault(position: usize, case: &Value, folder: &Path, at: &str) -> Option<String> {
    let case: Case = match serde_json::from_value(case.clone()) {
        Ok(case) => case,
        Err(error) => return Some(format!("case {position} is none: {error}")),
    };
    let (name, why) = (format!("case {position}, {}", case.file), case.why.as_deref().unwrap_or("no reason given"));
    // Every argument that is a file is named like one.
    let files = case.arguments.iter().filter(|argument| !argument.starts_with("--") && argument.contains('.'));
    if let Some(missing) = std::iter::once(&case.file).chain(files).find(|file| !folder.join(file).exists()) {
        println!("skipped: {name}: no file {missing}");
        return None;
    }
    match case.run(folder, at) {
        Ok(outcome) if case.expects(&outcome) => None,
        Ok(outcome) => {
            let sub = case.sub_indication.as_deref().unwrap_or("any");
            Some(format!("{name}: expected {} ({sub}), got {outcome:?}: {why}", case.indication))
        }
        Err(error) => Some(format!("{name} has no answer: {error}")),
    }
}

fn check(suite: &str) {
    let Some(folder) = folder(suite) else { return };
    let text = std::fs::read(folder.join("cases.json")).unwrap();
    let suite: Value = serde_json::from_slice(&text).unwrap();
    let at = suite["at"].as_str().unwrap();
    let cases = suite["cases"].as_array().unwrap();
    let faults: Vec<String> =
        cases.iter().enumerate().filter_map(|(position, case)| fault(position, case, &folder, at)).collect();
    assert!(faults.is_empty(), "{} of {} are wrong:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
#[ignore = "issue 13: some verdicts are wrong yet"]
fn verdicts_vectors() {
    check("verdicts");
}

#[test]
#[ignore = "issue 13: some verdicts are wrong yet"]
fn jades_vectors() {
    check("jades");
}

#[test]
fn a_case_that_is_none_is_a_fault_and_a_file_that_is_not_there_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let at = "2026-11-28T22:00:00Z";
    let fault = |case: Value| fault(0, &case, folder.path(), at);
    assert!(fault(serde_json::json!({ "file": 1 })).unwrap().contains("is none"));
    assert_eq!(fault(serde_json::json!({ "file": "missing.zip", "indication": "TOTAL-PASSED" })), None);
    std::fs::write(folder.path().join("a.zip"), "PK, and nothing of an archive").unwrap();
    let refused = |indication: &str| fault(serde_json::json!({ "file": "a.zip", "indication": indication }));
    assert_eq!(refused("not TOTAL-PASSED"), None);
    assert!(refused("INDETERMINATE").unwrap().contains("expected INDETERMINATE"));
    let unknown = serde_json::json!({ "file": "a.zip", "arguments": ["--no-such"], "indication": "not TOTAL-PASSED" });
    assert!(fault(unknown).unwrap().contains("no answer"));
}
