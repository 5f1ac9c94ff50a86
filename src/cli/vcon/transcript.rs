//! `affiant vcon transcript`: the transcripts of a vCon.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use crate::atomic_file;
use crate::cli::args::time_args::TimeArgs;
use crate::cli::output::printable;
use crate::cli::vcon::io::document::{Input, Output};
use crate::json;
use crate::vcon::{Party, Vcon, VconLimits, Wtf, turns};

/// Show a transcript, add one, or write one as captions.
#[derive(Debug, Args)]
pub(crate) struct TranscriptCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a transcript by speaker: with times in the World Transcription Format, without in others.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON: the body as it is.
        #[arg(long)]
        json: bool,
    },
    /// Add a transcript of the World Transcription Format as an analysis.
    Add {
        #[command(flatten)]
        input: Input,
        /// The file with its body, JSON.
        #[arg(long, value_name = "FILE")]
        body: PathBuf,
        /// The dialog that was transcribed.
        #[arg(long, value_name = "INDEX", default_value_t = 0)]
        dialog: usize,
        #[command(flatten)]
        moment: TimeArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Write SubRip captions.
    Srt {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Write WebVTT captions.
    Vtt {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
}

/// One of the transcripts of a document.
#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    input: Input,
    /// Index among the transcripts of this format, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    number: usize,
}

impl TranscriptCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Show { which, json } => {
                let (vcon, _) = which.input.vcon_or_payload()?;
                let text = if vcon.wtf_transcripts().is_empty() && !json {
                    spoken(&vcon)
                } else {
                    let wtf = which.of(&vcon)?;
                    if json { format!("{:#}\n", wtf.body()) } else { timed(&wtf, &vcon) }
                };
                if text.is_empty() {
                    bail!("{} holds no transcript and no text", which.input.name());
                }
                std::io::stdout().write_all(text.as_bytes())?;
            }
            Action::Add { input, body, dialog, moment, output } => {
                let mut vcon = input.vcon()?;
                if dialog >= vcon.dialogs().len() {
                    bail!("there is no dialog {dialog}");
                }
                let limits = VconLimits::default().json;
                let bytes = atomic_file::read(&body, limits.bytes_max as u64);
                let bytes = bytes.with_context(|| format!("reading {}", body.display()))?;
                let value = json::parse(&bytes, &limits).with_context(|| body.display().to_string())?;
                let wtf = Wtf::parse(value).with_context(|| body.display().to_string())?;
                let departures = wtf.departures();
                if !departures.is_empty() {
                    bail!("{}: {}", body.display(), departures.join("; "));
                }
                vcon.add_wtf(&wtf, dialog, moment.time()?);
                output.vcon(&vcon)?;
            }
            Action::Srt { which, output } => {
                let (vcon, _) = which.input.vcon_or_payload()?;
                let wtf = which.of(&vcon)?;
                let names = PartyNames::of(&wtf, &vcon);
                output.write(wtf.to_srt(|speaker| names.name(speaker)).as_bytes())?;
            }
            Action::Vtt { which, output } => {
                let (vcon, _) = which.input.vcon_or_payload()?;
                let wtf = which.of(&vcon)?;
                let names = PartyNames::of(&wtf, &vcon);
                output.write(wtf.to_vtt(|speaker| names.name(speaker)).as_bytes())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Which {
    fn of(&self, vcon: &Vcon) -> anyhow::Result<Wtf> {
        let mut found = vcon.wtf_transcripts();
        if self.number >= found.len() {
            bail!("{} transcripts of the World Transcription Format in {}", found.len(), self.input.name());
        }
        let (place, wtf) = found.swap_remove(self.number);
        wtf.with_context(|| place.to_string())
    }
}

/// The names of speakers.
struct PartyNames<'a> {
    wtf: &'a Wtf,
    parties: Vec<Option<&'a str>>,
}

impl<'a> PartyNames<'a> {
    fn of(wtf: &'a Wtf, vcon: &'a Vcon) -> Self {
        Self { wtf, parties: vcon.parties().map(Party::name).collect() }
    }

    /// The name that the transcript gives a speaker, else what it calls it.
    fn name(&self, speaker: &str) -> String {
        let is_number = speaker.bytes().all(|byte| byte.is_ascii_digit());
        let party = speaker.parse::<usize>().ok().and_then(|index| *self.parties.get(index)?);
        let otherwise = || if is_number { format!("Speaker {speaker}") } else { speaker.to_owned() };
        self.wtf.label(speaker).or(party).map_or_else(otherwise, str::to_owned)
    }
}

fn timed(wtf: &Wtf, vcon: &Vcon) -> String {
    let (mut text, names) = (String::new(), PartyNames::of(wtf, vcon));
    for segment in wtf.segments() {
        let speaker = segment.speaker.as_deref().map(|speaker| format!("{}: ", names.name(speaker)));
        let (minutes, seconds) = ((segment.start / 60.0).floor(), segment.start % 60.0);
        let said = printable(&format!("{}{}", speaker.unwrap_or_default(), segment.text));
        writeln!(text, "{minutes:3}:{seconds:04.1}  {said}").expect("a string takes every character");
    }
    text
}

fn spoken(vcon: &Vcon) -> String {
    let parties: Vec<_> = vcon.parties().collect();
    let lines = turns(vcon).into_iter().map(|turn| {
        let name = turn.party.and_then(|index| parties.get(index)?.name());
        let name = name.map(|name| format!("{}: ", printable(name))).unwrap_or_default();
        turn.text.lines().map(|line| format!("{name}{}\n", printable(line))).collect::<String>()
    });
    lines.collect()
}
