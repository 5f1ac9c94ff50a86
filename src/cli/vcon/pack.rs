//! `affiant vcon pack`: external content becomes inline.

use std::fs::File;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::cli::progress;
use crate::cli::vcon::io::content::mediatype_of;
use crate::cli::vcon::io::document::{Input, Output};
use crate::cli::vcon::io::spool::{Spooled, check_hashes, chosen};
use crate::client::{ContentClient, Network};
use crate::vcon::{Content, ContentDigester, ContentDigests, ContentHash, ItemRef};

/// Bytes of content that is fetched: a video conference of a day at 6 Mbit/s.
const CONTENT_BYTES_MAX: u64 = 64 << 30;

/// Inline external content, checked against its hash.
#[derive(Debug, clap::Args)]
pub(crate) struct PackCommand {
    #[command(flatten)]
    input: Input,
    /// Allow this host, as NAME or NAME:PORT; may be repeated.
    #[arg(long = "allow", value_name = "HOST")]
    hosts: Vec<String>,
    /// Fetch from private networks and this machine too.
    #[arg(long)]
    allow_private: bool,
    /// Take content from files in this directory, named as the end of the address or as filename.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only the content of this dialog; may be repeated.
    #[arg(long = "dialog", value_name = "INDEX")]
    dialogs: Vec<usize>,
    #[command(flatten)]
    output: Output,
}

impl PackCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut spooled = Spooled::read(&self.input, &self.output.directory())?;
        let network = if self.allow_private { Network::Private } else { Network::Public };
        let client = ContentClient::new(&self.hosts, network)?;
        let mut found = Vec::new();
        for place in chosen(&spooled, &self.dialogs)? {
            let Content::External { url } = spooled.document.vcon().content(place) else { continue };
            let content = self.checked(place, url, &spooled, &client).await;
            found.push((place, content.with_context(|| place.to_string())?));
        }
        for (place, (file, digests, mediatype)) in found {
            let number = spooled.document.make_inline(place, mediatype);
            spooled.add(number, file, digests);
        }
        spooled.write(&self.output)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The content at `url`, held against its hashes, and its media type where the document has none.
    async fn checked(
        &self,
        place: ItemRef,
        url: &str,
        spooled: &Spooled,
        client: &ContentClient,
    ) -> anyhow::Result<(File, ContentDigests, Option<&'static str>)> {
        let item = spooled.document.vcon().item(place).expect("a place of the document");
        let hashes = ContentHash::all_of(item);
        if hashes.is_empty() {
            bail!("it has no content_hash to hold the content against");
        }
        let last = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next());
        let names = [last, item.get("filename").and_then(|name| name.as_str())];
        let from = self.from.as_deref();
        let path = from.and_then(|from| names.into_iter().flatten().find_map(|name| is_in(from, name)));
        let (file, digests) = match path {
            Some(path) => {
                let (digests, _) = progress::digests_of(&path)?;
                (File::open(&path).with_context(|| format!("opening {}", path.display()))?, digests)
            }
            None if self.hosts.is_empty() && from.is_some() => bail!("its file is not in the directory"),
            None => self.fetched(url, client).await?,
        };
        check_hashes(&hashes, &digests)?;
        // Content elsewhere may leave it to the server to say (rule 19); inside, nobody else does.
        let mediatype = if item.contains_key("mediatype") || item.contains_key("mimetype") {
            None
        } else {
            let told = names.into_iter().flatten().rev().find_map(|name| mediatype_of(Path::new(name)));
            Some(told.context("it has no mediatype, which content inside needs, and its name tells none")?)
        };
        Ok((file, digests, mediatype))
    }

    async fn fetched(&self, url: &str, client: &ContentClient) -> anyhow::Result<(File, ContentDigests)> {
        let mut file = tempfile::tempfile_in(self.output.directory())?;
        let mut digester = ContentDigester::default();
        let keep = |bytes: &[u8]| {
            digester.update(bytes);
            file.write_all(bytes)
        };
        client.fetch(url, CONTENT_BYTES_MAX, keep).await.context("the content was not fetched")?;
        Ok((file, digester.finish()))
    }
}

/// The file of this name in a directory; `None` when there is none, or the name leads elsewhere.
fn is_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    let path = directory.join(name);
    (plain && path.is_file()).then_some(path)
}
