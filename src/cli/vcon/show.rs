//! `affiant vcon show`: prints a conversation as text.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::output::{Paint, printable};
use crate::cli::vcon::io::document::Input;
use crate::clock::parse_time;
use crate::evidence::Record;
use crate::json;
use crate::vcon::{Content, Dialog, Form, Level, Vcon, VconLimits, turns, validate};

/// Columns of a line: what a person reads without turning the head.
const COLUMNS: usize = 100;

/// Print a conversation: parties, messages with their times, outcome. Of a signed vCon, the payload.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowCommand {
    #[command(flatten)]
    input: Input,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

impl ShowCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let bytes = self.input.bytes()?;
        let limits = VconLimits::default();
        let value = json::parse(&bytes, &limits.json).with_context(|| self.input.name())?;
        let (vcon, around) = match Form::of(&value) {
            Some(Form::Encrypted) => bail!("{}: {}", self.input.name(), encrypted(&value)),
            Some(Form::Signed) => {
                let record = Record::parse(&bytes, &limits).with_context(|| self.input.name())?;
                let layers = record.layers().iter().flat_map(|jws| jws.signatures());
                let algorithms: Vec<_> = layers.map(|signature| signature.header().algorithm.clone()).collect();
                (record.vcon().clone(), Some(algorithms))
            }
            _ => (Vcon::of(value, &limits).with_context(|| self.input.name())?, None),
        };
        let text = if self.json {
            format!("{}\n", serde_json::to_string_pretty(&summary(&vcon, around.as_deref()))?)
        } else {
            PageWriter { vcon: &vcon, paint: Paint::stdout(), text: String::new() }.of(around.as_deref())
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn encrypted(value: &Value) -> String {
    let recipients = value.get("recipients").and_then(Value::as_array).map_or(0, Vec::len);
    let uuid = value.pointer("/unprotected/uuid").and_then(Value::as_str).unwrap_or("without a uuid outside");
    format!("encrypted for {recipients} recipients ({}): affiant vcon decrypt opens it", printable(uuid))
}

fn summary(vcon: &Vcon, signatures: Option<&[String]>) -> Value {
    json!({
        "uuid": vcon.uuid(), "subject": vcon.subject(), "created_at": vcon.created_at(), "updated_at": vcon.updated_at(),
        "signatures": signatures,
        "parties": vcon.parties().map(|party| json!({ "name": party.name(), "uri": party.uri() })).collect::<Vec<_>>(),
        "dialogs": vcon.dialogs().map(|dialog| json!({
            "type": dialog.kind(), "start": dialog.start(), "mediatype": dialog.mediatype(),
        })).collect::<Vec<_>>(),
        "turns": turns(vcon).iter().map(|turn| json!({ "party": turn.party, "text": turn.text })).collect::<Vec<_>>(),
        "analyses": vcon.analyses().map(|analysis| json!({ "type": analysis.kind() })).collect::<Vec<_>>(),
        "attachments": vcon.attachments().map(|one| json!({ "purpose": one.purpose() })).collect::<Vec<_>>(),
        "findings": validate(vcon).len(),
    })
}

struct PageWriter<'a> {
    vcon: &'a Vcon,
    paint: Paint,
    text: String,
}

impl PageWriter<'_> {
    fn of(mut self, signatures: Option<&[String]>) -> String {
        let vcon = self.vcon;
        self.line(0, &self.paint.bold(&printable(vcon.subject().unwrap_or("A conversation"))));
        let made = vcon.created_at().map_or_else(|| "at an unknown time".to_owned(), shown_time);
        let uuid = vcon.uuid().unwrap_or("no uuid");
        self.line(0, &self.paint.dim(&format!("{}, made {made}", printable(uuid))));
        if let Some(amended) = vcon.amends() {
            self.line(0, &self.paint.dim(&format!("amends {}", printable(amended))));
        }
        let critical: Vec<_> = vcon.critical().map(printable).collect();
        if !critical.is_empty() {
            let said = format!("needs extensions that are not understood here: {}", critical.join(", "));
            self.line(0, &self.paint.yellow(&said));
        }
        if let Some(algorithms) = signatures {
            let said = format!("signed ({}), not verified here: affiant verify does that", algorithms.join(", "));
            self.line(0, &self.paint.dim(&printable(&said)));
        }
        self.parties();
        self.dialogs();
        self.spoken();
        self.rest();
        self.findings();
        self.text
    }

    fn parties(&mut self) {
        self.heading("Parties");
        for (index, party) in self.vcon.parties().enumerate() {
            let name = party.name().unwrap_or("(no name)");
            let uri = party.uri().map(|uri| format!("  {uri}")).unwrap_or_default();
            let role = if party.is_agent() { "  agent" } else { "" };
            self.line(2, &printable(&format!("{index}  {name}{uri}{role}")));
        }
    }

    fn dialogs(&mut self) {
        let mut dialogs: Vec<_> = self.vcon.dialogs().enumerate().collect();
        // They stand in the order in which they were added; people read them in that of time.
        dialogs.sort_by_key(|(index, dialog)| (dialog.start().and_then(|start| parse_time(start).ok()), *index));
        if !dialogs.is_empty() {
            self.heading("Dialog");
        }
        for (index, dialog) in dialogs {
            self.dialog(index, dialog);
        }
    }

    fn dialog(&mut self, index: usize, dialog: Dialog<'_>) {
        let start = dialog.start().map_or_else(|| "at an unknown time".to_owned(), shown_time);
        let kind = dialog.kind().unwrap_or("unknown");
        let who = dialog.parties().into_iter().map(|party| self.name(Some(party))).collect::<Vec<_>>();
        let who = if who.is_empty() { String::new() } else { format!("  {}", who.join(", ")) };
        let lasted = dialog.duration().map(|seconds| format!("  {}", shown_duration(seconds))).unwrap_or_default();
        let ended = dialog.disposition().map(|word| format!("  {word}")).unwrap_or_default();
        self.line(2, &printable(&format!("{index}  {start}  {kind}{who}{lasted}{ended}")));
        match dialog.content() {
            Content::External { url } => {
                let hashes: Vec<_> = dialog.content_hashes().iter().flatten().map(ToString::to_string).collect();
                self.line(5, &self.paint.dim(&printable(url)));
                let bound =
                    if hashes.is_empty() { "bound by no hash that is known here".into() } else { hashes.join(" ") };
                self.line(5, &self.paint.dim(&printable(&bound)));
            }
            Content::Inline { .. } if kind == "text" => {
                let bytes = dialog.content().bytes().ok().flatten().unwrap_or_default();
                self.wrapped(5, &String::from_utf8_lossy(&bytes));
            }
            Content::Inline { .. } => {
                let bytes = dialog.content().bytes().ok().flatten().map_or(0, |bytes| bytes.len());
                let said = format!("{} inside, {bytes} bytes", dialog.mediatype().unwrap_or("content"));
                self.line(5, &self.paint.dim(&printable(&said)));
            }
            Content::Absent => {}
        }
    }

    fn spoken(&mut self) {
        let said = turns(self.vcon);
        // What text dialogs say is above already.
        let texts = self.vcon.dialogs().filter(|dialog| dialog.kind() == Some("text"));
        let texts = texts.filter_map(|dialog| String::from_utf8(dialog.content().bytes().ok()??.into_owned()).ok());
        if said.iter().map(|turn| turn.text.clone()).eq(texts) {
            return;
        }
        self.heading("Transcript");
        for turn in said {
            let name = self.paint.bold(&printable(&self.name(turn.party)));
            self.line(2, &format!("{name}:"));
            self.wrapped(5, &turn.text);
        }
    }

    fn rest(&mut self) {
        if self.vcon.analyses().len() > 0 {
            self.heading("Analysis");
        }
        for (index, analysis) in self.vcon.analyses().enumerate() {
            let (kind, vendor) = (analysis.kind().unwrap_or("unknown"), analysis.vendor().unwrap_or("unknown"));
            self.line(2, &printable(&format!("{index}  {kind} by {vendor}")));
        }
        if self.vcon.attachments().len() > 0 {
            self.heading("Attachments");
        }
        for (index, attachment) in self.vcon.attachments().enumerate() {
            let what = attachment.purpose().unwrap_or("for no stated purpose");
            let name =
                attachment.filename().or(attachment.mediatype()).map(|name| format!("  {name}")).unwrap_or_default();
            self.line(2, &printable(&format!("{index}  {what}{name}")));
        }
    }

    fn findings(&mut self) {
        let findings = validate(self.vcon);
        let must = findings.iter().filter(|finding| finding.level == Level::Must).count();
        if must > 0 {
            let rules =
                if must == 1 { "1 MUST of the draft is".to_owned() } else { format!("{must} MUST of the draft are") };
            let said = format!("{rules} not kept: affiant vcon validate names them");
            self.text.push('\n');
            self.line(0, &self.paint.yellow(&said));
        }
    }

    fn name(&self, party: Option<usize>) -> String {
        let Some(index) = party else { return "Somebody".to_owned() };
        let party = self.vcon.party(index);
        let name = party.and_then(|party| party.name().map(str::to_owned).or_else(|| party.uri()));
        name.unwrap_or_else(|| format!("Party {index}"))
    }

    fn heading(&mut self, title: &str) {
        let title = self.paint.bold(title);
        let _ = write!(self.text, "\n{title}\n");
    }

    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    fn wrapped(&mut self, indent: usize, text: &str) {
        for paragraph in text.lines().map(printable) {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > COLUMNS {
                    self.line(indent, &line);
                    line.clear();
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            self.line(indent, &line);
        }
    }
}

/// A time as people write it; as it stands where it is none.
fn shown_time(text: &str) -> String {
    parse_time(text).map_or_else(|_| printable(text), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn shown_duration(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let (whole, minutes) = (seconds.round(), (seconds.round() / 60.0).floor());
    format!("{minutes:.0} min {:.0} s", whole - minutes * 60.0)
}
