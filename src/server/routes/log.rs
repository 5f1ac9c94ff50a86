//! The log's public bytes (C2SP tlog-tiles): checkpoint, tiles, entry bundles. And its policy, for verifiers.
//!
//! A partial tile stays answerable when the full one is there, in every width: it is the beginning of the same file.
//! Entry bundles are text and go gzipped to whoever takes that; hashes do not become shorter by it.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError as _, web};
use utoipa::OpenApi;

use crate::ledger::TileReadError;
use crate::server::conditional::{Representation, RequestPreconditions};
use crate::server::cors;
use crate::server::problem::Problem;
use crate::server::public_log::PublicLog;
use crate::server::state::AppState;
use crate::tlog::tile::hashes_at;
use crate::tlog::{LeafIndex, TileKind, TilePath};

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// The checkpoint changes: nobody keeps it for more than a second.
const CHANGES: &str = "public, max-age=1";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A missing tile may be there a moment later.
const NOT_YET: &str = "no-store";

/// Documentation of the log: the routes of [`serve`].
#[derive(OpenApi)]
#[openapi(paths(checkpoint, tile, proof, policy))]
pub(super) struct LogDocument;

/// Documentation of the log of statements: the routes of [`serve_statements`].
#[derive(OpenApi)]
#[openapi(paths(checkpoint, tile))]
pub(super) struct StatementsLogDocument;

/// Below this path is the log of statements.
pub(super) const STATEMENTS: &str = "/statements";

/// Adds the routes of the log. They compress for themselves.
pub(super) fn serve(config: &mut ServiceConfig, log: &Data<PublicLog>) {
    config
        .service(read("/checkpoint", log, checkpoint))
        .service(read("/tile/{path:.*}", log, tile))
        .service(read("/v1/ledger/proofs/{index}", log, proof))
        .service(read("/v1/ledger/policy", log, policy));
}

/// Adds the routes of the log of statements.
pub(super) fn serve_statements(config: &mut ServiceConfig, log: &Data<PublicLog>) {
    config.service(read("/statements/checkpoint", log, checkpoint)).service(read(
        "/statements/tile/{path:.*}",
        log,
        tile,
    ));
}

/// A resource that is read, from any origin that may, and on which nothing else can be done.
fn read<H, A>(path: &'static str, log: &Data<PublicLog>, handler: H) -> impl HttpServiceFactory + use<H, A>
where
    H: Handler<A> + Clone,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    web::resource(path)
        .app_data(log.clone())
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(async || {
            let mut response = Problem::method_not_allowed("GET and HEAD").error_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }))
        .wrap(from_fn(cors::readers))
}

/// The newest signed checkpoint, with the cosignatures of its round if it was one and was answered.
#[utoipa::path(get, path = "/checkpoint", tag = "ledger", responses(
    (status = 200, description = "A signed note", content_type = "text/plain"), (status = 404, body = Problem)))]
pub(super) async fn checkpoint(log: Data<PublicLog>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let latest = log.ledger.latest_checkpoint().ok_or_else(|| Problem::not_found("checkpoint"))?;
    let round = web::block(move || log.ledger.last_answered_round()).await??;
    let cosigned = round.map(|round| round.checkpoint).filter(|round| round.checkpoint() == latest.checkpoint());
    let note = cosigned.map_or_else(|| latest.note().to_string(), |cosigned| cosigned.note().to_string());
    Ok(Representation::new(TEXT, CHANGES, note.into()).select(&RequestPreconditions::of(&request)).into())
}

/// A tile or an entry bundle.
#[utoipa::path(get, path = "/tile/{path}", tag = "ledger",
    params(("path" = String, Path, description = "as C2SP tlog-tiles has it, such as 0/x001/067 or entries/000.p/5: its slashes are not escaped")),
    responses((status = 200, description = "The tile", content_type = "application/octet-stream"), (status = 404, body = Problem)))]
pub(super) async fn tile(log: Data<PublicLog>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(tile) = published(&log, request.path()) else {
        let mut absent = Problem::not_found("tile").error_response();
        absent.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(NOT_YET));
        return Ok(absent);
    };
    let preconditions = RequestPreconditions::of(&request);
    if let Some(kept) = log.served.get(tile, &preconditions) {
        return Ok(kept.select(&preconditions).into());
    }
    let log = log.into_inner();
    let selected = web::block(move || {
        let mut whole = Representation::new(BYTES, IMMUTABLE, log.ledger.tiles().read(tile)?.into());
        if tile.kind() == TileKind::Entries {
            whole = whole.compressible();
        }
        if tile.is_full() {
            whole = whole.prepared_for(&preconditions);
            log.served.keep(tile, whole.clone());
        }
        Ok(whole.select(&preconditions))
    });
    let selected = selected.await?.map_err(|error: TileReadError| Problem::internal(&error))?;
    Ok(selected.into())
}

/// The tile that `path` names, where a checkpoint covers it: what none covers is not public yet.
fn published(log: &PublicLog, path: &str) -> Option<TilePath> {
    // As it was asked for, without decoding: a tile has one name.
    let at = path.find("/tile/")? + 1;
    let tile: TilePath = path[at..].parse().ok()?;
    let size = log.ledger.latest_checkpoint()?.checkpoint().size();
    let level = match tile.kind() {
        TileKind::Hashes { level } => level,
        TileKind::Entries => 0,
    };
    let end = tile.index().checked_mul(256)?.checked_add(u64::from(tile.width()))?;
    (end <= hashes_at(size, level)).then_some(tile)
}

/// The proof that an entry is in the ledger, under the smallest checkpoint that was witnessed and covers it, else the
/// newest (C2SP tlog-proof). The entry itself is in the tiles.
#[utoipa::path(get, path = "/v1/ledger/proofs/{index}", tag = "ledger",
    params(("index" = u64, Path, description = "place of the entry")),
    responses((status = 200, description = "The proof", content_type = "text/plain"), (status = 404, body = Problem)))]
pub(super) async fn proof(state: Data<AppState>, index: Path<u64>) -> Result<HttpResponse, Problem> {
    let ledger = state.services.issuance.ledger.clone();
    let proof = web::block(move || ledger.proof_alone(LeafIndex(*index))).await??;
    let proof = proof.ok_or_else(|| Problem::not_found("entry under a checkpoint"))?;
    Ok(HttpResponse::Ok().content_type(TEXT).body(proof.to_string()))
}

/// The log policy that bundles offer (C2SP tlog-policy).
#[utoipa::path(get, path = "/v1/ledger/policy", tag = "ledger",
    responses((status = 200, description = "The policy", content_type = "text/plain")))]
pub(super) async fn policy(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().content_type(TEXT).body(state.services.issuance.log_policy.bytes.clone())
}
