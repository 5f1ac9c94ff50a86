//! Content from the command line: text, a file inside, or a file elsewhere bound by its hash.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::json::{self, JsonLimits};
use crate::vcon::{ContentDigester, ContentHash, VconLimits};

/// Media types of files that conversations have.
const MEDIATYPES: [(&str, &str); 18] = [
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("vtt", "text/vtt"),
    ("srt", "application/x-subrip"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("eml", "message/rfc822"),
    ("wav", "audio/x-wav"),
    ("mp3", "audio/x-mp3"),
    ("m4a", "audio/x-mp4"),
    ("ogg", "audio/ogg"),
    ("mp4", "video/x-mp4"),
    ("webm", "video/webm"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
];

/// The content of a dialog, an attachment or an analysis.
#[derive(Debug, clap::Args)]
pub(in crate::cli::vcon) struct ContentArgs {
    /// The content itself, as text.
    #[arg(long, conflicts_with_all = ["content", "url", "hash"])]
    text: Option<String>,
    /// The file that holds it. Taken in, unless --url says where it is kept.
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// The https address of the content; its hash is taken from --content, or given as --hash.
    #[arg(long)]
    url: Option<String>,
    /// The hash of what is kept at --url: sha512-…
    #[arg(long, requires = "url", conflicts_with = "content")]
    hash: Option<String>,
    /// The media type; without it, that of the file's extension.
    #[arg(long)]
    mediatype: Option<String>,
}

impl ContentArgs {
    /// Whether there is any.
    pub(in crate::cli::vcon) fn is_given(&self) -> bool {
        self.text.is_some() || self.content.is_some() || self.url.is_some()
    }

    /// Puts the members of the content into `item`.
    pub(in crate::cli::vcon) fn put_into(&self, item: &mut Map<String, Value>) -> anyhow::Result<()> {
        match (&self.text, &self.content, &self.url) {
            (Some(text), None, None) => {
                item.insert("mediatype".into(), self.mediatype.as_deref().unwrap_or("text/plain").into());
                item.insert("body".into(), text.as_str().into());
                item.insert("encoding".into(), "none".into());
            }
            (None, Some(path), None) => self.inline(path, item)?,
            (None, content, Some(url)) => self.external(content.as_deref(), url, item)?,
            _ => bail!("give the content as --text, --content, or --url"),
        }
        Ok(())
    }

    fn inline(&self, path: &Path, item: &mut Map<String, Value>) -> anyhow::Result<()> {
        let bytes_max = VconLimits::default().json.bytes_max as u64;
        let mut bytes = Vec::new();
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        file.take(bytes_max + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
        if bytes.len() as u64 > bytes_max {
            bail!("{} is larger than a document may be: keep it elsewhere and give its --url", path.display());
        }
        let mediatype = self.named(path, item)?;
        let (body, encoding) = match String::from_utf8(bytes) {
            Ok(text) if mediatype == "application/json" || mediatype.ends_with("+json") => {
                let value = json::parse(text.as_bytes(), &JsonLimits::default());
                (value.with_context(|| path.display().to_string())?, "json")
            }
            Ok(text) if mediatype.starts_with("text/") => (text.into(), "none"),
            Ok(text) => (URL_SAFE_NO_PAD.encode(text).into(), "base64url"),
            Err(binary) => (URL_SAFE_NO_PAD.encode(binary.as_bytes()).into(), "base64url"),
        };
        item.insert("body".into(), body);
        item.insert("encoding".into(), encoding.into());
        Ok(())
    }

    fn external(&self, content: Option<&Path>, url: &str, item: &mut Map<String, Value>) -> anyhow::Result<()> {
        if !url.starts_with("https://") {
            bail!("--url {url} is not an HTTPS URL");
        }
        let hash = match (content, &self.hash) {
            (Some(path), None) => {
                self.named(path, item)?;
                hash_of(path)?
            }
            (None, Some(hash)) => {
                if let Some(mediatype) = &self.mediatype {
                    item.insert("mediatype".into(), mediatype.as_str().into());
                }
                ContentHash::parse(hash)?
            }
            _ => bail!("what is kept at --url is bound by its hash: give --content or --hash"),
        };
        item.insert("url".into(), url.into());
        item.insert("content_hash".into(), hash.to_string().into());
        Ok(())
    }

    /// Puts media type and file name into `item`, and gives the media type.
    fn named(&self, path: &Path, item: &mut Map<String, Value>) -> anyhow::Result<String> {
        let mediatype = self.mediatype.as_deref().or_else(|| mediatype_of(path));
        let mediatype = mediatype.with_context(|| format!("give the --mediatype of {}", path.display()))?;
        item.insert("mediatype".into(), mediatype.into());
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            item.insert("filename".into(), name.into());
        }
        Ok(mediatype.to_owned())
    }
}

/// The media type that the extension of a file's name stands for.
pub(in crate::cli::vcon) fn mediatype_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    let known = MEDIATYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map(|(_, mediatype)| *mediatype)
}

/// The SHA-512 hash of a file of any size.
fn hash_of(path: &Path) -> anyhow::Result<ContentHash> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut digester = ContentDigester::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).with_context(|| format!("reading {}", path.display()))? {
            0 => return Ok(ContentHash::from_sha512(digester.finish().sha512)),
            length => digester.update(&buffer[..length]),
        }
    }
}
