//! Large files, with a progress bar for whoever waits.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::vcon::{ContentDigester, ContentDigests};

/// Files larger than this show a progress bar, if there is a terminal.
const PROGRESS_BYTES_MIN: u64 = 64 << 20;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The digests and the size of the file at `path`, of any size, in constant memory.
pub(super) fn digests_of(path: &Path) -> anyhow::Result<(ContentDigests, u64)> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let bar = bar(file.metadata()?.len());
    let digests = copy(&mut file, &mut std::io::sink(), &bar);
    bar.finish_and_clear();
    digests.with_context(|| format!("reading {}", path.display()))
}

/// A bar for so many bytes, which shows itself on a terminal if there are many.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    let bar = if bytes >= PROGRESS_BYTES_MIN { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}").expect("a template"));
    bar
}

/// Copies everything, and gives its digests and size.
pub(super) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    bar: &ProgressBar,
) -> std::io::Result<(ContentDigests, u64)> {
    let mut digester = ContentDigester::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((digester.finish(), bytes));
        }
        digester.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        bytes += read as u64;
        bar.inc(read as u64);
    }
}
