//! The pass phrase of the keys at rest: from a file or the environment, never from the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zeroize::Zeroizing;

/// Where the pass phrase is when no file is named.
const VARIABLE: &str = "AFFIANT_PASSPHRASE";
/// Longest pass phrase file.
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// Where the pass phrase of the authority's keys comes from.
#[derive(Debug, Default, clap::Args)]
pub(super) struct PassphraseArgs {
    /// File that holds the pass phrase of the keys; without it, the environment variable AFFIANT_PASSPHRASE.
    #[arg(long, value_name = "FILE", global = true)]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    pub(super) fn read(&self) -> anyhow::Result<Zeroizing<String>> {
        let text = match &self.passphrase_file {
            Some(path) => read_file(path)?,
            None => Zeroizing::new(
                std::env::var(VARIABLE).with_context(|| format!("give --passphrase-file or set {VARIABLE}"))?,
            ),
        };
        check(text)
    }
}

/// Reads a pass phrase file; one line break at its end is not part of it.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("pass phrase file {}", path.display()))?;
    let text = Zeroizing::new(text);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    check(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

fn check(text: Zeroizing<String>) -> anyhow::Result<Zeroizing<String>> {
    anyhow::ensure!(!text.is_empty(), "the pass phrase is empty");
    anyhow::ensure!(text.len() <= PASSPHRASE_BYTES_MAX, "the pass phrase is longer than {PASSPHRASE_BYTES_MAX} bytes");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_not_part_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        for (content, expected) in [("x y", Some("x y")), ("x\r\n", Some("x")), ("x\n\n", Some("x\n")), ("\n", None)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_file(&path).ok().map(|text| text.to_string()).as_deref(), expected);
        }
    }
}
