//! The folder that the logs are published in, put together from the configuration: the ledger's files at its top, those of
//! the log of statements in `statements/`, as their paths are here. The compatibility log has none.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::issuance::LogPolicyFile;
use crate::ledger::{Ledger, OpenedLedger};
use crate::operator::publish_target::{PublishError, PublishTarget};
use crate::operator::publishing::{PublishOptions, Publisher};
use crate::operator::rollback_check::{RollbackCheck, ask_publish_target};
use crate::server::config::Config;
use crate::tlog::VerifierKey;

/// Below the folder, and in the paths of the server.
const STATEMENTS: &str = "statements";

/// The publish folder of one log.
pub(super) struct PublishFolder {
    options: PublishOptions,
    /// `None` where its disk is full or gone, which is no reason not to start.
    target: Option<PublishTarget>,
}

impl PublishFolder {
    /// The ledger's; `None` where nothing is published.
    ///
    /// # Errors
    /// When it and the data folder are one in the other, it is of another log, or another process publishes there.
    pub(super) fn of_ledger(
        config: &Config,
        key: &VerifierKey,
        policy: &LogPolicyFile,
    ) -> anyhow::Result<Option<Self>> {
        let witnessed = !config.witnessing.witness.is_empty();
        let (dir, log_policy) = (config.publish.dir.clone(), Some(policy.bytes.clone()));
        Self::open(config, PublishOptions { dir, key: key.clone(), log_policy, witnessed })
    }

    /// That of the log of statements; `None` where nothing is published.
    ///
    /// # Errors
    /// As [`of_ledger`](Self::of_ledger).
    pub(super) fn of_statements(config: &Config, key: &VerifierKey) -> anyhow::Result<Option<Self>> {
        let witnessed = config.statements.witnessed && !config.witnessing.witness.is_empty();
        let dir = config.publish.dir.join(STATEMENTS);
        Self::open(config, PublishOptions { dir, key: key.clone(), log_policy: None, witnessed })
    }

    fn open(config: &Config, options: PublishOptions) -> anyhow::Result<Option<Self>> {
        if config.publish.dir.as_os_str().is_empty() {
            return Ok(None);
        }
        check_apart(&options.dir, &config.data.dir)?;
        let target = match PublishTarget::open(&options.dir, &options.key) {
            Ok(target) => Some(target),
            Err(error @ PublishError::Io(_)) => {
                tracing::warn!(%error, "publish target could not be read at the start");
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Self { options, target }))
    }

    /// Checks a log before its start against the checkpoint that was published last.
    pub(super) fn ask(&self, recovered: &OpenedLedger) -> RollbackCheck {
        ask_publish_target(recovered, &self.options, self.target.as_ref())
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
