//! `affiant vcon unpack`: inline content becomes external.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tempfile::NamedTempFile;

use crate::cli::progress;
use crate::cli::vcon::io::document::{Input, Output};
use crate::cli::vcon::io::file_name;
use crate::cli::vcon::io::spool::{Spooled, check_hashes, chosen};
use crate::vcon::{BodyLocation, Content, ContentHash, ItemRef};

/// Move inline content to files, replaced by their addresses and hashes.
#[derive(Debug, clap::Args)]
pub(crate) struct UnpackCommand {
    #[command(flatten)]
    input: Input,
    /// The directory to write the files to.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The https address under which the files will be served; each name is appended.
    #[arg(long, value_name = "URL")]
    url_prefix: String,
    /// Only the content of this dialog; may be repeated.
    #[arg(long = "dialog", value_name = "INDEX")]
    dialogs: Vec<usize>,
    /// Move text and JSON too.
    #[arg(long)]
    all: bool,
    /// Overwrite existing files.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: Output,
}

/// Content that was written, under no name yet.
struct Written {
    place: ItemRef,
    file: NamedTempFile,
    name: String,
    hash: ContentHash,
}

impl UnpackCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if !self.url_prefix.starts_with("https://") {
            bail!("--url-prefix {} is not an https address", self.url_prefix);
        }
        std::fs::create_dir_all(&self.dir).with_context(|| format!("making {}", self.dir.display()))?;
        let mut spooled = Spooled::read(&self.input, &self.dir)?;
        let places = chosen(&spooled, &self.dialogs)?;
        let mut names = HashSet::new();
        let mut written = Vec::new();
        for place in places.into_iter().filter(|place| self.is_meant(&spooled.document.vcon().content(*place))) {
            let name = self.new_name(place, &spooled, &mut names)?;
            let (file, hash) = self.write(place, &spooled).with_context(|| place.to_string())?;
            written.push(Written { place, file, name, hash });
        }
        for Written { place, file, name, hash } in written {
            let path = self.dir.join(&name);
            file.as_file().sync_all()?;
            let kept = if self.force { file.persist(&path) } else { file.persist_noclobber(&path) };
            kept.map_err(|error| error.error).with_context(|| format!("writing {}", path.display()))?;
            spooled.document.make_external(place, &format!("{}{name}", self.url_prefix), &hash);
            eprintln!("{place}: {}", path.display());
        }
        spooled.write(&self.output)?;
        Ok(ExitCode::SUCCESS)
    }

    fn is_meant(&self, content: &Content<'_>) -> bool {
        match content {
            Content::Inline { encoding, .. } => self.all || encoding.is_some_and(|name| name.starts_with("base64")),
            Content::Absent | Content::External { .. } => false,
        }
    }

    /// A name that no file has, unless it may be overwritten, and no other content of the document.
    fn new_name(&self, place: ItemRef, spooled: &Spooled, names: &mut HashSet<String>) -> anyhow::Result<String> {
        let item = spooled.document.vcon().item(place).expect("a place of the document");
        let mut name = file_name::of(place, item);
        // On some disks case makes no difference.
        if !names.insert(name.to_ascii_lowercase()) {
            name = format!("{}-{}-{name}", place.noun(), place.index());
            if !names.insert(name.to_ascii_lowercase()) {
                bail!("{place}: its file name is taken twice");
            }
        }
        let path = self.dir.join(&name);
        if !self.force && path.symlink_metadata().is_ok() {
            bail!("{place}: {} is there already, and --force was not given", path.display());
        }
        Ok(name)
    }

    fn write(&self, place: ItemRef, spooled: &Spooled) -> anyhow::Result<(NamedTempFile, ContentHash)> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
        let document = &spooled.document;
        let bar = progress::bar(0);
        let (digests, _) = match document.held(place) {
            BodyLocation::Body(number) => progress::copy(&mut spooled.content(number)?, file.as_file_mut(), &bar)
                .context("the body is not base64url")?,
            BodyLocation::Here => {
                let bytes = document.vcon().content(place).bytes()?.expect("inline content");
                progress::copy(&mut &*bytes, file.as_file_mut(), &bar)?
            }
            BodyLocation::Text => bail!("its text looks like base64url and its encoding does not say so"),
        };
        let item = document.vcon().item(place).expect("a place of the document");
        let hashes = ContentHash::all_of(item);
        if !hashes.is_empty() {
            check_hashes(&hashes, &digests)?;
        }
        Ok((file, ContentHash::from_sha512(digests.sha512)))
    }
}
