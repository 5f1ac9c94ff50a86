//! `affiant demo`: an end-to-end demonstration with a temporary authority, ledger, witness and timestamp authority.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::access::{Role, TokenRequest};
use crate::authority::{Authority, AuthorityParams, FileKeyStore, IssuerId, Profiles, ScryptCost};
use crate::clock::{Clock, SystemClock};
use crate::evidence::report::RowStatus;
use crate::evidence::{Bundle, Indication, SubIndication, SuppliedRecording, ValidationReport, verify};
use crate::issuance::{Issuance, Submitter};
use crate::ledger::{Durability, WriterLock};
use crate::server::config::Config;
use crate::server::{AppState, RunningServer, StartOptions, log_keys, serve};
use crate::vcon::{
    ContentDigests, ContentHash, NewAnalysis, NewContent, NewDialog, NewParty, Vcon, VconBuilder, uuid8,
};
use crate::vfs::OsFileSystem;
use crate::witness::{CosigningAlgorithm, WitnessDir, WitnessSettings};

/// The scorecard of the demo.
const SCORECARD: &str = include_str!("../../policies/scorecards/outbound-call.toml");
/// Samples a second of the recordings.
const SAMPLE_RATE: u32 = 8000;
/// How long a child may take to say where it listens.
const CHILD_TIMEOUT: Duration = Duration::from_secs(60);

/// Run an end-to-end demonstration in a temporary directory.
///
/// Calls are issued, witnessed, verified and tampered with, and the tampering is found. The directory is removed at the
/// end.
#[derive(Debug, Args)]
pub(crate) struct DemoCommand {
    /// Exit at the end, instead of serving the page.
    #[arg(long)]
    once: bool,
    /// Address of the page; default: a free port of this machine.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Keep everything in this folder, which must not exist yet.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A sample call and its recording.
struct Call {
    title: &'static str,
    vcon: Vcon,
    recording: Vec<u8>,
}

impl DemoCommand {
    /// Runs the demo. Exit code 1: a result is not the expected one.
    ///
    /// # Errors
    /// When something could not be set up.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let temporary = tempfile::tempdir().context("a temporary folder")?;
        let dir = match &self.dir {
            Some(dir) => {
                std::fs::create_dir(dir).with_context(|| format!("making {}", dir.display()))?;
                dir.canonicalize()?
            }
            None => temporary.path().to_owned(),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        say("Setting up a root, an issuing authority, a ledger, a witness and a timestamp authority …");
        let mut stage = Stage::set_up(&dir, self.listen, clock.clone()).await?;
        let right = stage.show(clock.now()).await?;
        if !self.once {
            say(&format!("\nThe page is at http://{}/ until you press Ctrl-C.", stage.running.address));
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                ended = stage.running.wait() => ended?,
            }
        }
        stage.running.stop().await;
        stage.witness.kill().await?;
        Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

struct Stage {
    dir: PathBuf,
    running: RunningServer,
    witness: Child,
    issuer: IssuerId,
    token: Zeroizing<String>,
}

impl Stage {
    async fn set_up(dir: &Path, listen: Option<SocketAddr>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let passphrase = Zeroizing::new("demo".to_owned());
        let listen = match listen {
            Some(listen) => listen,
            None => TcpListener::bind("127.0.0.1:0")?.local_addr()?,
        };
        let data = dir.join("data");
        let lock = WriterLock::take(&OsFileSystem, &data)?;
        let authority = Authority::init(
            &data.join("authority"),
            AuthorityParams {
                organisation: "Affiant Demo".into(),
                base_url: format!("http://{listen}"),
                root_key_path: dir.join("root-key-to-be-taken-offline.pem"),
                root_key_protection: passphrase.clone().into(),
                profiles: Profiles::load(None)?,
            },
            FileKeyStore::of_authority(&data.join("authority"), passphrase.clone()),
            clock.clone(),
        )?;
        let issuer = authority.add_issuer("Demo Call Centre")?.id;
        authority.issue(&issuer)?;
        std::fs::write(dir.join("root.pem"), authority.root_pem())?;
        drop((authority, lock));
        std::fs::create_dir_all(dir.join("scorecards"))?;
        std::fs::write(dir.join("scorecards/outbound-call.toml"), SCORECARD)?;

        let config_path = dir.join("affiant.toml");
        std::fs::write(&config_path, config_text(dir, listen, ""))?;
        let config = Config::load(Some(&config_path))?;
        let keys = log_keys(&config, &passphrase, ScryptCost::RECOMMENDED)?;
        let settings = WitnessSettings {
            name: "witness.demo".into(),
            keys: vec![CosigningAlgorithm::Ed25519],
            timestamp_policy: "1.3.6.1.4.1.32473.1".into(),
        };
        let witness_dir = WitnessDir::init(&dir.join("witness"), settings, None, clock.now())?;
        keys.iter().try_for_each(|key| witness_dir.add_log(key).map(drop))?;
        let witness_key = witness_dir.open(None, &clock)?.witness.keys()[0].to_string();
        let (witness, witness_url) = start_witness(&dir.join("witness")).await?;
        let witnessing = format!(
            "[[witnessing.witness]]\nvkey = \"{witness_key}\"\nurl = \"{witness_url}\"\nindependent = false\n\
             [[witnessing.timestamp_authority]]\nurl = \"{witness_url}/tsa\"\ncrl_urls = [\"{witness_url}/tsa/root.crl\"]\nanchors_file = \"{}\"\nindependent = false\n",
            witness_dir.root_certificate().display(),
        );
        std::fs::write(&config_path, config_text(dir, listen, &witnessing))?;
        let config = Config::load(Some(&config_path))?;
        let metrics = PrometheusBuilder::new().install_recorder().ok();
        let state = AppState::open(config, passphrase, StartOptions::default(), clock.clone(), metrics).await?;
        let request = TokenRequest {
            role: Role::Issuer,
            issuer: Some(issuer.clone()),
            may_anchor_foreign: false,
            expires_at: None,
        };
        let token = state.tokens().create(request, clock.now())?.secret;
        Ok(Self { dir: dir.to_owned(), running: serve(state)?, witness, issuer, token })
    }

    /// Issues, verifies and tampers; gives whether every verdict was the one that it should be.
    async fn show(&mut self, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let issuance = self.running.state().issuance().clone();
        let calls = sample_calls(now);
        say(&format!("\nIssuing {} calls, each with its recording:", calls.len()));
        let mut last = None;
        for call in &calls {
            let receipt = self.issue(&issuance, &call.vcon, Durability::Included).await?;
            say(&format!("  {:<34} entry {}, {}", call.title, receipt.index, receipt.record));
            last = Some(receipt);
        }
        let last = last.context("there are sample calls")?;
        let again = self.issue(&issuance, &calls[calls.len() - 1].vcon, Durability::Witnessed).await?;
        anyhow::ensure!(again.record == last.record, "the same call twice made two records");
        say(&format!("  the last one again: the same receipt, now {}", format!("{:?}", again.status).to_lowercase()));

        say("\nVerifying each bundle offline, with the root as the only trust:");
        let policy = self.running.state().issuance().verifier().policy().clone();
        let mut right = true;
        for call in &calls {
            let (bundle, path) = self.bundle(&issuance, call)?;
            let report = verify(&bundle, &policy, self.running.state().clock().now());
            right &= report.verdict.indication == Indication::Passed;
            say(&format!("  {:<34} {}", call.title, report.verdict.code()));
            say(&rows(&report));
            if call.title == calls[0].title {
                say(&format!("    the bundle: {}", path.display()));
            }
        }
        say("    the witness and the timestamp authority are our own here, so their time is shown but not counted.");

        say("\nTampering with the first one:");
        let (bundle, _) = self.bundle(&issuance, &calls[0])?;
        let mut altered = bundle.clone();
        altered.record = alter_payload(&altered.record).context("a record has a payload")?;
        right &= self.caught("one character of the record", &altered, SubIndication::SigCryptoFailure);
        let mut swapped = bundle;
        let mut recording = calls[0].recording.clone();
        recording[1000] ^= 1;
        let digests = ContentDigests::of(&recording);
        swapped.recordings = vec![SuppliedRecording { name: "recording.wav".into(), digests }];
        right &= self.caught("one bit of the recording", &swapped, SubIndication::HashFailure);

        say(&format!(
            "\n{}",
            if right { "Everything was as it should be." } else { "NOT everything was as it should be." }
        ));
        let (dir, address) = (self.dir.display(), self.running.address);
        std::fs::write(self.dir.join("token"), self.token.as_bytes())?;
        say(&format!(
            "Kept until the end of the demo:\n  \
             the issuer's token, the root, the recordings and the bundles  {dir}\n  \
             audit it all again                                            affiant audit http://{address}"
        ));
        Ok(right)
    }

    async fn issue(
        &self,
        issuance: &Arc<Issuance>,
        vcon: &Vcon,
        durability: Durability,
    ) -> anyhow::Result<crate::issuance::SubmissionReceipt> {
        let caller = Submitter { issuer: self.issuer.clone(), may_anchor_foreign: false };
        Ok(issuance.submit(caller, vcon.to_bytes(), durability).await?)
    }

    /// The bundle of a call with its recording, and where it was written.
    fn bundle(&self, issuance: &Issuance, call: &Call) -> anyhow::Result<(Bundle, PathBuf)> {
        let uuid = call.vcon.uuid().context("a sample call has a uuid")?;
        let index = issuance.ledger().index_of_uuid(Some(self.issuer.as_str()), uuid)?;
        let files = issuance.assemble_bundle(index.context("the call was issued")?)?.to_files();
        let path = self.dir.join(format!("{uuid}.evidence.zip"));
        std::fs::write(&path, files.to_zip())?;
        std::fs::write(self.dir.join(format!("{uuid}.wav")), &call.recording)?;
        let mut bundle = files.to_bundle()?;
        let digests = ContentDigests::of(&call.recording);
        bundle.recordings = vec![SuppliedRecording { name: format!("{uuid}.wav"), digests }];
        Ok((bundle, path))
    }

    fn caught(&self, what: &str, bundle: &Bundle, expected: SubIndication) -> bool {
        let state = self.running.state();
        let report = verify(bundle, state.issuance().verifier().policy(), state.clock().now());
        say(&format!("  {what:<34} {}", report.verdict.code()));
        report.verdict.indication == Indication::Failed && report.verdict.sub_indication == Some(expected)
    }
}

fn config_text(dir: &Path, listen: SocketAddr, witnessing: &str) -> String {
    let dir = dir.display();
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n[data]\ndir = \"{dir}/data\"\n\
         [scorecards]\ndir = \"{dir}/scorecards\"\n[witnessing]\nquorum = \"none\"\n{witnessing}"
    )
}

/// Starts a witness as a process of its own and gives where it listens.
async fn start_witness(dir: &Path) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["witness", "serve", "--listen", "127.0.0.1:0", "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting the witness")?;
    let stdout = child.stdout.take().context("the witness's output")?;
    let mut lines = BufReader::new(stdout).lines();
    let find = async {
        while let Some(line) = lines.next_line().await? {
            let url = line.split_whitespace().find(|word| word.starts_with("http://"));
            if let Some(url) = url {
                return Ok(url.trim_end_matches([',', '/']).to_owned());
            }
        }
        anyhow::bail!("the witness ended without saying where it listens")
    };
    let url = tokio::time::timeout(CHILD_TIMEOUT, find).await.context("waiting for the witness")??;
    Ok((child, url))
}

/// The five rows on one line each, short.
fn rows(report: &ValidationReport) -> String {
    let mut text = String::new();
    for row in &report.rows {
        let mark = match row.answer {
            RowStatus::Yes => "yes",
            RowStatus::No => "NO",
            RowStatus::Unknown => "unknown",
            RowStatus::NotChecked => "not checked",
        };
        let _ = writeln!(text, "    {:<18} {mark:<12} {}", row.title, row.reason);
    }
    text.trim_end().to_owned()
}

/// Changes one character in the middle of the payload.
fn alter_payload(record: &[u8]) -> Option<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_slice(record).ok()?;
    let payload = value.get("payload")?.as_str()?.to_owned();
    let (before, after) = payload.split_at_checked(payload.len() / 2)?;
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    value["payload"] = format!("{before}{other}{}", &after[1..]).into();
    serde_json::to_vec(&value).ok()
}

fn sample_calls(now: DateTime<Utc>) -> Vec<Call> {
    let conversations: [(&str, &[(usize, &str)]); 4] = [
        (
            "a call that passes its scorecard",
            &[
                (0, "Good morning, this is Dana from Harbour Energy. This call is being recorded."),
                (1, "Good morning, what is it about?"),
                (0, "Your contract ends in March; I would like to tell you about the new rates."),
                (1, "Please send them by post."),
                (0, "Gladly. Is there anything else I can do for you?"),
                (1, "No, thank you."),
            ],
        ),
        (
            "one that needs a review",
            &[
                (0, "Hello! This call may be recorded. It is about your energy rates."),
                (1, "I am driving, be quick."),
                (0, "This offer is only available today."),
                (1, "Then no."),
            ],
        ),
        (
            "one that fails a critical check",
            &[
                (0, "Hello, this is Dana from Harbour Energy with guaranteed savings for you!"),
                (1, "Is this call recorded?"),
                (0, "Let us talk about your savings first."),
                (1, "Goodbye."),
            ],
        ),
        ("one with nobody on the line", &[(0, "Hello? This call is being recorded. Hello?")]),
    ];
    conversations
        .into_iter()
        .zip(1_u32..)
        .map(|((title, turns), number)| {
            let start = now - TimeDelta::minutes(i64::from(number) * 7);
            let recording = recording(number, turns.len());
            let mut builder = VconBuilder::new(uuid8("demo.affiant.example", start), start);
            let agent = builder.add_party(NewParty::named("Dana").tel("+12025550100").member("role", "agent"));
            let caller = builder.party("Robin", "tel:+12025550101");
            let seconds = recording.len() as f64 / f64::from(SAMPLE_RATE * 2);
            let url = format!("https://recordings.affiant.example/{number}.wav");
            let hash = ContentHash::of(&recording);
            let content = NewContent::external(&url, &hash).mediatype("audio/wav");
            builder.add_dialog(
                NewDialog::recording(start, content)
                    .parties(&[agent, caller])
                    .lasted((seconds * 100.0).round() / 100.0),
            );
            let segments: Vec<_> =
                turns.iter().map(|(party, text)| json!({ "speaker": party, "text": text })).collect();
            let transcript = NewContent::json(json!({ "segments": segments }));
            builder.add_analysis(NewAnalysis::new("transcript", "demo", transcript).of_dialogs(&[0]));
            Call { title, vcon: builder.build(), recording }
        })
        .collect()
}

/// A WAV file (PCM, 16 bits, one channel): a tone for each turn, so that every call has a recording of its own.
fn recording(number: u32, turns: usize) -> Vec<u8> {
    let turns = u32::try_from(turns).expect("a handful");
    let samples = SAMPLE_RATE / 2 * turns;
    let data_bytes = samples * 2;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    for field in [16, 0x0001_0001, SAMPLE_RATE, SAMPLE_RATE * 2, 0x0010_0002] {
        wav.extend_from_slice(&field.to_le_bytes());
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&data_bytes.to_le_bytes());
    for sample in 0..samples {
        let turn = sample / (SAMPLE_RATE / 2);
        let period = SAMPLE_RATE / (220 + 55 * (turn % 2) + 11 * number);
        // A triangle wave: a tone without floating point, the same bytes on every machine.
        let phase = i32::try_from(sample % period).expect("small") * 16_000 / i32::try_from(period).expect("small");
        let level = (phase - 8_000).abs() - 4_000;
        wav.extend_from_slice(&i16::try_from(level).expect("within 4000").to_le_bytes());
    }
    wav
}

fn say(text: &str) {
    use std::io::Write as _;
    // Nobody reads: the demo goes on.
    let _ = writeln!(std::io::stdout(), "{text}");
}
