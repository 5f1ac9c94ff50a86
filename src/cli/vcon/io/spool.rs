//! Documents with bodies of any size: the bodies are in temporary files, and are streamed out and in again.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::write::EncoderWriter;

use crate::cli::progress;
use crate::cli::vcon::io::document::{Input, Output};
use crate::crypto::random;
use crate::vcon::{
    ContentDecoder, ContentDigests, ContentHash, DetachedDocument, DocumentPart, HashSyntaxError, InflateReader,
    ItemRef, StreamingError, StreamingReader, VconLimits,
};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A body that is not in memory.
#[derive(Debug)]
enum Body {
    /// As the document has it: base64url.
    Text(File),
    /// As it is, with the digests that it had when it was checked.
    Content(File, ContentDigests),
}

/// A document and its big bodies, by their number.
#[derive(Debug)]
pub(in crate::cli::vcon) struct Spooled {
    pub(in crate::cli::vcon) document: DetachedDocument,
    bodies: Vec<Body>,
}

impl Spooled {
    /// Reads a document; its big bodies go to files in `directory` that have no name.
    pub(in crate::cli::vcon) fn read(input: &Input, directory: &Path) -> anyhow::Result<Self> {
        let limits = VconLimits::default();
        let mut from = InflateReader::new(input.reader()?, &limits).with_context(|| input.name())?;
        let mut reader = StreamingReader::new(random(), &limits);
        let mut files: Vec<File> = Vec::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let explained = |error: StreamingError| match error {
            StreamingError::Vcon(error) => input.explained(error),
            other => anyhow::Error::new(other).context(input.name()),
        };
        loop {
            let read = from.read(&mut buffer).with_context(|| format!("reading {}", input.name()))?;
            if read == 0 {
                break;
            }
            let keep = |number: usize, bytes: &[u8]| {
                if number == files.len() {
                    files.push(tempfile::tempfile_in(directory)?);
                }
                files[number].write_all(bytes)
            };
            reader.update(&buffer[..read], keep).map_err(explained)?;
        }
        let document = reader.finish().map_err(explained)?;
        document.vcon().check_critical().map_err(|error| input.explained(error))?;
        Ok(Self { document, bodies: files.into_iter().map(Body::Text).collect() })
    }

    /// The content of a body.
    pub(in crate::cli::vcon) fn content(&self, number: usize) -> anyhow::Result<Box<dyn Read + '_>> {
        let (Body::Text(file) | Body::Content(file, _)) = &self.bodies[number];
        let mut file = file;
        file.rewind()?;
        let buffered = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(match &self.bodies[number] {
            Body::Text(_) => Box::new(ContentDecoder::new(buffered)),
            Body::Content(..) => Box::new(buffered),
        })
    }

    /// Adds a body that is to be written where [`DetachedDocument::make_inline`] just put it.
    pub(in crate::cli::vcon) fn add(&mut self, number: usize, content: File, digests: ContentDigests) {
        assert_eq!(number, self.bodies.len(), "bodies are numbered in their order");
        self.bodies.push(Body::Content(content, digests));
    }

    /// Writes the document with its bodies.
    pub(in crate::cli::vcon) fn write(&self, output: &Output) -> anyhow::Result<()> {
        let text = self.document.to_bytes();
        output.stream(|out| {
            for piece in self.document.pieces(&text) {
                match piece {
                    DocumentPart::Text(text) => out.write_all(text)?,
                    DocumentPart::Body(number) => self.write_body(number, out)?,
                }
            }
            Ok(())
        })
    }

    fn write_body(&self, number: usize, out: &mut dyn Write) -> anyhow::Result<()> {
        match &self.bodies[number] {
            Body::Text(file) => {
                let mut file = file;
                file.rewind()?;
                std::io::copy(&mut file, out)?;
            }
            Body::Content(file, digests) => {
                let (mut file, bar) = (file, progress::bar(file.metadata()?.len()));
                file.rewind()?;
                let mut encoder = EncoderWriter::new(out, &URL_SAFE_NO_PAD);
                let (now, _) = progress::copy(&mut file, &mut encoder, &bar)?;
                encoder.finish()?;
                bar.finish_and_clear();
                if now != *digests {
                    bail!("a file changed while it was written into the document");
                }
            }
        }
        Ok(())
    }
}

/// The places whose content is meant: those of the dialogs that were named, or all.
pub(in crate::cli::vcon) fn chosen(spooled: &Spooled, dialogs: &[usize]) -> anyhow::Result<Vec<ItemRef>> {
    let vcon = spooled.document.vcon();
    if let Some(index) = dialogs.iter().find(|index| vcon.item(ItemRef::Dialog(**index)).is_none()) {
        bail!("there is no dialog {index}");
    }
    let is_chosen = |place: &ItemRef| dialogs.is_empty() || matches!(place, ItemRef::Dialog(i) if dialogs.contains(i));
    Ok(vcon.places().filter(is_chosen).collect())
}

/// Checks that content has its hashes: none differs, and one at least can be compared.
pub(in crate::cli::vcon) fn check_hashes(
    hashes: &[Result<ContentHash, HashSyntaxError>],
    digests: &ContentDigests,
) -> anyhow::Result<()> {
    let mut compared = false;
    for hash in hashes {
        match hash {
            Ok(hash) => match hash.matches_digests(digests) {
                Some(true) => compared = true,
                Some(false) => bail!("the content does not have the hash {hash}"),
                None => {}
            },
            Err(HashSyntaxError::UnknownAlgorithm(_)) => {}
            Err(error) => return Err(error.clone().into()),
        }
    }
    if !compared {
        bail!("no content_hash is a sha512 or sha256 one");
    }
    Ok(())
}
