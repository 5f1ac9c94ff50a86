//! The folder that the logs are published in, put together from the configuration: the ledger's files at its top, those of
//! the log of statements in `statements/`, as their paths are here. The compatibility log has none.

use std::path::Path;
use std::sync::Arc;

use super::config::Config;
use crate::clock::Clock;
use crate::issuance::{LogPolicyFile, PublishError, PublishPlan, PublishTarget, Publishing, Standing, ask_target};
use crate::ledger::{Ledger, Recovered};
use crate::tlog::VerifierKey;

/// Below the folder, and in the paths of the server.
const STATEMENTS: &str = "statements";

/// Where one log is published.
pub(super) struct PublishFolder {
    plan: PublishPlan,
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
        Self::open(config, PublishPlan { dir, key: key.clone(), log_policy, witnessed })
    }

    /// That of the log of statements; `None` where nothing is published.
    ///
    /// # Errors
    /// As [`of_ledger`](Self::of_ledger).
    pub(super) fn of_statements(config: &Config, key: &VerifierKey) -> anyhow::Result<Option<Self>> {
        let witnessed = config.statements.witnessed && !config.witnessing.witness.is_empty();
        let dir = config.publish.dir.join(STATEMENTS);
        Self::open(config, PublishPlan { dir, key: key.clone(), log_policy: None, witnessed })
    }

    fn open(config: &Config, plan: PublishPlan) -> anyhow::Result<Option<Self>> {
        if config.publish.dir.as_os_str().is_empty() {
            return Ok(None);
        }
        check_apart(&plan.dir, &config.data.dir)?;
        let target = match PublishTarget::open(&plan.dir, &plan.key) {
            Ok(target) => Some(target),
            Err(error @ PublishError::Io { .. }) => {
                tracing::warn!(%error, "the publish target could not be asked at the start");
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Self { plan, target }))
    }

    /// What was published last says of a log that is about to be started.
    pub(super) fn ask(&self, recovered: &Recovered) -> Standing {
        ask_target(recovered, &self.plan, self.target.as_ref())
    }

    /// The publishing of the log that was started.
    pub(super) fn publishing(self, ledger: &Ledger, clock: &Arc<dyn Clock>) -> Arc<Publishing> {
        Arc::new(Publishing::new(ledger.clone(), self.plan, self.target, clock.clone()))
    }
}

/// What everybody is to read holds nothing that nobody is to read, nor the other way round.
fn check_apart(dir: &Path, data: &Path) -> anyhow::Result<()> {
    let (dir, data) = (std::path::absolute(dir)?, data.canonicalize()?);
    // Links are followed as far as there is something; what is not there yet is made below, and holds nothing.
    let there = dir.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or_default();
    anyhow::ensure!(
        !(there.starts_with(&data) || dir.exists() && data.starts_with(&there)),
        "{} is to be read by everybody, and {} by nobody: neither may be inside the other",
        dir.display(),
        data.display()
    );
    Ok(())
}
