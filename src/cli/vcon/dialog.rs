//! `affiant vcon dialog`: the dialogs of a vCon.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::args::member_args::MemberArgs;
use crate::cli::args::time_args::StartArgs;
use crate::cli::output::print;
use crate::cli::vcon::io::content::ContentArgs;
use crate::cli::vcon::io::document::{Input, Listing, Output};
use crate::vcon::{Content, Dialog};

/// Add dialogs, or list them.
#[derive(Debug, Args)]
pub(crate) struct DialogCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a dialog at the end of the list, so that no index changes.
    Add(Box<Add>),
    /// List the dialogs with their indices.
    List(Listing),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    input: Input,
    /// Its type.
    #[arg(long = "type", value_name = "TYPE", default_value = "text",
        value_parser = ["recording", "text", "incomplete", "transfer", "recording-set"])]
    kind: String,
    /// The index of a party; may be repeated. The first is the one that speaks or calls.
    #[arg(long = "party", value_name = "INDEX")]
    parties: Vec<u64>,
    #[command(flatten)]
    start: StartArgs,
    /// Duration in seconds.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<String>,
    /// Disposition of an incomplete dialog.
    #[arg(long,
        value_parser = ["no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"])]
    disposition: Option<String>,
    #[command(flatten)]
    members: MemberArgs,
    #[command(flatten)]
    content: ContentArgs,
    #[command(flatten)]
    output: Output,
}

impl DialogCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add(add) => add.run()?,
            Action::List(Listing { input, json }) => {
                let (vcon, _) = input.vcon_or_payload()?;
                let dialogs: Vec<_> = vcon.dialogs().map(|dialog| dialog.members().clone()).collect();
                let rows: Vec<_> = vcon.dialogs().enumerate().map(row).collect();
                print(json, &dialogs, ["INDEX", "TYPE", "START", "CONTENT"], &rows)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row((index, dialog): (usize, Dialog<'_>)) -> [String; 4] {
    let content = match dialog.content() {
        Content::Absent => "none".to_owned(),
        Content::Inline { .. } => format!("inline, {}", dialog.mediatype().unwrap_or("of no media type")),
        Content::External { url } => url.to_owned(),
    };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [index.to_string(), text(dialog.kind()), text(dialog.start()), content]
}

impl Add {
    fn run(self) -> anyhow::Result<()> {
        let mut vcon = self.input.vcon()?;
        let count = vcon.parties().len() as u64;
        if let Some(wrong) = self.parties.iter().find(|index| **index >= count) {
            bail!("there is no party {wrong}: the vCon has {count}");
        }
        let mut dialog = Map::new();
        dialog.insert("type".into(), self.kind.as_str().into());
        dialog.insert("start".into(), self.start.text()?.into());
        match self.parties.as_slice() {
            [] => {}
            [one] => drop(dialog.insert("parties".into(), json!(one))),
            several => drop(dialog.insert("parties".into(), json!(several))),
        }
        if let Some(duration) = &self.duration {
            let seconds: serde_json::Number = duration.parse().with_context(|| format!("--duration {duration}"))?;
            dialog.insert("duration".into(), Value::Number(seconds));
        }
        if let Some(disposition) = &self.disposition {
            dialog.insert("disposition".into(), disposition.as_str().into());
        }
        self.members.put_into(&mut dialog)?;
        let with_content = matches!(self.kind.as_str(), "recording" | "text");
        if with_content {
            self.content.put_into(&mut dialog)?;
        } else if self.content.is_given() {
            bail!("a dialog of type {} has no content", self.kind);
        }
        if (self.kind == "incomplete") != self.disposition.is_some() {
            bail!("an incomplete dialog, and no other, has a --disposition");
        }
        vcon.add_dialog(dialog);
        self.output.vcon(&vcon)
    }
}
