//! Output of commands: a table for people, JSON and an exit code for programs.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use crate::evidence::Indication;

/// The exit code of a command that could not do what it was asked to do.
pub const COULD_NOT_RUN: u8 = 3;

/// The exit code of a verdict.
pub(super) fn exit_code(indication: Indication) -> ExitCode {
    ExitCode::from(match indication {
        Indication::Passed => 0,
        Indication::Failed => 1,
        Indication::Indeterminate => 2,
    })
}

/// Colours, on a terminal of whoever wants them (no-color.org).
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    /// For the standard output.
    pub(super) fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self(!unwanted && std::io::stdout().is_terminal())
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints `value` as JSON, or else `rows` under `header`.
pub(super) fn print<const N: usize>(
    json: bool,
    value: &impl Serialize,
    header: [&str; N],
    rows: &[[String; N]],
) -> anyhow::Result<()> {
    let text = if json { format!("{}\n", serde_json::to_string_pretty(value)?) } else { table(header, rows) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// One line of text from a document, without what would steer a terminal, begin another line, or turn the order of
/// reading around.
pub(super) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = header.map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(header)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "bcd".to_owned()], ["efg".to_owned(), String::new()]];
        assert_eq!(table(["1", "2"], &rows), "1    2\na    bcd\nefg\n");
    }

    #[test]
    fn nothing_in_a_cell_steers_a_terminal() {
        let rows = [["\u{1b}[2Jx\ny\u{9b}".to_owned()]];
        assert_eq!(table(["1"], &rows), "1\n\u{fffd}[2Jx\u{fffd}y\u{fffd}\n");
    }
}
