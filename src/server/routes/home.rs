//! `/`: the home page.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::Data;
use actix_web::{HttpResponse, get, web};

use crate::evidence::ValidationReport;
use crate::server::pages::home::{CheckpointShown, EntryShown, HomePage, content_security_policy};
use crate::server::problem::Problem;
use crate::server::state::AppState;
use crate::tlog::{LeafIndex, TreeSize};

/// Entries that the page lists.
const ENTRIES_SHOWN: u64 = 12;
/// Certificates of the page: the newest.
const CERTIFICATES_SHOWN: usize = 50;

/// The page: verify a record, and see the ledger.
#[utoipa::path(tag = "verification", responses((status = 200, description = "A page", content_type = "text/html")))]
#[get("/")]
pub(super) async fn home(state: Data<AppState>) -> Result<HttpResponse, Problem> {
    page(state, None).await
}

/// The page, with a report on it.
pub(super) async fn page(state: Data<AppState>, report: Option<ValidationReport>) -> Result<HttpResponse, Problem> {
    let html = web::block(move || render(&state, report.as_ref())).await??;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html))
}

fn render(state: &AppState, report: Option<&ValidationReport>) -> Result<String, Problem> {
    let ledger = &state.services.issuance.ledger;
    let TreeSize(size) = ledger.size();
    let mut entries = Vec::new();
    for index in (size.saturating_sub(ENTRIES_SHOWN)..size).rev() {
        let (entry, _) = ledger.entry(LeafIndex(index))?;
        let record = entry.event.record().map(|record| record.record);
        entries.push(EntryShown { index, time: entry.time, kind: entry.event.kind(), record });
    }
    let origin = state.services.log_key.name();
    let trouble = ledger.write_block_reason();
    let mut page = HomePage::new("Affiant", origin).trouble(trouble.as_deref()).successor(ledger.successor());
    if let Some(latest) = ledger.latest_checkpoint() {
        let round = ledger.last_answered_round()?;
        let signatures = round.iter().flat_map(|round| round.checkpoint.note().signatures());
        let witnesses = signatures.map(|one| one.name().to_owned()).filter(|name| name != origin);
        page = page.checkpoint(CheckpointShown {
            size: latest.checkpoint().size().0,
            root: latest.checkpoint().root().to_base64(),
            last_entry: entries.first().map(|entry| entry.time),
            witnesses: witnesses.collect(),
        });
    }
    #[cfg(feature = "browser")]
    let local = Some(super::in_browser::local_verifier(state));
    #[cfg(not(feature = "browser"))]
    let local = None;
    page = page.local(local.as_ref());
    let certificates = state.services.issuance.authority.certificates(None, CERTIFICATES_SHOWN)?;
    page = page.entries(entries).certificates(certificates.certificates);
    if let Some(report) = report {
        page = page.report(report);
    }
    Ok(page.render())
}
