//! `affiant vcon attach` and `analyze`: attachments and analyses of a vCon.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Map, json};

use crate::cli::args::member_args::MemberArgs;
use crate::cli::args::time_args::StartArgs;
use crate::cli::vcon::io::content::ContentArgs;
use crate::cli::vcon::io::document::{Input, Output};

/// Add an attachment: a file that a party brought to a dialog.
#[derive(Debug, clap::Args)]
pub(crate) struct AttachCommand {
    #[command(flatten)]
    input: Input,
    /// The index of the party that brought it.
    #[arg(long, value_name = "INDEX")]
    party: u64,
    /// The index of the dialog that it belongs to.
    #[arg(long, value_name = "INDEX")]
    dialog: u64,
    #[command(flatten)]
    start: StartArgs,
    /// Its purpose.
    #[arg(long)]
    purpose: Option<String>,
    #[command(flatten)]
    members: MemberArgs,
    #[command(flatten)]
    content: ContentArgs,
    #[command(flatten)]
    output: Output,
}

impl AttachCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut vcon = self.input.vcon()?;
        check_index("party", self.party, vcon.parties().len())?;
        check_index("dialog", self.dialog, vcon.dialogs().len())?;
        let mut attachment = Map::new();
        if let Some(purpose) = &self.purpose {
            attachment.insert("purpose".into(), purpose.as_str().into());
        }
        attachment.insert("start".into(), self.start.text()?.into());
        attachment.insert("party".into(), self.party.into());
        attachment.insert("dialog".into(), self.dialog.into());
        self.members.put_into(&mut attachment)?;
        self.content.put_into(&mut attachment)?;
        vcon.add_attachment(attachment);
        self.output.vcon(&vcon)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Add an analysis of dialogs.
#[derive(Debug, clap::Args)]
pub(crate) struct AnalyzeCommand {
    #[command(flatten)]
    input: Input,
    /// The type: report, sentiment, summary, transcript, translation, tts, or another word.
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// The vendor: a person or a product.
    #[arg(long)]
    vendor: String,
    /// The index of a dialog that it is about; may be repeated.
    #[arg(long = "dialog", value_name = "INDEX")]
    dialogs: Vec<u64>,
    #[command(flatten)]
    members: MemberArgs,
    #[command(flatten)]
    content: ContentArgs,
    #[command(flatten)]
    output: Output,
}

impl AnalyzeCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut vcon = self.input.vcon()?;
        let mut analysis = Map::new();
        analysis.insert("type".into(), self.kind.as_str().into());
        for index in &self.dialogs {
            check_index("dialog", *index, vcon.dialogs().len())?;
        }
        match self.dialogs.as_slice() {
            [] => {}
            [one] => drop(analysis.insert("dialog".into(), json!(one))),
            several => drop(analysis.insert("dialog".into(), json!(several))),
        }
        analysis.insert("vendor".into(), self.vendor.as_str().into());
        self.members.put_into(&mut analysis)?;
        self.content.put_into(&mut analysis)?;
        vcon.add_analysis(analysis);
        self.output.vcon(&vcon)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn check_index(what: &str, index: u64, count: usize) -> anyhow::Result<()> {
    if index < count as u64 { Ok(()) } else { bail!("there is no {what} {index}: the vCon has {count}") }
}
