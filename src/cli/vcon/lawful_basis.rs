//! `affiant vcon lawful-basis`: the lawful basis of processing.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::args::member_args::json_or_text;
use crate::cli::args::time_args::TimeArgs;
use crate::cli::output::{print, printable};
use crate::cli::vcon::io::document::{Input, Output};
use crate::clock::{format_time, parse_time};
use crate::vcon::{Basis, LawfulBasis, Permission, PurposeGrant, RecordedBasis};

/// Record a lawful basis, or check what is recorded.
#[derive(Debug, Args)]
pub(crate) struct LawfulBasisCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Record a basis, with the purposes that it permits or denies.
    Add(Add),
    /// Check whether a permission for a purpose is recorded.
    ///
    /// Exit code 0: granted, 1: denied or not recorded, 2: undecided, because a record that cannot be read, or is kept
    /// elsewhere, could deny it.
    ///
    /// This checks what is recorded and in force at that time, not whether processing is lawful. A denial overrides a
    /// grant.
    Check {
        #[command(flatten)]
        input: Input,
        /// The purpose: recording, transcription, any other word.
        #[arg(long)]
        purpose: String,
        /// Check this party alone.
        #[arg(long, value_name = "INDEX")]
        party: Option<usize>,
        #[command(flatten)]
        moment: TimeArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the recorded bases.
    List {
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        moment: TimeArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    input: Input,
    /// consent, contract, legal_obligation, vital_interests, public_task or legitimate_interests.
    #[arg(long, value_parser = basis)]
    basis: Basis,
    /// When it ends (RFC 3339); without it, it never does.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A purpose that is permitted; may be repeated.
    #[arg(long = "grant", value_name = "PURPOSE")]
    granted: Vec<String>,
    /// A purpose that is not permitted; may be repeated.
    #[arg(long = "deny", value_name = "PURPOSE")]
    denied: Vec<String>,
    /// A condition of a purpose that is permitted; may be repeated.
    #[arg(long = "condition", value_name = "PURPOSE=TEXT")]
    conditions: Vec<String>,
    /// The party that it is about; 0 also where none is meant.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    party: usize,
    /// The dialog that it is about; 0 also where none is meant.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    dialog: usize,
    /// Another member of the body, such as terms_of_service, as NAME=JSON or NAME=TEXT.
    #[arg(long = "member", value_name = "NAME=VALUE")]
    members: Vec<String>,
    #[command(flatten)]
    moment: TimeArgs,
    #[command(flatten)]
    output: Output,
}

/// The exit code when a record that cannot be read could deny the permission.
const CANNOT_BE_SAID: u8 = 2;

fn basis(name: &str) -> Result<Basis, String> {
    let names = Basis::ALL.map(Basis::name).join(", ");
    Basis::of_name(name).ok_or_else(|| format!("not one of {names}"))
}

impl LawfulBasisCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add(add) => add.run()?,
            Action::Check { input, purpose, party, moment, json } => {
                let (vcon, time) = (input.vcon_or_payload()?.0, moment.time()?);
                let permission = vcon.permission(&purpose, time, party);
                let mut bases = vcon.lawful_bases();
                // A record that names no party could be about this one.
                bases.retain(|basis| party.is_none() || basis.party.is_none() || basis.party == party);
                let unread = unread(&bases);
                let (said, code) = match permission {
                    // Whatever else is recorded, a denial counts.
                    Permission::Denied => ("denied", 1),
                    _ if !unread.is_empty() => ("cannot be said", CANNOT_BE_SAID),
                    Permission::Granted => ("granted", 0),
                    Permission::NotRecorded => ("not recorded", 1),
                };
                let text = if json {
                    let at = format_time(time);
                    let said =
                        json!({ "purpose": purpose, "at": at, "party": party, "permission": said, "unread": unread });
                    format!("{said:#}\n")
                } else {
                    let of = party.map(|party| format!(", of party {party}")).unwrap_or_default();
                    let mut text = format!("permission for {purpose} at {}{of}: {said}\n", format_time(time));
                    unread.iter().for_each(|line| text += &format!("not read: {}\n", printable(line)));
                    text + "This is what the document records. It does not say that processing is lawful.\n"
                };
                std::io::stdout().write_all(text.as_bytes())?;
                return Ok(ExitCode::from(code));
            }
            Action::List { input, moment, json } => {
                let (vcon, time) = (input.vcon_or_payload()?.0, moment.time()?);
                let bases = vcon.lawful_bases();
                let objects: Vec<_> = bases
                    .iter()
                    .map(|one| {
                        let (body, error) = match &one.body {
                            Ok(body) => (body.to_value(), None),
                            Err(error) => (Value::Null, Some(error.to_string())),
                        };
                        let expired = one.body.as_ref().is_ok_and(|body| body.is_expired(time));
                        json!({ "attachment": one.attachment, "party": one.party, "body": body, "expired": expired, "error": error })
                    })
                    .collect();
                let rows: Vec<_> = bases.iter().map(|one| row(one, time)).collect();
                print(json, &objects, ["ATTACHMENT", "PARTY", "BASIS", "EXPIRES", "PURPOSES"], &rows)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A basis that cannot be read.
fn unread(bases: &[RecordedBasis]) -> Vec<String> {
    let errors = bases.iter().filter_map(|one| Some((one.attachment, one.body.as_ref().err()?)));
    errors.map(|(attachment, error)| format!("attachment {attachment}: {error}")).collect()
}

fn row(one: &RecordedBasis, time: chrono::DateTime<chrono::Utc>) -> [String; 5] {
    let party = one.party.map(|party| party.to_string()).unwrap_or_default();
    let rest = match &one.body {
        Ok(body) => {
            let expires = match body.expiration {
                None => "never".to_owned(),
                Some(end) if body.is_expired(time) => format!("{} (expired)", format_time(end)),
                Some(end) => format_time(end),
            };
            let grants = body.purpose_grants.iter();
            let grants = grants.map(|grant| format!("{}{}", if grant.granted { "+" } else { "-" }, grant.purpose));
            [body.basis.name().to_owned(), expires, grants.collect::<Vec<_>>().join(" ")]
        }
        Err(error) => ["not read".to_owned(), String::new(), error.to_string()],
    };
    let [basis, expires, purposes] = rest;
    [one.attachment.to_string(), party, basis, expires, purposes]
}

impl Add {
    fn run(self) -> anyhow::Result<()> {
        let mut vcon = self.input.vcon()?;
        for (name, index, count) in
            [("party", self.party, vcon.parties().len()), ("dialog", self.dialog, vcon.dialogs().len())]
        {
            if count == 0 {
                bail!("the vCon has no {name} that the attachment could belong to: add one first");
            }
            if index >= count {
                bail!("there is no {name} {index}");
            }
        }
        let now = self.moment.time()?;
        let granted = self.granted.iter().map(|purpose| (purpose, true));
        let grants = granted.chain(self.denied.iter().map(|purpose| (purpose, false)));
        let grant = |(purpose, granted): (&String, bool)| PurposeGrant {
            purpose: purpose.clone(),
            granted,
            granted_at: now,
            conditions: Vec::new(),
        };
        let mut purpose_grants: Vec<_> = grants.map(grant).collect();
        for condition in &self.conditions {
            let (purpose, text) =
                condition.split_once('=').with_context(|| format!("--condition {condition:?} is not PURPOSE=TEXT"))?;
            let granted = purpose_grants.iter_mut().find(|grant| grant.purpose == purpose && grant.granted);
            granted.with_context(|| format!("{purpose} is not granted"))?.conditions.push(text.to_owned());
        }
        let mut others = Map::new();
        for member in &self.members {
            let (name, value) =
                member.split_once('=').with_context(|| format!("--member {member:?} is not NAME=VALUE"))?;
            others.insert(name.to_owned(), json_or_text(value));
        }
        let expires = self
            .expires
            .as_deref()
            .map(|time| parse_time(time).with_context(|| format!("--expires {time} is not an RFC 3339 time")));
        let body = LawfulBasis { basis: self.basis, expiration: expires.transpose()?, purpose_grants, others };
        // What would not count when it is read is not written.
        LawfulBasis::parse(&body.to_value())?;
        vcon.add_lawful_basis(&body, self.party, self.dialog, now);
        self.output.vcon(&vcon)
    }
}
