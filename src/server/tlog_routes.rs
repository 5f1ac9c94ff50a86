//! The log's public bytes (C2SP tlog-tiles): checkpoint, tiles, entry bundles. And its policy, for verifiers.

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, web};

use super::{AppState, Problem};
use crate::tlog::tile::hashes_at;
use crate::tlog::{TileKind, TilePath};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The newest signed checkpoint, with the cosignatures of its round if it was one.
#[utoipa::path(tag = "ledger", responses((status = 200, description = "A signed note", content_type = "text/plain"),
    (status = 404, body = Problem)))]
#[get("/checkpoint")]
pub(super) async fn checkpoint(state: Data<AppState>) -> Result<HttpResponse, Problem> {
    let latest = state.issuance.ledger.latest().ok_or_else(|| Problem::not_found("checkpoint"))?;
    let note = latest.note().to_string();
    let size = latest.checkpoint().size();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "public, max-age=1"))
        .insert_header((ETAG, format!("\"{size}\"")))
        .body(note))
}

/// A tile or an entry bundle.
#[utoipa::path(tag = "ledger", params(("path" = String, Path, description = "as C2SP tlog-tiles has it, such as 0/x001/067 or entries/000.p/5")),
    responses((status = 200, description = "The tile", content_type = "application/octet-stream"), (status = 404, body = Problem)))]
#[get("/tile/{path:.*}")]
pub(super) async fn tile(state: Data<AppState>, path: Path<String>) -> Result<HttpResponse, Problem> {
    let tile: TilePath = format!("tile/{path}").parse().map_err(|_| Problem::not_found("tile"))?;
    let ledger = state.issuance.ledger.clone();
    // What no checkpoint covers is not public yet.
    let size = ledger.latest().map(|latest| latest.checkpoint().size()).unwrap_or_default();
    let level = match tile.kind() {
        TileKind::Hashes { level } => level,
        TileKind::Entries => 0,
    };
    let end = tile.index().checked_mul(256).and_then(|first| first.checked_add(u64::from(tile.width())));
    if end.is_none_or(|end| end > hashes_at(size, level)) {
        return Err(Problem::not_found("tile"));
    }
    let bytes = web::block(move || ledger.tiles().read(tile)).await?;
    let bytes = bytes.map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((CACHE_CONTROL, IMMUTABLE))
        .body(bytes))
}

/// The proof that an entry is in the ledger, under the smallest checkpoint that was witnessed and covers it, else the
/// newest (C2SP tlog-proof). The entry itself is in the tiles.
#[utoipa::path(tag = "ledger", params(("index" = u64, Path, description = "place of the entry")),
    responses((status = 200, description = "The proof", content_type = "text/plain"), (status = 404, body = Problem)))]
#[get("/v1/ledger/proofs/{index}")]
pub(super) async fn proof(state: Data<AppState>, index: Path<u64>) -> Result<HttpResponse, Problem> {
    let ledger = state.issuance.ledger.clone();
    let proof = web::block(move || ledger.proof(*index)).await??;
    let (proof, _) = proof.ok_or_else(|| Problem::not_found("entry under a checkpoint"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(proof.to_string()))
}

/// The log policy that bundles offer (C2SP tlog-policy).
#[utoipa::path(tag = "ledger", responses((status = 200, description = "The policy", content_type = "text/plain")))]
#[get("/v1/ledger/policy")]
pub(super) async fn policy(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(state.issuance.log_policy.bytes.clone())
}
