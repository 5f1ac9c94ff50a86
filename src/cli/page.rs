//! `affiant page`: a page that verifies without a server, under a trust policy of the maker's choice.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::evidence::TrustPolicy;
use crate::server::{read_anchors, read_trust_policy, saved_page};

/// Write a page that verifies records in a browser, without a server or a network.
#[derive(Debug, Args)]
pub(super) struct PageCommand {
    /// The trust policy (TOML) that the page offers; without one it trusts nobody until its reader chooses.
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,
    /// File of further trust anchors for signers, PEM or DER; may be repeated.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Write the page to this file instead of the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl PageCommand {
    /// Writes the page.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut policy = match &self.trust_policy {
            Some(path) => read_trust_policy(path)?,
            None => TrustPolicy::nobody(),
        };
        for path in &self.trust {
            policy.anchors.add(read_anchors(path)?);
            policy.name = "whoever made this page".into();
        }
        let source = "It came with this page: whoever made the page chose whom it trusts. To decide that yourself, use a \
            policy of your own.";
        let page = saved_page(&policy, source.to_owned());
        match &self.output {
            Some(path) => std::fs::write(path, page).with_context(|| format!("writing {}", path.display())),
            None => Ok(std::io::stdout().write_all(page.as_bytes())?),
        }
    }
}
