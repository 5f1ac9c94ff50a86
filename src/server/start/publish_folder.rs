//! The folder that the logs are published in, put together from the configuration: the ledger's files at its top, those of
//! the log of statements in `statements/`, as their paths are here. The compatibility log has none.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::issuance::LogPolicyFile;
use crate::ledger::{ForkEvidence, Ledger};
use crate::operator::publish_target::PublishTarget;
use crate::operator::publishing::{PublishOptions, Publisher};
use crate::operator::rollback_check::RollbackChecker;
use crate::server::config::Config;
use crate::tlog::VerifierKey;

/// Below the folder, and in the paths of the server.
const STATEMENTS: &str = "statements";

/// The publish folder of one log.
pub(super) struct PublishFolder {
    options: PublishOptions,
    /// `None` where it cannot be read, or another log is published there, which is no reason not to start.
    target: Option<PublishTarget>,
}

impl PublishFolder {
    /// The ledger's; `None` where nothing is published.
    ///
    /// # Errors
    /// When it and the data folder are one in the other.
    pub(super) fn of_ledger(
        config: &Config,
        key: &VerifierKey,
        policy: &LogPolicyFile,
    ) -> anyhow::Result<Option<Self>> {
        let witnessed = !config.witnessing.witness.is_empty();
        let (dir, log_policy) = (config.publish.dir.clone(), Some(policy.bytes.clone()));
        Self::open(config, PublishOptions { dir, below: None, key: key.clone(), log_policy, witnessed })
    }

    /// That of the log of statements; `None` where nothing is published.
    ///
    /// # Errors
    /// As [`of_ledger`](Self::of_ledger).
    pub(super) fn of_statements(config: &Config, key: &VerifierKey) -> anyhow::Result<Option<Self>> {
        let witnessed = config.statements.witnessed && !config.witnessing.witness.is_empty();
        let (dir, below) = (config.publish.dir.clone(), Some(STATEMENTS));
        Self::open(config, PublishOptions { dir, below, key: key.clone(), log_policy: None, witnessed })
    }

    fn open(config: &Config, options: PublishOptions) -> anyhow::Result<Option<Self>> {
        if config.publish.dir.as_os_str().is_empty() {
            return Ok(None);
        }
        check_apart(&options.path(), &config.data.dir)?;
        let target = options.open().inspect_err(|error| tracing::warn!(%error, "nothing is published")).ok();
        Ok(Some(Self { options, target }))
    }

    /// Evidence that what was published last is of more than is here, or of another tree.
    pub(super) fn ask(&self, checker: &RollbackChecker) -> Option<ForkEvidence> {
        checker.ask_publish_target(&self.options, self.target.as_ref())
    }

    /// The publisher of the log that was started.
    pub(super) fn publisher(self, ledger: &Ledger, clock: &Arc<dyn Clock>) -> Arc<Publisher> {
        Arc::new(Publisher::new(ledger.clone(), self.options, self.target, clock.clone()))
    }
}

/// Checks that the public folder and the data folder are not inside one another.
fn check_apart(dir: &Path, data: &Path) -> anyhow::Result<()> {
    let (dir, data) = (std::path::absolute(dir)?, data.canonicalize()?);
    // Links are followed as far as there is something; what is not there yet is made below, and holds nothing.
    let there = dir.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or_default();
    anyhow::ensure!(
        !(there.starts_with(&data) || dir.exists() && data.starts_with(&there)),
        "publish folder {} is public and data folder {} is not: neither may be inside the other",
        dir.display(),
        data.display()
    );
    Ok(())
}
