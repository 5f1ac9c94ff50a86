//! Health of the dependencies: witnesses, timestamp authorities, publish targets.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::witness::{TimestampClient, WitnessClient};

/// A witness, a timestamp authority or a publish target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// `witness`, `timestamp-authority` or `publish-target`.
    pub kind: &'static str,
    /// Name and ID of its key, its address, or the folder.
    pub name: String,
}

impl Dependency {
    pub(super) fn witness(witness: &WitnessClient) -> Self {
        Self { kind: "witness", name: witness.key().label() }
    }

    pub(super) fn timestamp_authority(authority: &TimestampClient) -> Self {
        Self { kind: "timestamp-authority", name: authority.url().to_owned() }
    }

    pub(super) fn publish_target(dir: &std::path::Path) -> Self {
        Self { kind: "publish-target", name: dir.display().to_string() }
    }
}

/// Health of a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyHealth {
    /// The dependency.
    pub dependency: Dependency,
    /// Since when it has not answered; `None` when its last answer was good.
    pub down_since: Option<String>,
    /// Why it has not, in words for the operator.
    pub reason: Option<String>,
    /// Size of the newest checkpoint that it acknowledged, or that is published.
    pub acknowledged_tree_size: u64,
}

/// State of a dependency, from one attempt to the next.
#[derive(Debug, Default, Clone)]
pub(super) struct DependencyState {
    pub(super) acknowledged_tree_size: u64,
    down_since: Option<DateTime<Utc>>,
    reason: Option<String>,
}

impl DependencyState {
    /// Remembers the outcome of an attempt; logs when the dependency goes down, and when it is up again.
    pub(super) fn record(&mut self, dependency: &Dependency, outcome: Result<u64, String>, now: DateTime<Utc>) {
        let Dependency { kind, name } = dependency;
        match outcome {
            Ok(acknowledged_tree_size) => {
                if self.down_since.is_some() {
                    tracing::info!(kind, name, acknowledged_tree_size, "dependency is up again");
                }
                *self = Self { acknowledged_tree_size, ..Self::default() };
            }
            Err(reason) => {
                if self.down_since.is_none() {
                    tracing::warn!(kind, name, reason, "dependency is down");
                    self.down_since = Some(now);
                }
                self.reason = Some(reason);
            }
        }
    }

    pub(super) fn health(&self, dependency: Dependency) -> DependencyHealth {
        DependencyHealth {
            dependency,
            down_since: self.down_since.map(format_time),
            reason: self.reason.clone(),
            acknowledged_tree_size: self.acknowledged_tree_size,
        }
    }
}
