//! The trust policy as a TOML file (`docs/TRUST.md`): read with the files that it names, written whole.
//!
//! What is written is the policy and nothing else: everything is in it, defaults too, in one order and one form. It is
//! what a server publishes, what the digest of a policy is made of, and it reads back as the same policy.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;

use crate::clock::parse_time;
use crate::crypto::Sha256Digest;
use crate::evidence::policy::algorithms::{AlgorithmConstraint, ConstrainedAlgorithm};
use crate::evidence::policy::trust::{LedgerRequirement, TrustPolicy};
use crate::pki::{Certificate, CertificateError, Purpose, TrustAnchor, TrustAnchors, UnknownPurpose, to_pem};
use crate::tlog::{LogPolicy, LogPolicyError};

/// Bytes of a policy: a thousand anchors of 2 KiB each, and as much again for a log policy.
const POLICY_BYTES_MAX: usize = 4 << 20;
/// Anchors of each kind: browsers trust some hundred and fifty.
const ANCHORS_MAX: usize = 1000;
/// Sunsets: there are seven algorithms, each with some lengths of keys.
const SUNSETS_MAX: usize = 100;
/// Purposes of signers: those that have a name, and as many again.
const PURPOSES_MAX: usize = 16;
/// Seconds that times may contradict each other at most: more than a day is no tolerance.
const CLOCK_SKEW_SECONDS_MAX: u32 = 86_400;

/// Why a text is not a trust policy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum TrustPolicyError {
    /// It is too large.
    #[error("a trust policy of {bytes} bytes is larger than {POLICY_BYTES_MAX}")]
    TooLarge { bytes: usize },
    /// It is not TOML, or has members that a trust policy does not have.
    #[error("{0}")]
    Toml(String),
    /// A version that is not known here.
    #[error("version {0} is not 1")]
    Version(u32),
    /// A file that it names cannot be read.
    #[error("file {path}: {reason}")]
    File {
        /// As the policy names it.
        path: String,
        reason: String,
    },
    /// The certificates of an anchor are not there, or cannot be read.
    #[error("anchor {name:?}: {cause}")]
    Anchor {
        /// The anchor's name.
        name: String,
        /// The error of its certificates.
        cause: CertificateError,
    },
    /// A table has to have one of two members.
    #[error("{table} has one of `{inline}` and `file`")]
    InlineOrFile {
        table: String,
        /// The member for what is in the policy itself.
        inline: &'static str,
    },
    /// A window that ends before it begins.
    #[error("the window of anchor {name:?} is empty: from {not_before} until {not_after}")]
    EmptyWindow {
        /// The anchor's name.
        name: String,
        /// Its beginning.
        not_before: DateTime<Utc>,
        /// Its end.
        not_after: DateTime<Utc>,
    },
    /// One certificate as two anchors of one kind at one time.
    #[error("the certificate of anchor {name:?} is an anchor already, in a window that overlaps")]
    AnchorTwice {
        /// The second anchor's name.
        name: String,
    },
    /// More than are looked at.
    #[error("{count} {what}, at most {max} are taken")]
    TooMany { what: &'static str, count: usize, max: usize },
    /// The log policy is not one.
    #[error("log policy: {0}")]
    LogPolicy(LogPolicyError),
    /// A witness of one's own that the log policy does not have.
    #[error("own witness {0:?} is not a witness of the log policy")]
    UnknownWitness(String),
    /// A ledger is required, and no log is trusted.
    #[error("a ledger is required, but there is no [log]")]
    NoLog,
    /// An algorithm constraint that is not possible.
    #[error("sunset of {algorithm}: {reason}")]
    AlgorithmConstraint {
        algorithm: String,
        /// The contradiction.
        reason: &'static str,
    },
    /// A purpose that is none.
    #[error("signer_purpose: {0}, or alone \"any\"")]
    Purpose(UnknownPurpose),
    /// A list of purposes that is empty, or longer than there are purposes.
    #[error("signer_purpose lists {0} purposes, of 1 to {PURPOSES_MAX}")]
    Purposes(usize),
    /// A time that is no moment, such as a date without one.
    #[error("{0} is not a time with its offset, such as 2030-12-31T23:59:59Z")]
    Time(toml::value::Datetime),
    /// A tolerance that is none.
    #[error("clock_skew_max_seconds {0} is more than {CLOCK_SKEW_SECONDS_MAX}")]
    ClockSkew(u32),
}

impl From<LogPolicyError> for TrustPolicyError {
    fn from(cause: LogPolicyError) -> Self {
        Self::LogPolicy(cause)
    }
}

impl From<UnknownPurpose> for TrustPolicyError {
    fn from(cause: UnknownPurpose) -> Self {
        Self::Purpose(cause)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: u32,
    name: String,
    #[serde(default = "default_skew")]
    clock_skew_max_seconds: u32,
    signer_purpose: Option<PurposeWords>,
    #[serde(default)]
    require: RequireTable,
    log: Option<LogTable>,
    #[serde(default)]
    anchor: Vec<AnchorTable>,
    #[serde(default)]
    timestamp_anchor: Vec<AnchorTable>,
    #[serde(alias = "algorithm")]
    sunset: Option<Vec<AlgorithmTable>>,
}

fn default_skew() -> u32 {
    u32::try_from(TrustPolicy::CLOCK_SKEW_SECONDS).expect("five minutes fit")
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PurposeWords {
    One(String),
    Several(Vec<String>),
}

impl PurposeWords {
    /// The purposes that they name; none where any will do.
    fn purposes(self) -> Result<Vec<Purpose>, TrustPolicyError> {
        let words = match self {
            Self::One(word) if word == "any" => return Ok(Vec::new()),
            Self::One(word) => vec![word],
            Self::Several(words) => words,
        };
        if !(1..=PURPOSES_MAX).contains(&words.len()) {
            return Err(TrustPolicyError::Purposes(words.len()));
        }
        words.iter().map(|word| word.parse().map_err(TrustPolicyError::from)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RequireTable {
    recordings: bool,
    timestamp: bool,
    ledger: LedgerWord,
    certificate_reference: bool,
    timestamp_authority_status: bool,
}

impl Default for RequireTable {
    fn default() -> Self {
        Self {
            recordings: false,
            timestamp: false,
            ledger: LedgerWord::Nothing,
            certificate_reference: true,
            timestamp_authority_status: false,
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LedgerWord {
    #[default]
    Nothing,
    Included,
    Witnessed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogTable {
    policy: Option<String>,
    file: Option<String>,
    #[serde(default)]
    own_witnesses: Vec<String>,
    #[serde(default)]
    time_from_cosignatures: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorTable {
    name: String,
    certificate: Option<String>,
    file: Option<String>,
    not_before: Option<toml::value::Datetime>,
    not_after: Option<toml::value::Datetime>,
    operator: Option<OperatorWord>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum OperatorWord {
    #[serde(rename = "self")]
    Own,
    #[serde(rename = "other")]
    Other,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlgorithmTable {
    algorithm: String,
    bits_below: Option<usize>,
    until: Option<toml::value::Datetime>,
    reason: String,
}

/// Where what a policy names comes from: the caller knows what a path is relative to, and may refuse.
type ReadFile<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

impl TrustPolicy {
    /// Reads a policy; `read_file` gives the bytes of the files that it names, or says why not.
    ///
    /// # Errors
    /// When it is not a policy of version 1, names what it does not have, or contradicts itself.
    pub fn parse(
        text: &str,
        mut read_file: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, TrustPolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(TrustPolicyError::TooLarge { bytes: text.len() });
        }
        let file: PolicyFile = toml::from_str(text).map_err(|error| TrustPolicyError::Toml(error.to_string()))?;
        if file.version != 1 {
            return Err(TrustPolicyError::Version(file.version));
        }
        if file.clock_skew_max_seconds > CLOCK_SKEW_SECONDS_MAX {
            return Err(TrustPolicyError::ClockSkew(file.clock_skew_max_seconds));
        }
        let mut policy = Self {
            name: file.name,
            clock_skew_max: TimeDelta::seconds(i64::from(file.clock_skew_max_seconds)),
            recordings_required: file.require.recordings,
            timestamp_required: file.require.timestamp,
            ledger_required: match file.require.ledger {
                LedgerWord::Nothing => LedgerRequirement::Nothing,
                LedgerWord::Included => LedgerRequirement::Included,
                LedgerWord::Witnessed => LedgerRequirement::Witnessed,
            },
            certificate_reference_required: file.require.certificate_reference,
            timestamp_authority_status_required: file.require.timestamp_authority_status,
            ..Self::nobody()
        };
        if let Some(words) = file.signer_purpose {
            policy.signer_purposes = words.purposes()?;
        }
        if let Some(log) = file.log {
            policy.read_log(log, &mut read_file)?;
        } else if policy.ledger_required != LedgerRequirement::Nothing {
            return Err(TrustPolicyError::NoLog);
        }
        let mut own = HashSet::new();
        policy.anchors = anchors("anchors", file.anchor, None, &mut read_file)?;
        policy.timestamp_anchors = anchors("timestamp anchors", file.timestamp_anchor, Some(&mut own), &mut read_file)?;
        policy.operator_timestamp_anchors = own;
        if let Some(tables) = file.sunset {
            too_many("sunsets", tables.len(), SUNSETS_MAX)?;
            policy.algorithm_constraints = tables.into_iter().map(constraint).collect::<Result<_, _>>()?;
        }
        Ok(policy)
    }

    fn read_log(&mut self, log: LogTable, read_file: ReadFile<'_>) -> Result<(), TrustPolicyError> {
        let bytes = inline_or_file("[log]", "policy", log.policy, log.file, read_file)?;
        let log_policy = LogPolicy::parse(&bytes)?;
        for own in log.own_witnesses {
            if log_policy.witnesses().iter().all(|witness| witness.key().name() != own) {
                return Err(TrustPolicyError::UnknownWitness(own));
            }
            self.operator_witnesses.insert(own);
        }
        self.log_policy = Some(log_policy);
        self.time_from_cosignatures = log.time_from_cosignatures;
        Ok(())
    }

    /// SHA-256 of the policy as [`to_toml`](Self::to_toml) writes it. It can be computed again from that text,
    /// and two files that say the same have the same digest.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.to_toml().as_bytes())
    }

    /// Writes the policy whole: what it names is in it, and every default is written out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from("version = 1\n");
        line(&mut text, "name", &quoted(&self.name));
        line(&mut text, "clock_skew_max_seconds", &self.clock_skew_max.num_seconds().to_string());
        let purposes: Vec<String> = self.signer_purposes.iter().map(|one| quoted(&one.to_string())).collect();
        let purposes = if purposes.is_empty() { quoted("any") } else { format!("[{}]", purposes.join(", ")) };
        line(&mut text, "signer_purpose", &purposes);
        if self.algorithm_constraints.is_empty() {
            // Left out, it would be the built-in ones.
            line(&mut text, "sunset", "[]");
        }
        text.push_str("\n[require]\n");
        line(&mut text, "recordings", &self.recordings_required.to_string());
        line(&mut text, "timestamp", &self.timestamp_required.to_string());
        let ledger = match self.ledger_required {
            LedgerRequirement::Nothing => "nothing",
            LedgerRequirement::Included => "included",
            LedgerRequirement::Witnessed => "witnessed",
        };
        line(&mut text, "ledger", &quoted(ledger));
        line(&mut text, "certificate_reference", &self.certificate_reference_required.to_string());
        line(&mut text, "timestamp_authority_status", &self.timestamp_authority_status_required.to_string());
        if let Some(log_policy) = &self.log_policy {
            text.push_str("\n[log]\n");
            line(&mut text, "time_from_cosignatures", &self.time_from_cosignatures.to_string());
            let mut own: Vec<String> = self.operator_witnesses.iter().map(|name| quoted(name)).collect();
            own.sort();
            line(&mut text, "own_witnesses", &format!("[{}]", own.join(", ")));
            line(&mut text, "policy", &long(&log_policy.text()));
        }
        for anchor in self.anchors.entries() {
            write_anchor(&mut text, "anchor", anchor, None);
        }
        for anchor in self.timestamp_anchors.entries() {
            let own = self.operator_timestamp_anchors.contains(anchor.certificate.thumbprint());
            write_anchor(&mut text, "timestamp_anchor", anchor, Some(if own { "self" } else { "other" }));
        }
        for constraint in &self.algorithm_constraints {
            text.push_str("\n[[sunset]]\n");
            line(&mut text, "algorithm", &quoted(constraint.algorithm.name()));
            if let Some(bits) = constraint.bits_below {
                line(&mut text, "bits_below", &bits.to_string());
            }
            if let Some(until) = constraint.until {
                line(&mut text, "until", &moment(until));
            }
            line(&mut text, "reason", &quoted(&constraint.reason));
        }
        text
    }
}

fn too_many(what: &'static str, count: usize, max: usize) -> Result<(), TrustPolicyError> {
    if count > max { Err(TrustPolicyError::TooMany { what, count, max }) } else { Ok(()) }
}

fn inline_or_file(
    table: &str,
    inline: &'static str,
    text: Option<String>,
    file: Option<String>,
    read_file: ReadFile<'_>,
) -> Result<Vec<u8>, TrustPolicyError> {
    match (text, file) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(path)) => read_file(&path).map_err(|reason| TrustPolicyError::File { path, reason }),
        _ => Err(TrustPolicyError::InlineOrFile { table: table.to_owned(), inline }),
    }
}

/// Reads the anchors of one kind; `own` takes the thumbprints of those that the log's operator runs, where it may.
fn anchors(
    what: &'static str,
    tables: Vec<AnchorTable>,
    mut own: Option<&mut HashSet<[u8; 32]>>,
    read_file: ReadFile<'_>,
) -> Result<TrustAnchors, TrustPolicyError> {
    let mut anchors: Vec<TrustAnchor> = Vec::new();
    let mut known: HashMap<[u8; 32], Vec<Window>> = HashMap::new();
    for table in tables {
        let name = table.name;
        let bytes =
            inline_or_file(&format!("anchor {name:?}"), "certificate", table.certificate, table.file, read_file)?;
        let wrong = |cause| TrustPolicyError::Anchor { name: name.clone(), cause };
        let certificates = Certificate::from_file_bytes(&bytes, ANCHORS_MAX).map_err(wrong)?;
        if certificates.is_empty() {
            return Err(TrustPolicyError::InlineOrFile { table: format!("anchor {name:?}"), inline: "certificate" });
        }
        let not_before = table.not_before.map(time).transpose()?;
        let not_after = table.not_after.map(time).transpose()?;
        if let (Some(not_before), Some(not_after)) = (not_before, not_after)
            && not_after < not_before
        {
            return Err(TrustPolicyError::EmptyWindow { name, not_before, not_after });
        }
        for certificate in certificates.into_iter().map(Arc::new) {
            let windows = known.entry(*certificate.thumbprint()).or_default();
            if windows.iter().any(|window| overlap(*window, (not_before, not_after))) {
                return Err(TrustPolicyError::AnchorTwice { name });
            }
            windows.push((not_before, not_after));
            match (&mut own, table.operator) {
                (Some(own), Some(OperatorWord::Own)) => {
                    own.insert(*certificate.thumbprint());
                }
                (None, Some(_)) => {
                    return Err(TrustPolicyError::Toml("operator is a member of [[timestamp_anchor]] alone".into()));
                }
                _ => {}
            }
            anchors.push(TrustAnchor { certificate, name: name.clone(), not_before, not_after });
        }
        too_many(what, anchors.len(), ANCHORS_MAX)?;
    }
    Ok(TrustAnchors::of(anchors))
}

/// Beginning and end, both in it; each left out for ever.
type Window = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

fn overlap(one: Window, other: Window) -> bool {
    let begins_within =
        |(from, _): Window, (_, until): Window| from.zip(until).is_none_or(|(from, until)| from <= until);
    begins_within(one, other) && begins_within(other, one)
}

fn constraint(table: AlgorithmTable) -> Result<AlgorithmConstraint, TrustPolicyError> {
    let wrong = |reason| TrustPolicyError::AlgorithmConstraint { algorithm: table.algorithm.clone(), reason };
    let algorithm = ConstrainedAlgorithm::ALL.into_iter().find(|one| one.name() == table.algorithm);
    let algorithm = algorithm.ok_or_else(|| wrong("not RSA, ECDSA, Ed25519, SHA-1, SHA-256, SHA-384 or SHA-512"))?;
    if table.bits_below.is_some() && !algorithm.has_lengths() {
        return Err(wrong("bits_below is for RSA and ECDSA alone"));
    }
    if table.until.is_some() && algorithm == ConstrainedAlgorithm::Sha1 {
        return Err(wrong("it is never verified here, so that no date can be given"));
    }
    let until = table.until.map(time).transpose()?;
    Ok(AlgorithmConstraint { algorithm, bits_below: table.bits_below, until, reason: table.reason })
}

fn time(value: toml::value::Datetime) -> Result<DateTime<Utc>, TrustPolicyError> {
    parse_time(&value.to_string()).map_err(|_| TrustPolicyError::Time(value))
}

fn write_anchor(text: &mut String, table: &str, anchor: &TrustAnchor, operator: Option<&str>) {
    let _ = write!(text, "\n[[{table}]]\n");
    line(text, "name", &quoted(&anchor.name));
    if let Some(operator) = operator {
        line(text, "operator", &quoted(operator));
    }
    if let Some(from) = anchor.not_before {
        line(text, "not_before", &moment(from));
    }
    if let Some(until) = anchor.not_after {
        line(text, "not_after", &moment(until));
    }
    line(text, "certificate", &long(&to_pem("CERTIFICATE", anchor.certificate.der())));
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} = {value}");
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A basic string (TOML 1.0).
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.chars().map(|character| escaped(character, false)).collect::<String>())
}

/// A multi-line basic string: what has lines of its own stays readable.
fn long(value: &str) -> String {
    format!("\"\"\"\n{}\"\"\"", value.chars().map(|character| escaped(character, true)).collect::<String>())
}

fn escaped(character: char, in_lines: bool) -> String {
    match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' | '\t' if in_lines => character.to_string(),
        character if character.is_control() => format!("\\u{:04X}", u32::from(character)),
        character => character.to_string(),
    }
}

#[cfg(test)]
mod tests;
