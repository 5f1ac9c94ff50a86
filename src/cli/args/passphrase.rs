//! The pass phrase of the keys at rest: from a file, the environment or the terminal, never from the command line.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::server::config::Config;

/// The variable of the pass phrase, when no file is named.
const VARIABLE: &str = "AFFIANT_PASSPHRASE";
/// Longest pass phrase file.
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// The source of the pass phrase of the authority's keys.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct PassphraseArgs {
    /// File with the pass phrase of the keys; default: the variable AFFIANT_PASSPHRASE.
    #[arg(long, value_name = "FILE", global = true)]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    pub(in crate::cli) fn read(&self) -> anyhow::Result<Zeroizing<String>> {
        let text = match &self.passphrase_file {
            Some(path) => read_file(path)?,
            None => Zeroizing::new(
                std::env::var(VARIABLE).with_context(|| format!("give --passphrase-file or set {VARIABLE}"))?,
            ),
        };
        check(text)
    }

    /// The same, or what a person types for the key in `path`.
    pub(in crate::cli) fn read_or_ask(&self, path: &Path) -> anyhow::Result<Zeroizing<String>> {
        if self.passphrase_file.is_none() && std::env::var_os(VARIABLE).is_none() {
            return check(ask(path).with_context(|| format!("give --passphrase-file or set {VARIABLE}"))?);
        }
        self.read()
    }
}

/// The pass phrase of a server's keys: from the file that its configuration names, or as without one.
pub(in crate::cli) fn for_config(config: &Config) -> anyhow::Result<Zeroizing<String>> {
    if config.data.passphrase_file.as_os_str().is_empty() {
        PassphraseArgs::default().read()
    } else {
        read_file(&config.data.passphrase_file)
    }
}

/// Asks at the terminal itself, for the standard input may be the document, and shows nothing of the answer.
fn ask(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").context("there is no terminal")?;
    let shown = tcgetattr(&terminal)?;
    let mut silent = shown.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    write!(terminal, "pass phrase of {}: ", path.display())?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let line = read_line(&mut terminal);
    tcsetattr(&terminal, OptionalActions::Flush, &shown)?;
    line
}

fn read_line(from: &mut impl std::io::Read) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
    let mut byte = Zeroizing::new([0]);
    // Byte for byte, so that no buffer keeps it.
    while line.len() <= PASSPHRASE_BYTES_MAX && from.read(&mut *byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(Zeroizing::new(std::str::from_utf8(&line).context("the pass phrase is not UTF-8")?.to_owned()))
}

/// Reads a pass phrase file; one line break at its end is not part of it.
pub(in crate::cli) fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
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
