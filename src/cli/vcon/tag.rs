//! `affiant vcon tag`: tags, written and read.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::args::time_args::TimeArgs;
use crate::cli::output::{print, printable};
use crate::cli::vcon::io::document::{Input, Listing, Output};
use crate::clock::format_time;
use crate::vcon::Tag;

/// Add, get, list or remove tags.
#[derive(Debug, Args)]
pub(crate) struct TagCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add tags; existing ones are not added again.
    Add {
        /// A tag; may be repeated. The first colon ends the key, the value may hold others.
        #[arg(long = "tag", value_name = "KEY:VALUE", required = true)]
        tags: Vec<String>,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        moment: TimeArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Print the values of a key, one a line. Exit code 1: there are none.
    Get {
        /// The key.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        input: Input,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all tags.
    List(Listing),
    /// Remove tags of a key; succeeds if there are none.
    Remove {
        /// The key.
        #[arg(long)]
        key: String,
        /// Only the one with this value.
        #[arg(long)]
        value: Option<String>,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        output: Output,
    },
}

impl TagCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add { tags, input, moment, output } => {
                let mut vcon = input.vcon()?;
                // Every attachment belongs to a dialog (the draft, Attachment Object: dialog is mandatory).
                let has_tags = vcon.attachments().any(|one| one.purpose() == Some("tags"));
                if vcon.dialogs().len() == 0 && !has_tags {
                    bail!(
                        "the vCon has no dialog that the tags could belong to: add one first (affiant vcon dialog add)"
                    );
                }
                let start = format_time(moment.time()?);
                for tag in &tags {
                    vcon.add_tag(&parse(tag)?, &start).with_context(|| input.name())?;
                }
                output.vcon(&vcon)?;
            }
            Action::Get { key, input, json } => {
                let tags = input.vcon_or_payload()?.0.tags().with_context(|| input.name())?;
                let values: Vec<_> = tags.iter().filter(|tag| tag.key() == key).map(Tag::value).collect();
                let text = if json {
                    format!("{}\n", serde_json::to_string_pretty(&values)?)
                } else {
                    values.iter().map(|value| format!("{}\n", printable(value))).collect()
                };
                std::io::stdout().write_all(text.as_bytes())?;
                return Ok(ExitCode::from(u8::from(values.is_empty())));
            }
            Action::List(Listing { input, json }) => {
                let tags = input.vcon_or_payload()?.0.tags().with_context(|| input.name())?;
                let objects: Vec<Value> =
                    tags.iter().map(|tag| json!({ "key": tag.key(), "value": tag.value() })).collect();
                let rows: Vec<_> = tags.iter().map(|tag| [tag.key().to_owned(), tag.value().to_owned()]).collect();
                print(json, &objects, ["KEY", "VALUE"], &rows)?;
            }
            Action::Remove { key, value, input, output } => {
                let mut vcon = input.vcon()?;
                vcon.remove_tags(&key, value.as_deref()).with_context(|| input.name())?;
                output.vcon(&vcon)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse(text: &str) -> anyhow::Result<Tag> {
    let (key, value) = text.split_once(':').with_context(|| format!("--tag {text:?} is not KEY:VALUE"))?;
    Ok(Tag::new(key, value)?)
}
