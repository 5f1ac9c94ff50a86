//! The verifier for the reader's own machine: its worker, and the page that can be saved.
//!
//! Built in with the feature `browser`.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};

use crate::server::pages::home::LocalVerifier;
use crate::server::pages::saved::{SavedPage, WORKER, WORKER_DIGEST, offer, saved_page};
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// The verifier that the pages of this server embed.
pub(super) fn local_verifier(state: &AppState) -> LocalVerifier {
    let policy = state.services.issuance.verifier.policy();
    offer(
        policy,
        Some(format!("/verifier/{}.js", *WORKER_DIGEST)),
        "It is this server's own: whoever runs the server \
        chose whom it trusts. To decide that yourself, use a policy of your own."
            .to_owned(),
    )
}

/// The worker, under the digest of what it is.
#[utoipa::path(tag = "verification", params(("digest" = String, Path, description = "as the page names it")),
    responses((status = 200, description = "A script", content_type = "text/javascript"), (status = 404, body = Problem)))]
#[get("/verifier/{digest}.js")]
pub(super) async fn worker_script(digest: Path<String>) -> Result<HttpResponse, Problem> {
    if *digest != WORKER_DIGEST.to_string() {
        return Err(Problem::not_found("verifier"));
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        // A worker has a policy of its own (HTML §10.2.4): it may run what is in it, and reach nothing.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; script-src 'wasm-unsafe-eval'"))
        .body(WORKER))
}

/// The page that can be saved.
#[utoipa::path(tag = "verification", responses((status = 200, description = "A page", content_type = "text/html")))]
#[get("/verify.html")]
pub(super) async fn verify_page(state: Data<AppState>) -> HttpResponse {
    let origin = state.services.log_key.name();
    let source = format!(
        "It is that of the server of {origin} when this page was made: whoever runs that server chose whom it trusts. To \
         decide that yourself, use a policy of your own."
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            format!("{}; frame-ancestors 'none'", SavedPage::content_security_policy()),
        ))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(saved_page(state.services.issuance.verifier.policy(), source))
}
