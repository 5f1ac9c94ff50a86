//! The trust policy of this server: its own root and witnesses, and its policy file.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::authority::Authority;
use crate::evidence::{LedgerRequirement, TrustPolicy};
use crate::pki::Certificate;
use crate::server::config::Config;
use crate::tlog::{LogPolicy, VerifierKey};

/// Certificates in a file of anchors: browsers trust some hundred and fifty.
const ANCHORS_MAX: usize = 1000;
/// Bytes of a file that a trust policy names: a thousand certificates of 2 KiB.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// The trust policy under which this server admits records and answers verifications.
pub(super) fn trust_policy(
    config: &Config,
    authority: &Authority,
    log_policy: &LogPolicy,
) -> anyhow::Result<TrustPolicy> {
    let mut policy = if config.trust.policy.as_os_str().is_empty() {
        // A report leaves the server: it says whose word it is.
        let name = format!("own policy of {}", config.server.public_url);
        TrustPolicy { name, ..TrustPolicy::nobody() }
    } else {
        read_trust_policy(&config.trust.policy)?
    };
    // Its own ledger is what a server stands for; and it answers for records that are not stamped or witnessed yet.
    anyhow::ensure!(policy.log_policy.is_none(), "trust.policy has a [log], which is made of [witnessing] here");
    let required = policy.recordings_required
        || policy.timestamp_required
        || policy.timestamp_authority_status_required
        || policy.ledger_required != LedgerRequirement::Nothing;
    anyhow::ensure!(!required, "trust.policy has a [require], which is for whoever verifies, not for who issues");
    policy.anchors.add(vec![authority.root().clone()]);
    for one in &config.witnessing.timestamp_authority {
        let anchors = read_anchors(&one.anchors_file)?;
        if !one.independent {
            policy.operator_timestamp_anchors.extend(anchors.iter().map(|anchor| *anchor.thumbprint()));
        }
        policy.timestamp_anchors.add(anchors);
    }
    let own = config.witnessing.witness.iter().filter(|witness| !witness.independent);
    let operator_witnesses = own.filter_map(|witness| witness.vkey.parse::<VerifierKey>().ok());
    policy.operator_witnesses = operator_witnesses.map(|key| key.name().to_owned()).collect();
    policy.log_policy = Some(log_policy.clone());
    policy.time_from_cosignatures = true;
    Ok(policy)
}

/// Reads a trust policy; the files that it names are beside it.
pub(crate) fn read_trust_policy(path: &Path) -> anyhow::Result<TrustPolicy> {
    let context = || format!("trust policy {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let read = |name: &str| -> std::io::Result<Vec<u8>> {
        let path = folder.join(name);
        let bytes = std::fs::metadata(&path)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("{bytes} bytes are more than {FILE_BYTES_MAX}")));
        }
        std::fs::read(path)
    };
    TrustPolicy::parse(&text, |name| read(name).map_err(|error| error.to_string())).with_context(context)
}

/// Reads a file of anchors, PEM or one in DER; an empty path is none.
pub(crate) fn read_anchors(path: &Path) -> anyhow::Result<Vec<Arc<Certificate>>> {
    if path.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let bytes = std::fs::read(path).with_context(|| format!("reading anchors in {}", path.display()))?;
    let anchors = Certificate::from_file_bytes(&bytes, ANCHORS_MAX);
    let anchors = anchors.with_context(|| format!("reading anchors in {}", path.display()))?;
    anyhow::ensure!(!anchors.is_empty(), "{} holds no certificate", path.display());
    Ok(anchors.into_iter().map(Arc::new).collect())
}
