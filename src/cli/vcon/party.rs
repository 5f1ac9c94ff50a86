//! `affiant vcon party`: the parties of a vCon.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Map;

use crate::cli::args::member_args::MemberArgs;
use crate::cli::output::print;
use crate::cli::vcon::io::document::{Input, Listing, Output};

/// Add parties, or list them.
#[derive(Debug, Args)]
pub(crate) struct PartyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a party at the end of the list, so that no index changes.
    Add(Add),
    /// List the parties with their indices.
    List(Listing),
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
    #[command(flatten)]
    members: MemberArgs,
    #[command(flatten)]
    output: Output,
}

impl PartyCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add(add) => add.run()?,
            Action::List(Listing { input, json }) => {
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
        self.members.put_into(&mut party)?;
        vcon.add_party(party);
        self.output.vcon(&vcon)
    }
}
