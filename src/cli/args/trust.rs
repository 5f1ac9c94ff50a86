//! The trust policy of a command: a file, and options that add to it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::evidence::TrustPolicy;
use crate::pki::Purpose;
use crate::server::{read_anchors, read_trust_policy};
use crate::tlog::LogPolicy;

/// The trust policy, and the anchors of timestamps that are added to it.
#[derive(Debug, Args)]
pub(in crate::cli) struct TimeTrustArgs {
    /// The trust policy (TOML); the options below add to it.
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,
    /// File of trust anchors for timestamps, PEM or DER; may be repeated.
    #[arg(long, value_name = "PEM")]
    trust_time: Vec<PathBuf>,
}

impl TimeTrustArgs {
    /// The policy of the file, with the options added.
    pub(in crate::cli) fn policy(&self) -> anyhow::Result<TrustPolicy> {
        let mut policy = match &self.trust_policy {
            Some(path) => read_trust_policy(path)?,
            None => TrustPolicy::nobody(),
        };
        if !self.trust_time.is_empty() {
            policy.name = on_command_line(&policy);
        }
        for path in &self.trust_time {
            policy.timestamp_anchors.add(read_anchors(path)?);
        }
        Ok(policy)
    }
}

/// The trust policy and what is added to it.
#[derive(Debug, Args)]
pub(in crate::cli) struct TrustArgs {
    #[command(flatten)]
    time: TimeTrustArgs,
    /// File of trust anchors for signers, PEM or DER; may be repeated.
    ///
    /// Without one the result is INDETERMINATE.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Accept signers whose certificate is for this purpose too; may be repeated.
    ///
    /// document-signing, adobe-document-signing, microsoft-document-signing, email-protection, none (no purpose, and a key
    /// usage for signatures), any, or an object identifier. The first three are the default.
    #[arg(long = "signer-purpose", value_name = "PURPOSE")]
    signer_purposes: Vec<String>,
    /// Accept a signature without a signed certificate reference, if only one certificate at hand has its key.
    #[arg(long)]
    allow_unbound_certificate: bool,
    /// The trusted log policy (C2SP tlog-policy).
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
}

impl TrustArgs {
    /// The policy of the file, with the options added.
    pub(in crate::cli) fn policy(&self) -> anyhow::Result<TrustPolicy> {
        let mut policy = self.time.policy()?;
        let added = !self.trust.is_empty() || !self.signer_purposes.is_empty() || self.log_policy.is_some();
        if added || self.allow_unbound_certificate {
            policy.name = on_command_line(&policy);
        }
        if self.allow_unbound_certificate {
            policy.certificate_reference_required = false;
        }
        for path in &self.trust {
            policy.anchors.add(read_anchors(path)?);
        }
        self.add_purposes(&mut policy)?;
        if let Some(path) = &self.log_policy {
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let log_policy = LogPolicy::parse(&bytes).with_context(|| format!("log policy {}", path.display()))?;
            anyhow::ensure!(policy.log_policy.is_none(), "the trust policy has a log policy of its own");
            policy.log_policy = Some(log_policy);
        }
        Ok(policy)
    }

    /// Adds purposes to those of the policy; where any will do, it stays so.
    fn add_purposes(&self, policy: &mut TrustPolicy) -> anyhow::Result<()> {
        let (any, named): (Vec<_>, Vec<_>) = self.signer_purposes.iter().partition(|text| *text == "any");
        let named: Vec<Purpose> =
            named.into_iter().map(|text| text.parse()).collect::<Result<_, _>>().context("--signer-purpose")?;
        if policy.signer_purposes.is_empty() || !any.is_empty() {
            policy.signer_purposes.clear();
            return Ok(());
        }
        for purpose in named {
            if !policy.signer_purposes.contains(&purpose) {
                policy.signer_purposes.push(purpose);
            }
        }
        Ok(())
    }
}

/// The name of a policy to which the command line adds.
pub(in crate::cli) fn on_command_line(policy: &TrustPolicy) -> String {
    const COMMAND_LINE: &str = "the command line";
    match policy.name.as_str() {
        "none" | COMMAND_LINE => COMMAND_LINE.into(),
        name if name.ends_with(COMMAND_LINE) => name.to_owned(),
        name => format!("{name}, and {COMMAND_LINE}"),
    }
}
