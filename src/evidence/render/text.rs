//! The report as plain text, for a terminal.

use crate::evidence::report::ValidationReport;

/// Columns of a row: the longest title is "Recording matches", the longest answer "not checked".
const TITLE_COLUMNS: usize = 19;
const ANSWER_COLUMNS: usize = 13;

impl ValidationReport {
    /// The report as plain text: sentence, verdict code, the five rows, the times, what is not proved.
    ///
    /// Characters that would move a cursor or turn the writing direction are written as `\u{…}`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let indent = " ".repeat(TITLE_COLUMNS);
        let mut lines = vec![printable(&self.sentence), self.verdict.code(), String::new()];
        for row in &self.rows {
            let (title, answer) = (row.title, row.answer.name());
            lines.push(format!("{title:TITLE_COLUMNS$}{answer:ANSWER_COLUMNS$}{}", row.code));
            lines.push(format!("{indent}{}", printable(&row.reason)));
            lines.extend(row.next_step.as_ref().map(|next| format!("{indent}-> {}", printable(next))));
        }
        lines.push(String::new());
        for signature in &self.signatures {
            let shown = signature.signer.iter().chain(&signature.offered_anchor);
            lines.extend(shown.map(|one| format!("{}  {}", one.thumbprint, printable(&one.subject))));
            lines.extend(signature.warnings.iter().map(|warning| format!("note: {}", printable(&warning.to_string()))));
        }
        lines.extend(self.record.map(|digest| format!("{digest}  the record")));
        lines.extend(
            self.inner_layers
                .iter()
                .map(|form| format!("{}  what was signed before, layer {}", form.record, form.layer)),
        );
        let policy = printable(&self.trust_policy);
        lines.push(format!("{}  the trust policy {policy:?}", self.trust_policy_digest));
        lines.extend(self.findings.iter().map(|finding| {
            let (level, rule, pointer) = (finding.level.name(), finding.rule, printable(&finding.pointer));
            format!("vCon rule {rule} ({level}) {pointer}: {}", printable(&finding.message))
        }));
        lines.push(String::new());
        if !self.completeness.missing.is_empty() {
            lines.push("Missing from what was given:".to_owned());
            lines.extend(self.completeness.missing.iter().map(|one| format!("- {}", printable(&one.to_line()))));
            lines.push(String::new());
        }
        lines.push("Not proved:".to_owned());
        lines.extend(self.not_proved.iter().map(|line| format!("- {line}")));
        lines.join("\n") + "\n"
    }
}

fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns {
            printed.extend(character.escape_unicode());
        } else {
            printed.push(character);
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use crate::evidence::report::example;

    #[test]
    fn the_rows_stand_in_columns() {
        let text = example("CN=Example").to_text();
        for line in [
            "INDETERMINATE (TRY_LATER)",
            "Unaltered          yes          SIGNATURE_RIGHT",
            "Recording matches  no           HASH_FAILURE",
            "In the ledger      not checked  UNAVAILABLE",
            "                   -> Verify again with a newer revocation list or OCSP response.",
            "- That what was said in the call is true.",
        ] {
            assert!(text.lines().any(|one| one == line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn a_name_does_not_move_the_cursor_or_turn_the_line() {
        let text = example("CN=\u{1b}[2J\u{202e}evil\r").to_text();
        assert!(text.contains("\\u{1b}[2J\\u{202e}evil\\u{d}"));
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()));
    }
}
