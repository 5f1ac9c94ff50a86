//! Alerts: what an operator has to know at once is posted to an address of theirs, until it is taken.

use std::time::Duration;

use serde::Serialize;

use crate::client::HttpClient;
use crate::ledger::{ForkEvidence, LedgerReader};

/// Between two looks, and between two attempts.
const INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of an answer: its status is enough.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An alert, as it is posted.
#[derive(Serialize)]
struct Alert<'a> {
    /// `fork`: as `affiant monitor` names it.
    kind: &'static str,
    /// The log's name.
    log: &'a str,
    /// What happened, for people.
    detail: String,
    /// The evidence.
    evidence: &'a ForkEvidence,
}

/// Posts every piece of evidence of a fork of one of `logs` to `webhook`, each until it is taken; again after a restart.
/// For ever; whoever stops the server drops this future.
pub async fn post_forks(http: HttpClient, webhook: String, logs: Vec<LedgerReader>) {
    let mut posted = vec![0; logs.len()];
    loop {
        for (log, posted) in logs.iter().zip(&mut posted) {
            for evidence in log.forks().iter().skip(*posted) {
                let (name, detail) = (log.log_key().name(), evidence.to_string());
                let alert = Alert { kind: "fork", log: name, detail, evidence };
                let body = serde_json::to_vec(&alert).expect("an alert is plain JSON");
                match http.post(&webhook, "application/json", body, ANSWER_BYTES_MAX).await {
                    Ok(answer) if (200..300).contains(&answer.status) => *posted += 1,
                    Ok(answer) => {
                        tracing::warn!(webhook, status = answer.status, "alert was not taken");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(webhook, %error, "alert could not be posted");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
