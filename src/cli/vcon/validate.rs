//! `affiant vcon validate`: checks documents against the rules of the draft.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::cli::output::{Paint, printable};
use crate::cli::vcon::io::document::Input;
use crate::vcon::{Level, VconFinding, VconLimits, rule, validate_any};

/// Check documents of any form against the rules of the draft.
///
/// Exit code 1: a MUST is broken.
#[derive(Debug, clap::Args)]
pub(crate) struct ValidateCommand {
    /// The files; `-` or nothing means the standard input.
    files: Vec<PathBuf>,
    /// Explain a rule (its text, its section, how it is applied) and validate nothing.
    #[arg(long, value_name = "RULE", conflicts_with = "files")]
    explain: Option<u8>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl ValidateCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(number) = self.explain {
            explain(number, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let inputs = if self.files.is_empty() {
            vec![Input::default()]
        } else {
            self.files.into_iter().map(Input::of).collect()
        };
        let mut broken = false;
        let mut results = Vec::new();
        for input in inputs {
            let findings = validate_any(&input.bytes()?, &VconLimits::default()).with_context(|| input.name())?;
            broken |= findings.iter().any(|finding| finding.level == Level::Must);
            results.push((input.name(), findings));
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            let results: Vec<_> =
                results.iter().map(|(file, findings)| json!({ "file": file, "findings": findings })).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&results)?)?;
        } else {
            let paint = Paint::stdout();
            for (name, findings) in &results {
                out.write_all(text_of(name, findings, paint).as_bytes())?;
            }
        }
        Ok(ExitCode::from(u8::from(broken)))
    }
}

fn text_of(name: &str, findings: &[VconFinding], paint: Paint) -> String {
    let of_level = |level| findings.iter().filter(|finding| finding.level == level).count();
    let mut text = match (of_level(Level::Must), of_level(Level::Should)) {
        (0, 0) => format!("{name}: keeps every rule that is checked\n"),
        (must, should) => format!("{name}: {must} MUST and {should} SHOULD not kept\n"),
    };
    for finding in findings {
        let level = match finding.level {
            Level::Must => paint.red("MUST  "),
            Level::Should => paint.yellow("SHOULD"),
        };
        let (pointer, message) = (printable(&finding.pointer), printable(&finding.message));
        text.push_str(&format!("  {level} rule {:<2} {pointer}: {message}\n", finding.rule));
    }
    text
}

fn explain(number: u8, json: bool) -> anyhow::Result<()> {
    let Some(rule) = rule(number) else { bail!("there are rules 1 to 33, and no rule {number}") };
    let mut out = std::io::stdout().lock();
    if json {
        let value = json!({ "rule": rule.number, "text": rule.text, "section": rule.section, "kept": rule.kept });
        writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        writeln!(
            out,
            "Rule {}: {}.\n\nIn draft-ietf-vcon-vcon-core-03: {}.\n\n{}",
            rule.number, rule.text, rule.section, rule.kept
        )?;
    }
    Ok(())
}
