//! `affiant vcon party`: who takes part.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::document::{Input, Output};
use crate::cli::output::print;

/// Add parties, or list them.
#[derive(Debug, Args)]
pub struct PartyCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a party at the end of the list, so that no index changes.
    Add(Add),
    /// List the parties with their indices.
    List {
        #[command(flatten)]
        input: Input,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    input: Input,
    /// The name.
    #[arg(long)]
    name: Option<String>,
    /// The telephone number, as a tel URI has it: +12025550100.
    #[arg(long)]
    tel: Option<String>,
    /// The e-mail address.
    #[arg(long)]
    mailto: Option<String>,
    /// The SIP address.
    #[arg(long)]
    sip: Option<String>,
    /// The decentralized identifier, a DID URI.
    #[arg(long)]
    did: Option<String>,
    /// STIR PASSporT of the call, as a JWS in compact form.
    #[arg(long)]
    stir: Option<String>,
    /// Any other member, as NAME=JSON or NAME=TEXT; may be given again.
    #[arg(long = "member", value_name = "NAME=VALUE")]
    members: Vec<String>,
    #[command(flatten)]
    output: Output,
}

impl PartyCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Add(add) => add.run()?,
            What::List { input, json } => {
                let (vcon, _) = input.vcon_or_payload()?;
                let parties: Vec<_> = vcon.parties().map(|party| party.members().clone()).collect();
                let rows: Vec<_> = vcon.parties().enumerate().map(row).collect();
                print(json, &parties, ["INDEX", "NAME", "REACHED AT"], &rows)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row((index, party): (usize, crate::vcon::Party<'_>)) -> [String; 3] {
    let name = party.name().unwrap_or_default().to_owned();
    [index.to_string(), name, party.uri().unwrap_or_default()]
}

impl Add {
    fn run(self) -> anyhow::Result<()> {
        let mut vcon = self.input.vcon()?;
        let mut party = Map::new();
        let named = [
            ("name", &self.name),
            ("tel", &self.tel),
            ("mailto", &self.mailto),
            ("sip", &self.sip),
            ("did", &self.did),
            ("stir", &self.stir),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                party.insert(name.into(), value.as_str().into());
            }
        }
        add_members(&mut party, &self.members)?;
        vcon.add_party(party);
        self.output.vcon(&vcon)
    }
}

/// Adds members that were given as NAME=VALUE: JSON where it is, else text.
pub(super) fn add_members(item: &mut Map<String, Value>, members: &[String]) -> anyhow::Result<()> {
    for member in members {
        let (name, value) = member.split_once('=').with_context(|| format!("--member {member:?} is not NAME=VALUE"))?;
        if item.insert(name.to_owned(), json_or_text(value)).is_some() {
            bail!("{name} is given twice");
        }
    }
    Ok(())
}

/// JSON where it is, else text.
pub(super) fn json_or_text(value: &str) -> Value {
    crate::json::parse(value.as_bytes(), &crate::json::JsonLimits::default()).unwrap_or_else(|_| value.into())
}
