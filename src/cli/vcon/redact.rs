//! `affiant vcon redact`: a redacted vCon that references the original.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::atomic_file;
use crate::cli::args::time_args::TimeArgs;
use crate::cli::output::printable;
use crate::cli::vcon::io::document::{Input, Output};
use crate::json;
use crate::vcon::{
    ContentHash, Form, ItemRef, PriorVersion, References, Removal, Vcon, VconLimits, redact, residual_mentions, uuid8,
};

/// Write a redacted vCon that references the original.
#[derive(Debug, clap::Args)]
pub(crate) struct RedactCommand {
    #[command(flatten)]
    input: Input,
    /// Your domain name: the second half of the new uuid derives from it.
    #[arg(long)]
    domain: String,
    /// The kind of information that is redacted; it is written to the document.
    #[arg(long = "type", value_name = "WORD")]
    kind: String,
    /// A party; may be repeated. INDEX:MEMBER removes that member alone.
    #[arg(long = "party", value_name = "INDEX[:MEMBER]")]
    parties: Vec<String>,
    /// A dialog.
    #[arg(long = "dialog", value_name = "INDEX[:MEMBER]")]
    dialogs: Vec<String>,
    /// An analysis.
    #[arg(long = "analysis", value_name = "INDEX[:MEMBER]")]
    analyses: Vec<String>,
    /// An attachment.
    #[arg(long = "attachment", value_name = "INDEX[:MEMBER]")]
    attachments: Vec<String>,
    /// Remove only this member of each item named without one; may be repeated.
    #[arg(long = "member", value_name = "NAME")]
    members: Vec<String>,
    /// A member at the top level, such as subject.
    #[arg(long = "top-level", value_name = "NAME")]
    top_level: Vec<String>,
    /// Keep analyses, attachments and dialogs that refer to a removed dialog or attachment, or to one without its body
    /// or url.
    #[arg(long)]
    keep_references: bool,
    /// The https address of the unredacted vCon, with access control of its own.
    #[arg(long, value_name = "URL", requires = "original")]
    original_url: Option<String>,
    /// The unredacted vCon in encrypted form, as served at that address; its hash is written.
    #[arg(long, value_name = "FILE")]
    original: Option<PathBuf>,
    /// Omit the uuid of the unredacted vCon: it is not available to anyone.
    #[arg(long, conflicts_with_all = ["original", "original_url"])]
    no_original: bool,
    #[command(flatten)]
    moment: TimeArgs,
    #[command(flatten)]
    output: Output,
}

/// Extensions whose data stand in attachments and analyses, which are redacted as any other.
const KNOWN_EXTENSIONS: [&str; 2] = ["lawful_basis", "wtf_transcription"];

impl RedactCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (prior, _) = self.input.vcon_or_payload()?;
        let mut reference = PriorVersion::default();
        if !self.no_original {
            reference.uuid = prior.uuid().map(str::to_owned);
            reference.url.clone_from(&self.original_url);
            reference.hash = self.original.as_deref().map(|path| encrypted_hash(path, &prior)).transpose()?;
        }
        let now = self.moment.time()?;
        let references = if self.keep_references { References::Kept } else { References::Refused };
        let uuid = uuid8(&self.domain, now);
        let removals = self.removals()?;
        let vcon = redact(&prior, uuid, now, &self.kind, &removals, &reference, references)?;
        for one in residual_mentions(&prior, &vcon, &removals) {
            let at = one.at.map_or_else(|| "the subject".to_owned(), |place| place.to_string());
            eprintln!("warning: the {} of party {} still stands in {at}: redact it too", one.member, one.party);
        }
        for extension in prior.document().get("extensions").and_then(|names| names.as_array()).into_iter().flatten() {
            if !extension.as_str().is_some_and(|name| KNOWN_EXTENSIONS.contains(&name)) {
                let extension = printable(&extension.to_string());
                eprintln!("what the extension {extension} says of people is not known here: look for it yourself");
            }
        }
        self.output.vcon(&vcon)?;
        Ok(ExitCode::SUCCESS)
    }

    fn removals(&self) -> anyhow::Result<Vec<Removal>> {
        let mut removals = Vec::new();
        let lists = [&self.parties, &self.dialogs, &self.analyses, &self.attachments];
        let places = [ItemRef::Party, ItemRef::Dialog, ItemRef::Analysis, ItemRef::Attachment];
        for (texts, place) in lists.into_iter().zip(places) {
            for text in texts {
                let (index, member) =
                    text.split_once(':').map_or((&**text, None), |(index, member)| (index, Some(member)));
                let place = place(index.parse().with_context(|| format!("{text:?} does not begin with an index"))?);
                match member {
                    Some(member) => removals.push(Removal::Member(place, member.to_owned())),
                    None if self.members.is_empty() => removals.push(Removal::Item(place)),
                    None => removals.extend(self.members.iter().map(|name| Removal::Member(place, name.clone()))),
                }
            }
        }
        removals.extend(self.top_level.iter().cloned().map(Removal::TopLevel));
        Ok(removals)
    }
}

/// The hash of the encrypted form of `prior`: what a redacted vCon refers to must not be in the clear.
fn encrypted_hash(path: &Path, prior: &Vcon) -> anyhow::Result<ContentHash> {
    let limits = VconLimits::default().json;
    let bytes =
        atomic_file::read(path, limits.bytes_max as u64).with_context(|| format!("reading {}", path.display()))?;
    let value = json::parse(&bytes, &limits).with_context(|| path.display().to_string())?;
    if Form::of(&value) != Some(Form::Encrypted) {
        bail!("{} is not encrypted: the whole vCon may only be referred to in its encrypted form", path.display());
    }
    let uuid = value.get("unprotected").and_then(|header| header.get("uuid")).and_then(|uuid| uuid.as_str());
    if let (Some(uuid), Some(own)) = (uuid, prior.uuid())
        && !uuid.eq_ignore_ascii_case(own)
    {
        bail!("{} is vCon {uuid}, not {own}", path.display());
    }
    Ok(ContentHash::of(&bytes))
}
