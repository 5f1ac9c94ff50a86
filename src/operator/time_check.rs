//! Other people's time: witnesses and timestamp authorities are asked what their clocks show, before the first entry of a
//! start, and whenever the ledger does not believe the machine's clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};

use super::witness_rounds::WitnessSet;
use crate::ledger::Ledger;
use crate::witness::{TimestampClient, WitnessClient};

/// Between two questions while the clock is not believed.
const ASK_INTERVAL: Duration = Duration::from_secs(5);

/// Those whose clocks are not ours: independent witnesses and authorities.
#[derive(Clone, Debug, Default)]
pub struct TimeSources(pub WitnessSet);

impl TimeSources {
    /// Whether somebody can be asked: a witness only about a log that has signed something.
    #[must_use]
    pub fn can_be_asked(&self, ledger: &Ledger) -> bool {
        !self.0.authorities.is_empty() || !self.0.witnesses.is_empty() && ledger.latest_checkpoint().is_some()
    }

    /// Asks all of them, at the same time, and tells the ledger what they show.
    pub async fn ask(&self, ledger: &Ledger) {
        let authorities = self.0.authorities.iter().map(|authority| async {
            note(ledger, authority.url(), shown_by_authority(authority).await);
        });
        let witnesses = self.0.witnesses.iter().map(|witness| async {
            note(ledger, witness.url(), shown_by_witness(witness, ledger).await);
        });
        join(join_all(authorities), join_all(witnesses)).await;
    }

    /// Asks until the ledger believes the machine's clock.
    pub async fn wait_for_time(&self, ledger: &Ledger) {
        while ledger.clock_trouble().is_some() {
            tokio::time::sleep(ASK_INTERVAL).await;
            self.ask(ledger).await;
        }
    }

    /// Asks whenever the ledger does not believe the machine's clock. For ever; whoever stops the server drops this future.
    pub async fn watch(&self, ledger: &Ledger) {
        loop {
            self.wait_for_time(ledger).await;
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }
}

fn note(ledger: &Ledger, url: &str, shown: Result<DateTime<Utc>, String>) {
    match shown {
        Ok(time) => ledger.note_time(time),
        Err(error) => tracing::debug!(url, error, "no time of a witness or timestamp authority"),
    }
}

async fn shown_by_authority(authority: &TimestampClient) -> Result<DateTime<Utc>, String> {
    let asked = authority.timestamp(b"affiant asks for the time").await;
    asked.map(|(_, timestamp)| timestamp.info().gen_time).map_err(|error| error.to_string())
}

/// A witness cosigns again what it cosigned last, with the time of now.
async fn shown_by_witness(witness: &WitnessClient, ledger: &Ledger) -> Result<DateTime<Utc>, String> {
    let latest = ledger.latest_checkpoint().ok_or("nothing was signed here that it could cosign")?;
    let size = latest.checkpoint().size();
    let cosigned = witness.add_checkpoint(size, Vec::new(), &latest).await.map_err(|error| error.to_string())?;
    let times = cosigned.iter().filter_map(|line| latest.note().check(line, witness.key()).ok()?.time());
    let seconds = times.max().and_then(|time| i64::try_from(time).ok()).ok_or("its cosignature has no time")?;
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| "its time is out of range".to_owned())
}
