//! `/v1/ledger/exports`: an export of a range of the ledger, with its proof of completeness.

use std::io::{self, Write};

use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpResponse, routes};
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc::{Sender, channel};
use utoipa::IntoParams;

use crate::authority::IssuerId;
use crate::clock::parse_time;
use crate::evidence::ExportRequest;
use crate::ledger::PeriodWriteError;
use crate::server::extract::auth::Authenticated;
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// Bytes that are sent at a time: some hundred entries.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that are written ahead of a slow reader.
const PIECES_AHEAD: usize = 4;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// The issuer; an issuer's own token need not name it.
    #[param(value_type = Option<IssuerId>, nullable = false)]
    issuer: Option<String>,
    /// Entries of this time (RFC 3339) and later; without it from the first.
    #[param(value_type = Option<DateTime<Utc>>, nullable = false)]
    from: Option<String>,
    /// Entries of this time and earlier; without it to the newest checkpoint.
    #[param(value_type = Option<DateTime<Utc>>, nullable = false)]
    to: Option<String>,
}

/// Export a period of the ledger: every entry between two checkpoints around it, with what proves that no record of the
/// issuer is missing. `affiant audit --export` checks it offline. The path of the release before, `/v1/ledger/periods`, gives the same.
#[utoipa::path(get, path = "/v1/ledger/exports", tag = "ledger", params(ExportQuery), responses((status = 200, description = "A line of JSON with the checkpoints, then a line for each entry", body = ref("#/components/schemas/ExportLine"), content_type = "application/x-ndjson"),
    (status = "4XX", body = Problem)), security(("token" = [])))]
#[routes]
#[get("/v1/ledger/exports")]
#[get("/v1/ledger/periods")]
pub(super) async fn export(
    state: Data<AppState>,
    auth: Authenticated,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let named: Option<IssuerId> = query.issuer.as_deref().map(str::parse).transpose().map_err(|_| bad("issuer"))?;
    let issuer = match (auth.reads(), named) {
        (None, Some(named)) => named,
        (None, None) => return Err(Problem::bad_request("name the issuer: ?issuer=…")),
        (Some(own), named) if named.as_ref().is_none_or(|named| named == own) => own.clone(),
        (Some(_), _) => return Err(Problem::forbidden("this token reads its own issuer's records alone")),
    };
    let time = |text: Option<&String>, name| -> Result<Option<DateTime<Utc>>, Problem> {
        text.map(|text| parse_time(text)).transpose().map_err(|_| bad(name))
    };
    let (from, to) = (time(query.from.as_ref(), "from")?, time(query.to.as_ref(), "to")?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::bad_request("from is later than to"));
    }
    let request = ExportRequest { issuer: issuer.as_str().to_owned(), from, to };
    if state.services.issuance.ledger.latest_checkpoint().is_none() {
        return Err(Problem::not_found("checkpoint"));
    }
    let place = state.exports.clone().try_acquire_owned().map_err(|_| Problem::busy())?;
    let (sender, receiver) = channel(PIECES_AHEAD);
    let ledger = state.services.issuance.ledger.clone();
    actix_web::rt::task::spawn_blocking(move || {
        let _place = place;
        let mut pieces = Pieces { sender, pending: Vec::with_capacity(PIECE_BYTES) };
        match ledger.write_period(&request, &mut pieces) {
            Ok(()) | Err(PeriodWriteError::Io(_)) => {}
            Err(error) => {
                tracing::error!(%error, "export broke off");
                // The answer breaks off, so that nobody takes it for the whole.
                let _ = pieces.sender.blocking_send(Err(io::Error::other("the ledger could not be read")));
            }
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(pieces))
}

fn bad(name: &str) -> Problem {
    Problem::bad_request(format!("{name} is malformed"))
}

/// Hands on what is written, a piece at a time.
struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    pending: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.pending));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
